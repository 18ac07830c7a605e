//! The targets of rate: against the plain stores, and with all load on one actor.

use super::{Cell, FILE, OURS, PUTS, Times, WAITING, Way, times};
use crate::load::Measured;
use crate::suite::Target;
use crate::suite::disk::Disk;
use crate::{Bound, Outcome, Pairs, Settings, figure};

/// The rows.
pub(in crate::suite) const TARGETS: &[Target] = &[
    (&["commit.vs_file", "commit.vs_puts"], vs_stores),
    (&["commit.hot"], |settings| vec![hot(settings)]),
    (&["commit.hot_vs_waiting"], |settings| {
        vec![hot_vs_waiting(settings)]
    }),
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

/// Different ways to measure, turn by turn.
fn alternate<const N: usize>(settings: &Settings, ways: [(Way, Cell); N]) -> Vec<[Measured; N]> {
    let times = long_enough(settings);
    (0..settings.runs)
        .map(|_| ways.map(|(way, cell)| way.measure(settings, cell, times)))
        .collect()
}

/// The first way against another.
fn rates<const N: usize>(runs: &[[Measured; N]], other: usize) -> Pairs {
    let mut pairs = Pairs::default();
    for run in runs {
        pairs.push(run[0].rate, run[other].rate);
    }
    pairs
}

/// Ours ÷ the plain stores over 10,000 random actors, with 1,000 and with 10,000 callers: the worse counts.
fn vs_stores(settings: &Settings) -> Vec<Outcome> {
    let counts = [1_000, 10_000].map(|callers| {
        let cell = cell(callers, 10_000);
        let ways = [(OURS, cell), (FILE, cell), (PUTS, cell)];
        (callers, alternate(settings, ways))
    });
    let against = |name, peer: Way, other, bound| {
        let found = counts.each_ref();
        let found = found.map(|(callers, runs)| (*callers, rates(runs, other)));
        worse(found, name, peer, bound)
    };
    vec![
        against("commit.vs_file", FILE, 1, 0.6),
        against("commit.vs_puts", PUTS, 2, 2.0),
    ]
}

/// The row of the count of callers with the worse ratio.
fn worse(mut found: [(usize, Pairs); 2], name: &str, peer: Way, bound: f64) -> Outcome {
    found.sort_by(|(_, left), (_, right)| left.ratio().total_cmp(&right.ratio()));
    let [(callers, worse), (others, better)] = &found;
    let told = format!(
        "{}, {callers} callers (with {others}: {} against {}, ratio {}), synced on both sides",
        peer.name(),
        figure(better.ours().median),
        figure(better.theirs().median),
        figure(better.ratio()),
    );
    worse.row(name, "commands/s", &told, Some(Bound::AtLeast(bound)))
}

fn hot(settings: &Settings) -> Outcome {
    let ways = [(OURS, cell(1_000, 1)), (OURS, cell(1_000, 10_000))];
    rates(&alternate(settings, ways), 1).row(
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
