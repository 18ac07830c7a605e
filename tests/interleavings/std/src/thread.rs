//! Threads.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use std::thread::{Result, panicking, sleep};

pub use loom::thread::{Thread, ThreadId, current, yield_now};

/// Words of a thread's stack: loom's own default is too small for a journal.
const STACK: usize = 1 << 16;

/// As `std::thread::Builder`.
#[derive(Debug)]
pub struct Builder(loom::thread::Builder);

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// As there.
    #[must_use]
    pub fn new() -> Self {
        Self(loom::thread::Builder::new().stack_size(STACK))
    }

    /// As there.
    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// As there.
    ///
    /// # Errors
    /// Never.
    pub fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let finished = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&finished);
        let thread = self.0.spawn(move || {
            let result = run();
            tell.store(true, Ordering::SeqCst);
            result
        })?;
        Ok(JoinHandle { thread, finished })
    }
}

/// As `std::thread::JoinHandle`.
pub struct JoinHandle<T> {
    thread: loom::thread::JoinHandle<T>,
    finished: Arc<AtomicBool>,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle")
    }
}

impl<T> JoinHandle<T> {
    /// As there.
    ///
    /// # Errors
    /// Never: a panic ends the whole exploration.
    pub fn join(self) -> Result<T> {
        self.thread.join()
    }

    /// As there.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    /// As there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }
}
