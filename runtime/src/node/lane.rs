//! What one worker leaves for another, and how far each worker is.
//!
//! A file of its own because it is where threads meet without a lock: `tests/interleavings` runs it in every order that
//! they can take.
//!
//! Invariants:
//! * What is put into a lane is taken once, and whoever takes is woken behind it or takes it without.
//! * Whoever sees how far a worker has let out finds in the lane all that it had put there by then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Something for another thread, gathered until that takes it.
#[derive(Debug, Default)]
pub(super) struct Lane<C> {
    /// Whether there is anything: read on every round of a worker, so no lock.
    filled: AtomicBool,
    content: Mutex<C>,
}

impl<C: Default> Lane<C> {
    /// Adds to the content. True if whoever takes it has to be woken for it.
    pub(super) fn put(&self, add: impl FnOnce(&mut C)) -> bool {
        add(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner));
        !self.filled.swap(true, Ordering::AcqRel)
    }

    /// Whether anything is there.
    pub(super) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Takes all that is there; `None` if that is nothing.
    pub(super) fn take(&self) -> Option<C> {
        let filled = self.filled.swap(false, Ordering::AcqRel);
        filled.then(|| {
            let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *content)
        })
    }
}

/// How far a worker is with its batches, by their tickets.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// All up to this one may be in the journal.
    handed_over: AtomicU64,
    /// All up to this one have let out what depended on them.
    let_out: AtomicU64,
}

impl Progress {
    /// Up to which batch the journal may have what the worker wrote.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Acquire)
    }

    /// A batch is about to be handed to the journal.
    pub(super) fn hand_over(&self, ticket: u64) {
        self.handed_over.store(ticket, Ordering::Release);
    }

    /// Up to which batch the worker has let out what it wrote.
    pub(super) fn let_out(&self) -> u64 {
        self.let_out.load(Ordering::Acquire)
    }

    /// All that depends on a batch is in the lanes.
    pub(super) fn is_let_out(&self, ticket: u64) {
        self.let_out.store(ticket, Ordering::Release);
    }
}
