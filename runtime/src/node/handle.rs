//! The handle of a running node.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use steadfast_journal::{ActorId, OpenReport, failpoint};
use tokio::sync::{oneshot, watch};

use super::shared::Shared;
use super::threads::WorkerThreads;
use super::{ActorRef, NodeBuilder, QuarantineControl, keeper};
use crate::error::NodeError;
use crate::inspect::Inspector;
use crate::model::{Address, StatefulActor};
use crate::worker::{ActorStatus, Control, WorkerPort};

/// A running node. Cheap to clone; the last clone that is dropped ends the node at once, which loses
/// nothing that was acknowledged. [`shutdown`](Self::shutdown) ends it in order.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// use steadfast::Node;
///
/// let node = Node::in_memory() // or Node::open("./data")
///     .register::<Account>(|kind| kind.command::<Deposit>())
///     .start_blocking()?; // or .start().await?
/// node.block_on(async {
///     let balance = node.actor::<Account>("alice").ask(Deposit { cents: 70 }).await?;
///     assert_eq!(balance, 70);
///     node.shutdown().await
///         .map_err(Box::<dyn std::error::Error>::from)
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Node {
    pub(super) inner: Arc<Inner>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// How an actor that is in memory fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActorHealth {
    /// In memory, or on its way out of a mailbox.
    Resident,
    /// Being rebuilt from the journal.
    Recovering,
    /// Set aside.
    Quarantined {
        /// Why.
        reason: String,
        /// Its newest event that could be read; 0 where that is not known.
        seq: u64,
    },
}

impl From<ActorStatus> for ActorHealth {
    fn from(status: ActorStatus) -> Self {
        match status {
            ActorStatus::Resident => Self::Resident,
            ActorStatus::Recovering => Self::Recovering,
            ActorStatus::Quarantined { reason, seq } => Self::Quarantined { reason, seq },
        }
    }
}

/// How long the end of a node waits for effects that do not notice it.
const RUNTIME_END: Duration = Duration::from_secs(1);

/// Owns the threads.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    runtime: Mutex<Option<tokio::runtime::Runtime>>,
    threads: Mutex<Option<WorkerThreads>>,
}

impl Inner {
    pub(super) fn new(
        shared: Arc<Shared>,
        runtime: tokio::runtime::Runtime,
        threads: WorkerThreads,
    ) -> Self {
        Self {
            shared,
            runtime: Mutex::new(Some(runtime)),
            threads: Mutex::new(Some(threads)),
        }
    }

    /// Runs a future on the node's runtime from a thread that is in none.
    pub(super) fn block_on<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        self.shared.runtime.block_on(future)
    }

    /// Ends every thread and lets go of the directory. What is not durable by now is answered
    /// `OutcomeUnknown`.
    fn end(&self) {
        self.shared.stop();
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let shared = Arc::clone(&self.shared);
        // A thread of its own, because the caller's may belong to an async runtime, which must not wait.
        let ending = std::thread::Builder::new()
            .name("steadfast-end".to_owned())
            .spawn(move || end_blocking(&shared, threads, runtime));
        match ending.map(std::thread::JoinHandle::join) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("ending the node panicked"),
            Err(error) => tracing::error!(%error, "the node could not be ended in order"),
        }
    }
}

fn end_blocking(
    shared: &Arc<Shared>,
    threads: Option<WorkerThreads>,
    runtime: Option<tokio::runtime::Runtime>,
) {
    let Some(mut threads) = threads else { return };
    for port in &shared.ports {
        // A full queue is no reason to wait: the system's end stops the worker too.
        drop(port.control.try_send(Control::Stop));
    }
    shared.recovery.close();
    threads.stop();
    shared.recovery.join();
    shared.set_journal(None);
    shared.snapshots.close();
    failpoint!("stop.snapshots_closed");
    if let Some(runtime) = runtime {
        // The keeper's task holds the directory's lock; it is gone when this returns.
        runtime.shutdown_timeout(RUNTIME_END);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Node {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Ends the node at once, whoever else holds it, as a crash does.
    pub(crate) fn end(&self) {
        self.inner.end();
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A node over the data directory `dir`, which is created if missing.
    #[must_use]
    pub fn open(dir: impl Into<PathBuf>) -> NodeBuilder {
        NodeBuilder::in_directory(dir.into())
    }

    /// A node that keeps everything in memory and forgets it at its end: for tests.
    #[must_use]
    pub fn in_memory() -> NodeBuilder {
        steadfast_journal::MemoryStorage::new().into()
    }

    /// A node over a journal of your own, with snapshots in memory: the seam for other engines. What
    /// [`journal::conformance`](steadfast_journal) checks must hold for it.
    #[must_use]
    pub fn over(storage: Arc<dyn steadfast_journal::Storage>) -> NodeBuilder {
        NodeBuilder::over(storage)
    }

    /// The actor of kind `A` with this key, in the space that is named like the kind.
    #[must_use]
    pub fn actor<A: StatefulActor>(&self, key: &str) -> ActorRef<A> {
        self.actor_in(A::KIND, key)
    }

    /// The actor of kind `A` with this key in another space.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// let account = node.actor_in::<Account>("savings", "alice");
    /// account.ask(Deposit { cents: 5 }).await?;
    /// let names = node.inspect()?.actors(None)?;
    /// assert_eq!(names[0].actor.to_string(), "savings/alice");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn actor_in<A: StatefulActor>(&self, space: &str, key: &str) -> ActorRef<A> {
        let id = ActorId::new(space, key).map_err(|error| error.to_string());
        ActorRef::new(Arc::clone(&self.inner.shared), id)
    }

    /// The actor that an address names.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// use steadfast::Address;
    ///
    /// // An address can stand in a command, an event or a state.
    /// let address: Address<Account> = serde_json::from_str(r#""account/alice""#)?;
    /// node.at(&address).ask(Deposit { cents: 5 }).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn at<A: StatefulActor>(&self, address: &Address<A>) -> ActorRef<A> {
        ActorRef::new(Arc::clone(&self.inner.shared), Ok(address.id().clone()))
    }

    /// Reads what is durable: actors, states, events.
    ///
    /// # Errors
    /// [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub fn inspect(&self) -> Result<Inspector, NodeError> {
        let shared = &self.inner.shared;
        let journal = shared.journal().ok_or(NodeError::Stopped)?;
        let snapshots = shared.snapshots.reader().ok_or(NodeError::Stopped)?;
        Ok(Inspector::new(
            journal,
            snapshots,
            shared.registry.clone(),
            Arc::clone(&shared.clock),
            shared.config.key_limits(),
        ))
    }

    /// Starts the timers, effects and messages that [`NodeBuilder::hold_pending_work`] held back, with those
    /// that came meanwhile. Does nothing where none are held; after an error they still are, and it can be
    /// called again.
    ///
    /// # Errors
    /// A store error, or [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub async fn start_pending_work(&self) -> Result<(), NodeError> {
        let shared = Arc::clone(&self.inner.shared);
        // A task of its own: a caller that gives up leaves nothing half loaded.
        let runtime = shared.runtime.clone();
        let started = runtime.spawn(async move { keeper::start_held_work(&shared).await });
        started.await.map_err(|_| NodeError::Stopped)?
    }

    /// What opening the journal found.
    ///
    /// # Errors
    /// [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub fn opened(&self) -> Result<OpenReport, NodeError> {
        let journal = self.inner.shared.journal().ok_or(NodeError::Stopped)?;
        Ok(journal.opened().clone())
    }

    /// The newest durable commit, as it moves: wait on it to follow the journal.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// let mut commits = node.watch_commits();
    /// node.actor::<Account>("alice").tell(Deposit { cents: 5 }).await?;
    /// let id = "account/alice".parse()?;
    /// while node.inspect()?.actor(&id).is_err() {
    ///     commits.changed().await?; // look again with each commit, instead of now and then
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watch_commits(&self) -> watch::Receiver<u64> {
        self.inner.shared.durable.subscribe()
    }

    /// Becomes `true` when the node shuts down.
    #[must_use]
    pub fn watch_stopping(&self) -> watch::Receiver<bool> {
        self.inner.shared.stopping.subscribe()
    }

    /// Messages between actors that were sent and not taken yet; `None` while the node starts or its
    /// journal is reopened, and they are not counted yet.
    #[must_use]
    pub fn pending_messages(&self) -> Option<u64> {
        self.inner.shared.mail.backlog.settled_total()
    }

    /// Why the node cannot write at the moment; `None` while it can.
    #[must_use]
    pub fn read_only(&self) -> Option<String> {
        self.inner.shared.read_only()
    }

    /// The metrics as text, for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        let shared = &self.inner.shared;
        shared.metrics.outbox(shared.mail.backlog.total());
        shared.metrics.text()
    }

    /// How the actors that are in memory fare.
    pub async fn health(&self) -> Vec<(ActorId, ActorHealth)> {
        let mut all = Vec::new();
        for port in &self.inner.shared.ports {
            let (reply, answer) = oneshot::channel();
            if port.control.send(Control::Status(reply)).await.is_ok() {
                all.extend(
                    answer
                        .await
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(id, status)| (id, status.into())),
                );
            }
        }
        all
    }

    /// Brings actors into memory before somebody asks for them, in the background: behind all that somebody
    /// waits for, and while three quarters of [`Config::resident_bytes`](crate::Config::resident_bytes) are
    /// not used up. Tells how many will be tried; names that the journal does not know and kinds that are
    /// not registered are passed over.
    ///
    /// # Errors
    /// A store error, or [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub async fn warm(
        &self,
        actors: impl IntoIterator<Item = ActorId>,
    ) -> Result<usize, NodeError> {
        let shared = &self.inner.shared;
        let journal = shared.journal().ok_or(NodeError::Stopped)?;
        let actors: Vec<ActorId> = actors.into_iter().collect();
        let registry = shared.registry.clone();
        let look_up = shared.runtime.spawn_blocking(move || {
            let mut found = Vec::with_capacity(actors.len());
            for actor in actors {
                let row = journal.actor(&actor)?;
                let kind = row.and_then(|row| registry.get(&row.kind).cloned());
                found.extend(kind.map(|kind| (actor, kind)));
            }
            Ok::<_, steadfast_journal::Error>(found)
        });
        let found = look_up.await.map_err(|_| NodeError::Stopped)??;
        let mut by_worker = vec![Vec::new(); shared.ports.len()];
        for (actor, kind) in found {
            if let Some(share) = by_worker.get_mut(shared.worker_index(&actor)) {
                share.push((actor, kind));
            }
        }
        let mut taken = 0;
        for (port, actors) in shared.ports.iter().zip(by_worker) {
            let (reply, answer) = oneshot::channel();
            let warm = Control::Warm { actors, reply };
            let sent = port.control.send(warm).await;
            sent.map_err(|_| NodeError::Stopped)?;
            taken += answer.await.map_err(|_| NodeError::Stopped)?;
        }
        Ok(taken)
    }

    /// Looks after the actors that are set aside.
    #[must_use]
    pub fn quarantine(&self) -> QuarantineControl {
        QuarantineControl::new(Arc::clone(&self.inner.shared))
    }

    /// Has the workers look at the clock: for clocks that are moved by hand. Returns once each of them has.
    #[doc(hidden)]
    pub async fn wake(&self) {
        for port in &self.inner.shared.ports {
            let (ack, awake) = oneshot::channel();
            if port.control.send(Control::Wake(ack)).await.is_ok() {
                // A worker that is gone needs no waking.
                drop(awake.await);
            }
        }
    }

    /// Runs a future to its end on this node's runtime: for programs without one. Must not be called
    /// from inside an async runtime.
    pub fn block_on<F: IntoFuture>(&self, future: F) -> F::Output {
        self.inner.shared.runtime.block_on(future.into_future())
    }

    /// Ends the node in order: from now on no command is accepted, no timer fires and no message is
    /// delivered. Running effects are told ([`EffectContext::stopping`](crate::EffectContext::stopping)); they
    /// and accepted commands may finish within [`Config::drain_timeout`](crate::Config::drain_timeout), of
    /// which effects have three quarters; then the journal is flushed and the directory closed. What is
    /// pending goes on at the next start.
    ///
    /// # Errors
    /// A store error; what was acknowledged is safe all the same.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        let inner = Arc::clone(&self.inner);
        let (done, is_done) = oneshot::channel();
        // All workers see it at their next look, however much their queues hold.
        self.inner.shared.stop();
        self.inner.shared.draining.send_replace(true);
        // A thread of its own: the caller's runtime may not be tokio, and ours ends here.
        std::thread::Builder::new()
            .name("steadfast-stop".to_owned())
            .spawn(move || drop(done.send(shutdown_blocking(&inner))))
            .map_err(NodeError::Thread)?;
        is_done.await.map_err(|_| NodeError::Stopped)?
    }
}

fn shutdown_blocking(inner: &Inner) -> Result<(), NodeError> {
    let shared = &inner.shared;
    let timeout: Duration = shared.config.drain_timeout;
    failpoint!("stop.begun");
    let drained = shared.runtime.block_on(async {
        let end = tokio::time::Instant::now() + timeout;
        if let Some(effects) = shared.effects.get() {
            // The rest is for what was accepted, and for the snapshots of who is in memory.
            let waited = tokio::time::timeout(timeout / 4 * 3, effects.wait_idle()).await;
            if waited.is_err() {
                tracing::warn!("effects still run; they are tried again at the next start");
            }
        }
        tokio::time::timeout_at(end, join_all(shared.ports.iter().map(drain))).await
    });
    if drained.is_err() {
        tracing::warn!(
            ?timeout,
            "not everything finished in time; it goes on at the next start"
        );
    }
    failpoint!("stop.drained");
    let journal = shared.journal();
    let closed = journal.map_or(Ok(()), |journal| journal.close());
    failpoint!("stop.closed");
    inner.end();
    Ok(closed?)
}

/// Has a worker finish what it accepted.
async fn drain(port: &WorkerPort) {
    let (ack, drained) = oneshot::channel();
    if port.control.send(Control::Drain(ack)).await.is_ok() {
        // A worker that is gone has drained.
        drop(drained.await);
    }
}
