//! Due times: when a timer is due for the first time, and what a firing makes of those that passed.
//!
//! Pure functions of the clocks and a seed: a turn that is handled again decides the same.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_journal::mutant;

use super::PendingTimer;
use crate::model::{BootId, CatchUp, Cron, CronError, CronText, Schedule, Timer, Timestamp};

/// Due times that gathered and still fire under [`CatchUp::All`].
const GATHERED: u64 = 1_000;
/// Missed times of a cron expression that are counted; it is not worth more to know the number.
const COUNTED: u64 = 10_000;
const SECOND_US: i64 = 1_000_000;

/// Microseconds on the clock that a timer follows: of the wall since 1970, or of a boot.
pub(crate) type Micros = i64;

/// What the clocks say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) now: Timestamp,
    pub(crate) running: Duration,
    pub(crate) boot: BootId,
}

impl Clocks {
    /// Microseconds of the running clock.
    pub(crate) fn running_us(&self) -> Micros {
        micros(self.running)
    }
}

pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// A duration between two moments; zero if it is negative.
pub(crate) fn duration(micros: Micros) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The clock by which a timer is due: each has an order of its own in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    Wall,
    Boot(BootId),
}

/// One due time of a timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Due {
    /// Which firing of the timer this is, from 0: what a command that was sent for it must still find.
    pub(crate) firing: u64,
    /// By the wall clock. For a timer that follows the boot clock it is what people are told.
    pub(crate) wall: Timestamp,
    /// For a timer that follows the boot clock: the boot, and microseconds of it.
    pub(crate) boot: Option<(BootId, Micros)>,
    /// How much later it fires.
    pub(crate) jitter: Duration,
    /// Times up to here, on the timer's clock, have been counted and will all fire.
    pub(crate) counted: Option<Micros>,
}

impl Due {
    pub(crate) fn group(&self) -> Group {
        self.boot.map_or(Group::Wall, |(boot, _)| Group::Boot(boot))
    }

    /// When it fires, on the clock of its group.
    pub(crate) fn order(&self) -> Micros {
        let due = self.boot.map_or(self.wall.as_micros(), |(_, at)| at);
        due.saturating_add(micros(self.jitter))
    }
}

/// How a timer comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Repeat {
    Never,
    Every(Duration),
    Cron(CronText),
}

/// A random part of `longest`.
fn part(longest: Duration, draw: u64) -> Duration {
    let values = u128::try_from(micros(longest)).unwrap_or(0) + 1;
    let micros = (u128::from(draw) * values) >> 64;
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The first due time of a timer that is set now, and how it comes again.
pub(crate) fn first_due(timer: &Timer, clocks: Clocks, draw: u64) -> Result<(Due, Repeat), String> {
    let by_boot = |wait: Duration| {
        let at = clocks.running_us().saturating_add(micros(wait));
        (clocks.now.plus(wait), Some((clocks.boot, at)))
    };
    let ((wall, boot), repeat) = match &timer.schedule {
        Schedule::After(delay) if mutant!("timer_early") => (by_boot(*delay / 2), Repeat::Never),
        Schedule::After(delay) => (by_boot(*delay), Repeat::Never),
        Schedule::At(time) => ((*time, None), Repeat::Never),
        Schedule::Every(Duration::ZERO) => return Err("has a period of zero".to_owned()),
        Schedule::Every(period) => (by_boot(*period), Repeat::Every(*period)),
        Schedule::Cron(cron) => {
            let first = cron
                .next_after(clocks.now)
                .ok_or_else(|| format!("is never due: {cron} ends before {}", clocks.now))?;
            ((first, None), Repeat::Cron(cron.text()))
        }
    };
    let due = Due {
        firing: 0,
        wall,
        boot,
        jitter: part(timer.jitter, draw),
        counted: None,
    };
    Ok((due, repeat))
}

/// What the turn of a timer's command finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Firing {
    /// It is not due: the wall clock went back.
    Early,
    /// It is too late to be run; with what is missed by now.
    Skip { next: Due, missed: u64 },
    /// It runs, for the time it was due.
    Run {
        due: Timestamp,
        missed: u64,
        next: Option<Due>,
    },
}

/// Due times from the pending one to those that passed.
struct Passed {
    /// How many passed beside the first.
    more: u64,
    newest: Micros,
    next: Option<Micros>,
    /// The oldest that still fires if each one does.
    kept: Micros,
    after_kept: Option<Micros>,
}

impl PendingTimer {
    /// When it fires, on the running clock, for a timer that follows it. `deadline` is where the worker had
    /// it, which counts for a timer of an earlier boot.
    fn boot_deadline(&self, deadline: Micros, clocks: Clocks) -> Option<Micros> {
        let (boot, _) = self.due.boot?;
        Some(if boot == clocks.boot {
            self.due.order()
        } else {
            deadline
        })
    }

    /// What becomes of this timer now that its command has its turn.
    pub(crate) fn consume(
        &self,
        deadline: Micros,
        clocks: Clocks,
        draw: u64,
    ) -> Result<Firing, CronError> {
        let by_boot = self.boot_deadline(deadline, clocks);
        let now = by_boot.map_or(clocks.now.as_micros(), |_| clocks.running_us());
        let place = by_boot.unwrap_or_else(|| self.due.order());
        if now < place {
            return Ok(Firing::Early);
        }
        let first = place.saturating_sub(micros(self.due.jitter));
        // A due time has passed once its jitter cannot delay it any more.
        let threshold = now.saturating_sub(micros(self.jitter));
        // Counted on this clock: another boot's says nothing.
        let same = self.due.boot.is_none_or(|(boot, _)| boot == clocks.boot);
        let all_fire = same && self.due.counted.is_some_and(|until| first <= until);
        let until = if all_fire { first } else { threshold };
        let passed = match &self.repeat {
            Repeat::Never => {
                return Ok(Firing::Run {
                    due: self.due.wall,
                    missed: 0,
                    next: None,
                });
            }
            Repeat::Every(period) => every_passed(first, micros(*period).max(1), until),
            Repeat::Cron(text) => cron_passed(&text.parse()?, first, until),
        };
        let wall = |time: Micros| match by_boot {
            Some(_) => self.wall_of(time, first, clocks),
            None => Timestamp::from_micros(time),
        };
        let next = |time: Micros, counted: Option<Micros>| Due {
            firing: self.due.firing.saturating_add(1),
            wall: wall(time),
            boot: by_boot.map(|_| (clocks.boot, time)),
            jitter: part(self.jitter, draw),
            counted,
        };
        Ok(match (self.catch_up, passed.next) {
            (CatchUp::Once, time) => Firing::Run {
                due: self.due.wall,
                missed: passed.more,
                next: time.map(|time| next(time, None)),
            },
            (CatchUp::Skip, Some(time))
                if !on_time(&passed, now.saturating_sub(place), until, time) =>
            {
                Firing::Skip {
                    next: next(time, None),
                    missed: self.missed.saturating_add(passed.more).saturating_add(1),
                }
            }
            (CatchUp::Skip, time) => Firing::Run {
                due: wall(passed.newest),
                missed: self.missed.saturating_add(passed.more),
                next: time.map(|time| next(time, None)),
            },
            (CatchUp::All, _) => Firing::Run {
                due: wall(passed.kept),
                missed: passed.more.saturating_sub(GATHERED - 1),
                next: passed.after_kept.map(|time| {
                    let counted = if all_fire {
                        self.due.counted
                    } else {
                        Some(until)
                    };
                    next(time, counted)
                }),
            },
        })
    }

    /// What the wall says at `time` of the running clock: whole periods from where it was due, so that it
    /// does not drift; unless the wall clock jumped meanwhile, which makes that a moment that means nothing.
    fn wall_of(&self, time: Micros, first: Micros, clocks: Clocks) -> Timestamp {
        let shifted = |from: Timestamp, by: Micros| {
            Timestamp::from_micros(from.as_micros().saturating_add(by))
        };
        let steady = shifted(self.due.wall, time.saturating_sub(first));
        let measured = shifted(clocks.now, time.saturating_sub(clocks.running_us()));
        let apart = steady.since(measured).max(measured.since(steady));
        if apart <= Duration::from_secs(1) {
            steady
        } else {
            measured
        }
    }
}

/// Whether the newest due time that passed may still run, though it is late.
fn on_time(passed: &Passed, first_late: Micros, until: Micros, next: Micros) -> bool {
    let late = if passed.more == 0 {
        first_late
    } else {
        until.saturating_sub(passed.newest)
    };
    let apart = next.saturating_sub(passed.newest).max(0);
    late <= (apart / 10).clamp(SECOND_US.min(apart / 2), 60 * SECOND_US)
}

fn every_passed(first: Micros, period: Micros, until: Micros) -> Passed {
    let more = u64::try_from(until.saturating_sub(first).max(0) / period).unwrap_or(0);
    let nth = |n: u64| {
        let n = Micros::try_from(n).unwrap_or(Micros::MAX);
        first.saturating_add(period.saturating_mul(n))
    };
    let dropped = more.saturating_sub(GATHERED - 1);
    Passed {
        more,
        newest: nth(more),
        next: Some(nth(more.saturating_add(1))),
        kept: nth(dropped),
        after_kept: Some(nth(dropped.saturating_add(1))),
    }
}

fn cron_passed(cron: &Cron, first: Micros, until: Micros) -> Passed {
    let after = |time: Micros| {
        cron.next_after(Timestamp::from_micros(time))
            .map(Timestamp::as_micros)
    };
    let before = |time: Micros| {
        cron.newest_until(Timestamp::from_micros(time))
            .map(Timestamp::as_micros)
    };
    // The newest ones, oldest first; the pending one is among them though the expression may not name it.
    let mut newest = VecDeque::from([first]);
    let mut more = 0;
    let mut next = after(first);
    while more < COUNTED
        && let Some(time) = next.filter(|time| *time <= until)
    {
        more += 1;
        newest.push_back(time);
        if newest.len() as u64 > GATHERED {
            newest.pop_front();
        }
        next = after(time);
    }
    if next.is_some_and(|time| time <= until) {
        // More than are counted: the newest ones are found from the other end.
        newest.clear();
        let mut time = before(until);
        while (newest.len() as u64) < GATHERED
            && let Some(found) = time.filter(|found| *found > first)
        {
            newest.push_front(found);
            time = before(found.saturating_sub(1));
        }
        next = after(until);
    }
    let kept = newest.front().copied().unwrap_or(first);
    Passed {
        more,
        newest: newest.back().copied().unwrap_or(first),
        next,
        kept,
        after_kept: newest.get(1).copied().or(next),
    }
}

#[cfg(test)]
mod tests;
