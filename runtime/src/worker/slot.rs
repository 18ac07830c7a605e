//! A worker's place for one actor: its mailbox, whatever state the actor is in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::{ActorId, CommitIndex};

use super::input::Envelope;
use crate::host::{KindEntry, Resident};

/// Why an actor is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) reason: String,
    pub(crate) seq: u64,
}

/// What is in memory of an actor.
pub(crate) enum State {
    /// Nothing.
    Cold,
    /// A recovery was asked for.
    Recovering,
    /// All of it.
    Live(Box<dyn Resident>),
    /// A state that must not be used; it is rebuilt when none of the actor's commits is in flight.
    Broken,
    /// Nothing, and no command is handled.
    Quarantined(Quarantine),
}

/// What is known of an actor in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActorStatus {
    Resident,
    Recovering,
    Quarantined { reason: String, seq: u64 },
}

/// One actor.
pub(crate) struct Slot {
    pub(crate) id: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) state: State,
    pub(crate) mailbox: VecDeque<Envelope>,
    /// Whether it stands in the worker's run queue: at most once.
    pub(crate) queued: bool,
    /// The newest batch that holds an entry of it; 0 if none since it was recovered.
    pub(crate) last_ticket: u64,
    /// The newest durable commit that holds an entry of it, as far as this worker has seen.
    pub(crate) last_commit: Option<CommitIndex>,
    pub(crate) last_used: Duration,
    pub(crate) unsaved_entries: u64,
    /// Failures of the runtime's own work in a row.
    pub(crate) failures: u32,
    /// Whether the actor asked to leave memory.
    pub(crate) stop: bool,
}

impl Slot {
    pub(crate) fn new(id: ActorId, kind: Arc<KindEntry>, now: Duration) -> Self {
        Self {
            id,
            kind,
            state: State::Cold,
            mailbox: VecDeque::new(),
            queued: false,
            last_ticket: 0,
            last_commit: None,
            last_used: now,
            unsaved_entries: 0,
            failures: 0,
            stop: false,
        }
    }

    pub(crate) fn status(&self) -> ActorStatus {
        match &self.state {
            State::Live(_) => ActorStatus::Resident,
            State::Cold | State::Recovering | State::Broken => ActorStatus::Recovering,
            State::Quarantined(Quarantine { reason, seq }) => ActorStatus::Quarantined {
                reason: reason.clone(),
                seq: *seq,
            },
        }
    }
}
