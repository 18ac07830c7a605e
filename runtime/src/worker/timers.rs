//! The pending timers of a worker's actors, by the time they are due on the running clock.
//!
//! A timer stays here until the journal says that it was consumed: one that fired and was not consumed
//! comes again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use steadfast_journal::ActorNumber;

use crate::core::{TimerId, TimerRow};
use crate::model::Timestamp;

/// Names a timer on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TimerKey {
    pub(crate) actor: ActorNumber,
    pub(crate) id: TimerId,
}

/// Microseconds on the running clock; negative for what was due before it started.
type Moment = i64;

#[derive(Debug)]
struct Job {
    row: TimerRow,
    deadline: Moment,
    /// Its place in the order; `None` while it is with its actor.
    place: Option<(Moment, u64)>,
}

/// All timers of a worker.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    jobs: HashMap<TimerKey, Job>,
    order: BTreeMap<(Moment, u64), TimerKey>,
    next: u64,
}

/// A timer that is due.
#[derive(Debug)]
pub(crate) struct DueTimer {
    pub(crate) key: TimerKey,
    pub(crate) row: TimerRow,
    pub(crate) late: Duration,
}

pub(crate) fn moment(running: Duration) -> Moment {
    i64::try_from(running.as_micros()).unwrap_or(Moment::MAX)
}

impl Timers {
    /// Adds a timer. A wall clock that jumped back makes it wait at most its own delay.
    pub(crate) fn set(
        &mut self,
        actor: ActorNumber,
        row: TimerRow,
        now: Timestamp,
        running: Duration,
    ) {
        let key = TimerKey {
            actor,
            id: row.timer.id,
        };
        self.remove(key, None);
        let wait = row.timer.due.as_micros().saturating_sub(now.as_micros());
        let longest = i64::try_from(row.timer.delay.as_micros()).unwrap_or(Moment::MAX);
        let deadline = moment(running).saturating_add(wait.min(longest));
        let place = self.place(key, deadline);
        self.jobs.insert(
            key,
            Job {
                row,
                deadline,
                place: Some(place),
            },
        );
    }

    fn place(&mut self, key: TimerKey, moment: Moment) -> (Moment, u64) {
        self.next += 1;
        let place = (moment, self.next);
        self.order.insert(place, key);
        place
    }

    pub(crate) fn knows(&self, actor: ActorNumber, id: TimerId) -> bool {
        self.jobs.contains_key(&TimerKey { actor, id })
    }

    /// Forgets a timer; with `due`, only the setting that was due then.
    pub(crate) fn remove(&mut self, key: TimerKey, due: Option<Timestamp>) {
        let stands = self
            .jobs
            .get(&key)
            .is_some_and(|job| due.is_none_or(|due| job.row.timer.due == due));
        if !stands {
            return;
        }
        if let Some(place) = self.jobs.remove(&key).and_then(|job| job.place) {
            self.order.remove(&place);
        }
    }

    /// Brings a timer again after `wait`, unless it was consumed or waits already.
    pub(crate) fn again(&mut self, key: TimerKey, running: Duration, wait: Duration) {
        let at = moment(running.saturating_add(wait));
        if self.jobs.get(&key).is_some_and(|job| job.place.is_none()) {
            let place = self.place(key, at);
            if let Some(job) = self.jobs.get_mut(&key) {
                job.place = Some(place);
            }
        }
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop_due(&mut self, running: Duration) -> Option<DueTimer> {
        let now = moment(running);
        let (place, key) = self
            .order
            .first_key_value()
            .map(|(place, key)| (*place, *key))?;
        if place.0 > now {
            return None;
        }
        self.order.remove(&place);
        let job = self.jobs.get_mut(&key)?;
        job.place = None;
        let late = u64::try_from(now.saturating_sub(job.deadline)).unwrap_or(0);
        Some(DueTimer {
            key,
            row: job.row.clone(),
            late: Duration::from_micros(late),
        })
    }

    /// How long until the next one is due.
    pub(crate) fn next_wait(&self, running: Duration) -> Option<Duration> {
        let ((at, _), _) = self.order.first_key_value()?;
        let wait = at.saturating_sub(moment(running));
        Some(Duration::from_micros(u64::try_from(wait).unwrap_or(0)))
    }

    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
        self.order.clear();
    }
}
