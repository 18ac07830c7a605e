//! Times of very many commands, kept by many threads at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The moment: all other code asks here.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the time that passes"
)]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// A count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "nothing here is counted to 2^52"
)]
#[must_use]
pub const fn float(count: u64) -> f64 {
    count as f64
}

/// Longest time that is told apart.
const LONGEST: Duration = Duration::from_secs(600);
/// Threads that record without meeting each other.
const SHARDS: usize = 8;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
}

/// Where times go.
#[derive(Debug)]
pub struct Recorder {
    shards: [Mutex<Histogram<u64>>; SHARDS],
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Recorder {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, nanoseconds(LONGEST), 3);
        Self {
            shards: std::array::from_fn(|_| Mutex::new(empty().expect("the bounds are right"))),
        }
    }
}

impl Recorder {
    /// Keeps one time.
    pub fn record(&self, time: Duration) {
        let shard = SHARD.with(Cell::get);
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(nanoseconds(time));
    }

    /// All that was kept; `rate` is their number by the time that `window` took.
    #[must_use]
    pub fn measured(&self, window: Duration) -> Measured {
        let mut all = Histogram::<u64>::new_with_bounds(1, nanoseconds(LONGEST), 3)
            .expect("the bounds are right");
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(&*shard).expect("all have the same bounds");
        }
        let at = |quantile| float(all.value_at_quantile(quantile)) / 1e6;
        Measured {
            count: all.len(),
            rate: float(all.len()) / window.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            longest: float(all.max()) / 1e6,
        }
    }
}

/// What a load came to. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Commands that were acknowledged in the window.
    pub count: u64,
    /// The same, a second.
    pub rate: f64,
    /// Half of them took no longer.
    pub p50: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// One in a thousand took longer.
    pub p999: f64,
    /// The longest.
    pub longest: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_threads_come_together() {
        let recorder = Recorder::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let recorder = &recorder;
                scope.spawn(move || {
                    for step in 1..=25 {
                        recorder.record(Duration::from_millis(thread * 25 + step));
                    }
                });
            }
        });
        let measured = recorder.measured(Duration::from_secs(2));
        assert_eq!(measured.count, 100);
        assert!((measured.rate - 50.0).abs() < 0.01, "{measured:?}");
        assert!((measured.p50 - 50.0).abs() < 0.1, "{measured:?}");
        assert!((measured.p99 - 99.0).abs() < 0.1, "{measured:?}");
        assert!((measured.longest - 100.0).abs() < 0.1, "{measured:?}");
    }
}
