//! The end of a node: in order, which waits for what was accepted, or at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use steadfast_journal::failpoint;
use tokio::sync::oneshot;

use super::handle::Inner;
use super::threads::WorkerThreads;
use super::{Node, Shared};
use crate::error::NodeError;
use crate::worker::{Control, WorkerPort};

/// How long the end of a node waits for effects that do not notice it.
const RUNTIME_END: Duration = Duration::from_secs(1);

impl Node {
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
        // All workers see it at their next look, however much their queues hold.
        self.inner.shared.stop();
        self.inner.shared.draining.send_replace(true);
        if inner.shared.tasks.turns().is_some() {
            drained(&inner.shared).await;
            return close(&inner);
        }
        let (done, is_done) = oneshot::channel();
        // A thread of its own: the caller's runtime may not be tokio, and ours ends here.
        std::thread::Builder::new()
            .name("steadfast-stop".to_owned())
            .spawn(move || drop(done.send(shutdown_blocking(&inner))))
            .map_err(NodeError::Thread)?;
        is_done.await.map_err(|_| NodeError::Stopped)?
    }
}

fn shutdown_blocking(inner: &Inner) -> Result<(), NodeError> {
    failpoint!("stop.begun");
    inner.shared.tasks.block_on(drained(&inner.shared));
    failpoint!("stop.drained");
    close(inner)
}

/// Waits until everything that was accepted is done, as long as that may take.
async fn drained(shared: &Shared) {
    let timeout: Duration = shared.config.drain_timeout;
    let in_order = async {
        if let Some(effects) = shared.effects.get() {
            // The rest is for what was accepted, and for the snapshots of who is in memory.
            let limit = timeout / 4 * 3;
            let waited = shared.tasks.within(limit, effects.wait_idle()).await;
            if waited.is_none() {
                tracing::warn!("effects still run; they are tried again at the next start");
            }
        }
        join_all(shared.ports.iter().map(drain)).await
    };
    if shared.tasks.within(timeout, in_order).await.is_none() {
        tracing::warn!(
            ?timeout,
            "not everything finished in time; it goes on at the next start"
        );
    }
}

fn close(inner: &Inner) -> Result<(), NodeError> {
    let shared = &inner.shared;
    shared.snapshots.hurry();
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

pub(super) fn end_blocking(
    shared: &Arc<Shared>,
    threads: Option<WorkerThreads>,
    runtime: Option<tokio::runtime::Runtime>,
) {
    let Some(mut threads) = threads else { return };
    // A worker may still be saving what it has in memory.
    shared.snapshots.hurry();
    for port in &shared.ports {
        // A full queue is no reason to wait: the system's end stops the worker too.
        drop(port.control.try_send(Control::Stop));
    }
    shared.recovery.close();
    threads.stop();
    shared.recovery.join();
    let_go(shared);
    failpoint!("stop.snapshots_closed");
    if let Some(runtime) = runtime {
        // The keeper's task holds the directory's lock; it is gone when this returns.
        runtime.shutdown_timeout(RUNTIME_END);
    }
}

/// Lets go of journal and snapshots.
pub(super) fn let_go(shared: &Shared) {
    shared.recovery.close();
    shared.set_journal(None);
    shared.snapshots.close();
}
