//! The contract of every journal, as functions over a maker of empty storages.
//!
//! Public behind the feature `conformance`, so that a journal outside of this crate can be held to it
//! too. Each function makes a storage of its own, and panics where the contract is broken.
//!
//! [`run_all`] runs all of them, each on a thread with its name, so that a panic tells which it was.
#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "to panic is how a check reports"
)]

mod driver;
mod model;
mod reading;
mod writing;

use crate::journal::Storage;

pub use driver::Driver;
#[cfg(test)]
pub(crate) use driver::sample;

/// Makes an empty storage.
pub type Fresh<'a> = &'a (dyn Fn() -> Box<dyn Storage> + Sync);

/// One part of the contract, with its name.
pub type Check = (&'static str, fn(Fresh<'_>));

/// Holds the storages that `fresh` makes to the whole contract.
pub fn run_all(fresh: Fresh<'_>) {
    for (name, check) in CHECKS {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name((*name).to_owned())
                .spawn_scoped(scope, || check(fresh))
                .expect("there is a thread");
        });
    }
}

/// The whole contract.
pub const CHECKS: &[Check] = &[
    (
        "a new journal has only its opening commit",
        writing::new_journal,
    ),
    (
        "entries keep their order and their numbers",
        writing::order_and_density,
    ),
    ("a submission is one commit", writing::submissions_are_whole),
    (
        "a completion tells the commit that is durable",
        writing::completion_is_durable,
    ),
    (
        "an empty submission waits and writes nothing",
        writing::empty_submission,
    ),
    (
        "rows change with their entries",
        writing::rows_change_with_entries,
    ),
    (
        "wrong numbers are refused",
        writing::wrong_numbers_are_refused,
    ),
    ("large entries", writing::large_entries),
    ("many threads submit at a time", writing::many_threads),
    (
        "each opening is an epoch of the same history",
        writing::epochs,
    ),
    (
        "actor numbers are never reused",
        writing::numbers_are_never_reused,
    ),
    ("closing ends it in order", writing::closing),
    ("dropping keeps what was submitted", writing::dropping),
    ("actors are found and paged by name", reading::actors),
    (
        "entries are read from any number",
        reading::entries_from_number,
    ),
    (
        "entries are read from any event",
        reading::entries_from_event,
    ),
    ("commits are walked in order", reading::commits),
    ("rows are paged by key", reading::rows),
    ("only its own past is contained", reading::contains),
    (
        "a full check beside writers finds nothing",
        reading::verified_beside_writers,
    ),
    ("a random run equals its model", model::random_runs),
];
