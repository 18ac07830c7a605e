//! Keys of commands that already took effect, so that a retry gets the same answer.
//!
//! The window is bounded by count and by time. Time is the running clock; over a restart it is the
//! wall clock's difference, never negative and at most an hour, so that a jump forward forgets little.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::KeyStamp;

/// Bounds of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyLimits {
    pub(crate) count: usize,
    pub(crate) time: Duration,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: u128,
    pub(crate) reply: ByteBuf,
    expires: Duration,
}

/// The keys of one actor, oldest first.
#[derive(Debug)]
pub(crate) struct KeyWindow {
    limits: KeyLimits,
    by_key: HashMap<String, Remembered>,
    order: VecDeque<String>,
}

/// A window in a snapshot: key, fingerprint, reply, remaining time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedKeys(Vec<(String, u128, ByteBuf, Duration)>);

impl KeyWindow {
    pub(crate) fn new(limits: KeyLimits) -> Self {
        Self {
            limits,
            by_key: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &str, running: Duration) -> Option<&Remembered> {
        self.by_key.get(key).filter(|kept| kept.expires > running)
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self, running: Duration) -> usize {
        self.by_key
            .values()
            .filter(|kept| kept.expires > running)
            .count()
    }

    pub(crate) fn remember(&mut self, stamp: &KeyStamp, running: Duration, age: Duration) {
        let remaining = self.limits.time.saturating_sub(age);
        self.insert(
            stamp.key.clone(),
            stamp.fingerprint,
            stamp.reply.clone(),
            running.saturating_add(remaining),
        );
        self.forget(running);
    }

    fn insert(&mut self, key: String, fingerprint: u128, reply: ByteBuf, expires: Duration) {
        let kept = Remembered {
            fingerprint,
            reply,
            expires,
        };
        if self.by_key.insert(key.clone(), kept).is_some() {
            self.order.retain(|other| *other != key);
        }
        self.order.push_back(key);
    }

    /// Drops what is too old or too much, oldest first.
    fn forget(&mut self, running: Duration) {
        while let Some(oldest) = self.order.front() {
            let expired = self
                .by_key
                .get(oldest)
                .is_none_or(|kept| kept.expires <= running);
            if !expired && self.order.len() <= self.limits.count {
                return;
            }
            self.by_key.remove(oldest);
            self.order.pop_front();
        }
    }

    pub(crate) fn save(&self, running: Duration) -> SavedKeys {
        let alive = self.order.iter().filter_map(|key| {
            let kept = self.get(key, running)?;
            let remaining = kept.expires.saturating_sub(running);
            Some((key.clone(), kept.fingerprint, kept.reply.clone(), remaining))
        });
        SavedKeys(alive.collect())
    }

    pub(crate) fn restore(&mut self, saved: SavedKeys, running: Duration, age: Duration) {
        for (key, fingerprint, reply, remaining) in saved.0 {
            self.insert(
                key,
                fingerprint,
                reply,
                running.saturating_add(remaining.saturating_sub(age)),
            );
        }
        self.forget(running);
    }
}
