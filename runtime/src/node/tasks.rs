//! Where a node's own asynchronous work runs: on a runtime with threads, or, in a simulation, on the one thread that
//! takes all turns.
//!
//! Invariant: in a simulation no thread but that one works for the node, and which task goes on next follows from
//! the seed. So the same seed takes the same turns.
//!
//! Each task has a number, and every turn is folded into one sum: two runs that took other turns have other sums, also
//! where they took as many.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{EnterGuard, Handle};

use crate::core::random;

/// Of how many polls one is put off, on average.
const PUT_OFF: u64 = 4;

/// Puts tasks off, as a busy machine would, by a seed.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    seed: u64,
    taken: Arc<Taken>,
}

/// The turns so far.
#[derive(Debug, Default)]
struct Taken {
    drawn: AtomicU64,
    /// Tasks so far.
    tasks: AtomicU64,
    /// Which task was drawn when, and whether it was put off.
    trace: AtomicU64,
    /// Whether turns are left out of it for now.
    untraced: AtomicBool,
}

impl Turns {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            taken: Arc::default(),
        }
    }

    /// How many were drawn so far.
    pub(crate) fn drawn(&self) -> u64 {
        self.taken.drawn.load(Ordering::Relaxed)
    }

    /// All turns so far, as one number.
    pub(crate) fn trace(&self) -> u64 {
        self.taken.trace.load(Ordering::Relaxed)
    }

    /// Leaves turns out of the trace from now on, or takes them in again.
    pub(crate) fn leave_out(&self, leave_out: bool) {
        self.taken.untraced.store(leave_out, Ordering::Relaxed);
    }

    /// The number of a task that begins.
    pub(crate) fn next_task(&self) -> u64 {
        self.taken.tasks.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether `task`, which is polled, is to wait for another turn, which comes.
    pub(crate) fn puts_off(&self, task: u64, cx: &Context<'_>) -> bool {
        let taken = &self.taken;
        let number = taken.drawn.fetch_add(1, Ordering::Relaxed);
        let put_off = random(self.seed, number).is_multiple_of(PUT_OFF);
        let turn = (task << 1) | u64::from(put_off);
        if taken.untraced.load(Ordering::Relaxed) {
            return woken_if(put_off, cx);
        }
        // One thread takes all turns.
        let trace = random(taken.trace.load(Ordering::Relaxed), turn);
        taken.trace.store(trace, Ordering::Relaxed);
        woken_if(put_off, cx)
    }
}

/// Whoever is put off is woken at once.
fn woken_if(put_off: bool, cx: &Context<'_>) -> bool {
    if put_off {
        cx.waker().wake_by_ref();
    }
    put_off
}

/// A future that is put off now and then.
struct PutOff<F> {
    turns: Turns,
    task: u64,
    future: Pin<Box<F>>,
}

impl<F> PutOff<F> {
    fn new(turns: &Turns, future: F) -> Self {
        Self {
            turns: turns.clone(),
            task: turns.next_task(),
            future: Box::pin(future),
        }
    }
}

impl<F: Future> Future for PutOff<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.turns.puts_off(self.task, cx) {
            return Poll::Pending;
        }
        self.future.as_mut().poll(cx)
    }
}

/// Lets as many turns go by as there are milliseconds: whatever does not wait for time to pass is done by then.
async fn pass_turns(limit: Duration) {
    for _ in 0..limit.as_millis() {
        tokio::task::yield_now().await;
    }
}

/// Spawns tasks of the node.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    /// In a simulation, whose tasks stand in the `LocalSet` that everything runs in.
    turns: Option<Turns>,
}

impl Tasks {
    pub(super) const fn on(runtime: Handle) -> Self {
        Self {
            runtime,
            turns: None,
        }
    }

    /// To be used within a `LocalSet` of this runtime only.
    pub(super) const fn in_turns(runtime: Handle, turns: Turns) -> Self {
        Self {
            runtime,
            turns: Some(turns),
        }
    }

    pub(crate) const fn turns(&self) -> Option<&Turns> {
        self.turns.as_ref()
    }

    /// Starts a task. It is dropped with the node's runtime.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.turns {
            None => drop(self.runtime.spawn(task)),
            Some(turns) => drop(tokio::task::spawn_local(PutOff::new(turns, task))),
        }
    }

    /// Does what may block. `None` if it panicked, or the runtime ends.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match &self.turns {
            None => self.runtime.spawn_blocking(work).await.ok(),
            Some(turns) => {
                let work = async { catch_unwind(AssertUnwindSafe(work)).ok() };
                PutOff::new(turns, work).await
            }
        }
    }

    /// What comes of a future until `limit` has passed. A simulation, in which no time passes by itself, goes by turns.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        if self.turns.is_none() {
            return tokio::time::timeout(limit, future).await.ok();
        }
        tokio::select! {
            biased;
            done = future => Some(done),
            () = pass_turns(limit) => None,
        }
    }

    /// Runs a future to its end, from a thread that is in no runtime. Not in a simulation, whose turns are another's
    /// to take.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// For timers of the runtime's, which may be made where there is none.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_trace_tells_orders_apart_that_have_as_many_turns() {
        let take = |tasks: [u64; 3]| {
            let (turns, cx) = (Turns::new(7), Context::from_waker(Waker::noop()));
            for task in tasks {
                turns.puts_off(task, &cx);
            }
            (turns.drawn(), turns.trace())
        };
        let (drawn, trace) = take([1, 2, 1]);
        assert_eq!((drawn, trace), take([1, 2, 1]));
        for other in [[2, 1, 1], [1, 1, 2], [1, 2, 2]] {
            assert_eq!(take(other).0, drawn);
            assert_ne!(take(other).1, trace);
        }
    }
}
