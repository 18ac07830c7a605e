//! Work on its way to a few threads: what waits, in which order it is taken, and how much may be under way.
//!
//! A file of its own, without anything of a node, because every interleaving of it is tried (`tests/interleavings/`).
//!
//! Invariants:
//! * Who waits is woken by whatever may let it go on: work, room, the end.
//! * One piece of work is always let through, however large: only its end makes room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Priority, Ready};

/// Pieces of work that somebody waits for between two that nobody waited for when they were asked for.
const BEFORE_BACKGROUND: usize = 8;

/// Called when there may be something to do, for those who do not wait in [`Flow::next`].
type Told = Box<dyn Fn() + Send + Sync>;

/// Work that began and is still held by somebody.
pub(crate) trait UnderWay {
    /// It takes no room any more.
    fn settle(&self);

    /// Nobody wants it any more.
    fn cancel(&self);
}

/// What waits, and what is under way. Whoever submits bounds how much that is.
pub(super) struct Flow<W, P> {
    queue: Mutex<Queue<W, P>>,
    /// Somebody waits for a change of the queue or of the bytes under way.
    changed: Condvar,
    told: Option<Told>,
    /// Bytes that are under way.
    bytes: Arc<AtomicUsize>,
    most_bytes: usize,
}

struct Queue<W, P> {
    waiting: Ready<W>,
    background: VecDeque<W>,
    /// How many went before those in the background since the last of them.
    went_before: usize,
    under_way: Vec<Arc<P>>,
    /// Threads that wait for a change: without any, nobody is woken, which would be a system call each time.
    idle: usize,
    /// Nobody waits for anything any more.
    closed: bool,
}

/// Stands for work under way; dropping it makes room for the next.
pub(crate) struct Held<W, P: UnderWay> {
    flow: Arc<Flow<W, P>>,
    progress: Arc<P>,
}

impl<W, P: UnderWay> Drop for Held<W, P> {
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
        self.flow.tell();
    }
}

impl<W, P: UnderWay> Flow<W, P> {
    pub(super) fn new(most_bytes: usize, told: Option<Told>) -> Self {
        Self {
            queue: Mutex::new(Queue {
                waiting: Ready::new(1),
                background: VecDeque::new(),
                went_before: 0,
                under_way: Vec::new(),
                idle: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            told,
            bytes: Arc::new(AtomicUsize::new(0)),
            most_bytes,
        }
    }

    /// What is under way counts itself here.
    pub(super) const fn bytes(&self) -> &Arc<AtomicUsize> {
        &self.bytes
    }

    /// Queues work that somebody waits for, by its priority, or else work for the background. Nothing is queued
    /// once it is closed.
    pub(super) fn submit(&self, priority: Option<Priority>, work: W) {
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        match priority {
            Some(priority) => queue.waiting.push(priority, work),
            None => queue.background.push_back(work),
        }
        let idle = queue.idle;
        drop(queue);
        if idle > 0 {
            self.changed.notify_one();
        }
        self.tell();
    }

    /// Waits for the next work and for room; `None` at the end.
    pub(super) fn next(&self) -> Option<W> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = self.take(&mut queue) {
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

    /// The next work, if there is some and room for it.
    pub(super) fn try_next(&self) -> Option<W> {
        self.take(&mut self.queue())
    }

    fn take(&self, queue: &mut Queue<W, P>) -> Option<W> {
        let full = self.bytes.load(Ordering::Acquire) >= self.most_bytes;
        if full && !queue.under_way.is_empty() {
            return None;
        }
        queue.take()
    }

    /// Work begins; `None` if nobody wants it any more.
    pub(super) fn begin(flow: &Arc<Self>, progress: &Arc<P>) -> Option<Held<W, P>> {
        let mut queue = flow.queue();
        if queue.closed {
            return None;
        }
        queue.under_way.push(Arc::clone(progress));
        drop(queue);
        Some(Held {
            flow: Arc::clone(flow),
            progress: Arc::clone(progress),
        })
    }

    /// From now on nothing is taken: what waits is dropped, and what is under way is told that nobody wants it.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        for progress in &queue.under_way {
            progress.cancel();
        }
        let waiting = std::mem::replace(&mut queue.waiting, Ready::new(1));
        let background = std::mem::take(&mut queue.background);
        drop(queue);
        drop((waiting, background));
        self.changed.notify_all();
    }

    fn tell(&self) {
        if let Some(told) = &self.told {
            told();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<W, P>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W, P> Queue<W, P> {
    fn take(&mut self) -> Option<W> {
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
