//! What hand-over points are made of. A module of its own, because `tests/handover/` has another one in its place, whose
//! every interleaving is tried.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
