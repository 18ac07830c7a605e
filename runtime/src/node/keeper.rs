//! Keeping a journal open: the first opening, and a new generation after one failed.
//!
//! Invariant: a failed generation is closed, and every reference to it gone, before the next is opened;
//! nothing that it did not acknowledge is believed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use steadfast_journal::{Journal, Storage, failpoint};
use tokio::sync::{oneshot, watch};

use super::mail::load_outbox;
use super::{Shared, loader};
use crate::error::{NodeError, describe};
use crate::worker::Control;

/// The newest generation that failed; 0 before the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure {
    pub(super) generation: u64,
    pub(super) reason: String,
}

/// First wait before a failed reopening is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Makes `journal` the node's generation `number` and starts all pending work.
pub(super) async fn install(
    shared: &Arc<Shared>,
    number: u64,
    journal: Arc<dyn Journal>,
) -> Result<(), NodeError> {
    let _one = shared.loading.lock().await;
    let head = journal.head();
    if let Some(head) = &head {
        // The history of a directory does not change while it is held.
        shared.history.get_or_init(|| head.history);
        shared.note_durable(head.index);
    }
    shared.note_opened(head.map_or(0, |head| head.index.get()));
    shared.mail.backlog.begin();
    shared.generation.store(number, Ordering::Release);
    shared.timers.reset(number);
    shared.set_journal(Some((number, Arc::clone(&journal))));
    for port in &shared.ports {
        let open = Control::Open {
            generation: number,
            journal: Arc::clone(&journal),
        };
        port.control
            .send(open)
            .await
            .map_err(|_| NodeError::Stopped)?;
    }
    failpoint!("open.workers_told");
    shared.set_read_only(None);
    if shared.holds_pending_work() {
        return Ok(());
    }
    load_pending_work(shared, number, &journal).await
}

/// Starts what was held since the node started. No generation is opened meanwhile.
pub(super) async fn start_held_work(shared: &Arc<Shared>) -> Result<(), NodeError> {
    let _one = shared.loading.lock().await;
    if !shared.holds_pending_work() {
        return Ok(());
    }
    let (generation, journal) = shared.open_journal().ok_or(NodeError::Stopped)?;
    load_pending_work(shared, generation, &journal).await?;
    // Only now: whoever opens the next generation loads what this one did not.
    shared.release_pending_work();
    if let Some(effects) = shared.effects.get() {
        // What ended meanwhile left it be.
        effects.read_on();
    }
    Ok(())
}

/// Starts the timers, effects and messages found in the journal. What is known already is left alone.
pub(super) async fn load_pending_work(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &Arc<dyn Journal>,
) -> Result<(), NodeError> {
    loader::start(shared, generation, journal).await?;
    failpoint!("open.timers_loaded");
    if let Some(effects) = shared.effects.get() {
        effects.load(shared, generation, journal).await?;
    }
    failpoint!("open.effects_loaded");
    load_outbox(shared, generation, journal).await
}

/// Watches for failures and reopens, until the node is gone.
pub(super) async fn keep(
    shared: Weak<Shared>,
    storage: Arc<dyn Storage>,
    mut failures: watch::Receiver<Failure>,
) {
    while failures.changed().await.is_ok() {
        let failure = failures.borrow_and_update().clone();
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let current = shared
            .journal
            .read()
            .map_or(None, |journal| journal.as_ref().map(|(number, _)| *number));
        if current != Some(failure.generation) || shared.is_stopping() {
            continue;
        }
        let busy = shared.busy();
        tracing::error!(
            generation = failure.generation,
            reason = failure.reason,
            "the journal failed; everything not yet durable is dropped and the journal is reopened"
        );
        shared.metrics.journal_error("commit");
        failpoint!("latch.begun");
        retire(&shared, failure.generation).await;
        reopen(&shared, &storage, failure.generation).await;
        drop(busy);
    }
}

/// Takes the failed generation away from everybody, and closes it.
async fn retire(shared: &Arc<Shared>, generation: u64) {
    let old = shared.journal();
    shared.set_journal(None);
    for port in &shared.ports {
        let (ack, acked) = oneshot::channel();
        if port
            .control
            .send(Control::Latch { generation, ack })
            .await
            .is_ok()
        {
            // A worker that is gone holds nothing.
            drop(acked.await);
        }
    }
    failpoint!("latch.taken_away");
    let Some(old) = old else { return };
    let closing = shared.tasks.blocking(move || {
        if let Err(error) = old.close() {
            tracing::warn!(%error, "the failed journal did not close cleanly");
        }
    });
    if closing.await.is_none() {
        tracing::error!("closing the failed journal panicked");
    }
    failpoint!("latch.closed");
}

/// Opens the next generation; tries again for as long as it takes.
async fn reopen(shared: &Arc<Shared>, storage: &Arc<dyn Storage>, failed: u64) {
    let mut number = failed;
    let mut wait = FIRST_WAIT;
    while !shared.is_stopping() {
        // Each opening has a number of its own: what is left of one must not be taken for the next.
        number += 1;
        match open(shared, storage).await {
            Ok(journal) => match install_again(shared, number, journal).await {
                Ok(()) => {
                    tracing::info!(generation = number, "the journal is open again");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "pending work could not be loaded; reopening again");
                    retire(shared, number).await;
                }
            },
            Err(error) => {
                tracing::error!(%error, retry_ms = wait.as_millis(), "the journal cannot be reopened; the node is read-only");
                shared.metrics.journal_error("open");
                announce_read_only(shared, &describe(&error)).await;
            }
        }
        shared.keeper_rests(true);
        shared.rest(wait).await;
        shared.keeper_rests(false);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn install_again(
    shared: &Arc<Shared>,
    number: u64,
    journal: Arc<dyn Journal>,
) -> Result<(), NodeError> {
    failpoint!("latch.opened");
    install(shared, number, journal).await?;
    failpoint!("latch.over");
    Ok(())
}

/// From now on nobody waits for the journal; those who already do are told.
async fn announce_read_only(shared: &Arc<Shared>, reason: &str) {
    shared.set_read_only(Some(reason.to_owned()));
    for port in &shared.ports {
        let reason = reason.to_owned();
        // A worker that is gone has nobody waiting.
        drop(port.control.send(Control::ReadOnly { reason }).await);
    }
}

async fn open(shared: &Shared, storage: &Arc<dyn Storage>) -> Result<Arc<dyn Journal>, NodeError> {
    let storage = Arc::clone(storage);
    let opened = shared.tasks.blocking(move || storage.open()).await;
    Ok(opened.ok_or(NodeError::Stopped)??)
}
