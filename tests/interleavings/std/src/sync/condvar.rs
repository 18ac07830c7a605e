//! loom's condition variable with the waits that it lacks.

use std::sync::LockResult;
use std::time::Duration;

use loom::sync::{MutexGuard, WaitTimeoutResult};

/// As `std::sync::Condvar`.
#[derive(Debug, Default)]
pub struct Condvar(loom::sync::Condvar);

impl Condvar {
    /// As there.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As there, and never without a reason.
    ///
    /// # Errors
    /// Never.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// As there.
    ///
    /// # Errors
    /// Never.
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while waits(&mut guard) {
            guard = self.0.wait(guard)?;
        }
        Ok(guard)
    }

    /// Without time, which stands still here.
    ///
    /// # Errors
    /// Never.
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        wait: Duration,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        loop {
            let (next, result) = self.0.wait_timeout(guard, wait)?;
            guard = next;
            if !waits(&mut guard) {
                return Ok((guard, result));
            }
        }
    }

    /// As there.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// As there.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
