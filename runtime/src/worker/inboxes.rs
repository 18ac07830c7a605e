//! What a worker keeps of messages for its actors. See `inbox` for what is done with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::{ActorId, ActorNumber};

use crate::core::{Message, MessageId};

/// Whether the outbox is being read for a receiver.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    #[default]
    No,
    Yes,
    /// Yes, and it may show what was taken meanwhile.
    Stale,
}

/// Messages for one receiver.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) window: VecDeque<Arc<Message>>,
    /// How many of the front of the window stand in the mailbox.
    pub(super) handed: usize,
    /// Whether the outbox has more than the window.
    pub(super) more: bool,
    pub(super) reading: Reading,
    /// Nothing is handed over until the worker is told to try again.
    pub(super) held: bool,
    /// The newest batch that holds a taking.
    pub(super) taken: u64,
    /// The sender that was read last.
    pub(super) last: Option<ActorNumber>,
    pub(super) read: Vec<Read>,
}

/// Messages that were read from the outbox and may still be brought by their sender's worker.
pub(super) struct Read {
    pub(super) ids: HashSet<MessageId>,
    /// For each worker, the batch after which it brings none of them any more.
    pub(super) until: Vec<u64>,
}

impl Inbox {
    pub(super) fn was_read(&self, id: MessageId) -> bool {
        self.read.iter().any(|read| read.ids.contains(&id))
    }

    /// Forgets what cannot be brought any more.
    pub(super) fn forget_read(&mut self, let_out: &[u64]) {
        self.read.retain(|read| {
            let settled = read.until.len() == let_out.len()
                && read
                    .until
                    .iter()
                    .zip(let_out)
                    .all(|(until, out)| until <= out);
            !settled
        });
    }
}

/// The inboxes of a worker's actors.
#[derive(Default)]
pub(super) struct Inboxes {
    pub(super) by_actor: HashMap<ActorId, Inbox>,
    pub(super) bytes: usize,
    /// Whether the outbox was searched: before, what arrives may be newer than what lies there.
    pub(super) open: bool,
    pub(super) reads: usize,
    pub(super) to_read: VecDeque<ActorId>,
    /// How far all workers were before the lane was collected last.
    pub(super) let_out: Vec<u64>,
    /// Held inboxes, with the moment on the running clock when they go on.
    pub(super) again: Vec<(Duration, ActorId)>,
}

impl Inboxes {
    /// When the first held inbox goes on.
    pub(super) fn next_again(&self) -> Option<Duration> {
        self.again.iter().map(|(at, _)| *at).min()
    }
}
