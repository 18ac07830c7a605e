//! A whole node under a test's control: its clock, its disk, its power.

use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use steadfast_journal::{ActorId, CommitFault, MemoryStorage};
use steadfast_snapshots::SnapshotStore;
use tokio::sync::Notify;

use super::clock::VirtualClock;
use super::fail;
use super::fake::{FakeEffect, FakeTable, Fakes};
use super::faults::{FaultPlan, Slow};
use crate::error::{AskError, NodeError};
use crate::host::Host;
use crate::model::{Clock, Effect, Event, StatefulActor};
use crate::node::{Activity, ActorRef, Hooks, Node, NodeBuilder, Witness};

pub(super) type Build = Box<dyn Fn(NodeBuilder) -> NodeBuilder + Send + Sync>;

/// Why a scenario cannot go on: the node went down in the middle of it.
///
/// Every [`AskError`] becomes one with `?`. [`crash_everywhere`](super::crash_everywhere) takes those that a
/// crash explains as such, and runs the scenario again; any other error is a fault of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Crashed {
    reason: String,
    /// Whether a crash explains it.
    pub(super) down: bool,
}

impl Crashed {
    pub(super) fn down(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            down: true,
        }
    }

    /// Ends a scenario for a reason that no crash explains: the test fails with it.
    pub fn fault(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            down: false,
        }
    }

    /// Whether a crash explains it, rather than a fault of the scenario.
    #[must_use]
    pub const fn is_crash(&self) -> bool {
        self.down
    }
}

impl<R: Serialize> From<AskError<R>> for Crashed {
    fn from(error: AskError<R>) -> Self {
        match &error {
            AskError::OutcomeUnknown | AskError::Stopped | AskError::ReadOnly { .. } => {
                Self::down(error.to_string())
            }
            AskError::Rejected(rejection) => {
                let shown = serde_json::to_string(rejection);
                Self::fault(format!("rejected: {}", shown.unwrap_or_default()))
            }
            AskError::Overloaded { .. }
            | AskError::Expired
            | AskError::Quarantined { .. }
            | AskError::KeyReused
            | AskError::TooLarge { .. }
            | AskError::Failed { .. } => Self::fault(error.to_string()),
        }
    }
}

/// A node for tests: in memory, with a clock that only the test moves and a disk that fails when told.
///
/// What it acknowledged survives [`crash`](Self::crash) and [`reopen`](Self::reopen), as on a disk; what
/// it did not is gone. Methods that wait are `async` and work under any runtime; a plain `#[test]` runs
/// them with [`block_on`](Self::block_on).
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # use steadfast::testkit::TestNode;
/// let node = TestNode::new(|node| node.register::<Account>(|kind| kind));
/// node.block_on(async {
///     node.actor::<Account>("alice").ask(Deposit { cents: 70 }).await
/// }).unwrap();
/// node.reopen(); // the power fails and comes back
/// assert_eq!(node.state::<Account>("alice").cents, 70);
/// ```
pub struct TestNode {
    build: Build,
    clock: VirtualClock,
    storage: MemoryStorage,
    snapshots: Arc<SnapshotStore>,
    seed: u64,
    witness: Arc<Witness>,
    fakes: FakeTable,
    slow: Slow,
    opening: Mutex<Opening>,
}

/// How the recoveries of a [`TestNode`] went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recoveries {
    /// Those that had both a snapshot and later events.
    pub with_tail: u64,
    /// Snapshots that did not count.
    pub snapshots_passed_over: u64,
}

#[derive(Default)]
struct Opening {
    /// How often it was opened.
    count: u64,
    /// `None` while it is down.
    node: Option<Node>,
}

impl fmt::Debug for TestNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNode")
            .field("clock", &self.clock)
            .field("writes", &self.writes())
            .finish_non_exhaustive()
    }
}

impl TestNode {
    /// Opens a node. `build` registers what it runs, and is called again by each
    /// [`reopen`](Self::reopen). It starts with one worker; what `build` says about clock and place does
    /// not count.
    #[track_caller]
    #[must_use]
    pub fn new(build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + 'static) -> Self {
        Self::with_seed(0, build)
    }

    /// [`new`](Self::new) with other random numbers of the runtime, such as [`Live::random`](crate::Live::random)
    /// gives.
    #[track_caller]
    #[must_use]
    pub fn with_seed(
        seed: u64,
        build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
    ) -> Self {
        let node = Self::unopened(seed, Box::new(build));
        node.open_or_fail();
        node
    }

    pub(super) fn unopened(seed: u64, build: Build) -> Self {
        Self {
            build,
            clock: VirtualClock::new(),
            storage: MemoryStorage::new(),
            snapshots: Arc::new(SnapshotStore::in_memory()),
            seed,
            witness: Arc::default(),
            fakes: FakeTable::default(),
            slow: Slow::default(),
            opening: Mutex::default(),
        }
    }

    /// The actor of kind `A` with this key. Belongs to this opening of the node: ask again after
    /// [`reopen`](Self::reopen).
    #[track_caller]
    #[must_use]
    pub fn actor<A: StatefulActor>(&self, key: &str) -> ActorRef<A> {
        self.node().actor(key)
    }

    /// The running node. Belongs to this opening.
    #[track_caller]
    #[must_use]
    pub fn node(&self) -> Node {
        match &self.opening().node {
            Some(node) => node.clone(),
            None => fail("the node is down: call reopen() first"),
        }
    }

    /// The clock that the node goes by.
    #[must_use]
    pub const fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// The disk that the node lies on, for faults that this type has no word for.
    #[must_use]
    pub const fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    /// Waits until nothing is ready, under way, being recovered or running. What waits for time to pass
    /// or is held by the test stays so.
    ///
    /// # Errors
    /// [`Crashed`] once the power has failed, as [`crash_after`](Self::crash_after) asks for.
    pub async fn settle(&self) -> Result<(), Crashed> {
        self.quiet().await.map(drop)
    }

    /// Lets `by` pass: moves the clock from one moment at which something is due to the next and lets the
    /// node do all of it, with everything that follows from it, before it moves on.
    ///
    /// # Errors
    /// [`Crashed`] once the power has failed.
    pub async fn advance(&self, by: Duration) -> Result<(), Crashed> {
        let end = self.clock.running().saturating_add(by);
        loop {
            let now = self.clock.running();
            let next = self.quiet().await?;
            match next.filter(|next| *next > now && *next < end) {
                Some(next) => self.clock.move_to(next),
                None if now < end => self.clock.move_to(end),
                None => return Ok(()),
            }
        }
    }

    /// Lets every actor at rest leave memory, by letting so much time pass as that takes.
    ///
    /// # Errors
    /// [`Crashed`] once the power has failed.
    pub async fn passivate(&self) -> Result<(), Crashed> {
        let node = self.opening().node.clone();
        let after = node.map_or(Duration::ZERO, |node| node.passivate_after());
        self.advance(after).await
    }

    /// Waits until the node is at rest; when it goes on by itself.
    async fn quiet(&self) -> Result<Option<Duration>, Crashed> {
        let node = self.opening().node.clone();
        let Some(node) = node else {
            return Err(Crashed::down("the node is down"));
        };
        let quiet = match node.quiet().await {
            Ok(quiet) => quiet,
            Err(stuck) => fail(&stuck),
        };
        if self.storage.has_power() {
            Ok(quiet.next)
        } else {
            Err(Crashed::down("the power failed"))
        }
    }

    /// Ends the node as a power cut does: nothing survives that was not acknowledged.
    pub fn crash(&self) {
        self.storage.cut_power();
        let node = self.opening().node.take();
        if let Some(node) = node {
            node.end();
        }
    }

    /// Opens the node again; one that still runs is crashed first. An opening in which the power fails once
    /// more, as [`crash_after`](Self::crash_after) may ask for, is repeated.
    #[track_caller]
    pub fn reopen(&self) {
        self.crash();
        self.open_or_fail();
    }

    /// Ends the node in order, after what it is at, and opens it again.
    ///
    /// # Errors
    /// [`Crashed`] if the power fails meanwhile.
    pub async fn restart(&self) -> Result<(), Crashed> {
        self.end_in_order().await?;
        self.open()
            .map_err(|error| Crashed::down(error.to_string()))
    }

    pub(super) async fn end_in_order(&self) -> Result<(), Crashed> {
        self.settle().await?;
        let node = self.opening().node.take();
        if let Some(node) = node {
            let ended = node.shutdown().await;
            ended.map_err(|error| Crashed::down(error.to_string()))?;
        }
        Ok(())
    }

    /// Lets the power fail in the `writes`-th write from now, which meets `fate`. Whoever waits for it is
    /// told [`AskError::OutcomeUnknown`]; then nothing is written until [`reopen`](Self::reopen).
    pub fn crash_after(&self, writes: u64, fate: CommitFault) {
        self.storage
            .cut_power_at(self.writes().saturating_add(writes.max(1)), fate);
    }

    /// Takes back the newest `changes` of the snapshots, as a crash does with what no flush covered; how many there were.
    #[must_use]
    pub fn lose_snapshots(&self, changes: usize) -> usize {
        self.snapshots.take_back(changes)
    }

    /// Damages one row of the snapshots, `draw` says which and how; false if there is none.
    #[must_use]
    pub fn damage_a_snapshot(&self, draw: u64) -> bool {
        self.snapshots.flip(draw)
    }

    /// How the recoveries of all openings went so far.
    #[must_use]
    pub fn recoveries(&self) -> Recoveries {
        Recoveries {
            with_tail: self.witness.with_tail.load(Ordering::Relaxed),
            snapshots_passed_over: self.witness.passed_over.load(Ordering::Relaxed),
        }
    }

    /// Lets the disk misbehave, in place of what was planned before.
    pub fn faults(&self, plan: &FaultPlan) {
        plan.apply(&self.storage, &self.slow);
    }

    /// Lets so many commits go on that [`FaultPlan::held`] holds back.
    pub fn let_go(&self, commits: u64) {
        self.storage.let_go(commits);
    }

    /// Replaces what effect `E` does by what `make` gives, over crashes too; the fake that is there already
    /// stays, so that a scenario may begin with this whenever it runs.
    pub fn fake<E: Effect>(&self, make: impl FnOnce() -> FakeEffect<E>) -> FakeEffect<E> {
        self.fakes.get_or_insert(make)
    }

    /// Writes so far: one for each opening and each group of entries that is committed together.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.storage.writes()
    }

    /// The durable state of an actor; as it is when new if it has no entry yet.
    #[track_caller]
    #[must_use]
    pub fn state<A: StatefulActor>(&self, key: &str) -> A {
        let id = name::<A>(key);
        let inspector = expect(self.node().inspect(), "reading a state");
        let mut recovered = match inspector.recovered(&id, true) {
            Ok(recovered) => recovered,
            Err(NodeError::NoActor { .. }) => return A::new(&id),
            Err(error) => fail(&format!("{id}: {error}")),
        };
        let limits = crate::Config::default().key_limits();
        match recovered.resident.as_any_mut().downcast_mut::<Host<A>>() {
            Some(host) => std::mem::replace(host, Host::fresh(&id, limits)).state,
            None => fail(&format!("{id} is of another kind than {:?}", A::KIND)),
        }
    }

    /// All durable events of an actor.
    #[track_caller]
    #[must_use]
    pub fn events<A: StatefulActor>(&self, key: &str) -> Vec<A::Event> {
        let id = name::<A>(key);
        let inspector = expect(self.node().inspect(), "reading events");
        let records = match inspector.event_records(&id) {
            Err(NodeError::NoActor { .. }) => return Vec::new(),
            records => expect(records, "reading events"),
        };
        let decoded = records.iter().map(|record| {
            let event = A::Event::decode(&record.name, record.version, &record.data);
            expect(event, &record.name)
        });
        decoded.collect()
    }

    /// Runs a future to its end, on the calling thread. Must not be called from inside an async runtime.
    #[track_caller]
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        expect(runtime, "a runtime for the test").block_on(future)
    }

    fn opening(&self) -> MutexGuard<'_, Opening> {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(super) fn open_or_fail(&self) {
        loop {
            match self.open() {
                Ok(()) => return,
                Err(_) if !self.storage.has_power() => {}
                Err(error) => fail(&format!("the node does not start: {error}")),
            }
        }
    }

    fn open(&self) -> Result<(), NodeError> {
        let builder = self.builder(&Arc::default());
        // A thread of its own: the caller's may belong to an async runtime, which must not wait.
        let started = std::thread::scope(|scope| {
            let starting = scope.spawn(|| builder.start_blocking());
            starting.join().unwrap_or(Err(NodeError::Stopped))
        });
        self.adopt(started?);
        Ok(())
    }

    /// What runs from here on.
    pub(super) fn adopt(&self, node: Node) {
        self.opening().node = Some(node);
        self.slow.begin(&self.storage);
    }

    /// What the next opening of the node is made with.
    pub(super) fn builder(&self, to_write: &Arc<Notify>) -> NodeBuilder {
        self.storage.restore_power();
        let activity = Activity::new();
        let (watcher, slow) = (Arc::clone(&activity), self.slow.clone());
        let (clock, storage) = (self.clock.clone(), self.storage.clone());
        self.storage.on_hold(move || {
            slow.hold(&clock, &storage);
            watcher.pulse();
        });
        let fakes = Fakes::new(&self.fakes, &self.clock, &activity);
        let mut opening = self.opening();
        opening.count += 1;
        let hooks = Hooks {
            clock: self.clock.clone(),
            storage: self.storage.clone(),
            snapshots: Arc::clone(&self.snapshots),
            activity,
            witness: Arc::clone(&self.witness),
            seed: self.seed,
            opening: opening.count,
            to_write: Arc::clone(to_write),
        };
        let builder = NodeBuilder::hooked(hooks).resource(fakes).config(|config| {
            config.workers = std::num::NonZeroUsize::MIN;
            config.drain_timeout = Duration::from_secs(2);
        });
        (self.build)(builder)
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.crash();
    }
}

#[track_caller]
fn name<A: StatefulActor>(key: &str) -> ActorId {
    expect(ActorId::new(A::KIND, key), "no name of an actor")
}

#[track_caller]
pub(super) fn expect<T, E: std::error::Error>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => fail(&format!("{what}: {error}")),
    }
}
