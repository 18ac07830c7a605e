//! Recovery of one actor: the newest snapshot that fits, then the entries after it.
//!
//! Streams: never holds more than one entry beside the state. Runs on a recovery thread.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use steadfast_journal::{
    ActorId, ActorRow, CommitIndex, EntryNumber, EntryRef, EventRef, JournalReader, SequenceNumber,
    failpoint, mutant,
};
use steadfast_snapshots::{Reason, SnapshotMeta, SnapshotStore};

use super::execute::panic_text;
use super::progress::{Progress, Read};
use super::{Host, Resident};
use crate::core::{Ages, Clocks, KeyLimits, Operation};
use crate::error::describe;
use crate::model::{Event, StatefulActor, Timestamp};

/// Where an actor is recovered from, and up to where.
pub(crate) struct RecoverContext<'a> {
    pub(crate) id: &'a ActorId,
    pub(crate) journal: &'a dyn JournalReader,
    pub(crate) snapshots: &'a SnapshotStore,
    pub(crate) limits: KeyLimits,
    pub(crate) clocks: Clocks,
    pub(crate) ages: Ages,
    /// Stop after this event, for a look into the past; snapshots beyond it are left out.
    pub(crate) until: Option<u64>,
    pub(crate) progress: &'a Progress,
}

/// A recovered actor and what it took.
pub(crate) struct Recovered {
    pub(crate) resident: Box<dyn Resident>,
    /// The entry of the snapshot it started from; 0 where there was none.
    pub(crate) snapshot_entry: u64,
    pub(crate) replayed_events: u64,
    /// The commit of the newest entry that was replayed; `None` where there was none.
    pub(crate) commit: Option<CommitIndex>,
    /// Size of the state in its encoded form, roughly.
    pub(crate) bytes: usize,
    /// Snapshots that were passed over, with the reason.
    pub(crate) rejected: Vec<String>,
}

/// Why an actor cannot be recovered; it is quarantined with this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unrecoverable {
    pub(crate) reason: String,
    /// The newest event that was applied.
    pub(crate) seq: u64,
    /// The name of the event after that, if it is what stopped the recovery: it can be skipped.
    pub(crate) event: Option<String>,
    /// Whether the actor may be fine all the same: the store failed rather than the data, or it was
    /// asked for as another kind.
    pub(crate) transient: bool,
}

impl Unrecoverable {
    fn store(error: &steadfast_journal::Error, seq: u64) -> Self {
        let transient = matches!(
            error,
            steadfast_journal::Error::Store { corrupt: false, .. }
                | steadfast_journal::Error::Io { .. }
                | steadfast_journal::Error::Closed
                | steadfast_journal::Error::Failed(_)
        );
        Self {
            reason: error.to_string(),
            seq,
            event: None,
            transient,
        }
    }

    /// Reading entries failed. Where they are damaged, the journal heals when it is opened the next time.
    fn entries(error: &steadfast_journal::Error, seq: u64) -> Self {
        let found = Self::store(error, seq);
        let transient = found.transient || matches!(error, steadfast_journal::Error::Store { .. });
        Self { transient, ..found }
    }

    pub(crate) fn data(reason: String, seq: u64) -> Self {
        Self {
            reason,
            seq,
            event: None,
            transient: false,
        }
    }

    fn event(reason: String, seq: u64, name: &str) -> Self {
        Self {
            event: Some(name.to_owned()),
            ..Self::data(reason, seq)
        }
    }
}

/// Recovers the actor `cx.id`; one that has no entries yet is new.
pub(crate) fn recover<A: StatefulActor>(
    cx: &RecoverContext<'_>,
) -> Result<Recovered, Unrecoverable> {
    failpoint!("recovery.begun");
    let row = cx
        .journal
        .actor(cx.id)
        .map_err(|error| Unrecoverable::store(&error, 0))?;
    let Some(row) = row else {
        let host = fresh::<A>(cx)?;
        return Ok(Recovered {
            resident: Box::new(host),
            snapshot_entry: 0,
            replayed_events: 0,
            commit: None,
            bytes: 0,
            rejected: Vec::new(),
        });
    };
    if row.kind != A::KIND {
        return Err(Unrecoverable {
            reason: format!("{} is of kind {:?}, not {:?}", cx.id, row.kind, A::KIND),
            seq: 0,
            event: None,
            transient: true,
        });
    }
    match rebuild::<A>(cx, &row, &BTreeSet::new()) {
        Err(stopped) if stopped.event.is_some() => {
            // A second look: a later entry may say that this event is not to be applied. From the start,
            // because a panicking `apply` leaves any state behind.
            let skipped = skipped_events(cx, &row, stopped.seq)?;
            if !skipped.contains(&stopped.seq.saturating_add(1)) {
                return Err(stopped);
            }
            rebuild::<A>(cx, &row, &skipped)
        }
        outcome => outcome,
    }
}

/// The events after `seq` that were skipped by hand.
fn skipped_events(
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    seq: u64,
) -> Result<BTreeSet<u64>, Unrecoverable> {
    let mut skipped = BTreeSet::new();
    let Some(from) = SequenceNumber::new(seq.saturating_add(1)) else {
        return Ok(skipped);
    };
    for stored in cx.journal.entries_from_event(row.number, from) {
        let stored = stored.map_err(|error| Unrecoverable::entries(&error, seq))?;
        // What does not decode is found by the replay, which says where.
        check_cancelled(cx, seq)?;
        for operation in decode_operations(&stored.entry.operations).unwrap_or_default() {
            if let Operation::SkipEvent { seq, .. } = operation {
                skipped.insert(seq);
            }
        }
    }
    Ok(skipped)
}

/// Snapshot and entries after it, without applying the events in `skipped`.
fn rebuild<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    skipped: &BTreeSet<u64>,
) -> Result<Recovered, Unrecoverable> {
    let (mut rejected, mut below) = (Vec::new(), u64::MAX);
    loop {
        let (mut host, origin) = match load_snapshot::<A>(cx, row, below, &mut rejected) {
            Some((host, origin)) => (host, Some(origin)),
            None => (fresh::<A>(cx)?, None),
        };
        failpoint!("recovery.snapshot_read");
        let (snapshot_entry, first) = (host.core.entry, host.core.events);
        let before = cx.progress.bytes();
        let commit = match replay(&mut host, cx, row, origin, skipped)? {
            Replayed::Upto(commit) => commit,
            Replayed::Foreign => {
                rejected.push(Reason::Foreign.to_string());
                below = snapshot_entry;
                continue;
            }
        };
        failpoint!("recovery.replayed");
        let bytes = measured(&host, cx, cx.progress.bytes().saturating_sub(before));
        let replayed_events = host.core.events.saturating_sub(first);
        return Ok(Recovered {
            resident: Box::new(host),
            snapshot_entry,
            replayed_events,
            commit,
            bytes,
            rejected,
        });
    }
}

/// Replayed bytes up to which they are taken for the size of the state.
const WORTH_MEASURING: usize = 64 << 10;

/// How large the state is when it is encoded; as much as was read where that is a snapshot and little more,
/// because encoding it takes time.
fn measured<A: StatefulActor>(host: &Host<A>, cx: &RecoverContext<'_>, replayed: usize) -> usize {
    let read = cx.progress.bytes();
    if replayed <= WORTH_MEASURING {
        return read;
    }
    let save = || host.save(cx.clocks).map(|state| state.len());
    catch_unwind(AssertUnwindSafe(save)).map_or(read, |size| size.unwrap_or(read))
}

fn fresh<A: StatefulActor>(cx: &RecoverContext<'_>) -> Result<Host<A>, Unrecoverable> {
    catch_unwind(AssertUnwindSafe(|| Host::fresh(cx.id, cx.limits))).map_err(|panic| {
        let reason = format!("its initial state panicked: {}", panic_text(panic.as_ref()));
        Unrecoverable::data(reason, 0)
    })
}

/// The newest snapshot before entry `below` that is whole, of this history and of a state this program can read; with
/// what it says of its origin.
fn load_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    mut below: u64,
    rejected: &mut Vec<String>,
) -> Option<(Host<A>, Origin)> {
    loop {
        let in_past = |meta: &SnapshotMeta| {
            cx.journal.contains(meta.history, meta.commit)
                && meta.entry.get() < below
                && cx.until.is_none_or(|until| meta.events <= until)
                && meta.kind_version == A::STATE_VERSION
        };
        let loaded = cx.snapshots.load_with(row.number, &in_past, |meta, state| {
            (meta, decode_snapshot::<A>(cx, meta, state))
        });
        if below == u64::MAX && cx.until.is_none() {
            rejected.extend(
                loaded
                    .rejected
                    .iter()
                    .map(|rejection| rejection.reason.to_string()),
            );
        }
        let (meta, decoded) = loaded.snapshot?;
        match decoded {
            Ok((host, taken_at)) => {
                let origin = Origin {
                    commit: meta.commit,
                    events: meta.events,
                    taken_at,
                };
                return Some((host, origin));
            }
            Err(reason) => rejected.push(reason),
        }
        below = meta.entry.get();
    }
}

fn decode_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    meta: SnapshotMeta,
    state: &[u8],
) -> Result<(Host<A>, Timestamp), String> {
    let taken_at = Cell::new(cx.clocks.now);
    let age = |then, moment| {
        taken_at.set(then);
        cx.ages.of_snapshot(then, moment, cx.clocks.into())
    };
    let load = || Host::<A>::load(state, cx.limits, cx.clocks.running, age);
    cx.progress.note(0, state.len());
    let mut host = catch_unwind(AssertUnwindSafe(load))
        .map_err(|panic| format!("decoding it panicked: {}", panic_text(panic.as_ref())))?
        .map_err(|error| format!("its state does not decode: {error}"))?;
    host.core.number = Some(meta.actor);
    host.core.entry = meta.entry.get();
    host.core.events = meta.events;
    Ok((host, taken_at.get()))
}

/// How a replay ended.
enum Replayed {
    /// With this commit, that of the newest entry that was applied.
    Upto(Option<CommitIndex>),
    /// Before it began: the entry of the snapshot is of another commit, or is not there.
    Foreign,
}

/// What a snapshot says of the entry that it is of.
///
/// After a restore that left the snapshots of what was lost, the journal comes by the commits that they name once more,
/// and its history is the same.
#[derive(Debug, Clone, Copy)]
struct Origin {
    commit: CommitIndex,
    /// Events up to and with that entry.
    events: u64,
    /// When the snapshot was taken: an entry that was written after that is another one, though all numbers be the same.
    taken_at: Timestamp,
}

impl Origin {
    /// How much later an entry may seem to be written: snapshot and entry are dated by two looks at a clock.
    const SLACK: Duration = Duration::from_secs(1);

    fn fits(&self, commit: CommitIndex, entry: &EntryRef<'_>) -> bool {
        let written = Timestamp::from_micros(entry.time_us);
        let events = entry
            .events_before
            .saturating_add(entry.events.len() as u64);
        (commit, events) == (self.commit, self.events)
            && written.since(self.taken_at) <= Self::SLACK
    }
}

/// Applies the entries after a snapshot of that origin, or all of them. Reads from the snapshot's own entry on, which
/// tells whether it is of this journal.
fn replay<A: StatefulActor>(
    host: &mut Host<A>,
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    origin: Option<Origin>,
    skipped: &BTreeSet<u64>,
) -> Result<Replayed, Unrecoverable> {
    let from = EntryNumber::new(host.core.entry).unwrap_or(EntryNumber::FIRST);
    // The mistake is not to be found out here.
    let mut genuine = origin.is_none() || mutant!("snapshot_ahead");
    let (mut own, mut commit) = (origin, None);
    let mut read = Read::of(cx.progress);
    let mut outcome = Ok(());
    let seen = cx
        .journal
        .visit_entries(row.number, from, &mut |index, entry| {
            if let Some(origin) = own.take() {
                genuine |= origin.fits(index, entry);
                return if genuine {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                };
            }
            if cx.until.is_some_and(|until| host.core.events >= until)
                || mutant!("scan_stops_early") && commit.is_some()
            {
                return ControlFlow::Break(());
            }
            outcome = check_cancelled(cx, host.core.events)
                .and_then(|()| take_entry(host, cx, index, entry, skipped));
            if outcome.is_err() {
                return ControlFlow::Break(());
            }
            read.note(entry.events.len(), size(entry));
            commit = Some(index);
            failpoint!("recovery.entry");
            ControlFlow::Continue(())
        });
    outcome?;
    seen.map_err(|error| Unrecoverable::entries(&error, host.core.events))?;
    drop(read);
    if !genuine {
        return Ok(Replayed::Foreign);
    }
    host.core.number = Some(row.number);
    Ok(Replayed::Upto(commit))
}

/// A replay may be long; whoever asked for it may be gone meanwhile.
fn check_cancelled(cx: &RecoverContext<'_>, seq: u64) -> Result<(), Unrecoverable> {
    if !cx.progress.is_cancelled() {
        return Ok(());
    }
    Err(Unrecoverable {
        transient: true,
        ..Unrecoverable::data("the node stopped before it was recovered".to_owned(), seq)
    })
}

fn take_entry<A: StatefulActor>(
    host: &mut Host<A>,
    cx: &RecoverContext<'_>,
    commit: CommitIndex,
    entry: &EntryRef<'_>,
    skipped: &BTreeSet<u64>,
) -> Result<(), Unrecoverable> {
    if entry.events_before != host.core.events {
        let reason = format!(
            "entry {} starts after event {}, {} was expected",
            entry.number, entry.events_before, host.core.events
        );
        return Err(Unrecoverable::data(reason, host.core.events));
    }
    for (seq, record) in entry.numbered_events() {
        if cx.until.is_some_and(|until| seq.get() > until) {
            host.core.events = seq.get().saturating_sub(1);
            return Ok(());
        }
        if skipped.contains(&seq.get()) {
            tracing::warn!(actor = %cx.id, seq = seq.get(), event = record.name, "event not applied: it was skipped by hand");
            continue;
        }
        let before = seq.get().saturating_sub(1);
        apply::<A>(host, record)
            .map_err(|reason| Unrecoverable::event(reason, before, record.name))?;
    }
    let operations = decode_operations(entry.operations).map_err(|error| {
        Unrecoverable::data(
            format!("entry {}: {error}", entry.number),
            entry.events_before,
        )
    })?;
    let written = Timestamp::from_micros(entry.time_us);
    let running = cx.clocks.running;
    let age = cx.ages.of_entry(commit.get(), written, running);
    host.core.take(entry, &operations, running, age);
    Ok(())
}

/// Decodes an event and applies it; says why not.
fn apply<A: StatefulActor>(host: &mut Host<A>, record: &EventRef<'_>) -> Result<(), String> {
    let apply = || {
        let event = A::Event::decode(record.name, record.version, record.data)
            .map_err(|error| describe(&error))?;
        host.state.apply(&event);
        Ok::<_, String>(())
    };
    catch_unwind(AssertUnwindSafe(apply))
        .unwrap_or_else(|panic| Err(format!("apply panicked: {}", panic_text(panic.as_ref()))))
}

/// What an entry adds to a state at most, roughly.
fn size(entry: &EntryRef<'_>) -> usize {
    let events: usize = entry.events.iter().map(|event| event.data.len()).sum();
    let key = entry.command.and_then(|command| command.key);
    events + entry.operations.len() + key.map_or(0, |key| key.key.len() + key.reply.len())
}

/// The operations of an entry.
pub(crate) fn decode_operations(bytes: &[u8]) -> Result<Vec<Operation>, rmp_serde::decode::Error> {
    if bytes.is_empty() {
        Ok(Vec::new())
    } else {
        rmp_serde::from_slice(bytes)
    }
}
