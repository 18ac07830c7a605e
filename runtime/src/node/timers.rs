//! The window of timers in memory: which part of the table the workers hold. `loader` moves it.
//!
//! Millions of timers may be pending. The table orders them by the time they are due, in one group for the
//! wall clock and one for each boot whose clock they follow. Of each group the workers hold what stands
//! before its bound; the rest is on disk only.
//!
//! Invariant: a row before its group's bound is held by its worker, is on its way there, or belongs to an
//! actor that is set aside. The bound is raised before the rows are read, and a worker looks at the bound
//! when a timer is durable: so either the worker sees the bound or the read sees the row. It is lowered
//! before a worker forgets what stands behind it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;
use crate::core::{Clocks, Group, Micros, Place, duration, micros};

/// A bound that is due within this time is raised. Longer than workers sleep between two looks.
const NEAR: Duration = Duration::from_secs(60);
/// Most rows that are read at once.
const PAGE: usize = 1_024;

/// Up to where the timers of a group are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    Nothing,
    Below(Place),
    Everything,
}

#[derive(Debug)]
struct Part {
    group: Group,
    bound: Bound,
    /// What has to be added to the group's clock to get the running clock.
    shift: Micros,
}

impl Part {
    /// How long until the first timer behind the bound may be due, in microseconds.
    fn wait(&self, clocks: Clocks) -> Option<Micros> {
        let order = match self.bound {
            Bound::Nothing => return Some(Micros::MIN),
            Bound::Below(place) => place.order,
            Bound::Everything => return None,
        };
        Some(match self.group {
            Group::Wall => order.saturating_sub(clocks.now.as_micros()),
            Group::Boot(_) => order
                .saturating_add(self.shift)
                .saturating_sub(clocks.running_us()),
        })
    }
}

#[derive(Debug, Default)]
struct Parts {
    generation: u64,
    /// Empty until pending work is started.
    parts: Vec<Part>,
}

/// The window's bounds and how much it holds.
#[derive(Debug)]
pub(crate) struct TimerWindow {
    limit: usize,
    /// Timers in memory, of all workers.
    held: AtomicUsize,
    /// When the workers were asked to let go and found nothing; `None` once that may be different.
    futile: Mutex<Option<Clocks>>,
    parts: RwLock<Parts>,
    /// Wakes the loader.
    pub(super) wanted: Notify,
    /// One filling at a time.
    pub(super) filling: tokio::sync::Mutex<()>,
}

/// What the loader does next.
pub(super) enum Next {
    Raise(Group),
    Trim {
        target: usize,
        held: usize,
        until: Duration,
    },
    Rest,
}

impl TimerWindow {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
            futile: Mutex::default(),
            parts: RwLock::default(),
            wanted: Notify::new(),
            filling: tokio::sync::Mutex::new(()),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Parts> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows that are read at once: a part of the window, so that it is not overfilled.
    pub(super) fn page(&self) -> usize {
        (self.limit / 8).clamp(1, PAGE)
    }

    /// A new generation: nothing is loaded.
    pub(super) fn reset(&self, generation: u64) {
        *self.write() = Parts {
            generation,
            parts: Vec::new(),
        };
    }

    pub(super) fn begin(&self, generation: u64, groups: Vec<(Group, Micros)>) {
        let mut parts = self.write();
        if parts.generation == generation && parts.parts.is_empty() {
            let new = |(group, shift)| Part {
                group,
                bound: Bound::Nothing,
                shift,
            };
            parts.parts = groups.into_iter().map(new).collect();
        }
    }

    /// Whether a timer that became durable is to be held in memory; with the shift of its clock.
    pub(crate) fn admit(&self, group: Group, place: Place) -> Option<Micros> {
        let shift = {
            let parts = self.read();
            let part = parts.parts.iter().find(|part| part.group == group)?;
            (Bound::Below(place) < part.bound).then_some(part.shift)
        }?;
        if self.held.load(Ordering::Relaxed) < self.limit.saturating_mul(2) {
            return Some(shift);
        }
        self.lower(group, place);
        self.wanted.notify_one();
        None
    }

    /// What has to be added to a group's clock to get the running clock.
    pub(crate) fn shift(&self, group: Group) -> Micros {
        let parts = self.read();
        let part = parts.parts.iter().find(|part| part.group == group);
        part.map_or(0, |part| part.shift)
    }

    /// From `place` on, the timers of a group are not in memory.
    pub(crate) fn lower(&self, group: Group, place: Place) {
        let mut parts = self.write();
        if let Some(part) = parts.parts.iter_mut().find(|part| part.group == group) {
            part.bound = part.bound.min(Bound::Below(place));
        }
        drop(parts);
        self.set_futile(None);
    }

    /// Raises a bound, if it is still where it was. Rows are read after this.
    pub(super) fn raise(&self, generation: u64, group: Group, from: Bound, to: Bound) -> bool {
        let mut parts = self.write();
        let current = parts.generation == generation;
        let part = parts.parts.iter_mut().find(|part| part.group == group);
        match part.filter(|part| current && part.bound == from) {
            Some(part) => {
                part.bound = to;
                true
            }
            None => false,
        }
    }

    pub(super) fn bound(&self, group: Group) -> Option<Bound> {
        let parts = self.read();
        let part = parts.parts.iter().find(|part| part.group == group)?;
        Some(part.bound)
    }

    /// How long until the first timer behind a bound may be due, in microseconds.
    pub(super) fn first_unloaded(&self, clocks: Clocks) -> Option<Micros> {
        let parts = self.read();
        parts
            .parts
            .iter()
            .filter_map(|part| part.wait(clocks))
            .min()
    }

    /// Notes that the workers are asked to let go. If they do, they take it back.
    pub(super) fn set_futile(&self, at: Option<Clocks>) {
        *self.futile.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Whether asking again would find as little. A jump of the wall clock may have made others the last.
    fn is_futile(&self, clocks: Clocks) -> bool {
        let futile = *self.futile.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = |at: Clocks| at.now.as_micros().saturating_sub(at.running_us());
        futile.is_some_and(|at| {
            let jumped = offset(at).abs_diff(offset(clocks)) > 100_000;
            !jumped && clocks.running.saturating_sub(at.running) < Duration::from_secs(1)
        })
    }

    /// Wakes the loader if there is something for it to do.
    pub(crate) fn look(&self, clocks: Clocks) {
        if !matches!(self.next(clocks, false), Next::Rest) {
            self.wanted.notify_one();
        }
    }

    /// What to do next; `filling` goes on beyond the point where it would not begin.
    pub(super) fn next(&self, clocks: Clocks, filling: bool) -> Next {
        let held = self.held.load(Ordering::Relaxed);
        let first = {
            let parts = self.read();
            let waits = parts.parts.iter();
            let waits = waits.filter_map(|part| Some((part.wait(clocks)?, part.group)));
            waits.min()
        };
        let room = held.saturating_add(self.page()) <= self.limit || held == 0;
        let near = first.is_some_and(|(wait, _)| wait < micros(NEAR));
        if let Some((_, group)) = first {
            let low = held < self.limit / 2 || (filling && held < self.limit / 4 * 3);
            if room && (near || low) {
                return Next::Raise(group);
            }
        }
        let crowded = held > self.limit / 2 * 3 || (near && !room);
        if crowded && !self.is_futile(clocks) {
            let target = self.limit / 2;
            // What is due before the first that is on disk only is not in its way.
            let until = duration(first.map_or(0, |(wait, _)| wait));
            return Next::Trim {
                target,
                held,
                until,
            };
        }
        Next::Rest
    }
}

impl Shared {
    /// What the clocks say now.
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            now: self.clock.now(),
            running: self.clock.running(),
            boot: self.clock.boot(),
        }
    }

    /// A worker holds so many timers, and held so many when it last said so.
    pub(crate) fn account_timers(&self, before: usize, now: usize) {
        if before == now {
            return;
        }
        let held = &self.timers.held;
        self.timers.set_futile(None);
        if now > before {
            held.fetch_add(now - before, Ordering::Relaxed);
        } else {
            held.fetch_sub(before - now, Ordering::Relaxed);
        }
        self.metrics.timers_held(before, now);
    }
}
