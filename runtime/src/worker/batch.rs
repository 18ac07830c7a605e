//! What a worker hands to the journal at once, and what waits for it.
//!
//! Invariant: batches become durable in the order of their tickets, so everything that depends on an
//! actor's newest entry is kept with the batch that holds that entry.

use std::sync::Arc;
use std::time::Duration;
use steadfast_journal::{ActorId, ActorNumber, Append, CommitError, CommitIndex, EntryNumber};

use crate::core::Change;
use crate::host::{Invoke, KindEntry};
use crate::node::Room;

/// Batches that a worker may have with the journal. More would only lengthen the queue: the writer
/// joins all that wait into one commit anyway.
pub(crate) const MAX_IN_FLIGHT: usize = 64;

/// Answers that the journal's own thread may let out at once.
const FEW_ANSWERS: usize = 4;

/// The journal's word on a batch.
pub(crate) struct Durable {
    pub(crate) generation: u64,
    pub(crate) ticket: u64,
    pub(crate) outcome: Result<CommitIndex, CommitError>,
    /// Answers that are still to be let out, after a failure.
    pub(crate) answers: Vec<Box<dyn Invoke>>,
}

/// Pending work that an entry brings about, once it is durable.
#[derive(Debug)]
pub(crate) struct Consequence {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) number: ActorNumber,
    pub(crate) change: Change,
}

/// A snapshot that counts once its commit is durable.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) actor: ActorNumber,
    pub(crate) entry: EntryNumber,
    pub(crate) events: u64,
    pub(crate) kind_version: u32,
    pub(crate) state: Vec<u8>,
}

/// Entries on their way to the journal and what is let out behind them.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) ticket: u64,
    pub(crate) appends: Vec<Append>,
    pub(crate) bytes: usize,
    /// When it was handed to the journal, on the running clock.
    pub(crate) handed_over: Duration,
    pub(crate) events: usize,
    pub(crate) answers: Vec<Box<dyn Invoke>>,
    pub(crate) consequences: Vec<Consequence>,
    /// Whether an actor asked to leave memory.
    pub(crate) stops: bool,
    /// With the room that they have.
    pub(crate) snapshots: Vec<(Taken, Room)>,
    /// The slots that have an entry here; each stays until the batch has its outcome.
    pub(crate) slots: Vec<usize>,
}

impl Batch {
    pub(crate) fn new(ticket: u64) -> Self {
        Self {
            ticket,
            ..Self::default()
        }
    }

    /// The answers, if they are few and nothing else waits for this batch: then the journal's own thread lets them
    /// out, which spares a lone caller a thread's waking. More of them would keep the next commit waiting, and
    /// whoever is answered may rely on it that the worker has seen to the consequences.
    pub(crate) fn take_few_answers(&mut self) -> Vec<Box<dyn Invoke>> {
        let few = self.answers.len() <= FEW_ANSWERS && !self.stops;
        if few && self.consequences.is_empty() && self.snapshots.is_empty() {
            std::mem::take(&mut self.answers)
        } else {
            Vec::new()
        }
    }

    /// An open batch behind this one, with room for as much.
    pub(crate) fn next(&self) -> Self {
        let room = self.slots.len();
        Self {
            ticket: self.ticket + 1,
            appends: Vec::with_capacity(room),
            answers: Vec::with_capacity(self.answers.len()),
            slots: Vec::with_capacity(room),
            ..Self::default()
        }
    }
}
