//! Recovery threads: they read and replay, so that workers never wait for the disk.
//!
//! Actors that somebody waits for come first, by the priority of their kind; then those that are only to be
//! warm, which get one turn in nine: somebody may have come to wait for one of them meanwhile. While more than `recovery_bytes` were read and not yet taken by a worker, no further one begins.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use steadfast_journal::{ActorId, Journal, failpoint};

use super::Shared;
use crate::host::{KindEntry, Priority, Progress, RecoverContext, Unrecoverable};
use crate::worker::{Control, Ready};

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

/// Recoveries that somebody waits for between two that nobody waited for when they were asked for.
const BEFORE_BACKGROUND: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// The threads and what they share.
pub(crate) struct RecoveryPool {
    flow: Arc<Flow>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What waits, and what is under way. Each worker bounds what it asks for.
struct Flow {
    queue: Mutex<Queue>,
    /// Somebody waits for a change of the queue or of the bytes under way.
    changed: Condvar,
    /// Bytes that were read and not yet taken by a worker.
    bytes: Arc<AtomicUsize>,
    most_bytes: usize,
}

struct Queue {
    waiting: Ready<Work>,
    background: VecDeque<Work>,
    /// How many went before those in the background since the last of them.
    went_before: usize,
    /// Recoveries that began and were not yet taken: told when nobody wants them any more.
    under_way: Vec<Arc<Progress>>,
    /// Threads that wait for a change: without any, nobody is woken, which would be a system call each time.
    idle: usize,
    /// Nobody waits for recoveries any more.
    closed: bool,
}

/// Stands for a recovery under way; dropping it makes room for the next.
pub(crate) struct Held {
    flow: Arc<Flow>,
    progress: Arc<Progress>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.progress.settle();
        let mut queue = self.flow.queue();
        queue
            .under_way
            .retain(|progress| !Arc::ptr_eq(progress, &self.progress));
        let idle = queue.idle;
        drop(queue);
        if idle > 0 {
            self.flow.changed.notify_all();
        }
    }
}

impl Flow {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next work and for room; `None` at the end.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            let full = self.bytes.load(Ordering::Acquire) >= self.most_bytes;
            // One must go on, however large: only its end makes room.
            if (!full || queue.under_way.is_empty())
                && let Some(work) = queue.take()
            {
                return Some(work);
            }
            queue.idle += 1;
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// The recovery begins; `None` if nobody wants it any more.
    fn begin(self: &Arc<Self>, progress: &Arc<Progress>) -> Option<Held> {
        let mut queue = self.queue();
        if queue.closed {
            return None;
        }
        queue.under_way.push(Arc::clone(progress));
        Some(Held {
            flow: Arc::clone(self),
            progress: Arc::clone(progress),
        })
    }
}

impl Queue {
    fn take(&mut self) -> Option<Work> {
        let background = !self.background.is_empty();
        if (self.went_before < BEFORE_BACKGROUND || !background)
            && let Some((priority, work)) = self.waiting.pop()
        {
            self.waiting.charge(priority, 1);
            self.went_before = if background { self.went_before + 1 } else { 0 };
            return Some(work);
        }
        self.went_before = 0;
        self.background.pop_front()
    }
}

impl RecoveryPool {
    pub(super) fn start(threads: usize, most_bytes: usize) -> std::io::Result<Self> {
        let flow = Arc::new(Flow {
            queue: Mutex::new(Queue {
                waiting: Ready::new(1),
                background: VecDeque::new(),
                went_before: 0,
                under_way: Vec::new(),
                idle: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            bytes: Arc::default(),
            most_bytes,
        });
        let mut running = Vec::with_capacity(threads);
        for index in 0..threads {
            let flow = Arc::clone(&flow);
            let thread = std::thread::Builder::new()
                .name(format!("steadfast-recovery-{index}"))
                .spawn(move || {
                    while let Some(work) = flow.next() {
                        work();
                    }
                })?;
            running.push(thread);
        }
        Ok(Self {
            flow,
            threads: Mutex::new(running),
        })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress::of(Arc::clone(&self.flow.bytes))
    }

    pub(super) fn submit(&self, shared: Arc<Shared>, job: RecoveryJob) {
        let priority: Priority = job.kind.priority;
        let background = job.background;
        let mut queue = self.flow.queue();
        if queue.closed {
            return;
        }
        let work: Work = Box::new(move || recover(&shared, job));
        if background {
            queue.background.push_back(work);
        } else {
            queue.waiting.push(priority, work);
        }
        let idle = queue.idle;
        drop(queue);
        if idle > 0 {
            self.flow.changed.notify_one();
        }
    }

    /// Ends the threads: what waits is dropped, and what is under way ends at its next entry.
    pub(super) fn close(&self) {
        let mut queue = self.flow.queue();
        queue.closed = true;
        for progress in &queue.under_way {
            progress.cancel();
        }
        queue.waiting.clear();
        let background = std::mem::take(&mut queue.background);
        drop(queue);
        drop(background);
        self.flow.changed.notify_all();
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

fn recover(shared: &Shared, job: RecoveryJob) {
    let Some(held) = shared.recovery.flow.begin(&job.progress) else {
        return;
    };
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
            number: job.number,
            held,
            generation: job.generation,
            outcome,
        };
        failpoint!("recovery.handing_over");
        // A worker that is gone needs no actors.
        drop(port.control.blocking_send(done));
        failpoint!("recovery.handed_over");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_warm_is_not_behind_everybody_who_comes() {
        let (sender, done) = std::sync::mpsc::channel();
        let work = |name: &'static str| -> Work {
            let sender = sender.clone();
            Box::new(move || sender.send(name).unwrap())
        };
        let mut queue = Queue {
            waiting: Ready::new(1),
            background: VecDeque::from([work("warm"), work("warm")]),
            went_before: 0,
            under_way: Vec::new(),
            idle: 0,
            closed: false,
        };
        for _ in 0..20 {
            queue.waiting.push(Priority::Normal, work("waited for"));
        }
        while let Some(work) = queue.take() {
            work();
        }
        let order: Vec<&str> = done.try_iter().collect();
        let warm: Vec<usize> = (0..order.len()).filter(|at| order[*at] == "warm").collect();
        assert_eq!((order.len(), warm), (22, vec![8, 17]));
    }
}
