//! Plays seeds of the simulation until so many are done, or so much time has passed.
//!
//! ```text
//! steadfast-sim SEEDS [FROM [SECONDS]]
//! ```
//! `STEADFAST_MUTANT=NAME` makes a mistake on purpose; then the first seed that finds it is enough.
//!
//! Ends with 1 where a law did not hold, after naming the seeds, and where a rare situation was never reached.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::{Clock, SystemClock, mutants};
use steadfast_tests::sim::{self, Played, STEPS, Sometimes};

type Failure = Box<dyn std::error::Error>;

/// Failing seeds after which nothing new is learnt.
const ENOUGH: usize = 5;
/// Seeds from which on every situation is expected.
const MANY: u64 = 2_000;
/// Seeds between two lines about progress.
const PROGRESS: u64 = 10_000;

#[derive(Default)]
struct Done {
    seeds: u64,
    sometimes: Sometimes,
    failed: Vec<(u64, String)>,
}

fn main() -> Result<(), Failure> {
    let numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let numbers = numbers.collect::<Result<Vec<u64>, _>>()?;
    let seeds = *numbers
        .first()
        .ok_or("steadfast-sim SEEDS [FROM [SECONDS]]")?;
    let from = numbers.get(1).copied().unwrap_or(0);
    let limit = Duration::from_secs(numbers.get(2).copied().unwrap_or(u64::MAX));
    let mutant = std::env::var("STEADFAST_MUTANT").ok();
    if let Some(name) = &mutant {
        mutants::arm(name).ok_or("STEADFAST_MUTANT names no mistake")?;
    }
    let enough = if mutant.is_some() { 1 } else { ENOUGH };
    let begun = SystemClock::new().running();
    let took = || SystemClock::new().running().saturating_sub(begun);
    let (next, done) = (AtomicU64::new(from), Mutex::new(Done::default()));
    let players = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        for _ in 0..players {
            scope.spawn(|| {
                while took() < limit && done.lock().unwrap().failed.len() < enough {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        return;
                    }
                    let run = sim::run(seed);
                    note(&mut done.lock().unwrap(), seed, run);
                }
            });
        }
    });
    report(&done.into_inner()?, took())
}

fn note(done: &mut Done, seed: u64, run: Result<Played, String>) {
    done.seeds += 1;
    match run {
        Ok(played) => done.sometimes += played.sometimes,
        Err(faults) => done.failed.push((seed, faults)),
    }
    if done.seeds.is_multiple_of(PROGRESS) {
        say(&format!(
            "{} seeds, {} failed",
            done.seeds,
            done.failed.len()
        ));
    }
}

fn report(done: &Done, took: Duration) -> Result<(), Failure> {
    say(&format!(
        "{} seeds of {STEPS} steps in {} s, {} failed\nreached:\n{}",
        done.seeds,
        took.as_secs(),
        done.failed.len(),
        done.sometimes
    ));
    for (seed, faults) in &done.failed {
        say(&format!(
            "seed {seed}, repeat it with `make sim SEEDS=1 FROM={seed}`:\n{faults}"
        ));
        let same = sim::run(*seed) == Err(faults.clone());
        say(if same {
            "played again, it fails in the same way\n"
        } else {
            "played again, it does otherwise, which is a fault of the simulation\n"
        });
    }
    if !done.failed.is_empty() {
        return Err("laws that did not hold".into());
    }
    let missing = done.sometimes.missing();
    if done.seeds >= MANY && !missing.is_empty() {
        return Err(format!("never reached: {}", missing.join(", ")).into());
    }
    Ok(())
}

/// A line; nobody may be listening any more.
fn say(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
