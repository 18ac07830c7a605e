//! What an actor takes while it does nothing: the growth of a fresh process's resident memory, for each actor.
//!
//! Each figure comes from a process of its own that holds nothing else (`inside`). Every actor has an empty state
//! and was asked once, so that it is really there. The other frameworks need a handle to keep an actor, which is
//! part of their figure. steadfast's node is on a disk; its actors wrote nothing.

mod inside;

use super::Target;
use crate::child::Process;
use crate::{Bound, Outcome, Row, Settings, Spread, figure};

pub(super) use inside::measure_inside;

pub(super) const TARGETS: &[Target] = &[("memory.resident", resident)];

/// What the target asks of one actor, in bytes.
const AT_MOST: f64 = 400.0;
const MILLION: usize = 1_000_000;
const OTHERS: [&str; 4] = ["actix", "ractor", "kameo", "tokio"];
/// The largest of them, roughly, in bytes: what does not fit into memory is not tried.
const LARGEST: usize = 9_000;

/// Bytes of a resident actor, against four others, and of one that left memory.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let wanted = if settings.quick { 200_000 } else { MILLION };
    let fits = available_bytes().map_or(MILLION / 5, |bytes| bytes / 2 / LARGEST);
    let others = wanted.min(fits);
    let ours = of_process(settings, "steadfast", wanted);
    let mut outcomes = Vec::new();
    for name in OTHERS {
        let title = format!("resident actor, against {name}'s");
        outcomes.push(match (&ours, &of_process(settings, name, others)) {
            (Ok(ours), Ok(other)) => {
                row(&title, *ours, &format!("{name}, {others} actors"), *other)
            }
            (Err(why), _) | (_, Err(why)) => skipped(&title, why),
        });
    }
    let title = "actor that left memory";
    outcomes.push(
        match (&ours, &of_process(settings, "passivated", 200_000)) {
            (Ok(ours), Ok(left)) => row(title, *left, "a resident one", *ours),
            (Err(why), _) | (_, Err(why)) => skipped(title, why),
        },
    );
    outcomes
}

fn resident(settings: &Settings) -> Outcome {
    match of_process(settings, "steadfast", MILLION) {
        Ok(bytes) => Outcome::Measured(Row {
            name: "memory.resident".to_owned(),
            value: Spread::of([bytes]),
            unit: "bytes",
            against: format!("{MILLION} actors in a process of their own, one run"),
            ratio: None,
            bound: Some(Bound::AtMost(AT_MOST)),
        }),
        Err(why) => skipped("memory.resident", &why),
    }
}

fn of_process(settings: &Settings, what: &str, count: usize) -> Result<f64, String> {
    let dir = settings.fresh_dir();
    let dir = dir.path().display().to_string();
    let mut child =
        Process::of_this_program(&[inside::SUBCOMMAND, what, &count.to_string(), &dir])?;
    child.number("bytes")
}

fn row(name: &str, bytes: f64, other: &str, other_bytes: f64) -> Outcome {
    Outcome::Measured(Row {
        name: name.to_owned(),
        value: Spread::of([bytes]),
        unit: "bytes",
        against: format!("{other}: {} bytes", figure(other_bytes)),
        ratio: Some(bytes / other_bytes),
        bound: None,
    })
}

fn skipped(name: &str, why: &str) -> Outcome {
    Outcome::Skipped {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}

fn available_bytes() -> Option<usize> {
    kib_in("/proc/meminfo", "MemAvailable:").map(|kib| kib * 1_024)
}

/// A line such as `VmRSS:  1234 kB` of a file of the kernel's.
fn kib_in(file: &str, field: &str) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_tells_what_this_process_takes() {
        assert!(kib_in("/proc/self/status", "VmRSS:").is_some_and(|kib| kib > 100));
        assert!(available_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
