//! Recovery threads: they read and replay, so that workers never wait for the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use steadfast_journal::{ActorId, Journal};

use super::Shared;
use crate::host::{KindEntry, RecoverContext, Unrecoverable};
use crate::worker::Control;

/// One actor to be recovered for a worker.
pub(crate) struct RecoveryJob {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) generation: u64,
    pub(crate) worker: usize,
    pub(crate) slot: usize,
}

/// Recoveries that one worker may have asked for at once.
pub(crate) const PER_WORKER: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

/// The threads' queue. Each worker bounds what it asks for, so the queue never fills.
pub(crate) struct RecoveryPool {
    queue: Mutex<Option<SyncSender<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set when nobody waits for recoveries any more: what is still queued is dropped.
    closed: AtomicBool,
}

impl RecoveryPool {
    pub(super) fn start(threads: usize, capacity: usize) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel::<Work>(capacity);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut running = Vec::with_capacity(threads);
        for index in 0..threads {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new()
                .name(format!("steadfast-recovery-{index}"))
                .spawn(move || {
                    while let Some(work) = next(&receiver) {
                        work();
                    }
                })?;
            running.push(thread);
        }
        Ok(Self {
            queue: Mutex::new(Some(sender)),
            threads: Mutex::new(running),
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn submit(&self, shared: Arc<Shared>, job: RecoveryJob) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queue.as_ref() {
            // The threads end only after `close`, when no worker is left to wait for the answer.
            drop(queue.try_send(Box::new(move || recover(&shared, job))));
        }
    }

    /// Lets the threads end with what they are at.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Waits for the threads, so that none of them keeps a store open. The workers must be gone: a
    /// thread may be waiting to tell one of them.
    pub(super) fn join(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a recovery thread panicked");
            }
        }
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

fn recover(shared: &Shared, job: RecoveryJob) {
    if shared.recovery.closed.load(Ordering::Acquire) {
        return;
    }
    let Some(snapshots) = shared.snapshots.reader() else {
        return;
    };
    let _span = tracing::debug_span!("recover", actor = %job.actor, kind = job.kind.name).entered();
    let started = shared.clock.running();
    let outcome = {
        let cx = RecoverContext {
            id: &job.actor,
            journal: job.journal.as_ref(),
            snapshots: &snapshots,
            limits: shared.config.key_limits(),
            now: shared.clock.now(),
            running: started,
            start: shared.start,
            until: None,
        };
        let recover = job.kind.recover;
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| recover(&cx))).unwrap_or_else(
            |_| {
                let reason = "recovery panicked".to_owned();
                Err(Unrecoverable::data(reason, 0))
            },
        )
    };
    if let Ok(recovered) = &outcome {
        let took = shared.clock.running().saturating_sub(started);
        shared
            .metrics
            .replayed(job.kind.name, recovered.replayed_events, took);
        for reason in &recovered.rejected {
            tracing::warn!(actor = %job.actor, reason, "snapshot passed over; recovery replays more");
            shared.metrics.snapshot(job.kind.name, "rejected");
        }
    }
    // Let go of the journal before the worker hears of it: a reopening waits for the last reference.
    drop(job.journal);
    if let Some(port) = shared.ports.get(job.worker) {
        let done = Control::Recovered {
            slot: job.slot,
            generation: job.generation,
            outcome,
        };
        // A worker that is gone needs no actors.
        drop(port.control.blocking_send(done));
    }
}
