//! The targets of rate: against the plain stores, and with all load on one actor.

use super::{Cell, FILE, OURS, PUTS, Times, WAITING, Way, times};
use crate::load::Measured;
use crate::suite::Target;
use crate::suite::disk::Disk;
use crate::{Bound, Outcome, Pairs, Settings, figure};

/// The rows.
pub(in crate::suite) const TARGETS: &[Target] = &[
    ("commit.vs_file", vs_file),
    ("commit.vs_puts", vs_puts),
    ("commit.hot", hot),
    ("commit.hot_vs_waiting", hot_vs_waiting),
];

fn long_enough(settings: &Settings) -> Times {
    if settings.quick {
        times(300, 900)
    } else {
        times(1_000, 4_000)
    }
}

const fn cell(callers: usize, actors: usize) -> Cell {
    Cell {
        callers,
        actors,
        bytes: 128,
    }
}

/// Two ways to measure, turn by turn.
fn alternate(settings: &Settings, ours: (Way, Cell), theirs: (Way, Cell)) -> Vec<[Measured; 2]> {
    let times = long_enough(settings);
    (0..settings.runs)
        .map(|_| [ours, theirs].map(|(way, cell)| way.measure(settings, cell, times)))
        .collect()
}

fn rates(runs: &[[Measured; 2]]) -> Pairs {
    let mut pairs = Pairs::default();
    for [ours, theirs] in runs {
        pairs.push(ours.rate, theirs.rate);
    }
    pairs
}

/// Ours ÷ `peer` over 10,000 random actors, with 1,000 and with 10,000 callers: the worse counts.
fn against(settings: &Settings, name: &str, peer: Way, bound: f64) -> Outcome {
    let mut found: Vec<(usize, Pairs)> = [1_000, 10_000]
        .into_iter()
        .map(|callers| {
            let cell = cell(callers, 10_000);
            let runs = alternate(settings, (OURS, cell), (peer, cell));
            (callers, rates(&runs))
        })
        .collect();
    found.sort_by(|(_, left), (_, right)| left.ratio().total_cmp(&right.ratio()));
    let [(callers, worse), (others, better)] = &found[..] else {
        unreachable!("two counts were measured")
    };
    let told = format!(
        "{}, {callers} callers (with {others}: {} against {}, ratio {}), synced on both sides",
        peer.name(),
        figure(better.ours().median),
        figure(better.theirs().median),
        figure(better.ratio()),
    );
    worse.row(name, "commands/s", &told, Some(Bound::AtLeast(bound)))
}

fn vs_file(settings: &Settings) -> Outcome {
    against(settings, "commit.vs_file", FILE, 0.6)
}

fn vs_puts(settings: &Settings) -> Outcome {
    against(settings, "commit.vs_puts", PUTS, 2.0)
}

fn hot(settings: &Settings) -> Outcome {
    let runs = alternate(
        settings,
        (OURS, cell(1_000, 1)),
        (OURS, cell(1_000, 10_000)),
    );
    rates(&runs).row(
        "commit.hot",
        "commands/s",
        "the same 1,000 callers over 10,000 actors",
        Some(Bound::AtLeast(0.8)),
    )
}

fn hot_vs_waiting(settings: &Settings) -> Outcome {
    let times = long_enough(settings);
    let mut pairs = Pairs::default();
    let mut syncs = Pairs::default();
    for _ in 0..settings.runs {
        let hot = cell(1_000, 1);
        let ours = OURS.measure(settings, hot, times);
        let theirs = WAITING.measure(settings, hot, times);
        pairs.push(ours.rate, theirs.rate);
        let mut disk = Disk::growing(settings);
        let sync = disk.sync_for(times.window / 3, 512);
        syncs.push(sync, theirs.p50);
    }
    let told = format!(
        "one command in flight, where each waits for its own sync (one fdatasync here: {} ms)",
        figure(syncs.ours().median)
    );
    pairs.row(
        "commit.hot_vs_waiting",
        "commands/s",
        &told,
        Some(Bound::AtLeast(100.0)),
    )
}
