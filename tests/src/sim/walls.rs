//! What the wall clock said when: it jumps, and events have only its time.

use std::time::Duration;

use steadfast::testkit::VirtualClock;
use steadfast::{Clock, Timestamp};

/// The jumps of a wall clock. Between two of them it goes as running time does.
#[derive(Debug)]
pub(super) struct Walls {
    /// When the wall clock was set, on the running clock, and to what.
    set: Vec<(Duration, Timestamp)>,
}

impl Walls {
    pub(super) fn of(clock: &VirtualClock) -> Self {
        let mut walls = Self { set: Vec::new() };
        walls.note(clock);
        walls
    }

    /// The wall clock was set just now.
    pub(super) fn note(&mut self, clock: &VirtualClock) {
        self.set.push((clock.running(), clock.now()));
    }

    /// When the wall clock may have said `wall`, on the running clock: more than once, if it went back.
    pub(super) fn running_at(&self, wall: Timestamp) -> impl Iterator<Item = Duration> {
        let ends = self.set.iter().skip(1).map(|(end, _)| *end);
        let spans = self.set.iter().zip(ends.chain([Duration::MAX]));
        spans.filter_map(move |((from, set), end)| {
            let at = from.saturating_add(wall.since(*set));
            (wall >= *set && at <= end).then_some(at)
        })
    }

    /// No moment so far was later by the wall clock, which says `now`.
    pub(super) fn latest(&self, now: Timestamp) -> Timestamp {
        let ends = self.set.iter().zip(self.set.iter().skip(1));
        let ends = ends.map(|((from, set), (end, _))| set.plus(end.saturating_sub(*from)));
        ends.fold(now, Ord::max)
    }

    /// When it jumped, on the running clock.
    pub(super) fn jumps(&self) -> Vec<Duration> {
        self.set.iter().skip(1).map(|(at, _)| *at).collect()
    }

    /// When the wall clock last said `wall`.
    pub(super) fn last(&self, wall: Timestamp) -> Duration {
        self.running_at(wall).max().unwrap_or_default()
    }
}
