//! Recovery threads: they read and replay, so that workers never wait for the disk.
//!
//! Actors that somebody waits for come first, by the priority of their kind; then those that are only to be
//! warm, which get one turn in nine: somebody may have come to wait for one of them meanwhile. While more than `recovery_bytes` were read and not yet taken by a worker, no further one begins.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use steadfast_journal::{ActorId, Journal, failpoint};
use tokio::sync::Notify;

use super::Shared;
use super::flow::{self, Flow, UnderWay};
use crate::host::{KindEntry, Priority, Progress, RecoverContext, Unrecoverable};
use crate::worker::{Control, WorkerPort};

/// One actor to be recovered for a worker.
pub(crate) struct RecoveryJob {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) generation: u64,
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    pub(crate) number: u64,
    /// Whether nobody waits for it.
    pub(crate) background: bool,
    pub(crate) progress: Arc<Progress>,
}

/// Recovery threads for each worker: with a cold cache most of them wait for the disk.
pub(super) const THREADS_PER_WORKER: usize = 4;

/// Recoveries that one worker may have asked for at once.
pub(crate) const PER_WORKER: usize = 64;

/// Recovers one actor; what its worker is told of it, and the number of the worker.
type Work = Box<dyn FnOnce() -> Option<(usize, Control)> + Send>;

/// The threads and what they share.
pub(crate) struct RecoveryPool {
    flow: Arc<RecoveryFlow>,
    /// None in a simulation, where a task recovers.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What that task waits for.
    news: Option<Arc<Notify>>,
}

type RecoveryFlow = Flow<Work, Progress>;

/// Stands for a recovery under way; dropping it makes room for the next.
pub(crate) type Held = flow::Held<Work, Progress>;

impl UnderWay for Progress {
    fn settle(&self) {
        Self::settle(self);
    }

    fn cancel(&self) {
        Self::cancel(self);
    }
}

impl RecoveryPool {
    /// With this many threads.
    pub(super) fn start(
        threads: usize,
        most_bytes: usize,
        ports: &[WorkerPort],
    ) -> std::io::Result<Self> {
        let flow = Arc::new(RecoveryFlow::new(most_bytes, None));
        let mut running = Vec::with_capacity(threads);
        for index in 0..threads {
            let (flow, ports) = (Arc::clone(&flow), ports.to_vec());
            let thread = std::thread::Builder::new()
                .name(format!("steadfast-recovery-{index}"))
                .spawn(move || {
                    while let Some(work) = flow.next() {
                        if let Some((worker, done)) = work()
                            && let Some(port) = ports.get(worker)
                        {
                            failpoint!("recovery.handing_over");
                            // A worker that is gone needs no actors.
                            drop(port.control.blocking_send(done));
                            failpoint!("recovery.handed_over");
                        }
                    }
                })?;
            running.push(thread);
        }
        Ok(Self {
            flow,
            threads: Mutex::new(running),
            news: None,
        })
    }

    /// Without threads: [`keep_recovering`] is to be spawned.
    pub(super) fn without_threads(most_bytes: usize) -> Self {
        let news = Arc::new(Notify::new());
        let told = Arc::clone(&news);
        let flow = Flow::new(most_bytes, Some(Box::new(move || told.notify_one())));
        Self {
            flow: Arc::new(flow),
            threads: Mutex::default(),
            news: Some(news),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress::of(Arc::clone(self.flow.bytes()))
    }

    pub(super) fn submit(&self, shared: Arc<Shared>, job: RecoveryJob) {
        let priority: Priority = job.kind.priority;
        let background = job.background;
        let work: Work = Box::new(move || recover(&shared, job));
        self.flow.submit((!background).then_some(priority), work);
    }

    /// Ends the threads: what waits is dropped, and what is under way ends at its next entry.
    pub(super) fn close(&self) {
        self.flow.close();
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

/// Recovers in place of the threads, for as long as the node lives.
pub(super) async fn keep_recovering(shared: Weak<Shared>) {
    loop {
        let Some((flow, news)) = shared.upgrade().and_then(|shared| {
            let pool = &shared.recovery;
            Some((Arc::clone(&pool.flow), pool.news.clone()?))
        }) else {
            return;
        };
        news.notified().await;
        while let Some(work) = flow.try_next() {
            let Some((worker, done)) = work() else {
                continue;
            };
            let shared = shared.upgrade();
            let port = shared.and_then(|shared| shared.port(worker).cloned());
            if let Some(port) = port {
                // A worker that is gone needs no actors.
                drop(port.control.send(done).await);
            }
        }
    }
}

fn recover(shared: &Shared, job: RecoveryJob) -> Option<(usize, Control)> {
    let held = Flow::begin(&shared.recovery.flow, &job.progress)?;
    let snapshots = shared.snapshots.reader()?;
    let _span = tracing::debug_span!("recover", actor = %job.actor, kind = job.kind.name).entered();
    let clocks = shared.clocks();
    let started = clocks.running;
    let outcome = {
        let cx = RecoverContext {
            id: &job.actor,
            journal: job.journal.as_ref(),
            snapshots: &snapshots,
            limits: shared.config.key_limits(),
            clocks,
            ages: shared.ages(job.worker),
            until: None,
            progress: &job.progress,
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
        shared.note_recovery(recovered);
        for reason in &recovered.rejected {
            tracing::warn!(actor = %job.actor, reason, "snapshot passed over; recovery replays more");
            shared.metrics.snapshot(job.kind.name, "rejected");
        }
    }
    // Let go of the journal before the worker hears of it: a reopening waits for the last reference.
    drop(job.journal);
    let done = Control::Recovered {
        slot: job.slot,
        number: job.number,
        held,
        generation: job.generation,
        outcome,
    };
    Some((job.worker, done))
}

// Here, because `tests/interleavings/` reads the file of `Flow` as well.
#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl UnderWay for Nothing {
        fn settle(&self) {}

        fn cancel(&self) {}
    }

    #[test]
    fn what_is_to_be_warm_is_not_behind_everybody_who_comes() {
        let flow = Flow::<&str, Nothing>::new(1, None);
        for _ in 0..2 {
            flow.submit(None, "warm");
        }
        for _ in 0..20 {
            flow.submit(Some(Priority::Normal), "waited for");
        }
        let order: Vec<&str> = std::iter::from_fn(|| flow.try_next()).collect();
        let warm: Vec<usize> = (0..order.len()).filter(|at| order[*at] == "warm").collect();
        assert_eq!((order.len(), warm), (22, vec![8, 17]));
    }
}
