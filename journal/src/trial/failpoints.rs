//! Points at which the process ends itself as `kill -9` would, for tests of what it leaves behind.
//!
//! Invariant: while nothing is armed, a point is one relaxed load.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// Every point, in the order in which a directory's life comes by them.
pub const ALL: &[&str] = &[
    // A new directory.
    "create.locked",
    "create.mark_written",
    "create.mark_named",
    "create.database",
    "create.index",
    "create.synced",
    // Opening one that is there, and refusing it.
    "open.settled",
    "open.linked",
    "open.set_aside",
    "open.database",
    "open.chain_verified",
    "open.mark_compared",
    "open.index_added",
    "open.unlinking",
    "open.unlinked",
    "open.refusing",
    "open.refused",
    "open.epoch_written",
    "open.epoch_marked",
    "open.snapshots",
    "open.workers_told",
    "open.timers_loaded",
    "open.effects_loaded",
    "open.serves",
    // A commit.
    "commit.begun",
    "commit.sealed",
    "commit.synced",
    "commit.indexed",
    "commit.shown",
    "commit.telling",
    "commit.told",
    "mark.writing",
    "mark.written",
    "mark.syncing",
    "mark.synced",
    "flush.begun",
    "flush.done",
    "flush.noted",
    // What a durable batch lets out.
    "batch.handed_over",
    "batch.durable",
    "batch.answered",
    "batch.let_out",
    // A message.
    "message.posting",
    "message.posted",
    "message.taken",
    "message.found",
    "message.read",
    // A run of the index.
    "index.sealed",
    "run.begun",
    "run.written",
    "run.ingested",
    "index.taken_in",
    "tidy.fetched",
    "tidy.cut",
    // Snapshots.
    "snapshot.putting",
    "snapshot.put",
    "snapshot.flushing",
    "snapshot.flushed",
    "snapshots.moved_aside",
    "snapshots.replaced",
    // An actor comes back.
    "recovery.begun",
    "recovery.snapshot_read",
    "recovery.entry",
    "recovery.replayed",
    "recovery.handing_over",
    "recovery.handed_over",
    // An effect.
    "effect.started",
    "effect.ran",
    "effect.handed_over",
    // A failed journal is opened anew.
    "latch.begun",
    "latch.taken_away",
    "latch.closed",
    "latch.opened",
    "latch.over",
    // An orderly end.
    "stop.begun",
    "stop.drained",
    "close.begun",
    "close.index_flushed",
    "close.flushed",
    "close.noted",
    "close.done",
    "stop.closed",
    "stop.snapshots_closed",
];

/// The armed point, as [`number_of`] counts; 0 while none is.
static ARMED: AtomicUsize = AtomicUsize::new(0);
/// Passings of it up to the one that ends the process.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// The number of a point, from 1, while compiling.
///
/// # Panics
/// Where the list has no such name: then it does not compile.
#[must_use]
#[expect(clippy::panic, reason = "it ends the compilation, not a program")]
pub const fn number_of(name: &str) -> usize {
    match super::place_of(name, ALL) {
        Some(place) => place,
        None => panic!("no such point: see `failpoints::ALL`"),
    }
}

/// Lets the process end at the `count`-th passing of a point from now. `text` is `NAME:COUNT`; `None` where it is not,
/// or there is no such point.
#[must_use]
pub fn arm(text: &str) -> Option<()> {
    let (name, count) = text.split_once(':')?;
    let place = super::place_of(name, ALL)?;
    LEFT.store(
        count.parse().ok().filter(|count| *count > 0)?,
        Ordering::SeqCst,
    );
    ARMED.store(place, Ordering::SeqCst);
    Some(())
}

/// Passes a point.
#[inline]
pub fn pass(number: usize) {
    // Relaxed: which of two threads counts first is nobody's business.
    if ARMED.load(Ordering::Relaxed) == number {
        count_down();
    }
}

#[cold]
fn count_down() {
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        if let Err(error) = kill_process(getpid(), Signal::KILL) {
            tracing::error!(%error, "the process cannot end itself");
        }
        loop {
            std::thread::park();
        }
    }
}
