//! How far a recovery is: seen from outside while it runs, told from inside in pieces.
//!
//! A file of its own because recoveries share the sums, and nothing here knows what is recovered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What is seen of a recovery from outside while it runs, and how it is ended early.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    events: AtomicU64,
    bytes: AtomicUsize,
    cancelled: AtomicBool,
    /// Bytes of all recoveries under way.
    total: Arc<AtomicUsize>,
}

impl Progress {
    pub(crate) fn of(total: Arc<AtomicUsize>) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    /// So much was read.
    pub(super) fn note(&self, events: usize, bytes: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Nobody wants the actor any more.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// What was read is in nobody's way any more.
    pub(crate) fn settle(&self) {
        let bytes = self.bytes.swap(0, Ordering::AcqRel);
        self.total.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What one replay has read and not yet told: all recoveries share the sums, and small entries come so fast that
/// their threads would wait for each other.
pub(super) struct Read<'a> {
    progress: &'a Progress,
    events: usize,
    bytes: usize,
}

impl<'a> Read<'a> {
    /// Bytes and events that are told together.
    const TOGETHER: (usize, usize) = (16 << 10, 256);

    pub(super) fn of(progress: &'a Progress) -> Self {
        Self {
            progress,
            events: 0,
            bytes: 0,
        }
    }

    pub(super) fn note(&mut self, events: usize, bytes: usize) {
        self.events += events;
        self.bytes += bytes;
        if self.bytes >= Self::TOGETHER.0 || self.events >= Self::TOGETHER.1 {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.progress.note(self.events, self.bytes);
        (self.events, self.bytes) = (0, 0);
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}
