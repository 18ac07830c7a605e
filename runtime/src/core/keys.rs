//! Keys of commands that already took effect, so that a retry gets the same answer.
//!
//! The window is bounded by count and by time. Time is the running clock; how old a key is that comes from the
//! journal, `ages` says.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::KeyRef;

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
    /// `None` for the many actors that are never given a key: they pay a pointer for it.
    kept: Option<Box<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<String, Remembered>,
    order: VecDeque<String>,
}

/// A window in a snapshot: key, fingerprint, reply, remaining time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedKeys(Vec<(String, u128, ByteBuf, Duration)>);

/// A key without the time it has left: that is told by other clocks in a recovery than in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownKey {
    key: String,
    fingerprint: u128,
    reply: ByteBuf,
}

impl SavedKeys {
    pub(crate) fn known(self) -> Vec<KnownKey> {
        let known = self.0.into_iter();
        let known = known.map(|(key, fingerprint, reply, _)| KnownKey {
            key,
            fingerprint,
            reply,
        });
        known.collect()
    }
}

impl KeyWindow {
    pub(crate) fn new(limits: KeyLimits) -> Self {
        Self { limits, kept: None }
    }

    pub(crate) fn get(&self, key: &str, running: Duration) -> Option<&Remembered> {
        let known = self.kept.as_ref()?.by_key.get(key);
        known.filter(|known| known.expires > running)
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self, running: Duration) -> usize {
        let known = self.kept.iter().flat_map(|kept| kept.by_key.values());
        known.filter(|known| known.expires > running).count()
    }

    pub(crate) fn remember(&mut self, stamp: KeyRef<'_>, running: Duration, age: Duration) {
        let remaining = self.limits.time.saturating_sub(age);
        self.insert(
            stamp.key.to_owned(),
            stamp.fingerprint,
            stamp.reply.to_vec().into(),
            running.saturating_add(remaining),
        );
        self.forget(running);
    }

    fn insert(&mut self, key: String, fingerprint: u128, reply: ByteBuf, expires: Duration) {
        let known = Remembered {
            fingerprint,
            reply,
            expires,
        };
        let kept = self.kept.get_or_insert_default();
        if kept.by_key.insert(key.clone(), known).is_some() {
            kept.order.retain(|other| *other != key);
        }
        kept.order.push_back(key);
    }

    /// Drops what is too old or too much, oldest first.
    fn forget(&mut self, running: Duration) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        while let Some(oldest) = kept.order.front() {
            let expired = kept
                .by_key
                .get(oldest)
                .is_none_or(|known| known.expires <= running);
            if !expired && kept.order.len() <= self.limits.count {
                return;
            }
            kept.by_key.remove(oldest);
            kept.order.pop_front();
        }
        self.kept = None;
    }

    pub(crate) fn save(&self, running: Duration) -> SavedKeys {
        let order = self.kept.iter().flat_map(|kept| &kept.order);
        let alive = order.filter_map(|key| {
            let known = self.get(key, running)?;
            let remaining = known.expires.saturating_sub(running);
            Some((
                key.clone(),
                known.fingerprint,
                known.reply.clone(),
                remaining,
            ))
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
