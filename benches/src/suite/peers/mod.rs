//! The same counter in other systems that acknowledge durably: on this machine, in turns with steadfast.
//!
//! Every side syncs before it acknowledges. HTTP is compared with HTTP and what runs in the process with what runs
//! in the process; a database's clients speak to it over its socket. `scripts/peers.sh` installs what is missing.

mod commit;
mod datum;
mod http;
mod postgres;
mod restate;
mod serve;
mod sqlite;

use super::Target;
use crate::callers::{Answered, Period};
use crate::{Bound, Outcome, Row, Settings, Spread, figure};

pub(super) use serve::serve_inside;

pub(super) const TARGETS: &[Target] = &[
    ("http.vs_restate", vs_restate),
    ("commit.vs_sqlite", vs_sqlite),
    ("commit.vs_postgres", vs_postgres),
    ("commit.vs_datum", vs_datum),
];

/// Counters that commands are spread over.
const COUNTERS: usize = 10_000;
const INSTALL: &str = "run `scripts/peers.sh`";

/// All targets, and Restate with fewer callers.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for callers in [1, 100] {
        let name = format!("one keyed command over HTTP, {callers} callers");
        outcomes.push(over_http(settings, &name, callers, None));
    }
    outcomes.extend(TARGETS.iter().map(|(_, measure)| measure(settings)));
    outcomes
}

fn period(settings: &Settings) -> Period {
    if settings.quick {
        Period::millis(500, 2_000)
    } else {
        Period::millis(1_000, 5_000)
    }
}

fn vs_restate(settings: &Settings) -> Outcome {
    over_http(
        settings,
        "http.vs_restate",
        1_000,
        Some(Bound::AtLeast(10.0)),
    )
}

/// The ratio is the worse of two: of the rates, and of the times that half of the answers took.
fn over_http(settings: &Settings, name: &str, callers: usize, bound: Option<Bound>) -> Outcome {
    let measured = || {
        let restate = restate::Restate::start(settings)?;
        let ours = serve::Served::start(settings)?;
        let load = http::Load::new(callers);
        let period = period(settings);
        let mut pairs = Vec::new();
        for _ in 0..settings.runs {
            let of_ours = load.answered(ours.address(), period)?;
            pairs.push((of_ours, load.answered(restate.address(), period)?));
        }
        Ok(pairs)
    };
    let pairs: Vec<(Answered, Answered)> = match measured() {
        Ok(pairs) => pairs,
        Err(why) => return skipped(name, why),
    };
    let median =
        |of: &dyn Fn(&(Answered, Answered)) -> f64| Spread::of(pairs.iter().map(of)).median;
    let rates = median(&|(ours, other)| ours.rate / other.rate);
    let times = median(&|(ours, other)| other.p50() / ours.p50());
    Outcome::Measured(Row {
        name: name.to_owned(),
        value: Spread::of(pairs.iter().map(|(ours, _)| ours.rate)),
        unit: "/s",
        against: format!(
            "Restate, same requests: {}/s; p50 {} ms against {} ms. Rate × {}, p50 × {:.3}; the ratio is the worse",
            figure(median(&|(_, other)| other.rate)),
            figure(median(&|(ours, _)| ours.p50())),
            figure(median(&|(_, other)| other.p50())),
            figure(rates),
            1.0 / times
        ),
        ratio: Some(rates.min(times)),
        bound,
    })
}

fn vs_sqlite(settings: &Settings) -> Outcome {
    let start = || sqlite::Database::start(settings);
    let against = "SQLite, WAL, synchronous=FULL, 1 client";
    in_process(settings, ("commit.vs_sqlite", against), 1, 0.8, start)
}

fn vs_postgres(settings: &Settings) -> Outcome {
    let start = || postgres::Server::start(settings, 100);
    let against = "PostgreSQL, insert and commit, 100 clients";
    in_process(settings, ("commit.vs_postgres", against), 100, 5.0, start)
}

fn vs_datum(settings: &Settings) -> Outcome {
    let start = || datum::Program::find(settings, 1_000);
    let against = "datum-persistence, RocksDB synced, 1,000 callers";
    in_process(settings, ("commit.vs_datum", against), 1_000, 5.0, start)
}

/// A peer that was started.
trait Peer {
    /// Its acknowledged commits.
    fn answered(&mut self, period: Period) -> Result<Answered, String>;
}

/// Commands of as many callers as the peer has clients, in this process.
fn in_process<P: Peer>(
    settings: &Settings,
    (name, against): (&str, &str),
    callers: usize,
    at_least: f64,
    start: impl Fn() -> Result<P, String>,
) -> Outcome {
    let measured = || {
        let mut peer = start()?;
        let ours = commit::Ours::start(settings);
        let mut pairs = Vec::new();
        for _ in 0..settings.runs {
            let of_ours = ours.answered(callers, period(settings));
            pairs.push((of_ours, peer.answered(period(settings))?));
        }
        Ok(pairs)
    };
    let pairs: Vec<(Answered, Answered)> = match measured() {
        Ok(pairs) => pairs,
        Err(why) => return skipped(name, why),
    };
    let median =
        |of: &dyn Fn(&(Answered, Answered)) -> f64| Spread::of(pairs.iter().map(of)).median;
    Outcome::Measured(Row {
        name: name.to_owned(),
        value: Spread::of(pairs.iter().map(|(ours, _)| ours.rate)),
        unit: "/s",
        against: format!(
            "{against}: {}/s; p50 {} ms against {} ms",
            figure(median(&|(_, other)| other.rate)),
            figure(median(&|(ours, _)| ours.p50())),
            figure(median(&|(_, other)| other.p50()))
        ),
        ratio: Some(median(&|(ours, other)| ours.rate / other.rate)),
        bound: Some(Bound::AtLeast(at_least)),
    })
}

fn skipped(name: &str, why: String) -> Outcome {
    Outcome::Skipped {
        name: name.to_owned(),
        why,
    }
}
