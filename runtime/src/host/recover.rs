//! Recovery of one actor: the newest snapshot that fits, then the entries after it.
//!
//! Streams: never holds more than one entry beside the state. Runs on a recovery thread.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use steadfast_journal::{ActorId, ActorRow, Entry, EntryNumber, JournalReader, SequenceNumber};
use steadfast_snapshots::{Snapshot, SnapshotStore};

use super::execute::panic_text;
use super::{Host, Resident};
use crate::core::{KeyLimits, Operation};
use crate::model::{Event, Start, StatefulActor, Timestamp};

/// Where an actor is recovered from, and up to where.
pub(crate) struct RecoverContext<'a> {
    pub(crate) id: &'a ActorId,
    pub(crate) journal: &'a dyn JournalReader,
    pub(crate) snapshots: &'a SnapshotStore,
    pub(crate) limits: KeyLimits,
    pub(crate) now: Timestamp,
    pub(crate) running: Duration,
    pub(crate) start: Start,
    /// Stop after this event, for a look into the past; snapshots beyond it are left out.
    pub(crate) until: Option<u64>,
}

/// A recovered actor and what it took.
pub(crate) struct Recovered {
    pub(crate) resident: Box<dyn Resident>,
    /// The entry of the snapshot it started from; 0 where there was none.
    pub(crate) snapshot_entry: u64,
    pub(crate) replayed_events: u64,
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
        let stored = stored.map_err(|error| Unrecoverable::store(&error, seq))?;
        // What does not decode is found by the replay, which says where.
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
    let mut rejected = Vec::new();
    let mut host = match load_snapshot::<A>(cx, row, &mut rejected) {
        Some(host) => host,
        None => fresh::<A>(cx)?,
    };
    let (snapshot_entry, first) = (host.core.entry, host.core.events);
    replay(&mut host, cx, row, skipped)?;
    let replayed_events = host.core.events.saturating_sub(first);
    Ok(Recovered {
        resident: Box::new(host),
        snapshot_entry,
        replayed_events,
        rejected,
    })
}

fn fresh<A: StatefulActor>(cx: &RecoverContext<'_>) -> Result<Host<A>, Unrecoverable> {
    catch_unwind(AssertUnwindSafe(|| Host::fresh(cx.id, cx.limits))).map_err(|panic| {
        let reason = format!("its initial state panicked: {}", panic_text(panic.as_ref()));
        Unrecoverable::data(reason, 0)
    })
}

/// The newest snapshot that is whole, of this history and of a state this program can read.
fn load_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    rejected: &mut Vec<String>,
) -> Option<Host<A>> {
    let mut below = u64::MAX;
    loop {
        let loaded = cx.snapshots.load(row.number, &|meta| {
            cx.journal.contains(meta.history, meta.commit)
                && meta.entry.get() < below
                && cx.until.is_none_or(|until| meta.events <= until)
                && meta.kind_version == A::STATE_VERSION
        });
        if below == u64::MAX && cx.until.is_none() {
            rejected.extend(
                loaded
                    .rejected
                    .iter()
                    .map(|rejection| rejection.reason.to_string()),
            );
        }
        let snapshot = loaded.snapshot?;
        match decode_snapshot::<A>(cx, &snapshot) {
            Ok(host) => return Some(host),
            Err(reason) => rejected.push(reason),
        }
        below = snapshot.entry.get();
    }
}

fn decode_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    snapshot: &Snapshot,
) -> Result<Host<A>, String> {
    let age = |then| cx.start.age(then, cx.now, cx.running);
    let load = || Host::<A>::load(&snapshot.state, cx.limits, cx.running, age);
    let mut host = catch_unwind(AssertUnwindSafe(load))
        .map_err(|panic| format!("decoding it panicked: {}", panic_text(panic.as_ref())))?
        .map_err(|error| format!("its state does not decode: {error}"))?;
    host.core.number = Some(snapshot.actor);
    host.core.entry = snapshot.entry.get();
    host.core.events = snapshot.events;
    Ok(host)
}

fn replay<A: StatefulActor>(
    host: &mut Host<A>,
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    skipped: &BTreeSet<u64>,
) -> Result<(), Unrecoverable> {
    let exhausted = || Unrecoverable::data("its entry numbers are used up".to_owned(), 0);
    let from = EntryNumber::after(EntryNumber::new(host.core.entry)).ok_or_else(exhausted)?;
    for stored in cx.journal.entries(row.number, from) {
        let seq = host.core.events;
        let stored = stored.map_err(|error| Unrecoverable::store(&error, seq))?;
        if cx.until.is_some_and(|until| host.core.events >= until) {
            break;
        }
        take_entry(host, cx, &stored.entry, skipped)?;
    }
    host.core.number = Some(row.number);
    Ok(())
}

fn take_entry<A: StatefulActor>(
    host: &mut Host<A>,
    cx: &RecoverContext<'_>,
    entry: &Entry,
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
        let poison = |reason| Unrecoverable::event(reason, before, &record.name);
        let apply = || {
            let event = A::Event::decode(&record.name, record.version, &record.data)
                .map_err(|error| describe(&error))?;
            host.state.apply(&event);
            Ok::<_, String>(())
        };
        catch_unwind(AssertUnwindSafe(apply))
            .unwrap_or_else(|panic| Err(format!("apply panicked: {}", panic_text(panic.as_ref()))))
            .map_err(poison)?;
    }
    let operations = decode_operations(&entry.operations).map_err(|error| {
        Unrecoverable::data(
            format!("entry {}: {error}", entry.number),
            entry.events_before,
        )
    })?;
    let written = Timestamp::from_micros(entry.time_us);
    let age = cx.start.age(written, cx.now, cx.running);
    host.core.take(entry, &operations, cx.running, age);
    Ok(())
}

/// The operations of an entry.
pub(crate) fn decode_operations(bytes: &[u8]) -> Result<Vec<Operation>, rmp_serde::decode::Error> {
    if bytes.is_empty() {
        Ok(Vec::new())
    } else {
        rmp_serde::from_slice(bytes)
    }
}

/// An error with its causes on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
