//! Times of many commands, and figures of several runs, in few words.

use std::fmt;
use std::time::Duration;

/// What is told of the times that commands took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// Half of them took no longer.
    pub p50: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// One in a thousand took longer.
    pub p999: f64,
}

impl Quantiles {
    /// Of at least one time.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (times.len() * per_mille).div_ceil(1_000).max(1);
            times[rank - 1].as_secs_f64() * 1_000.0
        };
        Self {
            p50: at(500),
            p99: at(990),
            p999: at(999),
        }
    }

    /// Each of them, by name.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, f64); 3] {
        [("p50", self.p50), ("p99", self.p99), ("p99.9", self.p999)]
    }
}

/// One figure of several runs. Its `Display` is the median, with the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one; of an even number the lower of the two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of at least one figure.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        Self {
            median: figures[(figures.len() - 1) / 2],
            least: figures[0],
            greatest: figures[figures.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!(
            "{:.2} ({:.2} to {:.2})",
            self.median, self.least, self.greatest
        );
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_time_that_so_many_did_not_exceed() {
        let times = (1..=1_000).rev().map(Duration::from_millis).collect();
        let expected = [("p50", 500.0), ("p99", 990.0), ("p99.9", 999.0)];
        assert_eq!(Quantiles::of(times).each(), expected);
        let single = Quantiles::of(vec![Duration::from_millis(7)]);
        assert_eq!(single.each(), [("p50", 7.0), ("p99", 7.0), ("p99.9", 7.0)]);
    }

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        let spread = Spread::of([3.0, 1.0, 10.0, 2.0, 2.5]);
        assert_eq!(format!("{spread:>22}|"), "  2.50 (1.00 to 10.00)|");
        assert_eq!(
            format!("{:.0}", Spread::of([2.0, 1.0]).median),
            "1",
            "the lower"
        );
    }
}
