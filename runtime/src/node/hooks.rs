//! What the test kit hangs on to a node: its clock, its disk, and an account of what is under way.
//!
//! A file of its own so that a node without the kit pays one branch for it.
//!
//! Invariant: whoever ends being busy has sent before what others are to go on with, and says so before the
//! fact and after: before, so that nobody takes a rest for one that lasted; after, for those who wait.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use steadfast_journal::MemoryStorage;
use steadfast_snapshots::SnapshotStore;
use tokio::sync::{Notify, watch};

use super::Shared;
use crate::core::random;
use crate::host::Recovered;
use crate::model::Sleep;
use crate::testkit::VirtualClock;

/// What a node of the test kit is given.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) clock: VirtualClock,
    pub(crate) storage: MemoryStorage,
    /// Outlives the node, as a disk does.
    pub(crate) snapshots: Arc<SnapshotStore>,
    pub(crate) activity: Arc<Activity>,
    /// Outlives the node, as what was seen of it does.
    pub(crate) witness: Arc<Witness>,
    /// Random numbers of the runtime follow from it.
    pub(crate) seed: u64,
    /// Which opening of the storage this is: no two draw the same numbers.
    pub(crate) opening: u64,
    /// Told when there may be something to write, where the journal is written by hand.
    pub(crate) to_write: Arc<Notify>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Hooks {
    /// Writes a journal that is written by hand, for as long as the node lives.
    pub(super) fn keep_writing(&self) -> impl Future<Output = ()> + Send + 'static {
        let (storage, to_write) = (self.storage.clone(), Arc::clone(&self.to_write));
        async move {
            loop {
                to_write.notified().await;
                while storage.step() {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    pub(super) fn random_base(&self) -> u128 {
        let high = random(self.seed, self.opening);
        let low = random(high, self.opening);
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// How the recoveries of a node went.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// Those that had both a snapshot and later events.
    pub(crate) with_tail: AtomicU64,
    /// Snapshots that were passed over.
    pub(crate) passed_over: AtomicU64,
}

/// What is under way outside the workers: effects, the keeper of the journal.
#[derive(Debug)]
pub(crate) struct Activity {
    busy: AtomicUsize,
    /// Whether the keeper waits for its next attempt to reopen the journal.
    keeper_rests: AtomicBool,
    /// Moves whenever something happened.
    pulse: watch::Sender<u64>,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            busy: AtomicUsize::new(0),
            keeper_rests: AtomicBool::new(false),
            pulse: watch::Sender::new(0),
        })
    }

    /// Something begins; it lasts until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.wake();
        Busy(Arc::clone(self))
    }

    /// Whoever is busy waits for something that only the test brings about.
    pub(crate) fn rest(&self) {
        self.pulse();
        self.busy.fetch_sub(1, Ordering::SeqCst);
        self.pulse();
    }

    /// What it waited for came about. Called by whoever brings it about, so that there is no moment at
    /// which nobody is busy.
    pub(crate) fn wake(&self) {
        self.busy.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn pulse(&self) {
        self.pulse
            .send_modify(|pulses| *pulses = pulses.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    pub(super) fn busy(&self) -> usize {
        self.busy.load(Ordering::SeqCst)
    }

    pub(super) fn keeper_is_resting(&self) -> bool {
        self.keeper_rests.load(Ordering::SeqCst)
    }
}

/// Something is under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// Goes with work that somebody busy waits for. Whoever drops it has done that work, and the other one is
/// busy again.
#[derive(Debug)]
pub(crate) struct Lent(Arc<Activity>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Shared {
    /// What is handed over with the work that somebody busy is going to wait for.
    pub(crate) fn lend(&self) -> Option<Lent> {
        let hooks = self.hooks.as_ref()?;
        Some(Lent(Arc::clone(&hooks.activity)))
    }

    /// The work was handed over with what [`lend`](Self::lend) gave; only now does the other side have it.
    pub(crate) fn lent(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.activity.rest();
        }
    }

    /// Notes that something is under way until the guard is dropped.
    pub(crate) fn busy(&self) -> Option<Busy> {
        self.hooks.as_ref().map(|hooks| hooks.activity.begin())
    }

    /// A wait in which whoever is busy is not.
    pub(crate) fn rest(&self, wait: Duration) -> Sleep {
        match &self.hooks {
            Some(hooks) => hooks.clock.rest(wait, Arc::clone(&hooks.activity)),
            None => self.clock.sleep(wait),
        }
    }

    /// Longest wait that a worker asks its clock for. A test kit's clock, which skips from one wait to the
    /// next, is told the whole of it.
    pub(crate) fn longest_sleep(&self) -> Duration {
        match self.hooks {
            Some(_) => Duration::MAX,
            None => Duration::from_secs(3600),
        }
    }

    /// What the test kit counts by.
    pub(super) fn activity(&self) -> Option<Arc<Activity>> {
        let hooks = self.hooks.as_ref();
        hooks.map(|hooks| Arc::clone(&hooks.activity))
    }

    /// An actor was recovered.
    pub(super) fn note_recovery(&self, recovered: &Recovered) {
        if let Some(hooks) = &self.hooks {
            let with_tail = recovered.snapshot_entry > 0 && recovered.replayed_events > 0;
            let witness = &hooks.witness;
            let add = |counter: &AtomicU64, count: usize| {
                counter.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            };
            add(&witness.with_tail, usize::from(with_tail));
            add(&witness.passed_over, recovered.rejected.len());
        }
    }

    /// Something happened.
    pub(crate) fn note_activity(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.activity.pulse();
        }
    }

    pub(super) fn keeper_rests(&self, rests: bool) {
        if let Some(hooks) = &self.hooks {
            hooks.activity.keeper_rests.store(rests, Ordering::SeqCst);
        }
    }
}
