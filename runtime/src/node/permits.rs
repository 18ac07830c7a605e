//! How many effects execute at the same time: each class has its own share, so that none waits for another.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Config;
use crate::model::EffectClass;

/// Urgent effects are not held up, but counted as the others are, so that one can wait for their end.
const UNBOUNDED: u32 = 1 << 24;

/// Invariant: held by tasks while they execute. All permits back means that none runs.
pub(super) struct Permits {
    short: Share,
    long: Share,
    urgent: Share,
}

struct Share {
    permits: Semaphore,
    all: u32,
}

impl Share {
    fn new(all: usize) -> Self {
        let all = u32::try_from(all).unwrap_or(UNBOUNDED).min(UNBOUNDED);
        Self {
            permits: Semaphore::new(all as usize),
            all,
        }
    }

    fn running(&self) -> usize {
        (self.all as usize).saturating_sub(self.permits.available_permits())
    }
}

impl Permits {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            short: Share::new(config.effects),
            long: Share::new(config.long_effects),
            urgent: Share::new(UNBOUNDED as usize),
        }
    }

    /// Waits for a place. `None` never comes: the semaphores are not closed.
    pub(super) async fn acquire(&self, class: EffectClass) -> Option<SemaphorePermit<'_>> {
        let share = match class {
            EffectClass::Short => &self.short,
            EffectClass::Long => &self.long,
            EffectClass::Urgent => &self.urgent,
        };
        share.permits.acquire().await.ok()
    }

    /// How many execute at the moment.
    pub(super) fn running(&self) -> usize {
        let shares = [&self.short, &self.long, &self.urgent];
        shares.into_iter().map(Share::running).sum()
    }

    /// Waits until none executes, once nothing new begins any more.
    pub(super) async fn wait_idle(&self) {
        for share in [&self.short, &self.long, &self.urgent] {
            drop(share.permits.acquire_many(share.all).await);
        }
    }
}
