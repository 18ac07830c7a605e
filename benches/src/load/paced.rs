//! An open loop: commands are due at a given rate, whether or not earlier ones are answered. A time counts
//! from when its command was due, so that a stall counts for all commands that it held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use steadfast::ActorRef;

use super::notes::{Note, Notes};
use super::recorder::{Measured, Recorder, float, now};
use super::{Random, Site};

/// Commands that become due together: as fine as a thread can be woken without taking a core.
const TICK: Duration = Duration::from_micros(500);
/// Commands on their way at most. Beyond it they start late, and count from when they were due all the same.
const OUTSTANDING: u64 = 200_000;

/// Commands at a rate.
#[derive(Debug, Clone, Copy)]
pub struct Paced {
    /// Commands a second.
    pub rate: f64,
    /// Size of each event.
    pub event_bytes: u32,
    /// Time that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub window: Duration,
}

struct Stage {
    actors: Arc<[ActorRef<Notes>]>,
    recorder: Recorder,
    outstanding: AtomicU64,
    failed: AtomicU64,
    event_bytes: u32,
    begin: Instant,
}

impl Paced {
    /// Asks random actors of `site`. Counts the commands that were due in the window, all of which are
    /// waited for; the rate is their number by the time until the last was answered.
    ///
    /// # Panics
    /// Where a command is not acknowledged.
    #[must_use]
    pub fn run(&self, site: &Site) -> Measured {
        let start = now();
        let stage = Arc::new(Stage {
            actors: Arc::clone(&site.actors),
            recorder: Recorder::default(),
            outstanding: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            event_bytes: self.event_bytes,
            begin: start + self.warm_up,
        });
        let ticks = (self.warm_up + self.window).as_nanos() / TICK.as_nanos();
        let per_tick = self.rate * TICK.as_secs_f64();
        let mut owed = 0.0;
        let mut due = start;
        for tick in 0..ticks {
            due += TICK;
            wait_until(due);
            while stage.outstanding.load(Ordering::Acquire) > OUTSTANDING {
                std::thread::sleep(TICK);
            }
            owed += per_tick;
            let count = whole(owed);
            owed -= float(count);
            stage.outstanding.fetch_add(count, Ordering::AcqRel);
            let seed = u64::try_from(tick).unwrap_or(0);
            let stage = Arc::clone(&stage);
            site.spawn(async move { ask_together(&stage, seed, count, due) });
        }
        while stage.outstanding.load(Ordering::Acquire) > 0 {
            std::thread::sleep(TICK);
        }
        let failed = stage.failed.load(Ordering::Acquire);
        assert_eq!(failed, 0, "commands were not acknowledged");
        stage.recorder.measured(now() - stage.begin)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "commands of half a millisecond"
)]
fn whole(number: f64) -> u64 {
    number.floor().max(0.0) as u64
}

fn wait_until(due: Instant) {
    let wait = due.saturating_duration_since(now());
    if !wait.is_zero() {
        std::thread::sleep(wait);
    }
}

/// Called on the callers' runtime.
fn ask_together(stage: &Arc<Stage>, seed: u64, count: u64, due: Instant) {
    let mut random = Random::new(seed);
    for _ in 0..count {
        let which = random.below(stage.actors.len());
        let stage = Arc::clone(stage);
        tokio::spawn(async move {
            let note = Note {
                bytes: stage.event_bytes,
            };
            let noted = stage.actors[which].ask(note).await;
            if due >= stage.begin {
                stage.recorder.record(now() - due);
            }
            if noted.is_err() {
                stage.failed.fetch_add(1, Ordering::AcqRel);
            }
            stage.outstanding.fetch_sub(1, Ordering::AcqRel);
        });
    }
}
