//! Goal: the simulation finds the mistakes that it is there for. A check that never fails proves nothing.
//!
//! Method: the same program, with one mistake made on purpose (`steadfast::mutants`), plays seeds until one fails; what
//! it says must fit the mistake. Without any, the same seeds pass.

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

/// What the simulation says of each: one of these.
const SAYS: [(&str, &[&str]); 10] = [
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
    let expected: Vec<&str> = SAYS.iter().map(|(name, _)| *name).collect();
    assert_eq!(expected, mutants::ALL);
}

#[test]
fn simulation_finds_every_mistake_and_nothing_without() {
    let from = seed("simulation_finds_every_mistake");
    let (mut missed, mut most) = (Vec::new(), scaled(100, WITHIN));
    for (name, fitting) in SAYS {
        let begun = SystemClock::new().running();
        let played = play(Some(name), from, WITHIN);
        let took = SystemClock::new().running().saturating_sub(begun);
        let said = String::from_utf8_lossy(&played.stdout).into_owned();
        let seeds = said.split(' ').next().and_then(|count| count.parse().ok());
        let fits = fitting.iter().any(|text| said.contains(text));
        if played.status.success() || !fits {
            missed.push(format!("{name}: {said}"));
            continue;
        }
        let seeds: u64 = seeds.expect("it says how many seeds it played");
        most = most.max(seeds);
        let took = took.as_secs_f64();
        say(&format!(
            "mutant {name}: caught after {seeds} seeds, {took:.1} s"
        ));
    }
    assert!(missed.is_empty(), "not caught:\n{}", missed.join("\n"));
    let played = play(None, from, most);
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(played.status.success(), "without any mistake: {said}");
    proved("mutants", SAYS.len() as u64);
}
