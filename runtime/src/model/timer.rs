//! When a timer is due, and what becomes of due times that passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cron, Timestamp};

/// When a command is to be sent: once or again and again.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{CatchUp, Cron, Timer};
///
/// let hourly = Timer::cron(Cron::parse("@hourly", "UTC")?)
///     .jitter(Duration::from_secs(60))
///     .catch_up(CatchUp::Skip);
/// # Ok::<(), steadfast::CronError>(())
/// ```
///
/// # Clocks
/// `after` and `every` are measured by the boot clock ([`Clock::running`](crate::Clock::running)): a jump of
/// the wall clock does not touch them, nor does a restart of the process. Over a reboot of the machine they
/// age by the difference of the wall clock, never by less than nothing, and never wait longer than they would
/// have from the start. `at` and `cron` follow the wall clock: they are due when it says so. A wall clock
/// that goes back makes them wait; a due time that has fired does not fire again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub(crate) schedule: Schedule,
    #[serde(default)]
    pub(crate) jitter: Duration,
    #[serde(default)]
    pub(crate) catch_up: CatchUp,
}

/// When a [`Timer`] is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Schedule {
    After(Duration),
    At(Timestamp),
    Every(Duration),
    Cron(Cron),
}

/// What becomes of the due times of a repeating timer that passed while the node was down or busy.
/// A timer that fires once always fires, however late.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{CatchUp, Timer};
///
/// let hour = Duration::from_secs(3_600);
/// let report = Timer::every(hour); // once for all that were missed
/// let probe = Timer::every(hour).catch_up(CatchUp::Skip); // a late one is worth nothing
/// let billing = Timer::every(hour).catch_up(CatchUp::All); // each of them counts
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They do not fire. The next one that is on time does, and is told how many were missed. On time means:
    /// late by at most a tenth of the time to the next one, but no more than a minute, and no less than a
    /// second or half of that time, whichever is shorter.
    Skip,
    /// They fire once, together, and are told how many were missed beside the first.
    #[default]
    Once,
    /// Each of them fires, in order. Of those that have gathered only the newest 1,000 do: the first of them
    /// is told how many were missed before it.
    All,
}

impl Timer {
    fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            jitter: Duration::ZERO,
            catch_up: CatchUp::default(),
        }
    }

    /// Once, `delay` from when it is set.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self::new(Schedule::After(delay))
    }

    /// Once, when the wall clock says `time`; at once if it already does.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self::new(Schedule::At(time))
    }

    /// Again and again, first one `period` from when it is set. A period of zero is a mistake of the handler
    /// that sets it.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self::new(Schedule::Every(period))
    }

    /// Again and again, at the times of `cron`.
    #[must_use]
    pub fn cron(cron: Cron) -> Self {
        Self::new(Schedule::Cron(cron))
    }

    /// Delays each firing by a random part of `longest`, so that many timers do not fire at the same moment.
    /// The part is drawn when the due time is set and journalled with it: a restart does not draw again.
    /// [`Fired::due`](crate::Fired::due) tells the time without it, and nothing counts as missed for it.
    #[must_use]
    pub fn jitter(mut self, longest: Duration) -> Self {
        self.jitter = longest;
        self
    }

    /// What becomes of due times that passed. Default: [`CatchUp::Once`].
    #[must_use]
    pub fn catch_up(mut self, catch_up: CatchUp) -> Self {
        self.catch_up = catch_up;
        self
    }
}
