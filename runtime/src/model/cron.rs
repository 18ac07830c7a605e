//! Times of day and of the year in the words of `cron`, in a time zone.
//!
//! The expression is parsed and followed by the crate `croner`; here are the time zone, errors that say
//! what to write, and a search that cannot be stopped by a day that a time zone left out.

use std::fmt;
use std::sync::Arc;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A time before that of any timer, from which every expression must match at least once.
const BEGINNING: Timestamp = Timestamp::from_micros(946_684_800_000_000);
/// Changes of offset that one search may step over.
const CHANGES: usize = 64;
const SECOND_US: i64 = 1_000_000;

/// Due times by a `cron` expression in a time zone.
///
/// ```
/// use steadfast::Cron;
///
/// let nightly = Cron::parse("30 2 * * MON-FRI", "Europe/Berlin")?;
/// assert_eq!(nightly.to_string(), "30 2 * * MON-FRI (Europe/Berlin)");
/// # Ok::<(), steadfast::CronError>(())
/// ```
///
/// # The expression
/// Five fields: minute, hour, day of the month, month, day of the week; or six, with seconds first. A field
/// is `*`, a number, a range `1-5`, a step `*/15`, or a list of them; months and weekdays also by name
/// (`JAN`, `MON`). Sunday is 0 or 7. Where both days are restricted, either one is enough, as POSIX has it;
/// `+` before the day of the week asks for both. `L`, `W` and `#` are understood as in `croner`. Or one of
/// `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`.
///
/// # Changes of the clocks
/// An expression with one fixed time of day (`30 2 * * *`) runs exactly once on every day that has it in its
/// calendar: when the clocks go forward over that time, at the first moment after the gap; when they go back
/// over it, at the first of the two times. Every other expression (`*/30 * * * *`, `0 1-4 * * *`) follows
/// the clock on the wall: it has no run in the gap and runs in both halves of a repeated hour.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "CronText", into = "CronText")]
pub struct Cron {
    text: CronText,
    parsed: Arc<(croner::Cron, TimeZone)>,
}

/// A [`Cron`] at rest: the two texts it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct CronText {
    pub(crate) expression: String,
    pub(crate) time_zone: String,
}

/// Why there is no such [`Cron`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The expression is not one.
    #[error(
        "cron expression {expression:?} does not parse: {reason}; write five fields (minute, hour, day of the month, month, day of the week), six with seconds first, or @yearly, @monthly, @weekly, @daily or @hourly"
    )]
    Expression {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such time zone.
    #[error(
        "time zone {time_zone:?} is not known; write a name of the IANA database such as \"Europe/Berlin\" or \"UTC\""
    )]
    TimeZone {
        /// The name that was given.
        time_zone: String,
    },
    /// The expression parses and names a date that does not exist.
    #[error(
        "cron expression {expression:?} never matches; write a date that exists, February has no 30th"
    )]
    Never {
        /// The expression.
        expression: String,
    },
}

impl Cron {
    /// The due times of `expression` in `time_zone`, a name of the IANA database. The system's database is
    /// asked first, then the one that is compiled in: a machine needs none of its own.
    ///
    /// # Errors
    /// [`CronError`] says what is wrong and what to write.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, CronError> {
        let pattern = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|error| CronError::Expression {
                expression: expression.to_owned(),
                reason: error.to_string().trim_end_matches('.').to_owned(),
            })?;
        let zone = TimeZone::get(time_zone).map_err(|_| CronError::TimeZone {
            time_zone: time_zone.to_owned(),
        })?;
        let cron = Self {
            text: CronText {
                expression: expression.to_owned(),
                time_zone: time_zone.to_owned(),
            },
            parsed: Arc::new((pattern, zone)),
        };
        match cron.next_after(BEGINNING) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never {
                expression: expression.to_owned(),
            }),
        }
    }

    /// The expression, as it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.text.expression
    }

    /// The time zone's name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.text.time_zone
    }

    /// The first due time after `time`, a whole second; `None` where the calendar ends (the year 5000).
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let (pattern, zone) = self.parsed.as_ref();
        let second = time.as_micros().div_euclid(SECOND_US);
        let start = jiff::Timestamp::from_second(second).ok()?;
        if let Ok(found) = pattern.find_next_occurrence(&start.to_zoned(zone.clone()), false) {
            return Some(stamp(&found));
        }
        // The search gives up at a gap of more than two hours, which is a day that a time zone left out.
        // There is no due time before it, so the search goes on behind each change of the offset.
        let changes = zone.following(start).take(CHANGES);
        for change in changes {
            let from = change.timestamp().to_zoned(zone.clone());
            if let Ok(found) = pattern.find_next_occurrence(&from, true) {
                return Some(stamp(&found));
            }
        }
        None
    }

    /// The newest due time that is at `time` or before it.
    pub(crate) fn newest_until(&self, time: Timestamp) -> Option<Timestamp> {
        let (pattern, zone) = self.parsed.as_ref();
        let second = time.as_micros().div_euclid(SECOND_US);
        let start = jiff::Timestamp::from_second(second).ok()?;
        let found = pattern
            .find_previous_occurrence(&start.to_zoned(zone.clone()), true)
            .ok()?;
        // Said by the search forward, whose word counts, so that both agree on what is due.
        let due = self.next_after(Timestamp::from_micros(
            stamp(&found).as_micros().saturating_sub(1),
        ))?;
        (due <= time).then_some(due)
    }

    pub(crate) fn text(&self) -> CronText {
        self.text.clone()
    }
}

fn stamp(time: &Zoned) -> Timestamp {
    Timestamp::from_micros(time.timestamp().as_microsecond())
}

impl CronText {
    pub(crate) fn parse(&self) -> Result<Cron, CronError> {
        Cron::parse(&self.expression, &self.time_zone)
    }
}

impl TryFrom<CronText> for Cron {
    type Error = CronError;

    fn try_from(text: CronText) -> Result<Self, CronError> {
        text.parse()
    }
}

impl From<Cron> for CronText {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text.expression, self.text.time_zone)
    }
}

#[cfg(test)]
mod tests;
