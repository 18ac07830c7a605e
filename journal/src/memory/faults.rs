//! The disk that a journal in memory pretends to lie on: it counts writes, fails the ones it was told
//! to, fills up, is slow, and loses power.
//!
//! A file of its own because faults are planned by number, before the writes come.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{CommitFault, MemoryStorage, failure};
use crate::error::Error;
use crate::store::Keyspace;
use crate::writer::Hand;

pub(super) type Watcher = Arc<dyn Fn() + Send + Sync>;

/// What a planned fault does beside failing its write.
#[derive(Debug, Clone, Copy)]
struct Planned {
    fault: CommitFault,
    /// Whether nothing is written or opened from then on.
    power_cut: bool,
}

#[derive(Default)]
pub(super) struct Disk {
    /// Writes that were begun.
    writes: u64,
    planned: BTreeMap<u64, Planned>,
    /// Writes that find no space.
    full: Range<u64>,
    failing_reads: u64,
    off: bool,
    /// Told when a commit begins to be held back.
    watcher: Option<Watcher>,
    /// Told when there may be something to write; `None` where a thread writes.
    wake: Option<Watcher>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("writes", &self.writes)
            .field("planned", &self.planned)
            .field("off", &self.off)
            .finish_non_exhaustive()
    }
}

impl Disk {
    /// Counts a write; what goes wrong with it.
    pub(super) fn write(&mut self) -> Option<CommitFault> {
        if self.off {
            return None;
        }
        self.writes += 1;
        if let Some(planned) = self.planned.remove(&self.writes) {
            self.off |= planned.power_cut;
            return Some(planned.fault);
        }
        self.full
            .contains(&self.writes)
            .then_some(CommitFault::Lost)
    }

    pub(super) fn read(&mut self, space: Keyspace) -> Result<(), Error> {
        if space != Keyspace::Entries || self.failing_reads == 0 {
            return Ok(());
        }
        self.failing_reads -= 1;
        Err(failure("a failing read was asked for"))
    }

    pub(super) fn check_power(&self) -> Result<(), Error> {
        if self.off {
            return Err(failure("the power is off"));
        }
        Ok(())
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.watcher.clone().unwrap_or_else(|| Arc::new(|| {}))
    }

    pub(super) fn write_by_hand(&mut self, wake: Watcher) {
        self.wake = Some(wake);
    }

    /// What a generation that is opened now is written with.
    pub(super) fn hand(&self) -> Option<Arc<Hand>> {
        self.wake.clone().map(|wake| Arc::new(Hand::new(wake)))
    }
}

impl MemoryStorage {
    /// Writes that were begun, from the first opening on: each opening makes one, each commit one, each
    /// orderly end one.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.state().disk.writes
    }

    /// Lets write number `number`, counted as [`writes`](Self::writes) does, fail. Its outcome is unknown
    /// to whoever asked for it, and the journal that wrote it writes no more.
    pub fn fail_write(&self, number: u64, fault: CommitFault) {
        self.plan(number, fault, false);
    }

    /// Lets the power fail in write number `number`: nothing is written or opened after it until
    /// [`restore_power`](Self::restore_power).
    pub fn cut_power_at(&self, number: u64, fault: CommitFault) {
        self.plan(number, fault, true);
    }

    fn plan(&self, number: u64, fault: CommitFault, power_cut: bool) {
        let planned = Planned { fault, power_cut };
        self.state().disk.planned.insert(number, planned);
    }

    /// Takes back what was planned and has not happened.
    pub fn forget_planned_faults(&self) {
        let mut state = self.state();
        state.disk.planned.clear();
        state.disk.full = 0..0;
        state.disk.failing_reads = 0;
    }

    /// Ends the open journal as [`crash`](Self::crash) does, and lets none be opened until
    /// [`restore_power`](Self::restore_power).
    pub fn cut_power(&self) {
        self.state().disk.off = true;
        self.crash();
    }

    /// Lets a journal be opened again.
    pub fn restore_power(&self) {
        self.state().disk.off = false;
    }

    /// Whether anything can be written or opened.
    #[must_use]
    pub fn has_power(&self) -> bool {
        !self.state().disk.off
    }

    /// Lets the `count` writes from number `first` on fail for want of space; nothing of them is kept.
    pub fn no_space(&self, first: u64, count: u64) {
        self.state().disk.full = first..first.saturating_add(count);
    }

    /// Lets the next `count` reads of entries fail, as recovery makes them.
    pub fn fail_reads(&self, count: u64) {
        self.state().disk.failing_reads = count;
    }

    /// Lets `commits` commits go on while others are held back by [`pause`](Self::pause).
    pub fn let_go(&self, commits: u64) {
        let mut state = self.state();
        state.let_go = state.let_go.saturating_add(commits);
        drop(state);
        self.shared.changed();
    }

    /// Whether a commit is held back at this moment.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.state().is_holding()
    }

    /// Calls `watcher` each time a commit begins to be held back, on the thread that writes it.
    pub fn on_hold(&self, watcher: impl Fn() + Send + Sync + 'static) {
        self.state().disk.watcher = Some(Arc::new(watcher));
    }
}
