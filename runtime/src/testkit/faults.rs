//! What a disk does wrong, planned before it happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast_journal::{CommitFault, MemoryStorage, RowsOf};

use super::clock::VirtualClock;

/// What goes wrong with the disk of a [`TestNode`](super::TestNode). Writes are counted from when the plan
/// is given to it; the node goes on as it would on a real disk: it reopens its journal, becomes read-only
/// while it cannot, and comes back.
///
/// ```
/// # use std::time::Duration;
/// use steadfast::testkit::{CommitFault, FaultPlan};
///
/// let plan = FaultPlan::new()
///     .sync_error(3, CommitFault::Lost)
///     .no_space(10, 5)
///     .slow(Duration::from_millis(20));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "give it to TestNode::faults"]
pub struct FaultPlan {
    errors: Vec<(u64, CommitFault)>,
    no_space: Option<(u64, u64)>,
    no_space_fate: Option<CommitFault>,
    read_errors: Option<(u64, u64, RowsOf)>,
    delay: Option<Delay>,
}

/// How commits are held back.
#[derive(Debug, Clone, Copy)]
enum Delay {
    /// Each for so long, by the virtual clock.
    For(Duration),
    /// Until the test lets it go.
    Held,
}

impl FaultPlan {
    /// A disk that does as it should.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the sync of write number `write`, from 1, fail.
    pub fn sync_error(mut self, write: u64, fate: CommitFault) -> Self {
        self.errors.push((write, fate));
        self
    }

    /// Lets the disk be full for `writes` writes from number `first`, from 1, on. Each attempt to open the
    /// journal again is one of them.
    pub const fn no_space(mut self, first: u64, writes: u64) -> Self {
        self.no_space = Some((first, writes));
        self
    }

    /// Says what becomes of writes that find no space. Without this nothing of them is kept.
    pub const fn no_space_fate(mut self, fate: CommitFault) -> Self {
        self.no_space_fate = Some(fate);
        self
    }

    /// Lets the next `reads` reads of entries fail, as recovery makes them.
    pub const fn read_errors(self, reads: u64) -> Self {
        self.read_errors_behind(reads, 0, RowsOf::Entries)
    }

    /// Lets the next `reads` reads of `rows` break: at once, or, where `behind` is more than 0, each behind so many of
    /// its rows. Shorter ones do not.
    pub const fn read_errors_behind(mut self, reads: u64, behind: u64, rows: RowsOf) -> Self {
        self.read_errors = Some((reads, behind, rows));
        self
    }

    /// Lets each commit take `delay` by the virtual clock.
    pub const fn slow(mut self, delay: Duration) -> Self {
        self.delay = Some(Delay::For(delay));
        self
    }

    /// Holds each commit back until [`TestNode::let_go`](super::TestNode::let_go).
    pub const fn held(mut self) -> Self {
        self.delay = Some(Delay::Held);
        self
    }

    pub(super) fn apply(&self, storage: &MemoryStorage, slow: &Slow) {
        storage.forget_planned_faults();
        let before = storage.writes();
        for (write, fate) in &self.errors {
            storage.fail_write(before.saturating_add(*write), *fate);
        }
        if let Some((first, writes)) = self.no_space {
            let fate = self.no_space_fate.unwrap_or(CommitFault::Lost);
            storage.no_space(before.saturating_add(first), writes, fate);
        }
        if let Some((reads, behind, rows)) = self.read_errors {
            storage.fail_reads(reads, behind, rows);
        }
        slow.set(self.delay);
        slow.begin(storage);
    }
}

/// How slow the disk is at the moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Slow(Arc<Mutex<Option<Delay>>>);

impl Slow {
    fn set(&self, delay: Option<Delay>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    fn get(&self) -> Option<Delay> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to hold commits back, or ends it.
    pub(super) fn begin(&self, storage: &MemoryStorage) {
        if self.get().is_some() {
            storage.pause();
        } else {
            storage.resume();
        }
    }

    /// A commit begins to be held back.
    pub(super) fn hold(&self, clock: &VirtualClock, storage: &MemoryStorage) {
        if let Some(Delay::For(delay)) = self.get() {
            let storage = storage.clone();
            clock.call_after(delay, move || storage.let_go(1));
        }
    }
}
