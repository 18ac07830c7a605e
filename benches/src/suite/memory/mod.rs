//! What an actor takes while it does nothing: the growth of a fresh process's resident memory, for each actor.
//!
//! Each figure comes from a process of its own that holds nothing else (`inside`). Every actor has an empty state
//! and was asked once, so that it is really there. The other frameworks need a handle to keep an actor, which is
//! part of their figure. steadfast's node is on a disk; its actors wrote nothing.

mod inside;

use super::Target;
use crate::child::Process;
use crate::plot::{self, Chart, Series};
use crate::{Bound, Outcome, Pairs, Row, Settings, Spread};

pub(super) use inside::measure_inside;

pub(super) const TARGETS: &[Target] =
    &[(&["memory.resident"], |settings| vec![resident(settings)])];

/// What the target asks of one actor, in bytes.
const AT_MOST: f64 = 400.0;
const MILLION: usize = 1_000_000;
const OTHERS: [&str; 4] = ["actix", "ractor", "kameo", "tokio"];
/// The largest of them, roughly, in bytes: what does not fit into memory is not tried.
const LARGEST: usize = 9_000;
/// Actors at most that leave memory.
const LEAVING: usize = 200_000;

/// Bytes of a resident actor, against four others, and of one that left memory.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let wanted = if settings.quick { 50_000 } else { MILLION };
    let fits = available_bytes().map_or(MILLION / 5, |bytes| bytes / 2 / LARGEST);
    let others = wanted.min(fits);
    let mut pairs: [Pairs; 4] = Default::default();
    let mut passivated = Pairs::default();
    for _ in 0..settings.runs {
        let ours = match of_process(settings, "steadfast", wanted) {
            Ok(bytes) => bytes,
            Err(why) => return vec![skipped("resident actor", &why)],
        };
        for (name, pairs) in OTHERS.iter().zip(&mut pairs) {
            match of_process(settings, name, others) {
                Ok(bytes) => pairs.push(ours, bytes),
                Err(why) => return vec![skipped(name, &why)],
            }
        }
        match of_process(settings, "passivated", wanted.min(LEAVING)) {
            Ok(bytes) => passivated.push(bytes, ours),
            Err(why) => return vec![skipped("actor that left memory", &why)],
        }
    }
    plot(settings, &pairs);
    let mut outcomes: Vec<Outcome> = OTHERS
        .iter()
        .zip(&pairs)
        .map(|(name, pairs)| {
            let title = format!("resident actor of {wanted}, against {name}'s");
            pairs.row(title, "bytes", &format!("{name}, {others} actors"), None)
        })
        .collect();
    outcomes.push(passivated.row("actor that left memory", "bytes", "a resident one", None));
    outcomes
}

fn plot(settings: &Settings, pairs: &[Pairs; 4]) {
    let Some(dir) = &settings.plots else { return };
    let mut categories = vec!["steadfast".to_owned()];
    let mut values = vec![pairs[0].ours().median];
    for (name, pairs) in OTHERS.iter().zip(pairs) {
        categories.push((*name).to_owned());
        values.push(pairs.theirs().median);
    }
    let series = Series {
        name: "bytes of a resident actor without a state".to_owned(),
        values,
    };
    let chart = Chart::bars("Resident actors", "bytes", categories, vec![series]);
    plot::draw(&dir.join("memory.svg"), &[chart]);
}

fn resident(settings: &Settings) -> Outcome {
    let runs = (0..settings.runs).map(|_| of_process(settings, "steadfast", MILLION));
    match runs.collect::<Result<Vec<f64>, _>>() {
        Ok(bytes) => Outcome::Measured(Row {
            name: "memory.resident".to_owned(),
            value: Spread::of(bytes),
            unit: "bytes",
            against: format!("{MILLION} actors in a process of their own"),
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
