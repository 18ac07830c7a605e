//! How old remembered keys are.
//!
//! Invariant: nothing is taken for older than the running clock says, except that a restart adds what the wall clock
//! says of the time before it, at most an hour. So whoever sets the wall clock makes no key be forgotten early; late
//! is harmless, since the keys of an actor are bounded by count as well.
//!
//! Method: an entry says its wall time, which proves nothing. But commits are numbered, and the node knows when, on
//! the running clock, it had which commit: an entry is at least as old as the first moment at which its commit was
//! there. A snapshot says its moment on the running clock itself.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Clocks;
use crate::model::{BootId, Start, Timestamp};

/// The most by which a restart ages what was written before it: the wall clock may have jumped.
const LONGEST_AGEING: Duration = Duration::from_secs(3600);
/// Of the time for which keys are remembered, by how much an entry may seem younger than it is.
const SHARE: u32 = 128;

/// A moment on the running clock of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    boot: BootId,
    running: Duration,
}

impl From<Clocks> for Moment {
    fn from(clocks: Clocks) -> Self {
        Self {
            boot: clocks.boot,
            running: clocks.running,
        }
    }
}

/// Which commits were durable when, on the running clock, in this life of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(VecDeque<(u64, Duration)>);

impl Marks {
    /// All commits up to `commit` are durable at `running`; older marks than the last `window` are not needed.
    pub(crate) fn note(&mut self, commit: u64, running: Duration, window: Duration) {
        let marks = &mut self.0;
        let before_last = marks.len().checked_sub(2).and_then(|at| marks.get(at));
        let since = |moment: Duration| running.saturating_sub(moment);
        if before_last.is_some_and(|(_, moment)| since(*moment) < window / SHARE) {
            // What the last one stood for seems a little younger.
            marks.pop_back();
        }
        marks.push_back((commit, running));
        while marks.get(1).is_some_and(|(_, next)| since(*next) >= window) {
            marks.pop_front();
        }
    }

    /// How old what stands in `commit` is at least.
    fn age(&self, commit: u64, running: Duration) -> Duration {
        let first = self.0.partition_point(|(durable, _)| *durable < commit);
        let mark = self.0.get(first);
        mark.map_or(Duration::ZERO, |(_, moment)| {
            running.saturating_sub(*moment)
        })
    }
}

/// What the ages of entries and snapshots follow from.
#[derive(Debug, Clone)]
pub(crate) struct Ages {
    start: Start,
    /// The newest commit when this node opened its journal for the first time: what is behind it is of this life.
    opened: u64,
    marks: Marks,
}

impl Ages {
    pub(crate) const fn new(start: Start, opened: u64, marks: Marks) -> Self {
        Self {
            start,
            opened,
            marks,
        }
    }

    /// Everything was written before now.
    pub(crate) fn all_before(clocks: Clocks) -> Self {
        let start = Start {
            wall: clocks.now,
            running: clocks.running,
        };
        Self::new(start, u64::MAX, Marks::default())
    }

    pub(crate) fn of_entry(&self, commit: u64, written: Timestamp, running: Duration) -> Duration {
        if commit > self.opened {
            self.marks.age(commit, running)
        } else {
            self.before(written, running)
        }
    }

    /// Earlier versions left the moment out: what they wrote is of an earlier life.
    pub(crate) fn of_snapshot(
        &self,
        taken_at: Timestamp,
        moment: Option<Moment>,
        now: Moment,
    ) -> Duration {
        match moment {
            Some(moment) if moment.boot == now.boot => now.running.saturating_sub(moment.running),
            Some(_) | None => self.before(taken_at, now.running),
        }
    }

    /// By the running clock for the life of this node, and by the wall clock, with a limit, for the time before.
    fn before(&self, then: Timestamp, running: Duration) -> Duration {
        let life = running.saturating_sub(self.start.running);
        life.saturating_add(self.start.wall.since(then).min(LONGEST_AGEING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::random;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn marks_are_few_and_make_nothing_older_than_it_is() {
        let (mut marks, mut running) = (Marks::default(), SECOND);
        let mut written = Vec::new();
        for commit in 1..20_000_u64 {
            // Mostly seconds, now and then hours.
            let draw = random(7, commit);
            let rare = draw.is_multiple_of(500);
            let most = if rare { 30_000 } else { 60 };
            running += SECOND * u32::try_from(draw % most).unwrap();
            marks.note(commit, running, DAY);
            written.push((commit, running));
            assert!(marks.0.len() <= 130, "{}", marks.0.len());
            if !commit.is_multiple_of(97) {
                continue;
            }
            for (commit, moment) in written.iter().rev().step_by(31) {
                let true_age = running.saturating_sub(*moment);
                let age = marks.age(*commit, running);
                assert!(age <= true_age, "older than it is");
                let least = true_age.saturating_sub(DAY / SHARE).min(DAY);
                assert!(age >= least, "{age:?} instead of {true_age:?}");
            }
        }
    }

    #[test]
    fn what_no_mark_stands_for_is_new() {
        let mut marks = Marks::default();
        assert_eq!(marks.age(1, DAY), Duration::ZERO);
        marks.note(5, SECOND, DAY);
        assert_eq!(marks.age(5, DAY), DAY.saturating_sub(SECOND));
        assert_eq!(marks.age(6, DAY), Duration::ZERO);
    }

    #[test]
    fn a_restart_ages_by_an_hour_at_most() {
        let wall = Timestamp::from_micros(1_767_225_600_000_000);
        let start = Start {
            wall: wall.plus(DAY),
            running: SECOND,
        };
        let ages = Ages::new(start, 10, Marks::default());
        let hour = Duration::from_secs(3600);
        assert_eq!(ages.of_entry(10, wall, 3 * SECOND), hour + 2 * SECOND);
        assert_eq!(ages.of_entry(11, wall, 3 * SECOND), Duration::ZERO);
        let later = wall.plus(2 * DAY);
        assert_eq!(ages.of_entry(10, later, 3 * SECOND), 2 * SECOND);
        let moment = |boot, running| Moment {
            boot: BootId::from_u128(boot),
            running,
        };
        let now = moment(1, 3 * DAY);
        let same = ages.of_snapshot(wall, Some(moment(1, DAY)), now);
        assert_eq!(same, 2 * DAY);
        for unknown in [None, Some(moment(2, DAY))] {
            let age = ages.of_snapshot(wall, unknown, now);
            assert_eq!(age + SECOND, hour + 3 * DAY);
        }
    }
}
