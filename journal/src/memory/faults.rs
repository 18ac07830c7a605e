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
use crate::journal::Table;
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

/// Rows at which reads can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsOf {
    /// The entries of all actors.
    Entries,
    /// The commits, as opening reads them.
    Commits,
    /// A table.
    Table(Table),
}

impl From<RowsOf> for Keyspace {
    fn from(rows: RowsOf) -> Self {
        match rows {
            RowsOf::Entries => Self::Entries,
            RowsOf::Commits => Self::Commits,
            RowsOf::Table(table) => table.into(),
        }
    }
}

/// What a pretended disk really did, and not only was told to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Met {
    /// Writes that failed one by one.
    pub failed_writes: u64,
    /// Writes that found no space.
    pub full: u64,
    /// Writes in which the power failed.
    pub power_cuts: u64,
    /// Reads that failed at once.
    pub failed_reads: u64,
    /// Scans that broke behind some of their rows.
    pub broken_scans: u64,
    /// Of both, those of anything but entries.
    pub beside_entries: u64,
    /// Commits of more than one submission, where a journal is written by hand.
    pub grouped: u64,
    /// Commits that were not the only ones to wait, where a journal is written by hand.
    pub queued: u64,
}

/// Reads that fail.
#[derive(Debug, Clone, Copy)]
struct FailingReads {
    left: u64,
    /// Behind so many rows of one scan.
    after: u64,
    space: Keyspace,
}

#[derive(Default)]
pub(super) struct Disk {
    /// Writes that were begun.
    writes: u64,
    planned: BTreeMap<u64, Planned>,
    /// Writes that find no space.
    full: Range<u64>,
    /// What becomes of those: space may run out behind what matters.
    full_fate: Option<CommitFault>,
    failing: Option<FailingReads>,
    pub(super) met: Met,
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
            self.met.power_cuts += u64::from(planned.power_cut);
            self.met.failed_writes += u64::from(!planned.power_cut);
            return Some(planned.fault);
        }
        if !self.full.contains(&self.writes) {
            return None;
        }
        self.met.full += 1;
        Some(self.full_fate.unwrap_or(CommitFault::Lost))
    }

    /// A read begins.
    pub(super) fn read(&mut self, space: Keyspace) -> Result<(), Error> {
        self.read_on(space, 0)
    }

    /// A scan that showed so many rows reads on.
    pub(super) fn read_on(&mut self, space: Keyspace, shown: u64) -> Result<(), Error> {
        let fails = |failing: &FailingReads| {
            failing.left > 0 && failing.space == space && failing.after == shown
        };
        let Some(failing) = self.failing.as_mut().filter(|failing| fails(failing)) else {
            return Ok(());
        };
        failing.left -= 1;
        self.met.failed_reads += u64::from(shown == 0);
        self.met.broken_scans += u64::from(shown > 0);
        self.met.beside_entries += u64::from(space != Keyspace::Entries);
        Err(failure("a failing read was asked for"))
    }

    /// Behind how many rows a scan that begins now is to ask again.
    pub(super) fn breaks_after(&self, space: Keyspace) -> Option<u64> {
        let failing = self.failing.filter(|failing| failing.space == space);
        failing.map(|failing| failing.after)
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
        state.disk.failing = None;
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

    /// Lets the `count` writes from number `first` on fail for want of space. `fate` is what becomes of each: space may
    /// also run out behind what makes the write whole.
    pub fn no_space(&self, first: u64, count: u64, fate: CommitFault) {
        let mut state = self.state();
        state.disk.full = first..first.saturating_add(count);
        state.disk.full_fate = Some(fate);
    }

    /// Lets the next `count` reads of `rows` fail: at once, or, where `after` is more than 0, those of more rows behind
    /// the first `after` of them.
    pub fn fail_reads(&self, count: u64, after: u64, rows: RowsOf) {
        self.state().disk.failing = Some(FailingReads {
            left: count,
            after,
            space: rows.into(),
        });
    }

    /// What the disk really did so far.
    #[must_use]
    pub fn met(&self) -> Met {
        self.state().disk.met
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
