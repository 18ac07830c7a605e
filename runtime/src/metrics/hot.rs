//! What is counted for every command: a few atomic additions, without locks, labels or allocations.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of the buckets, in nanoseconds: from a microsecond, each four times the one before.
const BOUNDS: [u64; 14] = [
    1_000,
    4_000,
    16_000,
    64_000,
    256_000,
    1_024_000,
    4_096_000,
    16_384_000,
    65_536_000,
    262_144_000,
    1_048_576_000,
    4_194_304_000,
    16_777_216_000,
    67_108_864_000,
];

/// A histogram of durations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    /// One for each bound, and one for what is longer.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Durations {
    pub(crate) fn add(&self, counts: &DurationCounts) {
        for (sum, count) in self.0.counts.iter().zip(counts.counts) {
            if count > 0 {
                sum.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.0.nanos.fetch_add(counts.nanos, Ordering::Relaxed);
    }
}

/// Durations that one thread has seen, for a [`Durations`].
#[derive(Debug, Default)]
pub(crate) struct DurationCounts {
    counts: [u64; BOUNDS.len() + 1],
    nanos: u64,
}

impl DurationCounts {
    pub(crate) fn observe(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.nanos = self.nanos.saturating_add(nanos);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of seconds is told as a float"
)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS
            .iter()
            .map(|bound| seconds(*bound))
            .chain([f64::INFINITY]);
        let counts = self.0.counts.iter().map(|n| n.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.nanos.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Durations {
    const TYPE: MetricType = MetricType::Histogram;
}

/// Metrics of one kind that are touched by every command. Each stands in its family from its first use on.
#[derive(Debug, Default)]
pub(crate) struct KindCounters {
    pub(super) ok: OnceLock<Counter>,
    pub(super) rejected: OnceLock<Counter>,
    pub(super) events: OnceLock<Counter>,
    pub(super) took: OnceLock<Durations>,
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn it_reads_like_the_histogram_of_the_library() {
        let (ours, theirs) = (
            Durations::default(),
            Histogram::new(exponential_buckets(0.000_001, 4.0, 14)),
        );
        for nanos in [0, 1, 999, 1_500, 4_001, 64_000_001, 1_000_000_000_000] {
            let took = Duration::from_nanos(nanos);
            let mut seen = DurationCounts::default();
            assert!(seen.is_empty());
            seen.observe(took);
            assert!(!seen.is_empty());
            ours.add(&seen);
            theirs.observe(took.as_secs_f64());
        }
        let text = |mut registry: Registry, register: &dyn Fn(&mut Registry)| {
            register(&mut registry);
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let ours = text(Registry::default(), &|registry| {
            registry.register("took", "Time", ours.clone());
        });
        let theirs = text(Registry::default(), &|registry| {
            registry.register("took", "Time", theirs.clone());
        });
        let names = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.contains("_sum"));
            let counted = lines.map(|line| {
                // The library sums its bounds up in floats: the last digits may differ.
                match line.split_once("le=\"").and_then(|(name, rest)| {
                    let (bound, count) = rest.split_once('"')?;
                    let bound: f64 = bound.parse().ok()?;
                    Some(format!("{name}{bound:.9}{count}"))
                }) {
                    Some(bucket) => bucket,
                    None => line.to_owned(),
                }
            });
            counted.collect()
        };
        assert_eq!(names(&ours), names(&theirs));
        assert!(ours.contains("took_sum 1000.06400650"), "{ours}");
    }
}
