//! The subjects of `steadfast-bench`, a module each.

pub mod adapter;
mod ask;
mod checkpoint;
mod commit;
mod disk;
mod frameworks;
mod latency;
mod memory;
mod mixed;
mod peers;
mod recover;
mod scale;
mod snapshot;
mod soak;
mod stage;
mod start;

pub use start::child;

use crate::load::now;
use crate::{Outcome, Settings};

/// A subject: name, one line about it, and how it is measured.
pub type Subject = (&'static str, &'static str, fn(&Settings) -> Vec<Outcome>);
/// Rows of the targets that are measured together, because they share what takes long to make: their names, and how.
pub type Target = (&'static [&'static str], fn(&Settings) -> Vec<Outcome>);

/// All subjects.
pub const SUBCOMMANDS: &[Subject] = &[
    (
        "commit",
        "Durable commands a second, and how long they take.",
        commit::run,
    ),
    (
        "snapshot",
        "What snapshots cost while they are taken.",
        snapshot::run,
    ),
    (
        "checkpoint",
        "How often to take snapshots: costs and gains.",
        checkpoint::run,
    ),
    (
        "recover",
        "actors that come back: replays, and states from snapshots",
        recover::run,
    ),
    (
        "start",
        "from the start of a process to its first answer",
        start::run,
    ),
    (
        "scale",
        "what grows with actors, events, workers and the disk",
        scale::run,
    ),
    (
        "mixed",
        "commands, recoveries, timers and a reader at the same time",
        mixed::run,
    ),
    (
        "soak",
        "memory, processor, log and tail latency over hours",
        soak::run,
    ),
    (
        "hot",
        "One hot actor and nothing else: what `make flamegraph` looks at.",
        commit::hot_alone,
    ),
    (
        "ask",
        "Questions that write nothing, against other actor frameworks.",
        ask::run,
    ),
    (
        "memory",
        "Bytes of an actor that does nothing, against other frameworks'.",
        memory::run,
    ),
    (
        "peers",
        "The same counter in Restate, PostgreSQL, SQLite and datum-persistence, all durable.",
        peers::run,
    ),
];

/// Subjects that `all` leaves out: one lasts for hours, the other only repeats a part of `commit`.
pub const APART: [&str; 2] = ["soak", "hot"];

/// The rows of all modules, in the order of the table of targets.
const TARGETS: &[&[Target]] = &[
    // A line for each module.
    commit::TARGETS,
    latency::TARGETS,
    ask::TARGETS,
    memory::TARGETS,
    recover::TARGETS,
    start::TARGETS,
    snapshot::TARGETS,
    scale::TARGETS,
    peers::TARGETS,
];

/// Measures the targets, or those that were asked for.
#[must_use]
pub fn targets(settings: &Settings) -> Vec<Outcome> {
    let wanted = |name: &str| {
        settings
            .only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    };
    let mut outcomes = Vec::new();
    for (names, measure) in TARGETS.iter().copied().flatten() {
        if names.iter().any(|name| wanted(name)) {
            eprint!("{} ... ", names.join(", "));
            let begun = now();
            outcomes.extend(measure(settings));
            eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    outcomes.retain(|outcome| wanted(outcome.name()));
    outcomes
}

/// If this process was started by another of this program, does what it was started for.
#[must_use]
pub fn in_child(arguments: &[String]) -> Option<std::process::ExitCode> {
    memory::measure_inside(arguments).or_else(|| peers::serve_inside(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let rows = TARGETS.iter().copied().flatten();
        let mut names: Vec<&str> = rows.flat_map(|(names, _)| names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (19, 19));
    }
}
