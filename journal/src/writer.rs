//! The one thread that writes a journal: a bounded queue in front of it, groups without linger, and
//! the latch behind which nothing is written again.
//!
//! A file of its own because it decides what every submission is told, whatever the store is.
//!
//! Invariants:
//! * Each completion is called exactly once, also when the thread ends early or panics.
//! * Completions of written submissions are called in the order of submission.
//! * After the first failed write the committer is never called again.

mod hand;

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crate::committer::Committer;
use crate::error::{CommitError, Error};
use crate::ids::CommitIndex;
use crate::journal::{Append, Completion, Submission};

pub(crate) use hand::{Hand, Next};

/// How much is joined into one commit, and how much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes in one commit; a larger submission goes alone.
    pub(crate) group_bytes: usize,
    /// Appends in one commit; a larger submission goes alone.
    pub(crate) group_appends: usize,
    /// Submissions that may wait.
    pub(crate) queue: usize,
}

/// The front of the writer.
pub(crate) struct Writer {
    /// `None` only while being dropped: hanging up is what ends the thread.
    queue: Option<SyncSender<Message>>,
    drive: Drive,
    /// Why it ended, for submissions that come too late.
    end: Arc<OnceLock<Arc<Error>>>,
}

/// Who does the writing.
enum Drive {
    /// A thread. Taken by whoever joins; a lock, because closing twice at a time must wait twice.
    Thread(Mutex<Option<JoinHandle<Result<(), Error>>>>),
    /// Whoever steps.
    Hand(Arc<Hand>),
}

enum Message {
    Submit(Pending),
    Close,
}

/// A submission that still owes its completion a call.
struct Pending {
    appends: Vec<Append>,
    /// Taken by the one call.
    done: Option<Completion>,
    /// Whether its write was begun: from then on an early end means "unknown".
    begun: bool,
    /// Read where the thread ends with this still waiting.
    end: Arc<OnceLock<Arc<Error>>>,
}

impl Pending {
    fn finish(mut self, outcome: Result<CommitIndex, CommitError>) {
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            let early = || Arc::new(Error::WriterPanicked);
            if self.begun {
                done(Err(CommitError::Unknown(early())));
            } else {
                let cause = self.end.get().map_or_else(early, Arc::clone);
                done(Err(CommitError::NotWritten(cause)));
            }
        }
    }
}

/// Says why the thread ended before the queue is dropped, also when it unwinds.
struct EndGuard {
    end: Arc<OnceLock<Arc<Error>>>,
    reason: Error,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        let reason = std::mem::replace(&mut self.reason, Error::Closed);
        self.end.get_or_init(|| Arc::new(reason));
    }
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(committer: Committer, limits: Limits) -> Result<Self, Error> {
        let (queue, end, work) = Work::behind_a_queue(committer, limits);
        let guard = EndGuard {
            end: Arc::clone(&end),
            reason: Error::WriterPanicked,
        };
        let thread = std::thread::Builder::new()
            .name("steadfast-journal".to_owned())
            .spawn(move || {
                // Moved in this order, so that the guard is dropped before the queue is.
                let (mut work, mut guard) = (work, guard);
                let outcome = work.run();
                guard.reason = Error::Closed;
                outcome
            })
            .map_err(Error::NoThread)?;
        Ok(Self {
            queue: Some(queue),
            drive: Drive::Thread(Mutex::new(Some(thread))),
            end,
        })
    }

    /// A writer without a thread: nothing is written unless `hand` is told to.
    pub(crate) fn by_hand(committer: Committer, limits: Limits, hand: Arc<Hand>) -> Self {
        let (queue, end, work) = Work::behind_a_queue(committer, limits);
        hand.take_up(work);
        Self {
            queue: Some(queue),
            drive: Drive::Hand(hand),
            end,
        }
    }

    /// Queues a submission; after the end its completion is called here and now.
    pub(crate) fn submit(&self, submission: Submission) {
        let pending = Pending {
            appends: submission.appends,
            done: Some(submission.done),
            begun: false,
            end: Arc::clone(&self.end),
        };
        if let Some(queue) = &self.queue {
            // A refused message comes back and calls its completion when dropped.
            drop(queue.send(Message::Submit(pending)));
        }
        if let Drive::Hand(hand) = &self.drive {
            hand.wake();
        }
    }

    /// Ends the writer after all that was submitted before, and waits for it.
    pub(crate) fn close(&self) -> Result<(), Error> {
        if let Drive::Hand(hand) = &self.drive {
            let closed = hand.close();
            self.end.get_or_init(|| Arc::new(Error::Closed));
            return closed;
        }
        if let Some(queue) = &self.queue {
            match queue.send(Message::Close) {
                Ok(()) | Err(SendError(_)) => {}
            }
        }
        self.join()
    }

    fn join(&self) -> Result<(), Error> {
        let thread = match &self.drive {
            Drive::Thread(thread) => thread,
            Drive::Hand(hand) => {
                hand.let_fall();
                return Ok(());
            }
        };
        let mut slot = thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = slot.take() else {
            return Ok(());
        };
        if thread.thread().id() == std::thread::current().id() {
            // A completion dropped the last reference: this very thread ends right after it.
            return Ok(());
        }
        thread.join().unwrap_or(Err(Error::WriterPanicked))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Err(error) = self.join() {
            tracing::error!(%error, "the journal's writer did not end well");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// What the thread works with.
struct Work {
    messages: Receiver<Message>,
    committer: Committer,
    limits: Limits,
    /// The latch: the error after which nothing is written.
    failed: Option<Arc<Error>>,
    /// Taken from the queue, but too large for the group before it.
    next: Option<Message>,
    /// Submissions in the newest group.
    together: usize,
}

impl Work {
    fn behind_a_queue(
        committer: Committer,
        limits: Limits,
    ) -> (SyncSender<Message>, Arc<OnceLock<Arc<Error>>>, Self) {
        let (queue, messages) = sync_channel(limits.queue);
        let work = Self {
            messages,
            committer,
            limits,
            failed: None,
            next: None,
            together: 0,
        };
        (queue, Arc::default(), work)
    }

    fn run(&mut self) -> Result<(), Error> {
        while let Some(message) = self.wait() {
            match message {
                Message::Submit(first) => self.group(first),
                Message::Close => return self.guarded(Committer::close).map_err(Error::Failed),
            }
        }
        Ok(())
    }

    /// The next message; `None` when every sender has hung up. Uses idle time to sync the mark.
    fn wait(&mut self) -> Option<Message> {
        if let Some(message) = self.next.take() {
            return Some(message);
        }
        while let (None, Some(idle)) = (&self.failed, self.committer.wants_idle_call()) {
            match self.messages.recv_timeout(idle) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.guarded(Committer::idle) {
                        tracing::error!(%error, "the journal stopped: its mark could not be synced");
                    }
                }
            }
        }
        self.messages.recv().ok()
    }

    /// The only way to the committer.
    fn guarded<T>(
        &mut self,
        write: impl FnOnce(&mut Committer) -> Result<T, Error>,
    ) -> Result<T, Arc<Error>> {
        if let Some(cause) = &self.failed {
            return Err(Arc::clone(cause));
        }
        write(&mut self.committer).map_err(|error| {
            let cause = Arc::new(error);
            self.failed = Some(Arc::clone(&cause));
            cause
        })
    }

    /// Writes `first` together with what waits behind it.
    fn group(&mut self, first: Pending) {
        if let Some(cause) = &self.failed {
            let failed = Arc::new(Error::Failed(Arc::clone(cause)));
            return first.finish(Err(CommitError::NotWritten(failed)));
        }
        let mut group = Vec::new();
        let mut size = Size::of(&first);
        self.admit(first, &mut group);
        while let Ok(message) = self.messages.try_recv() {
            let Message::Submit(pending) = message else {
                self.next = Some(message);
                break;
            };
            let joined = size.plus(&Size::of(&pending));
            if joined.within(&self.limits) {
                size = joined;
                self.admit(pending, &mut group);
            } else {
                self.next = Some(Message::Submit(pending));
                break;
            }
        }
        self.commit(group);
    }

    /// Adds a submission to the group, or turns it away where the committer sees a bug in it.
    fn admit(&mut self, pending: Pending, group: &mut Vec<Pending>) {
        match self.committer.admit(&pending.appends) {
            Ok(()) => group.push(pending),
            Err(error) => {
                tracing::error!(%error, "a submission was refused; nothing of it was written");
                pending.finish(Err(CommitError::NotWritten(Arc::new(error))));
            }
        }
    }

    fn commit(&mut self, mut group: Vec<Pending>) {
        self.together = group.len();
        for pending in &mut group {
            pending.begun = true;
        }
        if mutant!("ack_before_sync") {
            self.tell_too_early(&mut group);
        }
        let outcome = self.guarded(|committer| {
            let appends: Vec<&Append> = group.iter().flat_map(|pending| &pending.appends).collect();
            committer.commit(&appends)
        });
        if let Err(error) = &outcome {
            tracing::error!(%error, "the journal stopped after a failed write");
        }
        failpoint!("commit.telling");
        for pending in group {
            pending.finish(
                outcome
                    .as_ref()
                    .copied()
                    .map_err(|cause| CommitError::Unknown(Arc::clone(cause))),
            );
            failpoint!("commit.told");
        }
        if outcome.is_ok()
            && let Err(error) = self.guarded(Committer::settle)
        {
            tracing::error!(%error, "the journal stopped: its mark could not be written");
        }
    }
}

impl Work {
    /// A mistake: nobody knows yet whether they will be there.
    fn tell_too_early(&self, group: &mut [Pending]) {
        let Some(index) = self.committer.next_index() else {
            return;
        };
        for done in group.iter_mut().filter_map(|pending| pending.done.take()) {
            done(Ok(index));
        }
    }
}

/// What counts against [`Limits`].
struct Size {
    bytes: usize,
    appends: usize,
}

impl Size {
    fn of(pending: &Pending) -> Self {
        let bytes = pending.appends.iter().map(Append::bytes).sum();
        Self {
            bytes,
            appends: pending.appends.len(),
        }
    }

    const fn plus(&self, other: &Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            appends: self.appends.saturating_add(other.appends),
        }
    }

    const fn within(&self, limits: &Limits) -> bool {
        self.bytes <= limits.group_bytes && self.appends <= limits.group_appends
    }
}

#[cfg(test)]
mod tests;
