//! What a core keeps, in a form in which an actor in memory is compared with the same one recovered. For the test kit.

use std::time::Duration;

use super::keys::KnownKey;
use super::{Core, PendingEffect, PendingTimer};

/// Numbers, pending work and remembered keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    entry: u64,
    timers: Vec<PendingTimer>,
    effects: Vec<PendingEffect>,
    keys: Vec<KnownKey>,
}

impl Kept {
    pub(crate) fn of(core: &Core, running: Duration) -> Self {
        Self {
            entry: core.entry,
            timers: core.timers.values().cloned().collect(),
            effects: core.effects.values().cloned().collect(),
            keys: core.keys.save(running).known(),
        }
    }

    /// Leaves the keys that both know, where the oldest of one may have been forgotten already: a recovery tells how old
    /// they are by the wall clock.
    pub(crate) fn forget_as(&mut self, other: &mut Self) {
        let both = self.keys.len().min(other.keys.len());
        for keys in [&mut self.keys, &mut other.keys] {
            drop(keys.drain(..keys.len() - both));
        }
    }
}
