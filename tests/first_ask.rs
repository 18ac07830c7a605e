//! Goal: how long a restart takes until the first answer, measured from the start of the process.
//!
//! Method: many actors with state are created through the API, the node is stopped in order, and a new
//! process is timed until it says what its first ask answered. The same after a kill under load, beside
//! the size of the log. Nothing is asserted about time: that is for whoever reads the lines.

use steadfast::{Clock, SystemClock};
use steadfast_tests::ACTORS;

use crate::harness::{Place, Victim, say, scaled, seed};

/// Times a process is started.
const STARTS: u64 = 5;

#[test]
fn first_ask_after_an_orderly_stop() {
    let count = scaled(10_000, 100_000);
    let place = Place::new();
    Victim::mode("fill", &place.dir, &count.to_string()).finish();
    for start in 0..STARTS {
        let key = format!("{:06}", start * (count / STARTS));
        measure(
            &format!("{count} actors, after an orderly stop"),
            &place,
            &key,
            Some(1),
        );
    }
}

#[test]
fn first_ask_after_a_kill_under_load() {
    let seed = seed("first_ask_after_a_kill");
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for(scaled("answers 10000", "answers 100000"));
    victim.kill();
    let key = format!("{:04}", seed % ACTORS);
    measure("after kill -9 under load", &place, &key, None);
}

fn measure(what: &str, place: &Place, key: &str, operations: Option<u64>) {
    let clock = SystemClock::new();
    let begun = clock.running();
    let mut victim = Victim::mode("first-ask", &place.dir, key);
    let answer = victim.wait_for("answered");
    let took = clock.running().saturating_sub(begun).as_millis();
    let journal = victim.wait_for("journal");
    victim.finish();
    say(&format!(
        "first ask, {what}: {took} ms from process start; answered {answer} us; journal {journal}"
    ));
    let found: u64 = answer
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    if let Some(operations) = operations {
        assert_eq!(found, operations, "the actor has its state");
    }
}
