//! Acknowledged durable commands a second, and how long they take.
//!
//! Each cell is measured over the real journal, over one growing file, over a put per event, and over the
//! real journal with callers that wait for each other at every actor; one right after the other in each run.

mod targets;

use std::time::Duration;

use crate::load::{Asking, Closed, Measured, Site, Store, float};
use crate::plot::{self, Chart, Line, Scale, Series};
use crate::{Outcome, Pairs, Row, Settings, Spread};

pub(super) use targets::TARGETS;

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    callers: usize,
    actors: usize,
    bytes: u32,
}

impl Cell {
    fn name(self) -> String {
        let Self {
            callers,
            actors,
            bytes,
        } = self;
        format!("{callers} callers, {actors} actors, {bytes} B")
    }
}

/// How a cell is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    store: Store,
    asking: Asking,
}

const fn way(store: Store, asking: Asking) -> Way {
    Way { store, asking }
}

const OURS: Way = way(Store::Steadfast, Asking::Pipelined);
const WAITING: Way = way(Store::Steadfast, Asking::OneInFlight);
const FILE: Way = way(Store::File, Asking::Pipelined);
const PUTS: Way = way(Store::Puts, Asking::Pipelined);

impl Way {
    const fn name(self) -> &'static str {
        match self.asking {
            Asking::Pipelined => self.store.name(),
            Asking::OneInFlight => "one in flight per actor",
        }
    }

    /// A fresh node, all actors touched, then the load.
    fn measure(self, settings: &Settings, cell: Cell, times: Times) -> Measured {
        let site = Site::new(settings, self.store, cell.actors, |_| {});
        let load = Closed {
            callers: cell.callers,
            event_bytes: cell.bytes,
            asking: self.asking,
            warm_up: times.warm_up,
            window: times.window,
        };
        let measured = load.run(&site);
        site.close();
        measured
    }
}

/// How long a measurement takes.
#[derive(Debug, Clone, Copy)]
struct Times {
    warm_up: Duration,
    window: Duration,
}

const fn times(warm_up: u64, window: u64) -> Times {
    Times {
        warm_up: Duration::from_millis(warm_up),
        window: Duration::from_millis(window),
    }
}

fn cells(settings: &Settings) -> Vec<Cell> {
    let cell = |callers, actors, bytes| Cell {
        callers,
        actors,
        bytes,
    };
    if settings.quick {
        return vec![
            cell(1, 10_000, 128),
            cell(1_000, 1, 128),
            cell(1_000, 10_000, 128),
            cell(10_000, 10_000, 128),
            cell(1_000, 10_000, 8_192),
        ];
    }
    let mut all = Vec::new();
    for bytes in [64, 128, 1_024, 8_192] {
        for actors in [1, 100, 10_000] {
            all.extend([1, 100, 1_000, 10_000].map(|callers| cell(callers, actors, bytes)));
        }
    }
    all
}

/// One figure of what was measured.
type Of = fn(&Measured) -> f64;
/// What one way came to in each run.
type Runs = Vec<Measured>;

/// The subject.
#[must_use]
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let times = if settings.quick {
        times(60, 180)
    } else {
        times(500, 1_500)
    };
    let mut outcomes = Vec::new();
    let mut found: Vec<(Cell, [Runs; 4])> = Vec::new();
    for cell in cells(settings) {
        let mut of_cell: [Runs; 4] = Default::default();
        for _ in 0..settings.runs {
            for (runs, way) in of_cell.iter_mut().zip([OURS, FILE, PUTS, WAITING]) {
                runs.push(way.measure(settings, cell, times));
            }
        }
        outcomes.extend(rows(cell, &of_cell));
        found.push((cell, of_cell));
    }
    plots(settings, &found);
    outcomes
}

/// Only the real journal, with all callers at one actor.
pub(super) fn hot_alone(settings: &Settings) -> Vec<Outcome> {
    let cell = Cell {
        callers: 1_000,
        actors: 1,
        bytes: 128,
    };
    let times = times(500, if settings.quick { 3_000 } else { 10_000 });
    let runs: Runs = (0..settings.runs)
        .map(|_| OURS.measure(settings, cell, times))
        .collect();
    vec![Outcome::Measured(Row {
        name: cell.name(),
        value: Spread::of(runs.iter().map(|measured| measured.rate)),
        unit: "commands/s",
        against: "nothing".to_owned(),
        ratio: None,
        bound: None,
    })]
}

fn rows(cell: Cell, [ours, file, puts, waiting]: &[Runs; 4]) -> Vec<Outcome> {
    let pairs = |theirs: &Runs, of: Of| {
        let mut pairs = Pairs::default();
        for (ours, theirs) in ours.iter().zip(theirs) {
            pairs.push(of(ours), of(theirs));
        }
        pairs
    };
    let name = cell.name();
    let rate = |runs, way: Way| {
        pairs(runs, |measured| measured.rate).row(name.clone(), "commands/s", way.name(), None)
    };
    let mut rows = vec![rate(file, FILE), rate(puts, PUTS), rate(waiting, WAITING)];
    let quantiles: [(&str, Of); 3] = [
        ("p50", |measured| measured.p50),
        ("p99", |measured| measured.p99),
        ("p99.9", |measured| measured.p999),
    ];
    for (quantile, of) in quantiles {
        rows.push(pairs(file, of).row(format!("{name}: {quantile}"), "ms", FILE.name(), None));
    }
    rows
}

fn median(runs: &Runs, of: Of) -> f64 {
    Spread::of(runs.iter().map(of)).median
}

/// Rates and p99 by callers, for 128 B over the most actors.
fn plots(settings: &Settings, found: &[(Cell, [Runs; 4])]) {
    let Some(dir) = &settings.plots else { return };
    let shown: Vec<_> = found
        .iter()
        .filter(|(cell, _)| cell.actors == 10_000 && cell.bytes == 128)
        .collect();
    let ways = || [OURS, FILE, PUTS, WAITING].iter().enumerate();
    let rates: Vec<Line> = ways()
        .map(|(way, named)| Line {
            name: named.name().to_owned(),
            points: shown
                .iter()
                .map(|(cell, runs)| {
                    let rate = median(&runs[way], |measured| measured.rate);
                    (float(cell.callers as u64), rate)
                })
                .collect(),
        })
        .collect();
    let categories: Vec<String> = shown
        .iter()
        .map(|(cell, _)| match cell.callers {
            1 => "1 caller".to_owned(),
            many => format!("{many} callers"),
        })
        .collect();
    let times: Vec<Series> = ways()
        .map(|(way, named)| Series {
            name: named.name().to_owned(),
            values: shown
                .iter()
                .map(|(_, runs)| median(&runs[way], |measured| measured.p99))
                .collect(),
        })
        .collect();
    let title = "Acknowledged durable commands, 10,000 actors, 128 B";
    let callers = ("callers", Scale::Logarithmic);
    let rates = Chart::lines(title, callers, "commands/s", rates);
    let times = Chart::bars("p99, 10,000 actors, 128 B", "ms", categories, times);
    plot::draw(&dir.join("commit.svg"), &[rates, times]);
}
