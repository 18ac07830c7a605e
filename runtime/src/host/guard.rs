//! Dropping what an embedder defined: a `Drop` that panics must not take a worker down.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops `value`; a panic of its `Drop` ends here.
pub(crate) fn discard<T>(what: &'static str, value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        tracing::error!(
            what,
            "dropping it panicked: what its `Drop` releases may leak"
        );
        // What was thrown may be of the same kind; once is enough.
        drop(catch_unwind(AssertUnwindSafe(|| drop(panic))));
    }
}

/// A value that is dropped by [`discard`].
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    what: &'static str,
    value: Option<T>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(what: &'static str, value: Option<T>) -> Self {
        Self { what, value }
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(crate) fn set(&mut self, value: Option<T>) {
        if let Some(old) = std::mem::replace(&mut self.value, value) {
            discard(self.what, old);
        }
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.set(None);
    }
}
