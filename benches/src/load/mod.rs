//! Load: callers that ask random actors, either as fast as they are answered or at a given rate.
//!
//! A time counts from when a command was asked until its answer, which comes once it is durable. Each
//! measurement begins with every actor in memory and some time that does not count.

mod notes;
mod paced;
mod recorder;
mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use steadfast::ActorRef;

pub use notes::{Load, Note, Noted, Notes, NotesEvent};
pub use paced::Paced;
pub use recorder::{Measured, Recorder, float, now};
pub use site::{Site, Store, written_bytes};

/// Cheap random numbers, the same in every run.
#[derive(Debug, Clone, Copy)]
pub struct Random(u64);

impl Random {
    /// Numbers that differ for each `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % bound.max(1)
    }
}

/// Whether a caller may ask an actor that has not answered another yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// It may.
    Pipelined,
    /// It may not: each command waits for the one before it, disk and all.
    OneInFlight,
}

/// Callers that ask again as soon as they are answered.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// How many.
    pub callers: usize,
    /// Size of each event.
    pub event_bytes: u32,
    /// Whether they wait for each other.
    pub asking: Asking,
    /// Time that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub window: Duration,
}

/// What all callers share.
struct Crowd {
    actors: Arc<[ActorRef<Notes>]>,
    /// For each actor; empty where callers do not wait for each other.
    turns: Vec<tokio::sync::Mutex<()>>,
    recorder: Recorder,
    event_bytes: u32,
    begin: Instant,
    end: Instant,
}

impl Closed {
    /// Asks the actors of `site`.
    ///
    /// # Panics
    /// Where a command is not acknowledged.
    #[must_use]
    pub fn run(&self, site: &Site) -> Measured {
        let begin = now() + self.warm_up;
        let turns = match self.asking {
            Asking::Pipelined => 0,
            Asking::OneInFlight => site.actors.len(),
        };
        let crowd = Arc::new(Crowd {
            actors: Arc::clone(&site.actors),
            turns: (0..turns).map(|_| tokio::sync::Mutex::new(())).collect(),
            recorder: Recorder::default(),
            event_bytes: self.event_bytes,
            begin,
            end: begin + self.window,
        });
        site.callers.block_on(async {
            let spawn = |caller| tokio::spawn(ask_again(Arc::clone(&crowd), caller));
            let tasks: Vec<_> = (0..self.callers as u64).map(spawn).collect();
            for task in tasks {
                task.await.expect("a caller does not panic");
            }
        });
        crowd.recorder.measured(self.window)
    }
}

async fn ask_again(crowd: Arc<Crowd>, caller: u64) {
    let mut random = Random::new(caller);
    let mut asked = now();
    loop {
        let which = random.below(crowd.actors.len());
        let note = Note {
            bytes: crowd.event_bytes,
        };
        let turn = match crowd.turns.get(which) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let noted = crowd.actors[which].ask(note).await;
        drop(turn);
        noted.expect("the command is acknowledged");
        let answered = now();
        if answered >= crowd.end {
            return;
        }
        if answered >= crowd.begin {
            crowd.recorder.record(answered - asked);
        }
        asked = answered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn settings() -> Settings {
        Settings {
            quick: true,
            runs: 1,
            dir: std::env::temp_dir(),
            only: None,
            hours: 0.0,
            gb: None,
            plots: None,
        }
    }

    #[test]
    fn every_store_acknowledges_what_it_is_asked() {
        for store in [Store::Steadfast, Store::File, Store::Puts] {
            let site = Site::new(&settings(), store, 10, |_| {});
            for asking in [Asking::Pipelined, Asking::OneInFlight] {
                let load = Closed {
                    callers: 20,
                    event_bytes: 128,
                    asking,
                    warm_up: Duration::ZERO,
                    window: Duration::from_millis(200),
                };
                let measured = load.run(&site);
                assert!(measured.count > 0, "{store:?} {asking:?}");
                let seen = site.recover();
                assert!(
                    seen >= measured.count + 10,
                    "{store:?}: {seen} {measured:?}"
                );
            }
            assert!(site.entry_bytes() > 64);
            site.close();
        }
    }

    #[test]
    fn a_paced_load_comes_to_its_rate() {
        let site = Site::new(&settings(), Store::File, 10, |_| {});
        let load = Paced {
            rate: 2_000.0,
            event_bytes: 64,
            warm_up: Duration::from_millis(100),
            window: Duration::from_millis(500),
        };
        let measured = load.run(&site);
        assert!(measured.count.abs_diff(1_000) < 50, "{measured:?}");
        site.close();
    }

    #[test]
    fn numbers_are_spread_over_all_actors() {
        let mut random = Random::new(7);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[random.below(10)] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1_200).contains(count)),
            "{seen:?}"
        );
    }
}
