//! Looking at what is durable: actors, their events, their states at any event. The same code serves a
//! running node and a directory that no node holds.
//!
//! Everything here blocks on the disk: call it from a thread that may.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use steadfast_journal::{
    ActorId, ActorRow, CommitIndex, EventRecord, JournalReader, SequenceNumber, StoredEntry,
    VerifyReport,
};
use steadfast_snapshots::SnapshotStore;

use crate::core::KeyLimits;
use crate::error::NodeError;
use crate::host::{Progress, RecoverContext, Registry};
use crate::model::{Clock, Start, Timestamp};

/// Actors read at once when all are listed.
const PAGE: usize = 1_024;

/// Reads a journal. Sees durable commits only.
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

    /// All actors of `space`, or of every space, by name.
    ///
    /// # Errors
    /// A store error.
    pub fn actors(&self, space: Option<&str>) -> Result<Vec<ActorSummary>, NodeError> {
        let mut all = Vec::new();
        let mut after: Option<ActorId> = None;
        loop {
            let page = self.journal.actors(after.as_ref(), PAGE)?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            after = Some(last.id.clone());
            for row in page {
                if space.is_none_or(|space| row.id.space() == space) {
                    all.push(self.summary(row)?);
                }
            }
        }
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
        let kind = self
            .registry
            .get(&row.kind)
            .ok_or_else(|| NodeError::UnknownKind {
                id: id.to_string(),
                kind: row.kind.clone(),
            })?;
        let now = self.clock.now();
        let cx = RecoverContext {
            id,
            journal: self.journal.as_ref(),
            snapshots: &self.snapshots,
            limits: self.limits,
            now,
            running: Duration::ZERO,
            start: Start {
                wall: now,
                running: Duration::ZERO,
            },
            until: at,
            progress: &Progress::default(),
        };
        let recovered = (kind.recover)(&cx).map_err(|error| NodeError::Unrecoverable {
            id: id.to_string(),
            seq: error.seq,
            reason: error.reason,
        })?;
        let seq = recovered.resident.core().events;
        if let Some(at) = at.filter(|at| seq < *at) {
            return Err(NodeError::NoEvent {
                id: id.to_string(),
                seq: at,
                newest: seq,
            });
        }
        let state = recovered
            .resident
            .to_json()
            .map_err(|error| NodeError::Unrecoverable {
                id: id.to_string(),
                seq,
                reason: format!("its state has no JSON form: {error}"),
            })?;
        Ok(StateView {
            actor: id.clone(),
            seq,
            state,
        })
    }

    /// Up to `limit` events of an actor from `from` on.
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
        let mut views = Vec::new();
        for stored in self.journal.entries_from_event(row.number, from) {
            let stored = stored?;
            self.add_events(&row, &stored, from, &mut views);
            if views.len() >= limit {
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
            name: command.name.clone(),
            id: format!("cmd_{:032x}", command.id),
            key: command.key.as_ref().map(|key| key.key.clone()),
        });
        for (seq, record) in entry.numbered_events().filter(|(seq, _)| *seq >= from) {
            views.push(EventView {
                actor: row.id.clone(),
                seq: seq.get(),
                time: Timestamp::from_micros(entry.time_us),
                name: record.name.clone(),
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
