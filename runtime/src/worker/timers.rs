//! The timers that a worker holds in memory, by the time they are due: those of the wall clock in one order,
//! those of the boot clock in another, so that no jump of the wall clock moves any of them.
//!
//! A timer stays here until the journal says that it was consumed, or until it is left to the table on disk:
//! one that fired and was not consumed comes again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use steadfast_journal::ActorNumber;

use crate::core::{Clocks, Group, Micros, Place, TimerId, TimerRow, duration, micros};

/// Timers that fired and are not consumed yet. Beyond it the next ones wait: a million that are due at once
/// must not fill the mailboxes.
const IN_HAND: usize = 4_096;

/// Names a timer on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerKey {
    pub(crate) actor: ActorNumber,
    pub(crate) id: TimerId,
}

/// Which order a timer waits in, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Wall(Micros),
    Running(Micros),
}

#[derive(Debug)]
struct Job {
    row: TimerRow,
    /// When it was due, on the running clock; for a timer of the wall clock not known before it is.
    deadline: Option<Micros>,
    /// `None` while it is with its actor.
    wait: Option<Wait>,
    /// Whether it waits for another try.
    again: bool,
}

/// All timers of a worker that are in memory.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    jobs: HashMap<TimerKey, Job>,
    wall: BTreeSet<(Micros, TimerKey)>,
    running: BTreeSet<(Micros, TimerKey)>,
    in_hand: usize,
    /// Those whose actor has a full mailbox: they count as being in hand.
    stalled: Vec<TimerKey>,
    /// What the clocks said when timers were last looked for.
    seen: Option<Clocks>,
}

/// A timer that is due.
#[derive(Debug)]
pub(crate) struct DueTimer {
    pub(crate) key: TimerKey,
    pub(crate) row: TimerRow,
    /// When it was due, on the running clock.
    pub(crate) deadline: Micros,
    pub(crate) late: Duration,
}

impl Timers {
    /// Adds a timer, or sets it anew. `shift` is the running clock's distance from the clock of the boot that
    /// the timer was set in.
    pub(crate) fn set(&mut self, actor: ActorNumber, row: TimerRow, shift: Micros) {
        let due = &row.timer.due;
        let (order, id) = (due.order(), row.timer.id);
        let key = TimerKey { actor, id };
        let (deadline, wait) = match due.group() {
            Group::Wall => (None, Wait::Wall(order)),
            Group::Boot(_) => {
                let deadline = order.saturating_add(shift);
                (Some(deadline), Wait::Running(deadline))
            }
        };
        self.remove(key, None);
        let job = Job {
            row,
            deadline,
            wait: None,
            again: false,
        };
        self.jobs.insert(key, job);
        self.in_hand += 1;
        self.put(key, wait);
    }

    /// Lets a timer that is in hand wait.
    fn put(&mut self, key: TimerKey, wait: Wait) {
        let Some(job) = self.jobs.get_mut(&key).filter(|job| job.wait.is_none()) else {
            return;
        };
        job.wait = Some(wait);
        self.in_hand -= 1;
        match wait {
            Wait::Wall(at) => self.wall.insert((at, key)),
            Wait::Running(at) => self.running.insert((at, key)),
        };
    }

    /// Takes a timer in hand.
    fn take(&mut self, key: TimerKey) {
        let Some(wait) = self.jobs.get_mut(&key).and_then(|job| job.wait.take()) else {
            return;
        };
        self.in_hand += 1;
        match wait {
            Wait::Wall(at) => self.wall.remove(&(at, key)),
            Wait::Running(at) => self.running.remove(&(at, key)),
        };
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The name and firing of a timer that is known.
    pub(crate) fn get(&self, key: TimerKey) -> Option<(&str, u64)> {
        let timer = &self.jobs.get(&key)?.row.timer;
        Some((&timer.name, timer.due.firing))
    }

    /// Forgets a timer; with `firing`, only if that is the one it waits for.
    pub(crate) fn remove(&mut self, key: TimerKey, firing: Option<u64>) {
        let stands = self
            .jobs
            .get(&key)
            .is_some_and(|job| firing.is_none_or(|firing| job.row.timer.due.firing == firing));
        if stands {
            self.take(key);
            self.jobs.remove(&key);
            self.in_hand -= 1;
        }
    }

    /// Brings a timer again after `wait`, unless it was consumed or waits already.
    pub(crate) fn again(&mut self, key: TimerKey, running: Duration, wait: Duration) {
        let at = micros(running.saturating_add(wait));
        if let Some(job) = self.jobs.get_mut(&key).filter(|job| job.wait.is_none()) {
            job.again = true;
        }
        self.put(key, Wait::Running(at));
    }

    /// Brings a timer again when [`retry_stalled`](Self::retry_stalled) is called.
    pub(crate) fn stall(&mut self, key: TimerKey) {
        self.stalled.push(key);
    }

    /// Lets the timers that found a full mailbox try again.
    pub(crate) fn retry_stalled(&mut self, running: Duration) {
        for key in std::mem::take(&mut self.stalled) {
            self.again(key, running, Duration::ZERO);
        }
    }

    /// Takes the next timer that is due, if not too many are in hand.
    pub(crate) fn pop_due(&mut self, clocks: Clocks) -> Option<DueTimer> {
        if self.in_hand >= IN_HAND {
            return None;
        }
        let (now, running) = (clocks.now.as_micros(), clocks.running_us());
        let by_wall = self
            .wall
            .first()
            .map(|(at, key)| (now.saturating_sub(*at), *key));
        let by_boot = self
            .running
            .first()
            .map(|(at, key)| (running.saturating_sub(*at), *key));
        let (overdue, key) = by_boot.max(by_wall)?;
        if overdue < 0 {
            return None;
        }
        self.take(key);
        let seen = self.seen;
        let job = self.jobs.get_mut(&key)?;
        let deadline = *job.deadline.get_or_insert_with(|| {
            // Due since the last look at most, though the wall clock may have jumped by years.
            let since = seen
                .filter(|seen| job.row.timer.due.order() > seen.now.as_micros())
                .map_or(overdue, |seen| running.saturating_sub(seen.running_us()));
            running.saturating_sub(overdue.min(since))
        });
        Some(DueTimer {
            key,
            row: job.row.clone(),
            deadline,
            late: duration(running.saturating_sub(deadline)),
        })
    }

    /// Notes that all that was due was looked at.
    pub(crate) fn looked(&mut self, clocks: Clocks) {
        self.seen = Some(clocks);
    }

    /// How long until the next one is due; `None` while too many are in hand.
    pub(crate) fn next_wait(&self, clocks: Clocks) -> Option<Duration> {
        if self.in_hand >= IN_HAND {
            return None;
        }
        let by_wall = self
            .wall
            .first()
            .map(|(at, _)| at.saturating_sub(clocks.now.as_micros()));
        let by_boot = self
            .running
            .first()
            .map(|(at, _)| at.saturating_sub(clocks.running_us()));
        by_wall.into_iter().chain(by_boot).min().map(duration)
    }

    /// Leaves the timers that are due last to the table on disk, until `keep` are left or the next one is due
    /// within `until`. Returns the first one left in each group.
    pub(crate) fn trim(
        &mut self,
        keep: usize,
        until: Duration,
        clocks: Clocks,
    ) -> BTreeMap<Group, Place> {
        let mut left = BTreeMap::new();
        let (now, running) = (clocks.now.as_micros(), clocks.running_us());
        let mut kept: Vec<(Micros, TimerKey)> = Vec::new();
        while self.jobs.len() > keep {
            let by_wall = self
                .wall
                .last()
                .map(|(at, key)| (at.saturating_sub(now), *key));
            let by_boot = self
                .running
                .last()
                .map(|(at, key)| (at.saturating_sub(running), *key));
            let Some((wait, key)) = by_boot
                .max(by_wall)
                .filter(|(wait, _)| *wait > micros(until))
            else {
                break;
            };
            let Some(job) = self.jobs.get(&key) else {
                break;
            };
            if job.again {
                // It is due already: nobody would look for it among those that are not.
                let at = wait.saturating_add(running);
                self.running.remove(&(at, key));
                kept.push((at, key));
                continue;
            }
            let due = &job.row.timer.due;
            let place = Place::new(due, key.actor, key.id);
            left.entry(due.group())
                .and_modify(|first: &mut Place| *first = place.min(*first))
                .or_insert(place);
            self.remove(key, None);
        }
        self.running.extend(kept);
        left
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
