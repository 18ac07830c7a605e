//! The only place of this crate that reads a clock.
//!
//! Invariant: nothing is ordered by what these return; times are for people and for pacing.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall clock in microseconds since 1970; 0 for a clock set before that.
#[expect(
    clippy::disallowed_methods,
    reason = "the one spot that reads the wall clock"
)]
pub(crate) fn wall_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Wall clock as RFC 3339 in UTC, to the second.
pub(crate) fn wall_text() -> String {
    jiff::Timestamp::from_second(wall_us() / 1_000_000)
        .map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
}

/// A point on the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one spot that reads the monotonic clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
