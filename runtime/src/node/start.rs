//! Starting a node: its parts, its tasks, and who does the work: threads, or, in a simulation, one that takes all turns.

use std::sync::Arc;

use actix::Actor;
use steadfast_journal::{Journal, Storage, failpoint};
use steadfast_snapshots::SnapshotStore;
use tokio::sync::watch;

use super::effects::EffectRunner;
use super::handle::{Inner, Node};
use super::hooks::Hooks;
use super::recovery::{RecoveryPool, keep_recovering};
use super::routes::Routes;
use super::shared::{Parts, Shared};
use super::snapshots::SnapshotSink;
use super::tasks::{Tasks, Turns};
use super::threads::WorkerThreads;
use super::{keeper, loader};
use crate::config::Config;
use crate::error::NodeError;
use crate::host::Registry;
use crate::model::Clock;
use crate::resources::Resources;
use crate::worker::{Inputs, Worker, WorkerPort, ports};

/// All that a node is made of, with its journal open.
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) resources: Resources,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hold_pending_work: bool,
    pub(super) hooks: Option<Hooks>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) snapshots: Arc<SnapshotStore>,
}

/// What does the node's work beside its workers.
struct Crew {
    tasks: Tasks,
    recovery: RecoveryPool,
    snapshots: SnapshotSink,
}

/// A node whose workers have not begun.
struct Made {
    shared: Arc<Shared>,
    inputs: Vec<Inputs>,
    journal: Arc<dyn Journal>,
    storage: Arc<dyn Storage>,
    failed: watch::Receiver<keeper::Failure>,
}

/// Starts a node on threads of its own.
pub(super) fn on_threads(from: Prepared, recovery_threads: usize) -> Result<Node, NodeError> {
    let routes = from.routes();
    let workers = routes.workers();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.clamp(1, 4))
        .thread_name("steadfast-io")
        .enable_all()
        .build()
        .map_err(NodeError::Thread)?;
    let (ports, inputs) = from.ports(workers);
    let recovery = RecoveryPool::start(
        workers.saturating_mul(recovery_threads),
        from.config.recovery_bytes,
        &ports,
    );
    let crew = Crew {
        tasks: Tasks::on(runtime.handle().clone()),
        recovery: recovery.map_err(NodeError::Thread)?,
        snapshots: SnapshotSink::start(Arc::clone(&from.snapshots)).map_err(NodeError::Thread)?,
    };
    let mut made = from.make(routes, (ports, inputs), crew);
    let inputs = std::mem::take(&mut made.inputs);
    let threads =
        WorkerThreads::start(&made.shared, inputs).inspect_err(|_| made.shared.recovery.close())?;
    let inner = Inner::new(Arc::clone(&made.shared), runtime, threads);
    made.load_timers();
    inner.block_on(keeper::install(&made.shared, 1, Arc::clone(&made.journal)))?;
    failpoint!("open.serves");
    made.keep_journal();
    Ok(Node::new(inner))
}

/// Starts a node that has no thread of its own, within the `LocalSet` that takes its turns.
pub(super) async fn in_turns(from: Prepared, turns: Turns) -> Result<Node, NodeError> {
    let routes = from.routes();
    let (ports, inputs) = from.ports(routes.workers());
    let crew = Crew {
        tasks: Tasks::in_turns(tokio::runtime::Handle::current(), turns),
        recovery: RecoveryPool::without_threads(from.config.recovery_bytes),
        snapshots: SnapshotSink::at_once(Arc::clone(&from.snapshots)),
    };
    let mut made = from.make(routes, (ports, inputs), crew);
    for (index, inputs) in std::mem::take(&mut made.inputs).into_iter().enumerate() {
        Worker::new(Arc::clone(&made.shared), index, inputs).start();
    }
    let inner = Inner::in_turns(Arc::clone(&made.shared));
    let weak = Arc::downgrade(&made.shared);
    made.shared.tasks.spawn(keep_recovering(weak));
    if let Some(hooks) = &made.shared.hooks {
        made.shared.tasks.spawn(hooks.keep_writing());
    }
    made.load_timers();
    keeper::install(&made.shared, 1, Arc::clone(&made.journal)).await?;
    made.keep_journal();
    Ok(Node::new(inner))
}

impl Prepared {
    fn routes(&self) -> Routes {
        Routes::new(self.config.workers, self.registry.own_workers())
    }

    fn ports(&self, workers: usize) -> (Vec<WorkerPort>, Vec<Inputs>) {
        (0..workers)
            .map(|_| ports(self.config.worker_queue))
            .unzip()
    }

    fn make(self, routes: Routes, ports: (Vec<WorkerPort>, Vec<Inputs>), crew: Crew) -> Made {
        let (ports, inputs) = ports;
        let (failures, failed) = watch::channel(keeper::Failure::default());
        let shared = Arc::new(Shared::new(Parts {
            config: self.config,
            registry: self.registry,
            clock: self.clock,
            resources: self.resources,
            tasks: crew.tasks,
            snapshots: crew.snapshots,
            recovery: crew.recovery,
            ports,
            routes,
            failures,
            hold_pending_work: self.hold_pending_work,
            hooks: self.hooks,
        }));
        // Set once, here, before anybody can look.
        drop(shared.effects.set(EffectRunner::new(&shared)));
        Made {
            shared,
            inputs,
            journal: self.journal,
            storage: self.storage,
            failed,
        }
    }
}

impl Made {
    fn load_timers(&self) {
        let window = Arc::clone(&self.shared.timers);
        let weak = Arc::downgrade(&self.shared);
        self.shared.tasks.spawn(loader::keep_filled(weak, window));
    }

    fn keep_journal(self) {
        let weak = Arc::downgrade(&self.shared);
        let keeper = keeper::keep(weak, self.storage, self.failed);
        self.shared.tasks.spawn(keeper);
    }
}
