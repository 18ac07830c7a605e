//! Writing a journal step by step instead of on a thread: for simulations, in which one thread takes all turns.
//!
//! A file of its own so that the writer of every other journal pays one branch for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::{Message, Work};
use crate::committer::Committer;
use crate::error::Error;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a journal is written with, one group at a time.
pub(crate) struct Hand {
    /// Told when there may be something to write.
    wake: Wake,
    /// `None` before the journal is open and once it is closed. Locked while a completion runs, which may drop the
    /// journal.
    work: Mutex<Option<Work>>,
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").finish_non_exhaustive()
    }
}

/// What the next step of a [`Hand`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is nothing to do.
    Nothing,
    /// A group waits to be written.
    Write,
    /// Submissions wait to be told that nothing is written any more.
    Refuse,
}

/// What one step of a [`Hand`] wrote.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wrote {
    /// Submissions in one commit.
    pub(crate) together: usize,
    /// Whether others wait that found no place in it.
    pub(crate) more: bool,
}

impl Hand {
    pub(crate) fn new(wake: Wake) -> Self {
        Self {
            wake,
            work: Mutex::new(None),
        }
    }

    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    pub(super) fn take_up(&self, work: Work) {
        *self.work() = Some(work);
    }

    pub(crate) fn next(&self) -> Next {
        let mut guard = self.work();
        let Some(work) = guard.as_mut() else {
            return Next::Nothing;
        };
        if work.next.is_none() {
            work.next = work.messages.try_recv().ok();
        }
        match (&work.next, &work.failed) {
            (None | Some(Message::Close), _) => Next::Nothing,
            (Some(Message::Submit(_)), None) => Next::Write,
            (Some(Message::Submit(_)), Some(_)) => Next::Refuse,
        }
    }

    /// Takes the next step.
    pub(crate) fn step(&self) -> Wrote {
        let mut wrote = Wrote::default();
        if let Some(work) = self.work().as_mut() {
            work.together = 0;
            work.step();
            wrote.together = work.together;
            wrote.more = work.together > 0 && work.next.is_some();
        }
        wrote
    }

    /// Writes what waits and leaves everything as an orderly end does.
    pub(super) fn close(&self) -> Result<(), Error> {
        let Some(mut work) = self.work().take() else {
            return Ok(());
        };
        while work.step() {}
        work.guarded(Committer::close).map_err(Error::Failed)
    }

    /// The journal is dropped; what waits is told so.
    pub(super) fn let_fall(&self) {
        let fallen = match self.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            // A completion dropped the last reference, in the middle of a step: the work goes with the hand.
            Err(TryLockError::WouldBlock) => None,
        };
        // Not while it is locked: what waits is told, and may look.
        drop(fallen);
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// The next group; false if there is none.
    fn step(&mut self) -> bool {
        let next = self.next.take().or_else(|| self.messages.try_recv().ok());
        match next {
            Some(Message::Submit(first)) => {
                self.group(first);
                true
            }
            Some(Message::Close) | None => false,
        }
    }
}
