//! A node with its actors and callers, over one of the stores that are compared.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::{ActorRef, Config, Node};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::Random;
use super::notes::{Load, Note, Noted, Notes};
use super::recorder::float;
use crate::Settings;
use crate::suite::adapter::Adapter;

/// What keeps the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The journal of `Node::open`.
    Steadfast,
    /// One growing file, without any index.
    File,
    /// One put per event into `RocksDB`.
    Puts,
}

impl Store {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steadfast => "steadfast",
            Self::File => "file adapter",
            Self::Puts => "put per event",
        }
    }

    fn start(self, dir: &Path, change: impl FnOnce(&mut Config)) -> Node {
        let builder = match self {
            Self::Steadfast => Node::open(dir),
            Self::File => Node::over(Arc::new(Adapter::file(dir))),
            Self::Puts => Node::over(Arc::new(Adapter::puts(dir))),
        };
        builder
            .config(|config| {
                // Nobody leaves memory: the plain stores cannot bring anybody back.
                config.resident_bytes = 0;
                config.passivate_after = Duration::from_secs(24 * 3_600);
                change(config);
            })
            .register::<Notes>(|kind| kind)
            .start_blocking()
            .expect("the node starts")
    }
}

/// A running node whose actors are all in memory.
#[derive(Debug)]
pub struct Site {
    pub(super) actors: Arc<[ActorRef<Notes>]>,
    pub(super) callers: Runtime,
    node: Node,
    dir: TempDir,
    population: usize,
}

/// Actors that are touched at the same time.
const TOUCHED_AT_ONCE: usize = 512;

impl Site {
    /// A new one below the measured directory, with `population` actors that were all asked once.
    ///
    /// # Panics
    /// Where it cannot be set up.
    #[must_use]
    pub fn new(
        settings: &Settings,
        store: Store,
        population: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let site = Self::over(settings.fresh_dir(), store, population, change);
        site.touch(|_| 1);
        site
    }

    /// The same over a directory that may have been used before; nobody is asked.
    ///
    /// # Panics
    /// Where it cannot be set up.
    #[must_use]
    pub fn over(
        dir: TempDir,
        store: Store,
        population: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let node = store.start(dir.path(), change);
        let callers = Runtime::new().expect("a runtime for the callers");
        let actors = (0..population)
            .map(|key| node.actor(&format!("{key}")))
            .collect();
        Self {
            actors,
            callers,
            node,
            dir,
            population,
        }
    }

    /// Gives each actor as many events as `of` says.
    ///
    /// # Panics
    /// Where one is not acknowledged.
    pub fn touch(&self, of: impl Fn(usize) -> usize + Send + Sync + 'static) {
        let of = Arc::new(of);
        self.each(move |actor, key| {
            let of = Arc::clone(&of);
            async move {
                for _ in 0..of(key) {
                    let noted = actor.ask(Note { bytes: 128 }).await;
                    noted.expect("the command is acknowledged");
                }
            }
        });
    }

    /// Makes each state as large as this.
    ///
    /// # Panics
    /// Where one is not acknowledged.
    pub fn load(&self, bytes: u64) {
        self.each(move |actor, _| async move {
            let loaded = actor.ask(Load { bytes }).await;
            loaded.expect("the command is acknowledged");
        });
    }

    /// Asks each actor for what it knows; returns how much that is.
    ///
    /// # Panics
    /// Where one does not answer.
    #[must_use]
    pub fn recover(&self) -> u64 {
        let sum = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let into = Arc::clone(&sum);
        self.each(move |actor, _| {
            let into = Arc::clone(&into);
            async move {
                let noted = actor.ask(Noted).await.expect("it answers");
                into.fetch_add(noted, std::sync::atomic::Ordering::Relaxed);
            }
        });
        sum.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Asks one random actor from this very thread, and waits.
    ///
    /// # Panics
    /// Where it is not acknowledged.
    pub fn ask(&self, random: &mut Random, bytes: u32) {
        let actor = &self.actors[random.below(self.population)];
        let noted = self
            .callers
            .block_on(actor.ask(Note { bytes }).into_future());
        noted.expect("the command is acknowledged");
    }

    /// One more actor, which no load asks by itself.
    #[must_use]
    pub fn extra(&self, key: &str) -> ActorRef<Notes> {
        self.node.actor(key)
    }

    /// Makes the state of one as large as this.
    ///
    /// # Panics
    /// Where it is not acknowledged.
    pub fn load_one(&self, actor: &ActorRef<Notes>, bytes: u64) {
        let loaded = self
            .callers
            .block_on(actor.ask(Load { bytes }).into_future());
        loaded.expect("the command is acknowledged");
    }

    /// A caller of its own kind.
    pub fn spawn(&self, caller: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.callers.spawn(caller)
    }

    /// Waits for such a caller.
    ///
    /// # Panics
    /// Where it panicked.
    pub fn wait(&self, caller: JoinHandle<()>) {
        let over = self.callers.block_on(caller);
        over.expect("a caller does not panic");
    }

    fn each<F>(&self, work: impl Fn(ActorRef<Notes>, usize) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let permits = Arc::new(tokio::sync::Semaphore::new(TOUCHED_AT_ONCE));
        self.callers.block_on(async {
            let mut tasks = Vec::with_capacity(self.population);
            for (key, actor) in self.actors.iter().enumerate() {
                let permit = Arc::clone(&permits).acquire_owned().await;
                let work = work(actor.clone(), key);
                tasks.push(tokio::spawn(async move {
                    work.await;
                    drop(permit);
                }));
            }
            for task in tasks {
                task.await.expect("a caller does not panic");
            }
        });
    }

    /// The node itself.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Sum of all of the node's metrics with this name and this label (any, where it is empty); 0 where
    /// nothing was counted yet.
    #[must_use]
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.node.metrics();
        text.lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Bytes of an entry, in the mean of all so far: what its frame and its keys take.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        let bytes = self.metric("steadfast_journal_bytes_total", "");
        let entries = self.metric("steadfast_journal_events_total", "");
        assert!(
            bytes > 0.0 && entries > 0.0,
            "{bytes} B in {entries} entries"
        );
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an entry has some hundred bytes"
        )]
        let each = (bytes / entries) as usize;
        each
    }

    /// Ends it in order, and removes its directory.
    ///
    /// # Panics
    /// Where it does not end in order.
    pub fn close(self) {
        let dir = self.take_apart(|callers, node| {
            callers.block_on(node.shutdown()).expect("the node stops");
        });
        dir.close().expect("the directory is removed");
    }

    /// Ends it at once, as a crash does: nothing is saved that was not. Leaves the directory.
    #[must_use]
    pub fn crash(self) -> TempDir {
        self.take_apart(|_, _| {})
    }

    /// Callers go before the node that they ask, and it before its directory.
    fn take_apart(self, last: impl FnOnce(&Runtime, &Node)) -> TempDir {
        drop(self.actors);
        last(&self.callers, &self.node);
        drop(self.callers);
        drop(self.node);
        self.dir
    }
}

/// Bytes that this process had written to disks so far.
///
/// # Panics
/// Where the kernel does not tell.
#[must_use]
pub fn written_bytes() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").expect("/proc/self/io is readable");
    let bytes = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok())
        .expect("it has write_bytes");
    float(bytes)
}
