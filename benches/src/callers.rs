//! Callers that ask in a closed loop: each asks again as soon as it is answered.
//!
//! Only what was asked after the warm-up and answered before the end counts, and the time that passed is taken by
//! the thread that begins and ends it, so that a late wake-up changes both alike.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Quantiles;

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// Somebody who asks.
pub trait Caller: Send + 'static {
    /// Asks once, and waits for the answer.
    ///
    /// # Panics
    /// Where it is not answered as it should be.
    fn ask(&mut self) -> impl Future<Output = ()> + Send;
}

/// How long callers ask.
#[derive(Debug, Clone, Copy)]
pub struct Period {
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

impl Period {
    /// Both in milliseconds.
    #[must_use]
    pub const fn millis(warm_up: u64, measured: u64) -> Self {
        Self {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }
}

/// What they were answered.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// Answers a second.
    pub rate: f64,
    /// Times of the answers; `None` where they were not taken.
    pub times: Option<Quantiles>,
}

impl Answered {
    /// Half of the answers took no longer, in milliseconds; not a number where times were not taken.
    #[must_use]
    pub fn p50(&self) -> f64 {
        self.times.map_or(f64::NAN, |times| times.p50)
    }
}

/// Reads the clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the time that passes"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets all `callers` ask in tasks of `runtime`. Taking the time of each answer costs two looks at the clock.
///
/// # Panics
/// Where a caller does, or where none was answered.
pub fn closed_loop<C: Caller>(
    runtime: &Runtime,
    callers: Vec<C>,
    period: Period,
    timed: bool,
) -> Answered {
    let phase = Arc::new(AtomicU8::new(WARM));
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|caller| runtime.spawn(asks(caller, Arc::clone(&phase), timed)))
        .collect();
    thread::sleep(period.warm_up);
    let begin = now();
    phase.store(MEASURE, Ordering::Relaxed);
    thread::sleep(period.measured);
    phase.store(STOP, Ordering::Relaxed);
    let took = begin.elapsed();
    let (mut answers, mut times) = (0_u64, Vec::new());
    for task in tasks {
        let (count, of_this) = runtime.block_on(task).expect("no caller panics");
        answers += count;
        times.extend(of_this);
    }
    assert!(answers > 0, "nobody was answered within {took:?}");
    Answered {
        rate: count(answers) / took.as_secs_f64(),
        times: timed.then(|| Quantiles::of(times)),
    }
}

async fn asks<C: Caller>(mut caller: C, phase: Arc<AtomicU8>, timed: bool) -> (u64, Vec<Duration>) {
    let (mut answers, mut times) = (0, Vec::new());
    loop {
        let before = phase.load(Ordering::Relaxed);
        if before == STOP {
            return (answers, times);
        }
        if timed {
            let asked = now();
            caller.ask().await;
            // Whenever it was answered, so that the slowest answers are not left out.
            if before == MEASURE {
                times.push(asked.elapsed());
            }
        } else {
            caller.ask().await;
        }
        if before == MEASURE && phase.load(Ordering::Relaxed) == MEASURE {
            answers += 1;
        }
    }
}

/// A count as a figure.
///
/// # Panics
/// Beyond 2^53.
#[must_use]
pub fn count(number: u64) -> f64 {
    assert!(number < 1 << 53, "{number} is no exact figure");
    #[expect(clippy::cast_precision_loss, reason = "checked right above")]
    let figure = number as f64;
    figure
}

/// A small generator of numbers that look random: which actor is asked next. The same for the same seed.
#[derive(Debug, Clone)]
pub struct Pick(u64);

impl Pick {
    /// One for each caller.
    #[must_use]
    pub fn of(caller: usize) -> Self {
        let seed = u64::try_from(caller).unwrap_or(0) + 1;
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next one below `bound`, which is not 0.
    ///
    /// # Panics
    /// If it is.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).expect("it fits");
        usize::try_from((self.0 >> 16) % bound).expect("it is below the bound")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper;

    impl Caller for Sleeper {
        async fn ask(&mut self) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn what_was_answered_within_the_time_counts() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let callers = vec![Sleeper, Sleeper, Sleeper, Sleeper];
        let answered = closed_loop(&runtime, callers, Period::millis(50, 300), true);
        // Each sleeps at least 5 ms: at most 200 answers a second.
        assert!(
            answered.rate > 40.0 && answered.rate <= 810.0,
            "{answered:?}"
        );
        assert!(answered.p50() >= 5.0, "{answered:?}");
    }

    #[test]
    fn picks_reach_all_and_stay_below() {
        let mut pick = Pick::of(3);
        let mut seen = [false; 10];
        for _ in 0..1_000 {
            seen[pick.below(10)] = true;
        }
        assert_eq!(seen, [true; 10]);
    }
}
