//! The targets of time: one caller against the disk's own sync, and half of the peak against a plain file.

use std::time::Duration;

use super::Target;
use super::disk::Disk;
use crate::load::{Asking, Closed, Paced, Random, Recorder, Site, Store, now};
use crate::{Bound, Outcome, Pairs, Row, Settings, Spread, figure};

/// The rows.
pub(super) const TARGETS: &[Target] = &[
    (&["latency.over_fdatasync"], |settings| {
        vec![over_fdatasync(settings)]
    }),
    (&["p99.vs_file"], |settings| vec![p99_vs_file(settings)]),
];

const ACTORS: usize = 10_000;
const EVENT_BYTES: u32 = 128;

fn slice(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 1_500 } else { 4_000 })
}

/// One command, one bare sync, one command: so both meet the machine in the same mood.
fn over_fdatasync(settings: &Settings) -> Outcome {
    let site = Site::new(settings, Store::Steadfast, ACTORS, |_| {});
    let mut disk = Disk::growing(settings);
    let bytes = site.entry_bytes();
    let mut random = Random::new(1);
    let mut pairs = Pairs::default();
    for _ in 0..settings.runs {
        let (ours, theirs) = (Recorder::default(), Recorder::default());
        let begin = now() + slice(settings) / 4;
        let end = begin + slice(settings) * 2;
        while now() < end {
            let asked = now();
            site.ask(&mut random, EVENT_BYTES);
            let answered = now();
            disk.append_and_sync(bytes);
            if asked >= begin {
                ours.record(answered - asked);
                theirs.record(answered.elapsed());
            }
        }
        let [ours, theirs] = [ours, theirs].map(|times| times.measured(slice(settings)).p50);
        pairs.push(ours * 1e3, theirs * 1e3);
    }
    site.close();
    Outcome::Measured(Row {
        name: "latency.over_fdatasync".to_owned(),
        value: pairs.difference(),
        unit: "µs",
        against: format!(
            "p50 of one caller, {} µs, less p50 of one fdatasync of {bytes} B appended to a growing file, {} µs",
            figure(pairs.ours().median),
            figure(pairs.theirs().median)
        ),
        ratio: None,
        bound: Some(Bound::AtMost(80.0)),
    })
}

/// The most that callers get when they ask again as soon as they are answered.
pub(super) fn peak(settings: &Settings, site: &Site, event_bytes: u32) -> f64 {
    [1_000, 10_000]
        .map(|callers| {
            let load = Closed {
                callers,
                event_bytes,
                asking: Asking::Pipelined,
                warm_up: slice(settings) / 5,
                window: slice(settings) / 2,
            };
            load.run(site).rate
        })
        .into_iter()
        .fold(0.0, f64::max)
}

/// No verdict where not even what we are held against kept the rate: then the times are those of a growing
/// queue, and their ratio means nothing.
pub(super) fn overrun(name: &str, offered: f64, answered: Spread) -> Option<Outcome> {
    (answered.median < offered * 0.95).then(|| Outcome::Skipped {
        name: name.to_owned(),
        why: format!(
            "offered {}/s, what it is held against answered {}/s: let nothing else run on this machine",
            figure(offered),
            figure(answered.median)
        ),
    })
}

fn p99_vs_file(settings: &Settings) -> Outcome {
    let site = Site::new(settings, Store::Steadfast, ACTORS, |_| {});
    let load = Paced {
        rate: peak(settings, &site, EVENT_BYTES) / 2.0,
        event_bytes: EVENT_BYTES,
        warm_up: slice(settings) / 4,
        window: slice(settings),
    };
    site.close();
    let mut p99 = Pairs::default();
    let mut rates = Pairs::default();
    // Two more than usual: one stall decides a p99.
    for _ in 0..settings.runs + 2 {
        let [ours, theirs] = [Store::Steadfast, Store::File].map(|store| {
            let site = Site::new(settings, store, ACTORS, |_| {});
            let measured = load.run(&site);
            site.close();
            measured
        });
        p99.push(ours.p99, theirs.p99);
        rates.push(ours.rate, theirs.rate);
    }
    if let Some(skipped) = overrun("p99.vs_file", load.rate, rates.theirs()) {
        return skipped;
    }
    let told = format!(
        "file adapter, both offered {}/s, half of our peak (answered: {}/s and {}/s); times from when each command was due",
        figure(load.rate),
        figure(rates.ours().median),
        figure(rates.theirs().median)
    );
    p99.row("p99.vs_file", "ms", &told, Some(Bound::AtMost(2.0)))
}
