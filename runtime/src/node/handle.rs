//! The handle of a running node.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use steadfast_journal::{ActorId, OpenReport};
use tokio::sync::{oneshot, watch};

use super::shared::Shared;
use super::threads::WorkerThreads;
use super::{ActorRef, Address, NodeBuilder, QuarantineControl};
use crate::error::{AskError, NodeError};
use crate::inspect::Inspector;
use crate::model::StatefulActor;
use crate::worker::{ActorStatus, Control, Envelope};

/// A running node. Cheap to clone; the last clone that is dropped ends the node at once, which loses
/// nothing that was acknowledged. [`shutdown`](Self::shutdown) ends it in order.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
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

/// How long the end of a node waits for effects that do not notice it.
const RUNTIME_END: Duration = Duration::from_secs(1);

/// Owns the threads.
pub(super) struct Inner {
    shared: Arc<Shared>,
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
        self.shared.stopping.send_replace(true);
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

    /// The actor of kind `A` with this key, in the space that is named like the kind.
    #[must_use]
    pub fn actor<A: StatefulActor>(&self, key: &str) -> ActorRef<A> {
        self.actor_in(A::KIND, key)
    }

    /// The actor of kind `A` with this key in another space.
    #[must_use]
    pub fn actor_in<A: StatefulActor>(&self, space: &str, key: &str) -> ActorRef<A> {
        let id = ActorId::new(space, key).map_err(|error| error.to_string());
        ActorRef::new(Arc::clone(&self.inner.shared), id)
    }

    /// The actor that an address names.
    #[must_use]
    pub fn at<A: StatefulActor>(&self, address: &Address<A>) -> ActorRef<A> {
        ActorRef::new(Arc::clone(&self.inner.shared), Ok(address.id().clone()))
    }

    /// Sends a command by name, with JSON in and out: for HTTP and command lines. Refuses instead of
    /// waiting when the mailbox is full.
    ///
    /// # Errors
    /// [`AskError`]; a rejection comes as its JSON.
    pub async fn ask_json(
        &self,
        actor: &ActorId,
        kind: &str,
        command: &str,
        body: serde_json::Value,
        key: Option<String>,
    ) -> Result<serde_json::Value, AskError<serde_json::Value>> {
        let shared = &self.inner.shared;
        let failed = |reason: String| AskError::Failed { reason };
        let entry = shared
            .registry
            .get(kind)
            .ok_or_else(|| failed(format!("no kind {kind:?} is registered")))?;
        let found = entry
            .commands
            .get(command)
            .ok_or_else(|| failed(format!("kind {kind:?} has no command {command:?}")))?;
        let (reply, answer) = oneshot::channel();
        let invoke = (found.from_json)(body, key, reply).map_err(failed)?;
        let envelope = Envelope {
            actor: actor.clone(),
            kind: Arc::clone(entry),
            invoke,
            command_id: shared.next_command_id(),
            traceparent: None,
            expires: None,
            claim: None,
            patient: false,
            dirty: false,
            internal: None,
        };
        super::actor_ref::send_now(shared, envelope)?;
        answer.await.unwrap_or(Err(AskError::OutcomeUnknown))
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

    /// Starts the timers and effects that [`NodeBuilder::hold_pending_work`] held back. Does nothing where
    /// none are held.
    ///
    /// # Errors
    /// A store error, or [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub async fn start_pending_work(&self) -> Result<(), NodeError> {
        let shared = &self.inner.shared;
        if shared.release_pending_work() {
            let journal = shared.journal().ok_or(NodeError::Stopped)?;
            let loaded = super::keeper::load_pending_work(shared, journal.as_ref()).await;
            if loaded.is_err() {
                shared.hold_pending_work();
            }
            return loaded;
        }
        Ok(())
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
    #[must_use]
    pub fn watch_commits(&self) -> watch::Receiver<u64> {
        self.inner.shared.durable.subscribe()
    }

    /// Becomes `true` when the node shuts down.
    #[must_use]
    pub fn watch_stopping(&self) -> watch::Receiver<bool> {
        self.inner.shared.stopping.subscribe()
    }

    /// Why the node cannot write at the moment; `None` while it can.
    #[must_use]
    pub fn read_only(&self) -> Option<String> {
        self.inner.shared.read_only()
    }

    /// The metrics as text, for Prometheus.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.inner.shared.metrics.text()
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
                        .map(|(id, status)| {
                            let health = match status {
                                ActorStatus::Resident => ActorHealth::Resident,
                                ActorStatus::Recovering => ActorHealth::Recovering,
                                ActorStatus::Quarantined { reason, seq } => {
                                    ActorHealth::Quarantined { reason, seq }
                                }
                            };
                            (id, health)
                        }),
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

    /// Runs a future to its end on this node's runtime: for programs without one. Must not be called
    /// from inside an async runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.inner.shared.runtime.block_on(future)
    }

    /// Ends the node in order: accepts nothing more, lets running effects and accepted commands finish
    /// within `drain_timeout`, flushes, and closes the directory. Pending timers and effects go on at the
    /// next start.
    ///
    /// # Errors
    /// A store error; what was acknowledged is safe all the same.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        let inner = Arc::clone(&self.inner);
        let (done, is_done) = oneshot::channel();
        self.inner.shared.stopping.send_replace(true);
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
    let drain = async {
        if let Some(effects) = shared.effects.get() {
            effects.wait_idle().await;
        }
        for port in &shared.ports {
            let (ack, drained) = oneshot::channel();
            if port.control.send(Control::Drain(ack)).await.is_ok() {
                // A worker that is gone has drained.
                drop(drained.await);
            }
        }
    };
    let timeout: Duration = shared.config.drain_timeout;
    let drained = shared
        .runtime
        .block_on(async { tokio::time::timeout(timeout, drain).await });
    if drained.is_err() {
        tracing::warn!(
            ?timeout,
            "not everything finished in time; it goes on at the next start"
        );
    }
    let journal = shared.journal();
    let closed = journal.map_or(Ok(()), |journal| journal.close());
    inner.end();
    Ok(closed?)
}
