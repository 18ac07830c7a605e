//! Goal: whatever order commands, commits, time, failures and crashes come in, every law holds.
//!
//! Method: a slice of the seeds that `make sim` plays; which of them differs from run to run, and is said.

use steadfast_tests::sim::{self, Sometimes};

use crate::harness::{say, scaled, seed};

#[test]
fn every_law_holds_in_every_order() {
    let from = seed("every_law_holds_in_every_order");
    let seeds = scaled(3_000, 20_000);
    let mut sometimes = Sometimes::default();
    for seed in from..from + seeds {
        match sim::run(seed) {
            Ok(played) => sometimes += played.sometimes,
            Err(faults) => {
                panic!("seed {seed}, repeat it with `make sim SEEDS=1 FROM={seed}`:\n{faults}")
            }
        }
    }
    say(&format!("{seeds} seeds reached:\n{sometimes}"));
    assert_eq!(sometimes.missing(), Vec::<&str>::new(), "never reached");
}

/// What follows from a seed does not depend on what ran before, nor on the time of day.
#[test]
fn a_seed_takes_the_same_turns_each_time() {
    let from = seed("a_seed_takes_the_same_turns_each_time");
    for seed in from..from + scaled(200, 2_000) {
        assert_eq!(sim::run(seed), sim::run(seed), "seed {seed}");
    }
}
