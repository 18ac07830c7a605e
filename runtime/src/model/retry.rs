//! How failed attempts of an effect are repeated. The policy is journalled with the intent, so that it
//! is the same after a restart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential backoff with jitter.
///
/// ```
/// use std::time::Duration;
/// use steadfast::RetryPolicy;
///
/// let patient = RetryPolicy { retries: 10, max: Duration::from_secs(60), ..RetryPolicy::default() };
/// let waits: Vec<_> = (1..=10).filter_map(|attempt| patient.wait_after(attempt, u64::MAX / 2)).collect();
/// assert_eq!(waits.len(), 10);
/// assert!(waits[0].abs_diff(Duration::from_secs(1)) < Duration::from_millis(1));
/// assert!(RetryPolicy::never().wait_after(1, 0).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts after the first one. Default 3.
    pub retries: u32,
    /// Wait before the first retry. Default 1 s.
    pub first: Duration,
    /// Each wait is this many times the one before. Default 2.
    pub factor: f64,
    /// Longest wait. Default 5 min.
    pub max: Duration,
    /// Share of each wait, 0 to 1, that is drawn at random. Default 0.2: a wait is 90 to 110 %.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(300),
            jitter: 0.2,
        }
    }
}

impl RetryPolicy {
    /// One attempt, no retry.
    #[must_use]
    pub fn never() -> Self {
        Self {
            retries: 0,
            ..Self::default()
        }
    }

    /// The wait after failed attempt number `attempt` (from 1), or `None` when it was the last.
    /// `random` is spread evenly over all of `u64`.
    #[must_use]
    pub fn wait_after(&self, attempt: u32, random: u64) -> Option<Duration> {
        if attempt > self.retries {
            return None;
        }
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let plain = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let capped = plain.min(self.max.as_secs_f64());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share of the wait needs no 64 bits"
        )]
        let unit = random as f64 / u64::MAX as f64;
        let spread = 1.0 + self.jitter.clamp(0.0, 1.0) * (unit - 0.5);
        Some(Duration::try_from_secs_f64(capped * spread).unwrap_or(self.max))
    }

    /// The longest wait that may come before attempt number `attempt` (from 1); none before the first.
    pub(crate) fn longest_before(&self, attempt: u32) -> Duration {
        let failed = attempt.saturating_sub(1);
        let wait = (failed > 0).then(|| self.wait_after(failed, u64::MAX));
        wait.flatten().unwrap_or(Duration::ZERO)
    }
}
