//! A worker's place for one actor: its mailbox, whatever state the actor is in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::{ActorId, CommitIndex};

use super::input::Envelope;
use super::recoveries::Recovery;
use super::residency::Size;
use super::trouble::{Failing, Trouble};
use crate::error::Refusal;
use crate::host::{KindEntry, Resident, discard};
use crate::model::Timestamp;

/// Why an actor is set aside.
#[derive(Debug, Clone)]
pub(crate) struct Quarantine {
    pub(crate) reason: String,
    /// Its newest event that could be read; 0 where that is not known.
    pub(crate) seq: u64,
    pub(crate) since: Timestamp,
    /// What failed last, where that is known.
    pub(crate) failing: Option<Failing>,
    /// How often in a row.
    pub(crate) failures: u32,
}

impl Quarantine {
    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::Quarantined {
            reason: self.reason.clone(),
            seq: self.seq,
        }
    }
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
    Quarantined(Box<Quarantine>),
}

/// Buffers of mailboxes that are empty: an idle actor keeps none.
#[derive(Default)]
pub(super) struct Spare(Vec<VecDeque<Envelope>>);

impl Spare {
    /// Buffers that are kept.
    const MOST: usize = 1_024;
    /// Capacity beyond which a buffer is not kept.
    const LARGEST: usize = 64;

    pub(super) fn take(&mut self) -> VecDeque<Envelope> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, empty: VecDeque<Envelope>) {
        if self.0.len() < Self::MOST && empty.capacity() <= Self::LARGEST {
            self.0.push(empty);
        }
    }
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
    /// The recovery that somebody waits for.
    pub(crate) recovery: Option<Box<Recovery>>,
    /// Which recovery brought it into memory: tells its place in the order of use from that of others.
    pub(crate) brought_by: u64,
    pub(crate) size: Size,
    /// What went wrong lately; `None` for all but a few.
    pub(crate) trouble: Option<Box<Trouble>>,
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
            recovery: None,
            brought_by: 0,
            size: Size::default(),
            trouble: None,
            stop: false,
        }
    }

    /// Changes what is in memory of the actor. Its state is an embedder's, and so is its `Drop`.
    pub(crate) fn set_state(&mut self, state: State) {
        discard("a state", std::mem::replace(&mut self.state, state));
    }

    /// Whether its mailbox is held after failures.
    pub(crate) fn held(&self) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|trouble| trouble.held_until.is_some())
    }

    /// Whether it is to be recovered even if nobody waits in its mailbox.
    pub(crate) fn wanted(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.wanted)
    }

    /// What is known of it; `None` if nothing is in memory and nobody waits for it.
    pub(crate) fn status(&self) -> Option<ActorStatus> {
        Some(match &self.state {
            State::Live(_) => ActorStatus::Resident,
            State::Cold if self.recovery.is_none() && self.mailbox.is_empty() && !self.wanted() => {
                return None;
            }
            State::Cold | State::Recovering | State::Broken => ActorStatus::Recovering,
            State::Quarantined(quarantine) => ActorStatus::Quarantined {
                reason: quarantine.reason.clone(),
                seq: quarantine.seq,
            },
        })
    }
}
