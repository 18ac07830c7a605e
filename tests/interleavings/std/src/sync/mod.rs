//! Locks and queues.
//!
//! `Arc` stays what it is: it orders nothing that is tested here, and loom's cannot hold what has no size.

mod condvar;
pub mod mpsc;
mod once_lock;

pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};

pub use loom::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult, atomic,
};

pub use condvar::Condvar;
pub use once_lock::OnceLock;
