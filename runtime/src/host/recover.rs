//! Recovery of one actor: the newest snapshot that fits, then the entries after it.
//!
//! Streams: never holds more than one entry beside the state. Runs on a recovery thread.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use steadfast_journal::{
    ActorId, ActorRow, CommitIndex, EntryNumber, EntryRef, EventRef, JournalReader, SequenceNumber,
    failpoint, mutant,
};
use steadfast_snapshots::{SnapshotMeta, SnapshotStore};

use super::execute::panic_text;
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

/// What is seen of a recovery from outside while it runs, and how it is ended early.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    events: AtomicU64,
    bytes: AtomicUsize,
    cancelled: AtomicBool,
    /// Bytes of all recoveries under way.
    total: Arc<AtomicUsize>,
}

impl Progress {
    pub(crate) fn of(total: Arc<AtomicUsize>) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    /// So much was read.
    fn note(&self, events: usize, bytes: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nobody wants the actor any more.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// What was read is in nobody's way any more.
    pub(crate) fn settle(&self) {
        let bytes = self.bytes.swap(0, Ordering::AcqRel);
        self.total.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What one replay has read and not yet told: all recoveries share the sums, and small entries come so fast that
/// their threads would wait for each other.
struct Read<'a> {
    progress: &'a Progress,
    events: usize,
    bytes: usize,
}

impl<'a> Read<'a> {
    /// Bytes and events that are told together.
    const TOGETHER: (usize, usize) = (16 << 10, 256);

    fn of(progress: &'a Progress) -> Self {
        Self {
            progress,
            events: 0,
            bytes: 0,
        }
    }

    fn note(&mut self, events: usize, bytes: usize) {
        self.events += events;
        self.bytes += bytes;
        if self.bytes >= Self::TOGETHER.0 || self.events >= Self::TOGETHER.1 {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.progress.note(self.events, self.bytes);
        (self.events, self.bytes) = (0, 0);
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.tell();
    }
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
        let stored = stored.map_err(|error| Unrecoverable::store(&error, seq))?;
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
    let mut rejected = Vec::new();
    let mut host = match load_snapshot::<A>(cx, row, &mut rejected) {
        Some(host) => host,
        None => fresh::<A>(cx)?,
    };
    failpoint!("recovery.snapshot_read");
    let (snapshot_entry, first) = (host.core.entry, host.core.events);
    let before = cx.progress.bytes();
    let commit = replay(&mut host, cx, row, skipped)?;
    failpoint!("recovery.replayed");
    let bytes = measured(&host, cx, cx.progress.bytes().saturating_sub(before));
    let replayed_events = host.core.events.saturating_sub(first);
    Ok(Recovered {
        resident: Box::new(host),
        snapshot_entry,
        replayed_events,
        commit,
        bytes,
        rejected,
    })
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

/// The newest snapshot that is whole, of this history and of a state this program can read.
fn load_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    rejected: &mut Vec<String>,
) -> Option<Host<A>> {
    let mut below = u64::MAX;
    loop {
        let in_past = |meta: &SnapshotMeta| {
            cx.journal.contains(meta.history, meta.commit)
                && meta.entry.get() < below
                && cx.until.is_none_or(|until| meta.events <= until)
                && meta.kind_version == A::STATE_VERSION
        };
        let loaded = cx.snapshots.load_with(row.number, &in_past, |meta, state| {
            (meta.entry, decode_snapshot::<A>(cx, meta, state))
        });
        if below == u64::MAX && cx.until.is_none() {
            rejected.extend(
                loaded
                    .rejected
                    .iter()
                    .map(|rejection| rejection.reason.to_string()),
            );
        }
        let (entry, decoded) = loaded.snapshot?;
        match decoded {
            Ok(host) => return Some(host),
            Err(reason) => rejected.push(reason),
        }
        below = entry.get();
    }
}

fn decode_snapshot<A: StatefulActor>(
    cx: &RecoverContext<'_>,
    meta: SnapshotMeta,
    state: &[u8],
) -> Result<Host<A>, String> {
    let age = |taken_at, moment| cx.ages.of_snapshot(taken_at, moment, cx.clocks.into());
    let load = || Host::<A>::load(state, cx.limits, cx.clocks.running, age);
    cx.progress.note(0, state.len());
    let mut host = catch_unwind(AssertUnwindSafe(load))
        .map_err(|panic| format!("decoding it panicked: {}", panic_text(panic.as_ref())))?
        .map_err(|error| format!("its state does not decode: {error}"))?;
    host.core.number = Some(meta.actor);
    host.core.entry = meta.entry.get();
    host.core.events = meta.events;
    Ok(host)
}

fn replay<A: StatefulActor>(
    host: &mut Host<A>,
    cx: &RecoverContext<'_>,
    row: &ActorRow,
    skipped: &BTreeSet<u64>,
) -> Result<Option<CommitIndex>, Unrecoverable> {
    let exhausted = || Unrecoverable::data("its entry numbers are used up".to_owned(), 0);
    let from = EntryNumber::after(EntryNumber::new(host.core.entry)).ok_or_else(exhausted)?;
    let mut commit = None;
    let mut read = Read::of(cx.progress);
    let mut outcome = Ok(());
    let seen = cx
        .journal
        .visit_entries(row.number, from, &mut |index, entry| {
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
    seen.map_err(|error| Unrecoverable::store(&error, host.core.events))?;
    drop(read);
    host.core.number = Some(row.number);
    Ok(commit)
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
