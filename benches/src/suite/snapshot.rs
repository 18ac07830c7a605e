//! What snapshots cost while they are taken: rates and times with them and without, and what others notice
//! of an actor whose state is very large.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Target;
use super::latency::{overrun, peak};
use crate::load::{Asking, Closed, Measured, Note, Paced, Site, Store};
use crate::{Bound, Outcome, Pairs, Row, Settings, Spread, figure};

/// The rows.
pub(super) const TARGETS: &[Target] = &[(&["snapshot.p99"], |settings| vec![p99(settings)])];

const STATE_BYTES: u64 = 4 << 10;
const EVENT_BYTES: u32 = 128;
/// Few enough that each gets its 200 entries several times over.
const ACTORS: usize = 200;
const EVERY: u64 = 200;

fn slice(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 1_500 } else { 5_000 })
}

/// The subject compares more, and so has less time for each.
fn part(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 300 } else { 5_000 })
}

/// Actors with a state, of which each stands elsewhere on its way to the next snapshot.
fn site(settings: &Settings, every: u64, actors: usize, state: u64) -> Site {
    let site = Site::over(settings.fresh_dir(), Store::Steadfast, actors, |config| {
        config.snapshot_every = every;
    });
    site.load(state);
    let steps = usize::try_from(EVERY).unwrap_or(1);
    site.touch(move |key| key % steps);
    site
}

fn stored(site: &Site) -> f64 {
    site.metric("steadfast_snapshots_total", "outcome=\"stored\"")
}

fn p99(settings: &Settings) -> Outcome {
    let name = "snapshot.p99";
    let first = site(settings, EVERY, ACTORS, STATE_BYTES);
    let load = Paced {
        rate: peak(settings, &first, EVENT_BYTES) / 2.0,
        event_bytes: EVENT_BYTES,
        warm_up: slice(settings) / 2,
        window: slice(settings) * 2,
    };
    first.close();
    let mut pairs = Pairs::default();
    let (mut taken, mut answered) = (Vec::new(), Vec::new());
    // Two more than usual: one stall decides a p99.
    for _ in 0..settings.runs + 2 {
        let [ours, theirs] = [EVERY, 0].map(|every| {
            let site = site(settings, every, ACTORS, STATE_BYTES);
            let before = stored(&site);
            let measured = load.run(&site);
            if every > 0 {
                taken.push(stored(&site) - before);
            } else {
                answered.push(measured.rate);
            }
            site.close();
            measured.p99
        });
        pairs.push(ours, theirs);
    }
    if let Some(skipped) = overrun(name, load.rate, Spread::of(answered)) {
        return skipped;
    }
    let taken = Spread::of(taken);
    if taken.least < 1.0 {
        return Outcome::Skipped {
            name: name.to_owned(),
            why: "the load was too slow for any snapshot: give it a longer window".to_owned(),
        };
    }
    let told = format!(
        "none taken, the same {}/s, half of the peak ({} snapshots of 4 KiB a run)",
        figure(load.rate),
        figure(taken.median)
    );
    pairs.row(name, "ms", &told, Some(Bound::AtMost(1.2)))
}

/// The subject.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let mut outcomes = on_and_off(settings);
    for megabytes in [1, 10, 100] {
        outcomes.push(large(settings, megabytes));
    }
    outcomes
}

/// As fast as it goes, with snapshots and without.
fn on_and_off(settings: &Settings) -> Vec<Outcome> {
    let load = Closed {
        callers: 1_000,
        event_bytes: EVENT_BYTES,
        asking: Asking::Pipelined,
        warm_up: part(settings) / 4,
        window: part(settings),
    };
    let mut rate = Pairs::default();
    let mut p99 = Pairs::default();
    for _ in 0..settings.runs {
        let [ours, theirs] = [EVERY, 0].map(|every| {
            let site = site(settings, every, ACTORS, STATE_BYTES);
            let measured = load.run(&site);
            site.close();
            measured
        });
        rate.push(ours.rate, theirs.rate);
        p99.push(ours.p99, theirs.p99);
    }
    let name = format!("{ACTORS} states of 4 KiB, a snapshot every {EVERY} entries, 1,000 callers");
    vec![
        rate.row(name.clone(), "commands/s", "no snapshots", None),
        p99.row(format!("{name}: p99"), "ms", "no snapshots", None),
    ]
}

/// What the callers of others notice while an actor with a large state is asked all the time, and so takes
/// a snapshot of it every 200 entries.
fn large(settings: &Settings, megabytes: u64) -> Outcome {
    let mut p99 = Pairs::default();
    let mut longest = Vec::new();
    let mut taken = Vec::new();
    for _ in 0..settings.runs {
        let mut of = |every: u64| {
            let site = Site::new(settings, Store::Steadfast, ACTORS, |config| {
                config.snapshot_every = every;
            });
            let before = stored(&site);
            let measured = beside(settings, &site, megabytes << 20);
            if every > 0 {
                longest.push(measured.longest);
                taken.push(stored(&site) - before);
            }
            site.close();
            measured.p99
        };
        p99.push(of(EVERY), of(0));
    }
    let name = format!("p99 of others beside a state of {megabytes} MiB under load");
    let told = format!(
        "{} ms without snapshots ({} snapshots a run; longest time with them {} ms)",
        figure(p99.theirs().median),
        figure(Spread::of(taken).median),
        figure(Spread::of(longest).median)
    );
    Outcome::Measured(Row {
        name,
        value: p99.ours(),
        unit: "ms",
        against: told,
        ratio: Some(p99.ratio()),
        bound: None,
    })
}

/// 100 callers of the small ones, beside four of one with a state of `bytes`.
fn beside(settings: &Settings, site: &Site, bytes: u64) -> Measured {
    let large = site.extra("large");
    site.load_one(&large, bytes);
    let over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (large, over) = (large.clone(), Arc::clone(&over));
            site.spawn(async move {
                while !over.load(Ordering::Acquire) {
                    let noted = large.ask(Note { bytes: EVENT_BYTES }).await;
                    noted.expect("the command is acknowledged");
                }
            })
        })
        .collect();
    let load = Closed {
        callers: 100,
        event_bytes: EVENT_BYTES,
        asking: Asking::Pipelined,
        warm_up: part(settings) / 4,
        window: part(settings),
    };
    let measured = load.run(site);
    over.store(true, Ordering::Release);
    for task in tasks {
        site.wait(task);
    }
    measured
}
