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

use std::cell::Cell;

use super::Target;
use crate::callers::{Answered, Period};
use crate::{Bound, Outcome, Row, Settings, Spread, figure};

pub(super) use serve::serve_inside;

pub(super) const TARGETS: &[Target] = &[
    (&["http.vs_restate"], |settings| {
        vec![vs_restate(settings, Servers::start(settings).as_ref())]
    }),
    (&["commit.vs_sqlite"], |settings| {
        vec![vs_sqlite(settings, period(settings))]
    }),
    (&["commit.vs_postgres"], |settings| {
        vec![vs_postgres(settings, period(settings))]
    }),
    (&["commit.vs_datum"], |settings| {
        vec![vs_datum(settings, period(settings))]
    }),
];

/// Counters that commands are spread over.
const COUNTERS: usize = 10_000;
const INSTALL: &str = "run `scripts/peers.sh`";

/// Before the first of the interleaved runs over HTTP.
const WARM_UP: Period = Period::millis(0, 1_500);
/// The same where servers are asked with one load after the other, and are warm from the one before.
const AGAIN: Period = Period::millis(0, 500);

/// All targets, and Restate with fewer callers.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    // More is compared than for the targets, and so there is less time for each.
    let period = if settings.quick {
        Period::millis(150, 450)
    } else {
        period(settings)
    };
    let servers = Servers::start(settings);
    let mut outcomes = Vec::new();
    for (callers, keyed, name) in [
        (1, true, "keyed command over HTTP, 1 caller"),
        (100, true, "keyed command over HTTP, 100 callers"),
        (
            1_000,
            false,
            "command without a key over HTTP, 1,000 callers",
        ),
        (1_000, true, "keyed command over HTTP, 1,000 callers"),
    ] {
        let load = http::Load::new(callers, keyed);
        let measured = over_http(settings, servers.as_ref(), period, name, &load, None);
        outcomes.push(measured);
    }
    drop(servers);
    outcomes.push(vs_sqlite(settings, period));
    outcomes.push(vs_postgres(settings, period));
    outcomes.push(vs_datum(settings, period));
    outcomes
}

fn period(settings: &Settings) -> Period {
    if settings.quick {
        Period::millis(400, 1_600)
    } else {
        Period::millis(1_000, 5_000)
    }
}

fn vs_restate(settings: &Settings, servers: Result<&Servers, &String>) -> Outcome {
    let load = http::Load::new(1_000, true);
    let bound = Some(Bound::AtLeast(10.0));
    let name = "http.vs_restate";
    over_http(settings, servers, period(settings), name, &load, bound)
}

/// What is asked over HTTP.
struct Servers {
    restate: restate::Restate,
    ours: serve::Served,
    warm: Cell<bool>,
}

impl Servers {
    fn start(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            restate: restate::Restate::start(settings)?,
            ours: serve::Served::start(settings)?,
            warm: Cell::new(false),
        })
    }

    fn asked(
        &self,
        settings: &Settings,
        period: Period,
        load: &http::Load,
    ) -> Result<Turns, String> {
        let (restate, ours) = (self.restate.address(), self.ours.address());
        // Both have warm code and state.
        let warm_up = if self.warm.replace(true) {
            AGAIN
        } else {
            WARM_UP
        };
        load.answered(restate, warm_up)?;
        load.answered(ours, warm_up)?;
        Turns::taken(
            settings.runs,
            || load.answered(ours, period),
            || load.answered(restate, period),
        )
    }
}

/// The ratio is the worse of two: of the rates, and of the times that half of the answers took.
fn over_http(
    settings: &Settings,
    servers: Result<&Servers, &String>,
    period: Period,
    name: &str,
    load: &http::Load,
    bound: Option<Bound>,
) -> Outcome {
    let measured = servers.map_err(Clone::clone).and_then(|servers| {
        let turns = servers.asked(settings, period, load)?;
        Ok((turns, servers.restate.sdk(), servers.restate.durable()))
    });
    let (turns, sdk, durable) = match measured {
        Ok(measured) => measured,
        Err(why) => return skipped(name, why),
    };
    let (rates, times) = (turns.rates(), turns.times());
    let against = format!(
        "{}. Rate × {}, p50 × {:.3}; the ratio is the worse",
        turns.against(&format!("Restate, {sdk} SDK, same requests ({durable})")),
        figure(rates),
        1.0 / times
    );
    turns.row(name, against, rates.min(times), bound)
}

/// Both sides of each run, one right after the other.
struct Turns(Vec<(Answered, Answered)>);

impl Turns {
    fn taken(
        runs: usize,
        mut ours: impl FnMut() -> Result<Answered, String>,
        mut theirs: impl FnMut() -> Result<Answered, String>,
    ) -> Result<Self, String> {
        let turns = (0..runs).map(|_| Ok((ours()?, theirs()?)));
        turns.collect::<Result<_, _>>().map(Self)
    }

    fn median(&self, of: impl Fn(&(Answered, Answered)) -> f64) -> f64 {
        Spread::of(self.0.iter().map(of)).median
    }

    /// How many times as many answers as theirs.
    fn rates(&self) -> f64 {
        self.median(|(ours, theirs)| ours.rate / theirs.rate)
    }

    /// How many times as long as ours half of their answers took.
    fn times(&self) -> f64 {
        self.median(|(ours, theirs)| theirs.p50() / ours.p50())
    }

    fn against(&self, peer: &str) -> String {
        format!(
            "{peer}: {}/s; p50 {} ms against {} ms",
            figure(self.median(|(_, theirs)| theirs.rate)),
            figure(self.median(|(ours, _)| ours.p50())),
            figure(self.median(|(_, theirs)| theirs.p50()))
        )
    }

    fn row(&self, name: &str, against: String, ratio: f64, bound: Option<Bound>) -> Outcome {
        Outcome::Measured(Row {
            name: name.to_owned(),
            value: Spread::of(self.0.iter().map(|(ours, _)| ours.rate)),
            unit: "/s",
            against,
            ratio: Some(ratio),
            bound,
        })
    }
}

fn vs_sqlite(settings: &Settings, period: Period) -> Outcome {
    let start = || sqlite::Database::start(settings);
    let against = "SQLite, WAL, synchronous=FULL, 1 client";
    in_process(
        settings,
        period,
        ("commit.vs_sqlite", against),
        1,
        0.8,
        start,
    )
}

fn vs_postgres(settings: &Settings, period: Period) -> Outcome {
    let start = || postgres::Server::start(settings, 100);
    let against = "PostgreSQL, insert and commit, 100 clients";
    in_process(
        settings,
        period,
        ("commit.vs_postgres", against),
        100,
        5.0,
        start,
    )
}

fn vs_datum(settings: &Settings, period: Period) -> Outcome {
    let start = || datum::Program::find(settings, 1_000);
    let against = "datum-persistence, RocksDB synced, 1,000 callers";
    in_process(
        settings,
        period,
        ("commit.vs_datum", against),
        1_000,
        5.0,
        start,
    )
}

/// A peer that was started.
trait Peer {
    /// Its acknowledged commits.
    fn answered(&mut self, period: Period) -> Result<Answered, String>;
}

/// Commands of as many callers as the peer has clients, in this process.
fn in_process<P: Peer>(
    settings: &Settings,
    period: Period,
    (name, against): (&str, &str),
    callers: usize,
    at_least: f64,
    start: impl Fn() -> Result<P, String>,
) -> Outcome {
    let measured = || {
        let mut peer = start()?;
        let ours = commit::Ours::start(settings);
        Turns::taken(
            settings.runs,
            || Ok(ours.answered(callers, period)),
            || peer.answered(period),
        )
    };
    match measured() {
        Ok(turns) => {
            let bound = Some(Bound::AtLeast(at_least));
            turns.row(name, turns.against(against), turns.rates(), bound)
        }
        Err(why) => skipped(name, why),
    }
}

fn skipped(name: &str, why: String) -> Outcome {
    Outcome::Skipped {
        name: name.to_owned(),
        why,
    }
}
