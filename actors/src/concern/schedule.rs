//! When a concern runs by itself, what a tick that comes late is worth, and what one is that comes during
//! a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{CatchUp, Cron, CronError, Fired, Timer, Timestamp};

use super::ConfigError;

/// What to do about ticks that passed while the node was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run for all of them together.
    #[default]
    Once,
    /// No run: wait for the next tick.
    Skip,
    /// One run for each of them, one after the other; of those that have gathered, the newest thousand.
    All,
}

/// What to do about a tick that comes while a run is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing: it is journalled as skipped.
    #[default]
    Skip,
    /// It waits for the end of the run. One waits at most; further ones are skipped.
    Queue,
    /// The run is cancelled, and the tick's own run follows.
    Cancel,
}

/// When a concern runs by itself: by `every` or by `cron`, and only by hand without either.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Time from one tick to the next.
    pub every: Option<Duration>,
    /// A cron expression of five fields (minutes) or six (seconds first).
    pub cron: Option<String>,
    /// The time zone of `cron`, by its IANA name; `None` is UTC.
    pub timezone: Option<String>,
    /// Each tick comes later by a random time up to this one.
    pub jitter: Duration,
    /// What missed ticks lead to.
    pub missed: Missed,
    /// What a tick during a run leads to.
    pub overlap: Overlap,
}

/// Shortest period: each tick is a synced write.
const MIN_PERIOD: Duration = Duration::from_millis(100);
/// A tick later than this share of its period is late, if it is later than [`LATE_AT_LEAST`] too.
const LATE_SHARE: u32 = 10;
/// A tick that is less late than this was delayed by work, not by a node that was down.
const LATE_AT_LEAST: Duration = Duration::from_secs(1);
/// A tick that is later than this was missed, however rare they are.
const LATE_AT_MOST: Duration = Duration::from_secs(60);
/// The time zone where none is said.
const UTC: &str = "UTC";

impl Schedule {
    /// A schedule of this period, or one by hand only.
    #[must_use]
    pub fn every(period: Option<Duration>) -> Self {
        Self {
            every: period,
            ..Self::default()
        }
    }

    /// What the types alone cannot refuse.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.every.is_some() && self.cron.is_some() {
            let problem =
                "`every` is set as well, and a concern has one schedule: leave one of them out";
            return Err(ConfigError::new("cron", problem));
        }
        if self.every.is_some_and(|every| every < MIN_PERIOD) {
            let problem = "shorter than 100ms: leave it out to run only by hand";
            return Err(ConfigError::new("every", problem));
        }
        if self.every.is_some_and(|every| self.jitter > every) {
            let problem = "longer than `every`: ticks would overtake each other";
            return Err(ConfigError::new("jitter", problem));
        }
        // A time zone that no `cron` needs yet is checked as well.
        let expression = self.cron.as_deref().unwrap_or("@daily");
        let parsed = self.parse(expression);
        parsed.map(drop).map_err(|error| {
            let is_zone = matches!(error, CronError::TimeZone { .. });
            let key = if is_zone { "timezone" } else { "cron" };
            ConfigError::new(key, error.to_string())
        })
    }

    fn parse(&self, expression: &str) -> Result<Cron, CronError> {
        Cron::parse(expression, self.timezone.as_deref().unwrap_or(UTC))
    }

    /// The due times by `cron`; none where a checked schedule has no `cron`.
    fn times(&self) -> Option<Cron> {
        self.parse(self.cron.as_deref()?).ok()
    }

    /// The timer of its ticks; `None` runs only by hand.
    pub(super) fn timer(&self) -> Option<Timer> {
        let timer = match self.every {
            Some(period) => Timer::every(period),
            None => Timer::cron(self.times()?),
        };
        // What is missed is always told: whether it leads to a run is decided when it is.
        let catch_up = match self.missed {
            Missed::All => CatchUp::All,
            Missed::Once | Missed::Skip => CatchUp::Once,
        };
        Some(timer.jitter(self.jitter).catch_up(catch_up))
    }

    /// When the first tick is due of a schedule that begins now.
    pub(super) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self.every {
            Some(period) => Some(now.plus(period)),
            None => self.times()?.next_after(now),
        }
    }

    /// Whether the same timer serves both: what else is different is looked at when it fires.
    pub(super) fn ticks_like(&self, other: &Self) -> bool {
        self.timer() == other.timer()
    }
}

/// Whether a tick is one that was missed at its time.
pub(super) fn is_late(fired: &Fired) -> bool {
    let period = fired
        .next
        .map_or(Duration::ZERO, |next| next.since(fired.due));
    let limit = (period / LATE_SHARE).clamp(LATE_AT_LEAST, LATE_AT_MOST);
    fired.missed > 0 || fired.late > limit
}
