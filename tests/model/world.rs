//! What the model is made of: the disk, which survives, and the process, which does not.
//!
//! Two actors on workers of their own. The *sender* does the operations 1 and 2 of two clients, each asked with a key
//! of its own; an operation may send one message, which has its number, to the *receiver*, which takes it.

use super::list::List;

/// An operation, and the message that it sends.
pub(super) type Op = u8;

/// Messages that stand in memory before the rest is read from the outbox (`runtime/src/worker/inbox.rs`, `WINDOW`).
pub(super) const WINDOW: usize = 1;
/// Messages that are read at once (`runtime/src/node/mail.rs`, `MAIL_PAGE_OF_SENDER`).
pub(super) const PAGE: usize = 1;

/// What an entry says. Which actor it belongs to follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    /// The sender did an operation; its key is in the entry, and its message in the outbox.
    Did(Op),
    /// The receiver took a message; its row of the outbox is gone.
    Took(Op),
}

impl Default for Entry {
    fn default() -> Self {
        Self::Did(0)
    }
}

/// Entries of one batch.
pub(super) type Entries = List<Entry, 4>;
/// What an actor's state is: the operations of its entries.
pub(super) type State = List<Op, 4>;

/// The two workers, each with its one actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Sender,
    Receiver,
}

impl Who {
    pub(super) const BOTH: [Self; 2] = [Self::Sender, Self::Receiver];

    pub(super) const fn wrote(self, entry: Entry) -> Option<Op> {
        match (self, entry) {
            (Self::Sender, Entry::Did(op)) | (Self::Receiver, Entry::Took(op)) => Some(op),
            (Self::Sender, Entry::Took(_)) | (Self::Receiver, Entry::Did(_)) => None,
        }
    }
}

/// What a client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Client {
    pub(super) asks: u8,
    /// How many of its questions have no answer.
    pub(super) waits: u8,
    /// What it was told: the how-many-eth operation of the sender this was.
    pub(super) told: Option<u8>,
    /// Whether it was told two different things.
    pub(super) confused: bool,
}

/// A look at the sender's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Look {
    #[default]
    NotAsked,
    Waits,
    /// So many operations were seen.
    Saw(u8),
    /// It was never answered.
    Lost,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct World {
    pub(super) clients: [Client; 2],
    pub(super) look: Look,
    /// The durable entries, in the order of their commits: all that a journal can show.
    pub(super) disk: List<Entry, 8>,
    /// `None` while there is no process.
    pub(super) process: Option<Process>,
    pub(super) faults: u8,
}

/// What a power cut takes away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Process {
    pub(super) sender: Worker,
    pub(super) receiver: Worker,
    pub(super) inbox: Inbox,
    /// Messages let out by the sender's worker and not yet collected by the receiver's.
    pub(super) lane: List<Op, 4>,
    /// Tickets of the sender's worker.
    pub(super) handed_over: u8,
    pub(super) let_out: u8,
    pub(super) writer: Writer,
    pub(super) search: Search,
}

/// A worker and its actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Worker {
    /// Whether it knows of an open journal.
    pub(super) is_open: bool,
    /// The actor with all that it decided, durable or not; `None` while it is not in memory.
    pub(super) actor: Option<State>,
    pub(super) mailbox: List<Item, 4>,
    pub(super) open: Batch,
    pub(super) in_flight: List<Batch, 3>,
    /// Outcomes that have not been looked at yet: tickets of durable batches.
    pub(super) outcomes: List<u8, 3>,
    /// All batches up to this one are known to be durable.
    pub(super) durable: u8,
    /// The batch with the actor's newest entry.
    pub(super) newest: u8,
}

/// What stands in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Item {
    #[default]
    Look,
    Ask(Op),
    Message(Op),
}

/// An answer that waits for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Answer {
    /// The client, or a look where it is 0.
    pub(super) to: Op,
    pub(super) count: u8,
}

/// Answers that wait for the same batch.
pub(super) type Answers = List<Answer, 4>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Batch {
    pub(super) ticket: u8,
    pub(super) entries: Entries,
    pub(super) answers: Answers,
}

/// The messages of the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Inbox {
    /// Whether the outbox was searched since the journal was opened.
    pub(super) is_open: bool,
    pub(super) window: List<Op, 2>,
    /// How many of the window stand in the mailbox.
    pub(super) handed: usize,
    /// Whether the outbox has more than the window.
    pub(super) more: bool,
    pub(super) reading: bool,
    /// What was read and has not come yet, and whether there is more.
    pub(super) page: Option<(List<Op, 2>, bool)>,
    /// The batch with the newest taking.
    pub(super) taken: u8,
    /// Messages that were read, with the sender's ticket up to which they may still come by the lane.
    pub(super) read: List<(Op, u8), 4>,
    /// How far the sender's worker was before the lane was collected last.
    pub(super) let_out: u8,
}

/// The journal's writer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Writer {
    pub(super) queue: List<Submission, 4>,
    /// How many of the queue are being written: written, not yet synced.
    pub(super) writing: usize,
    /// A sync failed: nothing is written any more, and what was being written may be there after the next opening.
    pub(super) has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Submission {
    /// Whose batch it is.
    pub(super) of_receiver: bool,
    pub(super) ticket: u8,
    pub(super) entries: Entries,
    /// Few answers that nothing else goes with: the writer's thread lets them out itself.
    pub(super) few: Answers,
}

/// The search of the outbox after an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Search {
    #[default]
    NotBegun,
    /// Whether something was found; the receiver's worker does not know it yet.
    Searched {
        found: bool,
    },
    Over,
}

impl World {
    /// The durable operations of an actor, in order.
    pub(super) fn durable(&self, who: Who) -> State {
        let written = self.disk.iter();
        written.filter_map(|entry| who.wrote(*entry)).collect()
    }
}

impl Process {
    pub(super) fn worker(&mut self, who: Who) -> &mut Worker {
        match who {
            Who::Sender => &mut self.sender,
            Who::Receiver => &mut self.receiver,
        }
    }

    pub(super) const fn worker_of(&self, who: Who) -> &Worker {
        match who {
            Who::Sender => &self.sender,
            Who::Receiver => &self.receiver,
        }
    }

    /// The entries that are written and not yet synced.
    pub(super) fn unsynced(&self) -> List<Entry, 8> {
        let writing = self.writer.queue[..self.writer.writing].iter();
        writing
            .flat_map(|submission| submission.entries.to_vec())
            .collect()
    }
}

impl Worker {
    /// A worker whose batches are numbered from 1.
    pub(super) fn new() -> Self {
        Self {
            open: Batch::new(1),
            ..Self::default()
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.newest <= self.durable
    }
}

impl Batch {
    pub(super) fn new(ticket: u8) -> Self {
        Self {
            ticket,
            ..Self::default()
        }
    }
}
