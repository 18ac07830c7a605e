//! How often to take snapshots: what each cadence costs while running, and what it saves at a recovery.

use std::time::Duration;

use crate::load::{Asking, Closed, Site, Store, now, written_bytes};
use crate::plot::{self, Chart, Series};
use crate::{Outcome, Pairs, Row, Settings, Spread, figure};

const ACTORS: usize = 200;
const STATE_BYTES: u64 = 4 << 10;

/// Off, and entries between two snapshots.
const CADENCES: [u64; 4] = [0, 50, 200, 1_000];

/// What one cadence came to in one run.
struct Found {
    rate: f64,
    p99: f64,
    /// Bytes written to the disk for each command.
    written: f64,
    /// Until all actors answered after a crash, in milliseconds.
    recovery: f64,
    /// Events that they had.
    events: f64,
}

fn measure(settings: &Settings, every: u64) -> Found {
    let cadence = |config: &mut steadfast::Config| config.snapshot_every = every;
    let before = written_bytes();
    let site = Site::over(settings.fresh_dir(), Store::Steadfast, ACTORS, cadence);
    site.load(STATE_BYTES);
    let load = Closed {
        callers: 1_000,
        event_bytes: 128,
        asking: Asking::Pipelined,
        warm_up: Duration::from_millis(if settings.quick { 100 } else { 1_000 }),
        window: Duration::from_millis(if settings.quick { 400 } else { 5_000 }),
    };
    let measured = load.run(&site);
    let events = site.metric("steadfast_journal_events_total", "");
    let dir = site.crash();
    let written = (written_bytes() - before) / events.max(1.0);
    let begun = now();
    let site = Site::over(dir, Store::Steadfast, ACTORS, cadence);
    let known = site.recover();
    let recovery = begun.elapsed().as_secs_f64() * 1e3;
    assert!(
        known >= measured.count,
        "{known} events were recovered of {measured:?}"
    );
    site.close();
    Found {
        rate: measured.rate,
        p99: measured.p99,
        written,
        recovery,
        events,
    }
}

/// The subject.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let mut found: [Vec<Found>; 4] = Default::default();
    for _ in 0..settings.runs {
        for (runs, every) in found.iter_mut().zip(CADENCES) {
            runs.push(measure(settings, every));
        }
    }
    plot(settings, &found);
    let [off, ..] = &found;
    CADENCES
        .iter()
        .zip(&found)
        .flat_map(|(every, runs)| rows(*every, runs, off))
        .collect()
}

/// What is told of each cadence: its name, its unit, and where it is.
type Told = (&'static str, &'static str, fn(&Found) -> f64);

const TOLD: [Told; 4] = [
    ("rate", "commands/s", |found| found.rate),
    ("p99", "ms", |found| found.p99),
    ("written for each command", "B", |found| found.written),
    ("opening and recovering all after a crash", "ms", |found| {
        found.recovery
    }),
];

fn plot(settings: &Settings, found: &[Vec<Found>; 4]) {
    let Some(dir) = &settings.plots else { return };
    let name = |every: u64| match every {
        0 => "no snapshots".to_owned(),
        every => format!("every {every} entries"),
    };
    let charts = TOLD.map(|(what, unit, of)| {
        let median = |runs: &Vec<Found>| Spread::of(runs.iter().map(of)).median;
        let series = Series {
            name: what.to_owned(),
            values: found.iter().map(median).collect(),
        };
        let title = format!("How often snapshots are taken: {what}");
        Chart::bars(&title, unit, CADENCES.map(name).to_vec(), vec![series])
    });
    plot::draw(&dir.join("checkpoint.svg"), &charts);
}

fn rows(every: u64, runs: &[Found], off: &[Found]) -> Vec<Outcome> {
    let name = match every {
        0 => "no snapshots".to_owned(),
        every => format!("a snapshot every {every} entries"),
    };
    let of = |what: &str, unit: &'static str, of: fn(&Found) -> f64| {
        let mut pairs = Pairs::default();
        for (ours, theirs) in runs.iter().zip(off) {
            pairs.push(of(ours), of(theirs));
        }
        let name = format!("{name}: {what}");
        if every > 0 {
            return pairs.row(name, unit, "no snapshots", None);
        }
        let events = Spread::of(runs.iter().map(|run| run.events));
        Outcome::Measured(Row {
            name,
            value: pairs.ours(),
            unit,
            against: format!("{ACTORS} actors, {} events a run", figure(events.median)),
            ratio: None,
            bound: None,
        })
    };
    TOLD.map(|(what, unit, figure)| of(what, unit, figure))
        .to_vec()
}
