//! Goal: at the points where threads hand work to each other, no order of their steps loses any of it or leaves somebody
//! waiting.
//!
//! Method: loom tries every interleaving, with at most a few preemptions, of the very source files, whose locks and
//! atomics are loom's here. A wake-up that is lost shows as a deadlock, which loom reports.

mod flow;

use loom::model::Builder;

/// What `runtime/src/node/sync.rs` is elsewhere.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;
}

/// Changes from a thread to another that it did not ask for. Nearly all faults need no more than two.
const PREEMPTIONS: usize = 3;

fn every_interleaving(of: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(of);
}
