//! Rebuilding an actor from its first event, and comparing that with every shorter way to its state.
//!
//! Both ways see the same entries, however much is written meanwhile: the journal is read through a
//! window that ends at one entry.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast_journal::{
    ActorId, ActorNumber, ActorRow, CommitIndex, Commits, Entries, EntryNumber, Error, Head,
    HistoryId, JournalReader, Row, SequenceNumber, ShowEntry, StoredEntry, Table, VerifyReport,
};
use steadfast_snapshots::SnapshotStore;

use super::pending::{effects, timers};
use super::{Inspector, StateView, state_json};
use crate::error::NodeError;
use crate::host::Recovered;

/// Differences that are named; whoever finds these has found enough to look at.
const NAMED: usize = 20;

/// What a replay from the first event was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Against {
    /// The newest snapshot and the entries after it.
    Snapshot,
    /// The state in the memory of a running node.
    Live,
}

/// One value that is not what replaying makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// What the replay was compared with.
    pub against: Against,
    /// Where in the state, as a JSON pointer; pending work stands under `/timers` and `/effects`.
    pub path: String,
    /// What replaying all events gives; `null` also where there is nothing.
    pub replayed: Value,
    /// What was found instead; `null` also where there is nothing.
    pub found: Value,
}

/// A replay and what it was compared with. Without divergences the actor is what its events say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The actor.
    pub actor: ActorId,
    /// Its kind.
    pub kind: String,
    /// The newest event that was replayed.
    pub seq: u64,
    /// The newest event of the snapshot that was compared; `None` where there is none up to `seq`.
    pub snapshot: Option<u64>,
    /// The newest event of the live state that was compared; `None` where none was.
    pub live: Option<u64>,
    /// The first differences found; empty where all is well.
    pub divergences: Vec<Divergence>,
}

impl Inspector {
    /// Rebuilds an actor from its first event, up to event `to` or to its newest, without any snapshot,
    /// and compares the result with what its newest snapshot and the entries after it give.
    ///
    /// States are compared as JSON: one that writes a `HashSet` differs from itself and should hold a
    /// `BTreeSet`.
    ///
    /// # Errors
    /// As [`state`](Inspector::state). [`NodeError::Unrecoverable`] also means divergence where the actor
    /// runs all the same, thanks to a snapshot: its events do not lead to its state any more.
    pub fn replay(&self, id: &ActorId, to: Option<u64>) -> Result<Replay, NodeError> {
        let row = self.row(id)?;
        let Some(window) = self.window(&row, to)? else {
            return Err(NodeError::NoEvent {
                id: id.to_string(),
                seq: to.unwrap_or(0),
                newest: self.summary(row)?.seq,
            });
        };
        let none = SnapshotStore::in_memory();
        let replayed = self.recover(&row, &window, &none, to)?;
        let shorter = self.recover(&row, &window, &self.snapshots, to)?;
        let mut divergences = Vec::new();
        // A snapshot of a later entry without events, of the same commit, tells nothing about this one.
        let comparable = shorter.resident.core().entry == replayed.resident.core().entry;
        let snapshot = self.snapshot_event(&row, &shorter)?.filter(|_| comparable);
        if snapshot.is_some() {
            let (ours, theirs) = (whole(id, &replayed)?, whole(id, &shorter)?);
            differences(Against::Snapshot, "", &ours, &theirs, &mut divergences);
        }
        Ok(Replay {
            actor: row.id,
            kind: row.kind,
            seq: replayed.resident.core().events,
            snapshot,
            live: None,
            divergences,
        })
    }

    /// Adds the comparison with `live`, a state in the memory of a node, to a replay of the same actor.
    ///
    /// # Errors
    /// As [`state`](Inspector::state): [`NodeError::NoEvent`] if the state is not durable yet.
    pub fn compare_live(&self, replay: &mut Replay, live: &StateView) -> Result<(), NodeError> {
        let row = self.row(&live.actor)?;
        let none = SnapshotStore::in_memory();
        let replayed = self.recover(&row, self.journal.as_ref(), &none, Some(live.seq))?;
        let seq = replayed.resident.core().events;
        if seq < live.seq {
            return Err(NodeError::NoEvent {
                id: live.actor.to_string(),
                seq: live.seq,
                newest: seq,
            });
        }
        let ours = state_json(&live.actor, &replayed)?;
        differences(
            Against::Live,
            "",
            &ours,
            &live.state,
            &mut replay.divergences,
        );
        replay.live = Some(live.seq);
        Ok(())
    }

    /// What a replay up to event `to` sees, where there is such an event: all entries, because a later one
    /// may say that an event was skipped; without `to` those up to the newest one.
    fn window(&self, row: &ActorRow, to: Option<u64>) -> Result<Option<Window<'_>>, NodeError> {
        let (last, limit) = if let Some(seq) = to.and_then(SequenceNumber::new) {
            let mut entries = self.journal.entries_from_event(row.number, seq);
            (entries.next().transpose()?, None)
        } else {
            let last = self.journal.last_entry(row.number)?;
            let limit = last.as_ref().map(|last| (last.entry.number, last.commit));
            (last, limit)
        };
        Ok(last.map(|_| Window {
            journal: self.journal.as_ref(),
            limit,
        }))
    }

    /// The newest event of the snapshot that a recovery started from.
    fn snapshot_event(
        &self,
        row: &ActorRow,
        recovered: &Recovered,
    ) -> Result<Option<u64>, NodeError> {
        let Some(entry) = EntryNumber::new(recovered.snapshot_entry) else {
            return Ok(None);
        };
        let stored = self.journal.entries(row.number, entry).next().transpose()?;
        Ok(stored.map(|stored| stored.entry.events_after()))
    }
}

/// State and pending work as one JSON document.
fn whole(id: &ActorId, recovered: &Recovered) -> Result<Value, NodeError> {
    let core = recovered.resident.core();
    let mut document = serde_json::Map::new();
    document.insert("state".to_owned(), state_json(id, recovered)?);
    // These views are made of text, numbers and times: they always have a JSON form.
    let timers = serde_json::to_value(timers(core)).unwrap_or_default();
    let effects = serde_json::to_value(effects(core)).unwrap_or_default();
    document.insert("timers".to_owned(), timers);
    document.insert("effects".to_owned(), effects);
    Ok(Value::Object(document))
}

/// Adds the places where two documents differ, depth first, up to [`NAMED`] in all.
fn differences(
    against: Against,
    path: &str,
    replayed: &Value,
    found: &Value,
    all: &mut Vec<Divergence>,
) {
    if replayed == found || all.len() >= NAMED {
        return;
    }
    match (replayed, found) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                let (ours, theirs) = (ours.get(name), theirs.get(name));
                let (ours, theirs) = (ours.unwrap_or(&Value::Null), theirs.unwrap_or(&Value::Null));
                differences(against, &path, ours, theirs, all);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for at in 0..ours.len().max(theirs.len()) {
                let (ours, theirs) = (ours.get(at), theirs.get(at));
                let (ours, theirs) = (ours.unwrap_or(&Value::Null), theirs.unwrap_or(&Value::Null));
                differences(against, &format!("{path}/{at}"), ours, theirs, all);
            }
        }
        _ => all.push(Divergence {
            against,
            path: path.to_owned(),
            replayed: replayed.clone(),
            found: found.clone(),
        }),
    }
}

/// A journal as it was when one entry of one actor was its newest. For reading that actor only.
struct Window<'a> {
    journal: &'a dyn JournalReader,
    /// That entry, and the commit that holds it: a snapshot of a later one is out of sight. `None` shows
    /// everything.
    limit: Option<(EntryNumber, CommitIndex)>,
}

impl JournalReader for Window<'_> {
    fn head(&self) -> Option<Head> {
        self.journal.head()
    }

    fn contains(&self, history: HistoryId, commit: CommitIndex) -> bool {
        self.limit.is_none_or(|(_, last)| commit <= last) && self.journal.contains(history, commit)
    }

    fn actor(&self, id: &ActorId) -> Result<Option<ActorRow>, Error> {
        self.journal.actor(id)
    }

    fn actors(&self, after: Option<&ActorId>, limit: usize) -> Result<Vec<ActorRow>, Error> {
        self.journal.actors(after, limit)
    }

    fn last_entry(&self, actor: ActorNumber) -> Result<Option<StoredEntry>, Error> {
        match self.limit {
            Some((last, _)) => self.journal.entries(actor, last).next().transpose(),
            None => self.journal.last_entry(actor),
        }
    }

    fn entries(&self, actor: ActorNumber, from: EntryNumber) -> Entries<'_> {
        Box::new(self.upto_last(self.journal.entries(actor, from)))
    }

    fn visit_entries(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
        show: &mut ShowEntry<'_>,
    ) -> Result<(), Error> {
        let last = self.limit.map(|(last, _)| last);
        self.journal
            .visit_entries(actor, from, &mut |commit, entry| {
                if last.is_some_and(|last| entry.number > last) {
                    return ControlFlow::Break(());
                }
                show(commit, entry)
            })
    }

    fn entries_from_event(&self, actor: ActorNumber, seq: SequenceNumber) -> Entries<'_> {
        Box::new(self.upto_last(self.journal.entries_from_event(actor, seq)))
    }

    fn commits(&self, from: CommitIndex) -> Commits<'_> {
        self.journal.commits(from)
    }

    fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, Error> {
        self.journal.rows(table, after, limit)
    }

    fn verify(&self) -> Result<VerifyReport, Error> {
        self.journal.verify()
    }
}

impl Window<'_> {
    fn upto_last<'a>(
        &self,
        entries: Entries<'a>,
    ) -> impl Iterator<Item = Result<StoredEntry, Error>> + Send + use<'a> {
        let last = self.limit.map(|(last, _)| last);
        // An error is not passed over: it ends the reading in the reader's hands.
        entries.take_while(move |stored| match (stored, last) {
            (Ok(stored), Some(last)) => stored.entry.number <= last,
            (Ok(_), None) | (Err(_), _) => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(ours: &Value, theirs: &Value, paths: &[&str]) {
        let mut all = Vec::new();
        differences(Against::Snapshot, "", ours, theirs, &mut all);
        let found: Vec<&str> = all.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(found, paths);
    }

    #[test]
    fn differences_are_named_by_pointer() {
        check(&json!({"a": 1}), &json!({"a": 1}), &[]);
        check(
            &json!({"a": 1, "b": [1]}),
            &json!({"a": 2, "b": [1, 2]}),
            &["/a", "/b/1"],
        );
        check(
            &json!({"x/y": {"~": 1}}),
            &json!({"x/y": {}}),
            &["/x~1y/~0"],
        );
        check(&json!([1]), &json!({"a": 1}), &[""]);
    }

    #[test]
    fn only_the_first_differences_are_named() {
        let (ones, twos): (Vec<u8>, Vec<u8>) = (vec![1; 100], vec![2; 100]);
        let mut all = Vec::new();
        differences(Against::Live, "", &json!(ones), &json!(twos), &mut all);
        assert_eq!(all.len(), NAMED);
    }
}
