//! Building a node: what it runs, where it keeps it, and how it starts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use steadfast_journal::{
    MemoryStorage, RocksOptions, RocksReader, RocksStorage, Storage, failpoint,
};
use steadfast_snapshots::{Opened, SnapshotStore};
use tokio::sync::oneshot;

use super::handle::Node;
use super::hooks::Hooks;
use super::recovery;
use super::start::{self, Prepared};
use super::tasks::Turns;
use crate::config::Config;
use crate::error::NodeError;
use crate::host::{KindBuilder, Registry};
use crate::inspect::Inspector;
use crate::model::{Clock, StatefulActor, SystemClock};
use crate::resources::Resources;

/// Where a node keeps its data.
enum Place {
    Directory(PathBuf),
    Storage(Arc<dyn Storage>),
}

/// A node that is not running yet. Made by [`Node::open`].
pub struct NodeBuilder {
    place: Place,
    /// Of a journal in a directory.
    options: RocksOptions,
    config: Config,
    registry: Registry,
    resources: Resources,
    clock: Arc<dyn Clock>,
    hold_pending_work: bool,
    /// For nodes of the test kit.
    hooks: Option<Hooks>,
    /// The first mistake in registration; reported by `start`.
    mistake: Option<NodeError>,
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl NodeBuilder {
    pub(super) fn in_directory(dir: PathBuf) -> Self {
        Self::at(Place::Directory(dir))
    }

    /// A node over a journal of the caller's, with snapshots in memory.
    pub(super) fn over(storage: Arc<dyn Storage>) -> Self {
        Self::at(Place::Storage(storage))
    }

    /// Threads that recover, for each worker. One with the test kit, so that a test's recoveries come in the order in
    /// which they were asked for.
    const fn recovery_threads(&self) -> usize {
        if self.hooks.is_some() {
            1
        } else {
            recovery::THREADS_PER_WORKER
        }
    }

    /// A node of the test kit.
    pub(crate) fn hooked(hooks: Hooks) -> Self {
        Self {
            clock: Arc::new(hooks.clock.clone()),
            hooks: Some(hooks.clone()),
            ..Self::over(Arc::new(hooks.storage))
        }
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            options: RocksOptions::default(),
            config: Config::default(),
            registry: Registry::default(),
            resources: Resources::default(),
            clock: Arc::new(SystemClock::new()),
            hold_pending_work: false,
            hooks: None,
            mistake: None,
        }
    }

    /// Registers a kind of actor, with the commands that timers and the outside send by name and the
    /// effects that it runs.
    #[must_use]
    pub fn register<A: StatefulActor>(
        mut self,
        build: impl FnOnce(KindBuilder<A>) -> KindBuilder<A>,
    ) -> Self {
        let added = build(KindBuilder::new())
            .finish()
            .and_then(|entry| self.registry.add(entry));
        if let Err(error) = added {
            self.mistake.get_or_insert(error);
        }
        self
    }

    /// Changes settings.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::Node;
    ///
    /// let node = Node::in_memory().config(|config| {
    ///     config.mailbox_capacity = 100;
    ///     config.drain_timeout = Duration::from_secs(5);
    /// });
    /// let refused = Node::in_memory().config(|config| config.effects = 0).start_blocking();
    /// assert_eq!(refused.unwrap_err().to_string(), "setting effects: must be at least 1");
    /// # node.start_blocking()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Gives effects something to work with, found again by its type.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use steadfast::{Effect, EffectContext, EffectError, Node};
    ///
    /// struct Printer;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Print { page: String }
    ///
    /// impl Effect for Print {
    ///     const NAME: &'static str = "print";
    ///     type Output = ();
    ///
    ///     async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
    ///         let printer = cx.resource::<Printer>()?; // found by its type
    ///         # let _ = printer;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let node = Node::in_memory().resource(Printer).start_blocking()?;
    /// # drop(node);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(mut self, resource: T) -> Self {
        self.resources.insert(resource);
        self
    }

    /// Lets timers, effects and messages that are found in the journal wait until
    /// [`Node::start_pending_work`]: for hosts that decide at the start what may go on, such as an agent whose
    /// configuration has changed. Messages that are sent and timers that are set meanwhile wait as well;
    /// effects that commands run begin at once.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// use steadfast::Node;
    ///
    /// let node = Node::in_memory().register::<Account>(|kind| kind).hold_pending_work().start_blocking()?;
    /// node.block_on(async {
    ///     // Look around and decide; commands are served meanwhile.
    ///     node.start_pending_work().await
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn hold_pending_work(mut self) -> Self {
        self.hold_pending_work = true;
        self
    }

    /// Takes time from `clock` instead of the system.
    ///
    /// ```
    /// use steadfast::Node;
    /// use steadfast::testkit::VirtualClock;
    ///
    /// let node = Node::in_memory().clock(VirtualClock::new()).start_blocking()?;
    /// # drop(node);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Changes the limits of the journal on disk, so that a test comes by what is rare otherwise.
    #[cfg(feature = "failpoints")]
    #[doc(hidden)]
    #[must_use]
    pub fn journal_options(mut self, change: impl FnOnce(&mut RocksOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Opens the journal and starts the node's threads. Works under any async runtime and under none:
    /// the node brings its own.
    ///
    /// # Errors
    /// [`NodeError`]: a mistake in registration or settings, or a directory that is held, damaged or not
    /// writable.
    pub async fn start(self) -> Result<Node, NodeError> {
        let (done, is_done) = oneshot::channel();
        std::thread::Builder::new()
            .name("steadfast-start".to_owned())
            .spawn(move || drop(done.send(self.start_blocking())))
            .map_err(NodeError::Thread)?;
        is_done.await.map_err(|_| NodeError::Stopped)?
    }

    /// [`start`](Self::start) for programs without an async runtime; blocks until the node serves.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_blocking(self) -> Result<Node, NodeError> {
        let threads = self.recovery_threads();
        start::on_threads(self.prepare()?, threads)
    }

    /// [`start`](Self::start) without any thread: everything is done by whoever drives the `LocalSet` in which this is
    /// awaited, in turns that `turns` draws.
    pub(crate) async fn start_in_turns(self, turns: Turns) -> Result<Node, NodeError> {
        start::in_turns(self.prepare()?, turns).await
    }

    /// Opens what the node lies on.
    fn prepare(self) -> Result<Prepared, NodeError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        self.config.validate()?;
        let (storage, dir): (Arc<dyn Storage>, _) = match self.place {
            Place::Directory(dir) => {
                let storage = RocksStorage::acquire(&dir, self.options)?;
                (Arc::new(storage), Some(dir))
            }
            Place::Storage(storage) => (storage, None),
        };
        // First, because a refusal leaves the directory as it was, and opening snapshots writes.
        let journal = storage.open()?;
        let snapshots = match (dir, &self.hooks) {
            (Some(dir), _) => Arc::new(open_snapshots(&dir)?),
            (None, Some(hooks)) => Arc::clone(&hooks.snapshots),
            (None, None) => Arc::new(SnapshotStore::in_memory()),
        };
        failpoint!("open.snapshots");
        Ok(Prepared {
            config: self.config,
            registry: self.registry,
            resources: self.resources,
            clock: self.clock,
            hold_pending_work: self.hold_pending_work,
            hooks: self.hooks,
            storage,
            journal,
            snapshots,
        })
    }

    /// Reads the directory without opening it for writing: no lock is taken and nothing is written, so
    /// that a node can start meanwhile.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # fn look(dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    /// use steadfast::Node;
    ///
    /// let inspector = Node::open(dir).register::<Account>(|kind| kind).inspect()?;
    /// for actor in inspector.actors(Some("account"))? {
    ///     println!("{} has {} events", actor.actor, actor.seq);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`NodeError`]: a mistake in registration, or a directory that is missing or cannot be read.
    pub fn inspect(self) -> Result<Inspector, NodeError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let Place::Directory(dir) = self.place else {
            let reason = "only a data directory can be inspected without a node".to_owned();
            return Err(NodeError::Config {
                field: "place",
                reason,
            });
        };
        let journal = Arc::new(RocksReader::open(&dir)?);
        let snapshots = SnapshotStore::open_read_only(&dir.join("snapshots"))?
            .unwrap_or_else(SnapshotStore::in_memory);
        let limits = self.config.key_limits();
        Ok(Inspector::new(
            journal,
            Arc::new(snapshots),
            self.registry,
            self.clock,
            limits,
        ))
    }
}

fn open_snapshots(dir: &std::path::Path) -> Result<SnapshotStore, NodeError> {
    let (snapshots, opened) = SnapshotStore::open(&dir.join("snapshots"))?;
    if let Opened::Replaced { moved_to, detail } = opened {
        tracing::warn!(to = %moved_to.display(), detail, "the snapshots were damaged and moved aside; actors replay their events");
    }
    Ok(snapshots)
}

/// Keeps the in-memory storage usable from tests without naming the trait.
impl From<MemoryStorage> for NodeBuilder {
    fn from(storage: MemoryStorage) -> Self {
        Self::over(Arc::new(storage))
    }
}
