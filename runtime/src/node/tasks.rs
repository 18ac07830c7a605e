//! Where a node's own asynchronous work runs: on a runtime with threads, or, in a simulation, on the one thread that
//! takes all turns.
//!
//! Invariant: in a simulation no thread but that one works for the node, and which task goes on next follows from
//! the seed. So the same seed takes the same turns.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    drawn: Arc<AtomicU64>,
}

impl Turns {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: Arc::default(),
        }
    }

    /// How many were drawn so far: two runs that took the same turns drew as many.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }

    /// Whether whoever is polled is to wait for another turn, which comes.
    pub(crate) fn puts_off(&self, cx: &Context<'_>) -> bool {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let put_off = random(self.seed, number).is_multiple_of(PUT_OFF);
        if put_off {
            cx.waker().wake_by_ref();
        }
        put_off
    }
}

/// A future that is put off now and then.
struct PutOff<F> {
    turns: Turns,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for PutOff<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.turns.puts_off(cx) {
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
            Some(turns) => drop(tokio::task::spawn_local(PutOff {
                turns: turns.clone(),
                future: Box::pin(task),
            })),
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
                let turns = turns.clone();
                let future = Box::pin(work);
                PutOff { turns, future }.await
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
