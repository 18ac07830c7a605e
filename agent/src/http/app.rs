//! What all requests share: the node, once it is there, and how far the process is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use steadfast::{Clock, Node, SystemClock};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use super::metrics::HttpMetrics;
use crate::config::Config;
use crate::problem::{Code, Problem};
use crate::reload::Reloader;
use crate::socket::SOCKET;

/// Streams and waiting requests at the same time; each holds a connection for long.
const LONG_REQUESTS: usize = 64;

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Opening the journal, configuring concerns.
    Starting,
    /// Serving.
    Ready,
    /// Ending in order.
    Draining,
}

/// What is known about the process from its start.
#[derive(Debug)]
pub(super) struct About {
    /// The node's name.
    pub(super) name: String,
    /// Where it keeps its data.
    pub(super) dir: PathBuf,
    /// Started with the process.
    pub(super) clock: SystemClock,
    /// When the process started, on the running clock, which counts from the machine's boot.
    pub(super) started: Duration,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    node: OnceLock<Node>,
    pub(super) about: About,
    reloader: Arc<Reloader>,
    phase: watch::Sender<Phase>,
    /// Why the journal could not be opened yet.
    hold_up: RwLock<Option<String>>,
    long_requests: Arc<Semaphore>,
    /// One full check at a time: it reads the whole disk.
    pub(super) verifying: Mutex<()>,
    pub(super) metrics: HttpMetrics,
}

impl App {
    /// Without a node yet.
    pub(crate) fn new(config: &Config, dir: &Path, reloader: Reloader) -> Arc<Self> {
        let clock = SystemClock::new();
        Arc::new(Self {
            node: OnceLock::new(),
            about: About {
                name: config.node.name.clone(),
                dir: dir.to_owned(),
                clock,
                started: clock.running(),
            },
            reloader: Arc::new(reloader),
            phase: watch::Sender::new(Phase::Starting),
            hold_up: RwLock::default(),
            long_requests: Arc::new(Semaphore::new(LONG_REQUESTS)),
            verifying: Mutex::new(()),
            metrics: HttpMetrics::new(),
        })
    }

    /// Makes the node known: it can be looked at from now on.
    pub(crate) fn install(&self, node: Node) {
        // A process has one node: the first stays.
        self.node.get_or_init(|| node);
    }

    /// Notes why the journal cannot be opened yet. True if that is news.
    pub(crate) fn hold_up(&self, reason: &str) -> bool {
        let mut held_up = self.hold_up.write().unwrap_or_else(PoisonError::into_inner);
        held_up.replace(reason.to_owned()).as_deref() != Some(reason)
    }

    /// Where its owner reaches the node.
    pub(super) fn socket(&self) -> PathBuf {
        self.about.dir.join(SOCKET)
    }

    /// Who plans and reloads.
    pub(crate) fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Moves on; ends streams and waiting requests where that is [`Phase::Draining`].
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// The phase, as it moves.
    pub(super) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The node, for looking at it.
    ///
    /// # Errors
    /// [`Code::Starting`] or [`Code::Unavailable`] while there is none to be asked.
    pub(super) fn node(&self) -> Result<&Node, Problem> {
        match (*self.phase.borrow(), self.node.get()) {
            (Phase::Draining, _) => Err(draining()),
            (Phase::Ready | Phase::Starting, Some(node)) => Ok(node),
            (Phase::Ready | Phase::Starting, None) => Err(self.not_open()),
        }
    }

    fn not_open(&self) -> Problem {
        let held_up = self.hold_up.read().unwrap_or_else(PoisonError::into_inner);
        let detail = held_up.as_ref().map_or_else(
            || "the node is starting: it opens its journal".to_owned(),
            |reason| format!("the node is starting: {reason}"),
        );
        Problem::new(Code::Starting, detail)
    }

    /// The node, for changing something.
    ///
    /// # Errors
    /// [`Code::Starting`] also while the concerns are not configured yet.
    pub(super) fn ready_node(&self) -> Result<&Node, Problem> {
        let node = self.node()?;
        if *self.phase.borrow() == Phase::Starting {
            let detail = "the node is starting: it configures its concerns";
            return Err(Problem::new(Code::Starting, detail));
        }
        Ok(node)
    }

    /// Why the node is not ready; `None` if it is.
    pub(super) fn not_ready(&self) -> Option<Problem> {
        match self.ready_node() {
            Err(problem) => Some(problem),
            Ok(node) => node.read_only().map(|reason| {
                Problem::new(
                    Code::Unavailable,
                    format!("the journal cannot be written: {reason}"),
                )
            }),
        }
    }

    /// The node without regard to the phase: for metrics.
    pub(super) fn any_node(&self) -> Option<&Node> {
        self.node.get()
    }

    /// A place among the long requests.
    pub(super) fn long_request(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.long_requests)
            .try_acquire_owned()
            .map_err(|_| {
                let detail =
                    format!("{LONG_REQUESTS} streams and waiting requests are open already");
                Problem::new(Code::Overloaded, detail)
            })
    }
}

/// What those hear who ask a node that ends.
pub(super) fn draining() -> Problem {
    Problem::new(
        Code::Unavailable,
        "the node is draining: what is unfinished goes on at its next start",
    )
    .hint("steadfast run --config FILE")
}
