//! How many effects execute at the same time: each class has its own share, so that none waits for another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::hooks::Activity;
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
    /// Counts what the test kit asks about; nothing without it.
    queue: Mutex<Queue>,
}

/// Effects of a node of the test kit that wait for a place. They have nothing to do, so they do not count as busy,
/// from the moment at which they begin to wait to that at which a place becomes free for one.
#[derive(Default)]
struct Queue {
    waiting: usize,
    /// Of these, so many have a place and have not seen it yet: they count as busy.
    granted: usize,
}

/// A place among those that execute.
pub(super) struct Permit<'a> {
    share: &'a Share,
    activity: Option<Arc<Activity>>,
    /// Given back behind what [`Drop`] does, so that nobody finds the node at rest in between.
    _place: SemaphorePermit<'a>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(activity) = &self.activity {
            self.share.queue().grant(activity);
        }
    }
}

impl Queue {
    /// A place becomes free.
    fn grant(&mut self, activity: &Activity) {
        if self.waiting > self.granted {
            self.granted += 1;
            activity.wake();
        }
    }

    /// One waits no longer, with a place or without.
    fn leave(&mut self, with_place: bool, activity: &Activity) {
        self.waiting -= 1;
        if self.granted == 0 {
            return activity.wake();
        }
        self.granted -= 1;
        if !with_place {
            // What was granted is another's.
            self.grant(activity);
        }
    }
}

/// An effect waits for a place.
struct Wait<'a> {
    share: &'a Share,
    activity: &'a Activity,
    has_place: bool,
}

impl<'a> Wait<'a> {
    fn begin(share: &'a Share, activity: &'a Activity) -> Self {
        share.queue().waiting += 1;
        activity.rest();
        Self {
            share,
            activity,
            has_place: false,
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.share.queue().leave(self.has_place, self.activity);
    }
}

impl Share {
    fn new(all: usize) -> Self {
        let all = u32::try_from(all).unwrap_or(UNBOUNDED).min(UNBOUNDED);
        Self {
            permits: Semaphore::new(all as usize),
            all,
            queue: Mutex::default(),
        }
    }

    fn running(&self) -> usize {
        (self.all as usize).saturating_sub(self.permits.available_permits())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place. `None` never comes: the semaphores are not closed.
    async fn acquire(&self, activity: Option<&Arc<Activity>>) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Some(permit);
        }
        let mut wait = activity.map(|activity| Wait::begin(self, activity));
        let permit = self.permits.acquire().await.ok();
        if let Some(wait) = &mut wait {
            wait.has_place = true;
        }
        permit
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

    /// Waits for a place. `activity` is that of the test kit's node.
    pub(super) async fn acquire(
        &self,
        class: EffectClass,
        activity: Option<&Arc<Activity>>,
    ) -> Option<Permit<'_>> {
        let share = match class {
            EffectClass::Short => &self.short,
            EffectClass::Long => &self.long,
            EffectClass::Urgent => &self.urgent,
        };
        Some(Permit {
            _place: share.acquire(activity).await?,
            share,
            activity: activity.cloned(),
        })
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
