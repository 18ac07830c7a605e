//! Queues between threads, of a lock and two condition variables.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

use loom::sync::{Condvar, Mutex, MutexGuard};

struct Queue<T> {
    state: Mutex<State<T>>,
    /// A message came, or the last sender is gone.
    filled: Condvar,
    /// A message was taken, or the receiver is gone.
    taken: Condvar,
    bound: usize,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    /// Whether anybody may still receive.
    open: bool,
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        match self.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

fn wait<'a, T>(on: &Condvar, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    match on.wait(state) {
        Ok(state) => state,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// As `std::sync::mpsc::SyncSender`.
pub struct SyncSender<T>(Arc<Queue<T>>);

/// As `std::sync::mpsc::Receiver`.
pub struct Receiver<T>(Arc<Queue<T>>);

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncSender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// As `std::sync::mpsc::sync_channel`, which here holds one message at least.
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            messages: VecDeque::new(),
            senders: 1,
            open: true,
        }),
        filled: Condvar::new(),
        taken: Condvar::new(),
        bound: bound.max(1),
    });
    (SyncSender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.filled.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open = false;
        let left = std::mem::take(&mut state.messages);
        drop(state);
        self.0.taken.notify_all();
        // Outside of the lock: what is dropped may do anything.
        drop(left);
    }
}

impl<T> SyncSender<T> {
    /// As there.
    ///
    /// # Errors
    /// The message, where nobody receives any more.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.state();
        while state.open && state.messages.len() >= self.0.bound {
            state = wait(&self.0.taken, state);
        }
        if !state.open {
            return Err(SendError(message));
        }
        state.messages.push_back(message);
        drop(state);
        self.0.filled.notify_all();
        Ok(())
    }

    /// As there.
    ///
    /// # Errors
    /// The message, where there is no room or nobody receives any more.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.state();
        if !state.open {
            return Err(TrySendError::Disconnected(message));
        }
        if state.messages.len() >= self.0.bound {
            return Err(TrySendError::Full(message));
        }
        state.messages.push_back(message);
        drop(state);
        self.0.filled.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// As there.
    ///
    /// # Errors
    /// Where nothing is there and nobody sends any more.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.state();
        loop {
            if let Some(message) = state.messages.pop_front() {
                drop(state);
                self.0.taken.notify_all();
                return Ok(message);
            }
            if state.senders == 0 {
                return Err(RecvError);
            }
            state = wait(&self.0.filled, state);
        }
    }

    /// As there.
    ///
    /// # Errors
    /// Where nothing is there.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state();
        if let Some(message) = state.messages.pop_front() {
            drop(state);
            self.0.taken.notify_all();
            return Ok(message);
        }
        Err(if state.senders == 0 {
            TryRecvError::Disconnected
        } else {
            TryRecvError::Empty
        })
    }

    /// Without time, which stands still here.
    ///
    /// # Errors
    /// Where nothing is there and nobody sends any more.
    pub fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
        self.recv()
            .map_err(|RecvError| RecvTimeoutError::Disconnected)
    }
}
