//! Goal: the simulation finds the mistakes that it is there for. A check that never fails proves nothing.
//!
//! Method: the same program, with one mistake made on purpose (`steadfast::mutants`), plays seeds until one fails in a
//! way that fits the mistake; a seed that fails must fail again in the same way. Without any mistake, the same seeds pass.

use std::process::{Command, Output};

use steadfast::{Clock, SystemClock, mutants};

use crate::harness::{proved, say, scaled, seed};

/// Seeds within which each mistake must be found.
const WITHIN: u64 = 400;

const LOST: &str = "it was acknowledged, and is not there";
const SEEN: &str = "was seen, and event";
const MESSAGE: &str = "its message was not taken or returned exactly once";
/// A gap in an actor's numbers, by which nothing of it can be read any more.
const GAP: &str = "is missing from the journal";

/// What the simulation says of each: one of these. One that breaks two laws stands here with each.
const SAYS: [(&str, &[&str]); 16] = [
    ("ack_before_sync", &[LOST, SEEN, GAP]),
    // Also the answer to a key that is asked again.
    ("read_before_durable", &[LOST, SEEN]),
    ("key_forgotten", &["it is there more than once", LOST]),
    ("message_dropped", &[MESSAGE]),
    ("message_doubled", &[MESSAGE]),
    (
        "snapshot_ahead",
        &[GAP, "starts after event", "events in memory"],
    ),
    ("timer_lost", &["its timer did not fire exactly once"]),
    ("outcome_twice", &["its effect has not exactly one outcome"]),
    ("start_unwritten", &["its effect ran more than once"]),
    (
        "outcome_denied",
        &["every answer said that it had no effect, and it is there"],
    ),
    ("message_overtakes", &["came behind message"]),
    ("timer_early", &["its timer fired early"]),
    (
        "effect_before_durable",
        &["its effect ran, and it is not there"],
    ),
    ("effect_before_durable", &["its effect ran under two names"]),
    ("unsettled_actor_kept", &[GAP]),
    (
        "scan_stops_early",
        &["and answered as of event", "by all of its events"],
    ),
];

/// Plays seeds, with a mistake or without.
fn play(mutant: Option<&str>, from: u64, seeds: u64) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast-sim"));
    command.args([seeds.to_string(), from.to_string()]);
    if let Some(name) = mutant {
        command.env("STEADFAST_MUTANT", name);
    }
    command.output().expect("the simulation runs")
}

#[test]
fn every_mistake_is_expected_to_be_found() {
    let mut expected: Vec<&str> = SAYS.iter().map(|(name, _)| *name).collect();
    expected.dedup();
    assert_eq!(expected, mutants::ALL);
}

#[test]
fn simulation_finds_every_mistake_and_nothing_without() {
    let from = seed("simulation_finds_every_mistake");
    let (mut missed, mut most) = (Vec::new(), scaled(100, WITHIN));
    for (name, fitting) in SAYS {
        let begun = SystemClock::new().running();
        let found = find(name, fitting, from);
        let took = SystemClock::new().running().saturating_sub(begun);
        match found {
            Ok(Found { seeds, failed }) => {
                most = most.max(seeds);
                say(&format!(
                    "mutant {name}: caught by seed {seeds}, {failed} failed, {:.1} s",
                    took.as_secs_f64()
                ));
            }
            Err(said) => missed.push(format!("{name}: {said}")),
        }
    }
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
    let played = play(None, from, most);
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(played.status.success(), "without any mistake: {said}");
    proved("mutants", mutants::ALL.len() as u64);
}

/// How a mistake was found.
struct Found {
    /// Among so many seeds.
    seeds: u64,
    /// Of which so many failed.
    failed: u64,
}

/// Plays on where a seed fails in another way, as each mistake has its own law to break; else what was said last.
fn find(name: &str, fitting: &[&str], from: u64) -> Result<Found, String> {
    let (end, mut next, mut failed) = (from + WITHIN, from, 0);
    let mut last = "nothing failed".to_owned();
    while next < end {
        let played = play(Some(name), next, end - next);
        let said = String::from_utf8_lossy(&played.stdout).into_owned();
        let Some(seed) = first_failing(&said).filter(|_| !played.status.success()) else {
            break;
        };
        failed += 1;
        if !said.contains("fails in the same way") || said.contains("does otherwise") {
            return Err(format!("a seed that fails does not do so again: {said}"));
        }
        next = seed + 1;
        if fitting.iter().any(|text| said.contains(text)) {
            let seeds = next - from;
            return Ok(Found { seeds, failed });
        }
        last = said;
    }
    Err(last)
}

/// The number in `seed NUMBER, repeat it with …`.
fn first_failing(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("seed "))?;
    line.split_once(',')?.0.parse().ok()
}
