//! Looking at what is durable: actors, their events, their states at any event. The same code serves a
//! running node and a directory that no node holds.
//!
//! Everything here blocks on the disk: call it from a thread that may.

mod pending;
mod replay;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use steadfast_journal::{
    ActorId, ActorRow, CommitIndex, EventRecord, HistoryId, JournalReader, SequenceNumber,
    StoredEntry, VerifyReport,
};
use steadfast_snapshots::SnapshotStore;

pub use pending::{EffectView, PendingCounts, PendingView, SnapshotView, TimerView};
pub use replay::{Against, Divergence, Replay};

use crate::core::{Ages, Clocks, KeyLimits};
use crate::error::NodeError;
use crate::host::{Progress, RecoverContext, Recovered, Registry, Unrecoverable};
use crate::model::{BootId, Clock, Timestamp};

/// Actors read at once when all are listed.
const PAGE: usize = 1_024;
/// Bytes of events after which a page of them ends.
const PAGE_BYTES: usize = 8 << 20;

/// Reads a journal. Sees durable commits only.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
/// # node.block_on(async {
/// let alice = node.actor::<Account>("alice");
/// alice.ask(Deposit { cents: 70 }).await?;
/// alice.ask(Withdraw { cents: 30 }).await?;
///
/// let (inspector, id) = (node.inspect()?, "account/alice".parse()?);
/// assert_eq!(inspector.state(&id, None)?.state["cents"], 40);
/// assert_eq!(inspector.state(&id, Some(1))?.state["cents"], 70); // after its first event
/// let events = inspector.events(&id, steadfast::SequenceNumber::FIRST, 100)?;
/// assert_eq!(events[1].data["cents"], 30);
/// assert!(inspector.replay(&id, None)?.divergences.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Inspector {
    journal: Arc<dyn JournalReader>,
    snapshots: Arc<SnapshotStore>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    limits: KeyLimits,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").finish_non_exhaustive()
    }
}

/// An actor in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActorSummary {
    /// Its name.
    pub actor: ActorId,
    /// Its kind.
    pub kind: String,
    /// Its newest event; 0 before the first.
    pub seq: u64,
}

/// A state at an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateView {
    /// The actor.
    pub actor: ActorId,
    /// The newest event that the state holds; 0 before the first.
    pub seq: u64,
    /// The state as JSON.
    pub state: Value,
}

/// An event as people and scripts are shown it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventView {
    /// The actor.
    pub actor: ActorId,
    /// Its place within the actor.
    pub seq: u64,
    /// When its command started.
    pub time: Timestamp,
    /// The event's stable name.
    pub name: String,
    /// The version it is stored in.
    pub version: u32,
    /// Its fields.
    pub data: Value,
    /// The command that decided it.
    pub command: Option<CommandView>,
    /// The event that led to it, as `ACTOR@SEQ`.
    pub cause: Option<String>,
}

/// A command as part of an [`EventView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandView {
    /// Its stable name.
    pub name: String,
    /// Identifies this one command.
    pub id: String,
    /// The caller's key.
    pub key: Option<String>,
}

impl Inspector {
    pub(crate) fn new(
        journal: Arc<dyn JournalReader>,
        snapshots: Arc<SnapshotStore>,
        registry: Registry,
        clock: Arc<dyn Clock>,
        limits: KeyLimits,
    ) -> Self {
        Self {
            journal,
            snapshots,
            registry,
            clock,
            limits,
        }
    }

    /// The newest durable commit.
    #[must_use]
    pub fn head(&self) -> Option<CommitIndex> {
        self.journal.head().map(|head| head.index)
    }

    /// The timeline that the journal follows.
    #[must_use]
    pub fn history(&self) -> Option<HistoryId> {
        self.journal.head().map(|head| head.history)
    }

    /// All actors of `space`, or of every space, by name.
    ///
    /// # Errors
    /// A store error.
    pub fn actors(&self, space: Option<&str>) -> Result<Vec<ActorSummary>, NodeError> {
        let mut all = Vec::new();
        let mut after: Option<ActorId> = None;
        loop {
            let page = self.actors_after(space, after.as_ref(), PAGE)?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            after = Some(last.actor.clone());
            all.extend(page);
        }
    }

    /// Up to `limit` actors of `space`, or of every space, with names after `after`: for going through
    /// many without holding them all.
    ///
    /// # Errors
    /// A store error.
    pub fn actors_after(
        &self,
        space: Option<&str>,
        after: Option<&ActorId>,
        limit: usize,
    ) -> Result<Vec<ActorSummary>, NodeError> {
        let rows = match space {
            Some(space) => self.journal.actors_in(space, after, limit)?,
            None => self.journal.actors(after, limit)?,
        };
        rows.into_iter().map(|row| self.summary(row)).collect()
    }

    fn summary(&self, row: ActorRow) -> Result<ActorSummary, NodeError> {
        let last = self.journal.last_entry(row.number)?;
        let seq = last.map_or(0, |stored| stored.entry.events_after());
        Ok(ActorSummary {
            actor: row.id,
            kind: row.kind,
            seq,
        })
    }

    /// One actor.
    ///
    /// # Errors
    /// [`NodeError::NoActor`], or a store error.
    pub fn actor(&self, id: &ActorId) -> Result<ActorSummary, NodeError> {
        let row = self.row(id)?;
        self.summary(row)
    }

    fn row(&self, id: &ActorId) -> Result<ActorRow, NodeError> {
        self.journal
            .actor(id)?
            .ok_or_else(|| NodeError::NoActor { id: id.to_string() })
    }

    /// The state of an actor, now or after event `at`.
    ///
    /// # Errors
    /// [`NodeError::NoActor`], [`NodeError::UnknownKind`], [`NodeError::Unrecoverable`],
    /// [`NodeError::NoEvent`] for an `at` that is not there yet, or a store error.
    pub fn state(&self, id: &ActorId, at: Option<u64>) -> Result<StateView, NodeError> {
        let row = self.row(id)?;
        let recovered = self.recover(&row, self.journal.as_ref(), &self.snapshots, at)?;
        let seq = recovered.resident.core().events;
        if let Some(at) = at.filter(|at| seq < *at) {
            return Err(NodeError::NoEvent {
                id: id.to_string(),
                seq: at,
                newest: seq,
            });
        }
        Ok(StateView {
            actor: id.clone(),
            seq,
            state: state_json(id, &recovered)?,
        })
    }

    /// Recovers an actor from what `journal` and `snapshots` show, up to event `until`.
    fn recover(
        &self,
        row: &ActorRow,
        journal: &dyn JournalReader,
        snapshots: &SnapshotStore,
        until: Option<u64>,
    ) -> Result<Recovered, NodeError> {
        let kind = self
            .registry
            .get(&row.kind)
            .ok_or_else(|| NodeError::UnknownKind {
                id: row.id.to_string(),
                kind: row.kind.clone(),
            })?;
        let clocks = Clocks {
            now: self.clock.now(),
            running: Duration::ZERO,
            boot: BootId::default(),
        };
        let cx = RecoverContext {
            id: &row.id,
            journal,
            snapshots,
            limits: self.limits,
            clocks,
            ages: Ages::all_before(clocks),
            until,
            progress: &Progress::default(),
        };
        (kind.recover)(&cx).map_err(|error| unrecoverable(&row.id, error))
    }

    /// The actor as it is recovered, with or without its snapshots.
    pub(crate) fn recovered(&self, id: &ActorId, snapshots: bool) -> Result<Recovered, NodeError> {
        let (row, none) = (self.row(id)?, SnapshotStore::in_memory());
        let snapshots = if snapshots { &self.snapshots } else { &none };
        self.recover(&row, self.journal.as_ref(), snapshots, None)
    }

    /// All events of an actor as they are stored.
    pub(crate) fn event_records(&self, id: &ActorId) -> Result<Vec<EventRecord>, NodeError> {
        let row = self.row(id)?;
        let first = SequenceNumber::FIRST;
        let mut records = Vec::new();
        for stored in self.journal.entries_from_event(row.number, first) {
            records.extend(stored?.entry.events);
        }
        Ok(records)
    }

    /// Up to `limit` events of an actor from `from` on. Fewer, but not none, where they are large: a page ends
    /// with the command that brings its events to 8 MiB. What ends the events is an empty page.
    ///
    /// # Errors
    /// [`NodeError::NoActor`], or a store error: a hole in the events is one.
    pub fn events(
        &self,
        id: &ActorId,
        from: SequenceNumber,
        limit: usize,
    ) -> Result<Vec<EventView>, NodeError> {
        let row = self.row(id)?;
        let (mut views, mut bytes) = (Vec::new(), 0_usize);
        for stored in self.journal.entries_from_event(row.number, from) {
            let stored = stored?;
            self.add_events(&row, &stored, from, &mut views);
            let sizes = stored.entry.events.iter().map(|record| record.data.len());
            bytes = sizes.fold(bytes, usize::saturating_add);
            if views.len() >= limit || bytes >= PAGE_BYTES {
                views.truncate(limit);
                break;
            }
        }
        Ok(views)
    }

    fn add_events(
        &self,
        row: &ActorRow,
        stored: &StoredEntry,
        from: SequenceNumber,
        views: &mut Vec<EventView>,
    ) {
        let entry = &stored.entry;
        let command = entry.command.as_ref().map(|command| CommandView {
            name: command.name.clone().into_owned(),
            id: format!("cmd_{:032x}", command.id),
            key: command.key.as_ref().map(|key| key.key.clone()),
        });
        for (seq, record) in entry.numbered_events().filter(|(seq, _)| *seq >= from) {
            views.push(EventView {
                actor: row.id.clone(),
                seq: seq.get(),
                time: Timestamp::from_micros(entry.time_us),
                name: record.name.clone().into_owned(),
                version: record.version,
                data: self.event_data(&row.kind, record),
                command: command.clone(),
                cause: entry.cause.clone(),
            });
        }
    }

    /// The event's fields: by its type where that is known in this version, else as they are stored.
    fn event_data(&self, kind: &str, record: &EventRecord) -> Value {
        let typed = self.registry.get(kind).and_then(|kind| {
            let (version, data) =
                (kind.event_json)(&record.name, record.version, &record.data).ok()?;
            (version == record.version).then_some(data)
        });
        typed.unwrap_or_else(|| {
            rmp_serde::from_slice(&record.data).unwrap_or_else(|error| {
                Value::String(format!(
                    "<{} bytes that do not decode: {error}>",
                    record.data.len()
                ))
            })
        })
    }

    /// Checks everything that is at rest.
    ///
    /// # Errors
    /// Only where the walk cannot go on; what is found wrong is in the report.
    pub fn verify(&self) -> Result<VerifyReport, NodeError> {
        Ok(self.journal.verify()?)
    }
}

pub(crate) fn unrecoverable(id: &ActorId, error: Unrecoverable) -> NodeError {
    NodeError::Unrecoverable {
        id: id.to_string(),
        seq: error.seq,
        reason: error.reason,
    }
}

fn state_json(id: &ActorId, recovered: &Recovered) -> Result<Value, NodeError> {
    recovered
        .resident
        .to_json()
        .map_err(|error| NodeError::Unrecoverable {
            id: id.to_string(),
            seq: recovered.resident.core().events,
            reason: format!("its state has no JSON form: {error}"),
        })
}
