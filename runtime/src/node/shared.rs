//! What all parts of a node share. Nothing here is locked while a command is handled.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use steadfast_journal::{
    ActorId, ActorNumber, CommitError, CommitIndex, HistoryId, Journal, Row, Table,
};
use steadfast_snapshots::Snapshot;
use tokio::sync::watch;

use super::effects::{EffectJob, EffectRunner};
use super::hooks::Hooks;
use super::keeper::Failure;
use super::mail::Mail;
use super::recovery::{RecoveryJob, RecoveryPool};
use super::routes::Routes;
use super::snapshots::{Room, SnapshotSink};
use super::tasks::Tasks;
use super::timers::TimerWindow;
use crate::config::Config;
use crate::core::{Ages, EffectKey, Marks, random};
use crate::error::{NodeError, describe};
use crate::host::{Progress, Registry};
use crate::metrics::Metrics;
use crate::model::{Clock, EffectId, Start};
use crate::resources::Resources;
use crate::worker::{Taken, WorkerPort};

/// The shared parts of a node.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) start: Start,
    pub(crate) resources: Arc<Resources>,
    /// Where effects, keeper and waits run.
    pub(crate) tasks: Tasks,
    /// Which timers are in memory.
    pub(crate) timers: Arc<TimerWindow>,
    pub(super) snapshots: SnapshotSink,
    pub(super) recovery: RecoveryPool,
    pub(super) effects: OnceLock<Arc<EffectRunner>>,
    pub(super) ports: Vec<WorkerPort>,
    pub(crate) mail: Mail,
    routes: Routes,
    /// The open journal and its generation, for readers; `None` while it is reopened.
    pub(super) journal: RwLock<Option<(u64, Arc<dyn Journal>)>>,
    /// The newest generation, also while it is not open any more.
    pub(super) generation: AtomicU64,
    pub(super) history: OnceLock<HistoryId>,
    /// Whether `read_only_reason` holds: read for every command, so no lock.
    read_only: AtomicBool,
    read_only_reason: Mutex<String>,
    /// The newest commit when the journal was opened for the first time; 0 where it was empty.
    opened: OnceLock<u64>,
    /// For each worker, which commits were durable when: it notes, and recoveries of its actors look.
    marks: Box<[Mutex<Marks>]>,
    /// Newest durable commit, for those who follow.
    pub(super) durable: watch::Sender<u64>,
    /// Set once, when the node shuts down: nothing new is started.
    pub(super) stopping: watch::Sender<bool>,
    /// Set once, when the node begins to shut down in order: effects may still bring theirs to an end.
    pub(super) draining: watch::Sender<bool>,
    /// The same for the workers, who look for every command.
    closing: AtomicBool,
    /// Whether timers and effects found in the journal wait to be started.
    held: AtomicBool,
    /// Held by whoever opens a generation of the journal or loads what is pending in it.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// The newest generation that a worker has seen fail, for the keeper.
    pub(super) failures: watch::Sender<Failure>,
    /// `None` but in the test kit.
    pub(super) hooks: Option<Hooks>,
    random_base: u128,
    drawn: AtomicU64,
}

/// What [`Shared::new`] is made of.
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) resources: Resources,
    pub(super) tasks: Tasks,
    pub(super) snapshots: SnapshotSink,
    pub(super) recovery: RecoveryPool,
    pub(super) ports: Vec<WorkerPort>,
    pub(super) routes: Routes,
    pub(super) failures: watch::Sender<Failure>,
    pub(super) hold_pending_work: bool,
    pub(super) hooks: Option<Hooks>,
}

impl Shared {
    pub(super) fn new(parts: Parts) -> Self {
        let start = Start {
            wall: parts.clock.now(),
            running: parts.clock.running(),
        };
        let metrics = Metrics::new(start.wall.as_micros());
        for kind in parts.registry.all() {
            metrics.begin(kind.name, kind.commands.keys().copied());
        }
        Self {
            timers: Arc::new(TimerWindow::new(parts.config.timer_window)),
            config: parts.config,
            registry: parts.registry,
            clock: parts.clock,
            metrics,
            start,
            resources: Arc::new(parts.resources),
            tasks: parts.tasks,
            snapshots: parts.snapshots,
            recovery: parts.recovery,
            effects: OnceLock::new(),
            mail: Mail::new(parts.ports.len()),
            opened: OnceLock::new(),
            marks: parts.ports.iter().map(|_| Mutex::default()).collect(),
            ports: parts.ports,
            routes: parts.routes,
            journal: RwLock::new(None),
            generation: AtomicU64::new(0),
            history: OnceLock::new(),
            read_only: AtomicBool::new(false),
            read_only_reason: Mutex::new(String::new()),
            durable: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            closing: AtomicBool::new(false),
            held: AtomicBool::new(parts.hold_pending_work),
            loading: tokio::sync::Mutex::new(()),
            failures: parts.failures,
            random_base: parts
                .hooks
                .as_ref()
                .map_or_else(|| uuid::Uuid::now_v7().as_u128(), Hooks::random_base),
            hooks: parts.hooks,
            drawn: AtomicU64::new(0),
        }
    }

    /// The worker that owns an actor.
    pub(crate) fn worker_of(&self, actor: &ActorId) -> Option<&WorkerPort> {
        self.ports.get(self.worker_index(actor))
    }

    pub(super) fn port(&self, worker: usize) -> Option<&WorkerPort> {
        self.ports.get(worker)
    }

    pub(super) fn worker_index(&self, actor: &ActorId) -> usize {
        self.routes.worker_of(actor)
    }

    pub(crate) fn history(&self) -> HistoryId {
        self.history
            .get()
            .copied()
            .unwrap_or(HistoryId::from_bytes([0; 16]))
    }

    /// What names a worker's command, and the seed of its random numbers. No two commands get the same: each
    /// worker has a range of its own, which no node lives long enough to leave.
    pub(crate) fn command_of(&self, worker: usize, number: u64) -> (u128, u64) {
        let worker = u64::try_from(worker).unwrap_or(u64::MAX);
        let number = number.wrapping_add(worker.wrapping_add(1) << 48);
        let id = self.random_base.wrapping_add(u128::from(number));
        (id, random(self.seed_base(), number))
    }

    /// A seed for random numbers outside of commands.
    pub(crate) fn next_seed(&self) -> u64 {
        random(self.seed_base(), self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn seed_base(&self) -> u64 {
        u64::try_from(self.random_base & u128::from(u64::MAX)).unwrap_or(1)
    }

    pub(crate) fn effect_id(&self, actor: &ActorId, key: EffectKey) -> EffectId {
        EffectId {
            history: self.history(),
            actor: actor.clone(),
            entry: key.entry,
            index: key.index,
        }
    }

    /// Why nothing can be written at the moment.
    pub(crate) fn read_only(&self) -> Option<String> {
        self.read_only.load(Ordering::Acquire).then(|| {
            self.read_only_reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    }

    pub(super) fn set_read_only(&self, reason: Option<String>) {
        let on = reason.is_some();
        *self
            .read_only_reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = reason.unwrap_or_default();
        self.read_only.store(on, Ordering::Release);
    }

    /// The open journal, if there is one.
    pub(crate) fn journal(&self) -> Option<Arc<dyn Journal>> {
        let guard = self.journal.read().unwrap_or_else(PoisonError::into_inner);
        guard.as_ref().map(|(_, journal)| Arc::clone(journal))
    }

    /// The open journal with its generation.
    pub(super) fn open_journal(&self) -> Option<(u64, Arc<dyn Journal>)> {
        let guard = self.journal.read().unwrap_or_else(PoisonError::into_inner);
        guard.clone()
    }

    pub(super) fn holds_pending_work(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    pub(super) fn release_pending_work(&self) {
        self.held.store(false, Ordering::Release);
    }

    /// Rows of a table, read on a thread that may block.
    pub(super) async fn rows(
        &self,
        journal: &Arc<dyn Journal>,
        table: Table,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<Row>, NodeError> {
        let journal = Arc::clone(journal);
        let read = move || journal.rows(table, after.as_deref(), limit);
        let read = self.tasks.blocking(read).await;
        Ok(read.ok_or(NodeError::Stopped)??)
    }

    /// Which opening of the journal is the newest.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn set_journal(&self, journal: Option<(u64, Arc<dyn Journal>)>) {
        *self.journal.write().unwrap_or_else(PoisonError::into_inner) = journal;
    }

    pub(crate) fn note_durable(&self, commit: CommitIndex) {
        self.durable.send_if_modified(|newest| {
            let moved = commit.get() > *newest;
            *newest = (*newest).max(commit.get());
            moved
        });
    }

    /// A journal was opened, whose newest commit this is.
    pub(super) fn note_opened(&self, newest: u64) {
        self.opened.get_or_init(|| newest);
        let running = self.clock.running();
        for worker in 0..self.marks.len() {
            self.note_commit(worker, newest, running);
        }
    }

    /// A worker knows of this commit, and of all before it, that it was durable at this moment of the running clock.
    pub(crate) fn note_commit(&self, worker: usize, commit: u64, running: Duration) {
        if let Some(marks) = self.marks.get(worker) {
            let mut marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.note(commit, running, self.config.key_window);
        }
    }

    /// How old what a worker's actors have written is.
    pub(super) fn ages(&self, worker: usize) -> Ages {
        let marks = self.marks.get(worker).map(|marks| {
            let marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.clone()
        });
        let opened = self.opened.get().copied().unwrap_or(0);
        Ages::new(self.start, opened, marks.unwrap_or_default())
    }

    /// A worker learnt that the journal failed.
    pub(crate) fn journal_failed(&self, generation: u64, error: &CommitError) {
        let reason = match error {
            CommitError::Unknown(cause) | CommitError::NotWritten(cause) => describe(cause),
        };
        self.generation_failed(generation, reason);
    }

    /// A generation must not be used any more. The first report of it counts.
    pub(crate) fn generation_failed(&self, generation: u64, reason: String) {
        self.failures.send_if_modified(|newest| {
            let news = generation > newest.generation;
            if news {
                *newest = Failure { generation, reason };
            }
            news
        });
    }

    /// Whether taking a snapshot now would be for nothing.
    pub(crate) fn snapshots_are_full(&self) -> bool {
        self.snapshots.is_full()
    }

    /// Whether who waits for room may still get it.
    pub(crate) fn snapshots_may_wait(&self) -> bool {
        self.snapshots.is_patient()
    }

    /// Room for a snapshot of so many bytes; `waits` as in [`SnapshotSink::room`].
    pub(crate) fn snapshot_room(&self, bytes: usize, waits: bool) -> Option<Room> {
        let room = self.snapshots.room(bytes, waits);
        if room.is_none() {
            self.snapshot_dropped();
        }
        room
    }

    pub(crate) fn snapshot_dropped(&self) {
        self.metrics.snapshot("all", "dropped");
    }

    pub(crate) fn store_snapshot(&self, taken: Taken, commit: CommitIndex, room: Room) {
        let snapshot = Snapshot {
            actor: taken.actor,
            history: self.history(),
            commit,
            entry: taken.entry,
            events: taken.events,
            kind_version: taken.kind_version,
            state: taken.state,
        };
        if self.snapshots.store(snapshot, room) {
            self.metrics.snapshot("all", "stored");
        } else {
            self.snapshot_dropped();
        }
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.ports.len().max(1)
    }

    /// What is to be seen of a recovery that is about to be asked for.
    pub(crate) fn recovery_progress(&self) -> Arc<Progress> {
        Arc::new(self.recovery.progress())
    }

    pub(crate) fn recover(self: &Arc<Self>, job: RecoveryJob) {
        self.recovery.submit(Arc::clone(self), job);
    }

    /// Has an effect run whose intent is durable; if there is no room, later.
    pub(crate) fn launch(&self, job: EffectJob) {
        if let Some(runner) = self.effects.get() {
            runner.launch(job, false);
        }
    }

    /// The same for one that was read from its row. False if there is no room.
    pub(super) fn launch_row(&self, job: EffectJob) -> bool {
        let runner = self.effects.get();
        runner.is_none_or(|runner| runner.launch(job, true))
    }

    pub(crate) fn effect_consumed(&self, number: ActorNumber, key: EffectKey) {
        if let Some(runner) = self.effects.get() {
            runner.consumed(number, key);
        }
    }

    /// From now on nothing new is started: no caller's command, no timer, no message, no effect. What is
    /// under way goes on.
    pub(super) fn stop(&self) {
        self.closing.store(true, Ordering::Release);
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}
