//! Replays of small events, against a scan of the same store that decodes the same entries and events and keeps
//! no actor.
//!
//! Both sides read the same files with two threads, with the page cache warm in `warm` rows and dropped in
//! `cold` ones. What each found is counted and held against what was written.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, stream};
use rocksdb::{DB, Options, ReadOptions};
use steadfast::Event;
use steadfast::journal::EntryRef;

use super::super::stage::{
    Book, Bookings, Ledger, LedgerEvent, Said, Start, Took, all, drop_caches, end, float, ledgers,
};
use super::temperature;
use crate::plot::{Chart, Series};
use crate::{Bound, Outcome, Settings, Spread, figure};

const ACTORS: usize = 10_000;
/// Callers at the same time.
const CALLERS: usize = 2_048;
/// Threads of each side.
const THREADS: usize = 2;

/// What is at least asked of the node.
const BOUND: Bound = Bound::AtLeast(0.7);

/// What both sides took, run by run.
struct Measured {
    events: usize,
    cold: bool,
    /// The node and the scan.
    runs: Vec<(Took, Took)>,
}

impl Measured {
    /// Events a second of both sides.
    fn rates(&self, of: fn(&Took) -> f64) -> Vec<(f64, f64)> {
        let rate = |took: &Took| float(self.events as u64) / of(took) * 1_000.0;
        let both = |(node, raw): &(Took, Took)| (rate(node), rate(raw));
        self.runs.iter().map(both).collect()
    }

    fn ratio(&self) -> f64 {
        let rates = self.rates(Took::time);
        Spread::of(rates.iter().map(|(node, raw)| node / raw)).median
    }

    fn said(
        &self,
        name: &str,
        unit: &'static str,
        rates: &[(f64, f64)],
    ) -> (Said, Vec<(f64, f64)>) {
        let against = format!(
            "scanning the same RocksDB and decoding the same {} entries of one 119-byte event, {ACTORS} actors, {THREADS} threads, page cache {}, without actors: {}",
            figure(float(self.events as u64)),
            temperature(self.cold),
            figure(Spread::of(rates.iter().map(|(_, raw)| *raw)).median),
        );
        let ratios = rates.iter().map(|(node, raw)| (*node, node / raw));
        (Said::new(name, unit, against), ratios.collect())
    }

    fn outcome(&self, name: &str) -> Outcome {
        let (said, ratios) = self.said(name, "events/s", &self.rates(Took::time));
        said.bound(BOUND).with_ratios(&ratios)
    }

    fn processor(&self, name: &str) -> Outcome {
        let unit = "events/s of processor time";
        let (said, ratios) = self.said(name, unit, &self.rates(Took::processor));
        said.with_ratios(&ratios)
    }
}

/// The worse of warm and cold; when it is to be quick, only cold, which is the worse one.
pub(super) fn target(settings: &Settings) -> Outcome {
    let (events, cold): (_, &[bool]) = if settings.quick {
        (4_000_000, &[true])
    } else {
        (10_000_000, &[false, true])
    };
    let worst = measure(settings, events, cold)
        .into_iter()
        .min_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    match worst {
        Some(worst) => worst.outcome("recover.replay"),
        None => Outcome::Skipped {
            name: "recover.replay".to_owned(),
            why: "the page cache cannot be dropped here: not root".to_owned(),
        },
    }
}

/// All rows.
pub(super) fn rows(settings: &Settings) -> (Vec<Outcome>, Chart) {
    let events = if settings.quick { 500_000 } else { 10_000_000 };
    let measured = measure(settings, events, &[false, true]);
    let rows = |one: &Measured| {
        let name = if one.cold {
            "recover.replay.cold"
        } else {
            "recover.replay.warm"
        };
        [
            one.outcome(name),
            one.processor(&format!("{name}.processor")),
        ]
    };
    let outcomes = measured.iter().flat_map(rows).collect();
    (outcomes, chart(&measured))
}

fn chart(measured: &[Measured]) -> Chart {
    let of = |name: &str, of: fn(&(f64, f64)) -> f64| Series {
        name: name.to_owned(),
        values: measured
            .iter()
            .map(|one| Spread::of(one.rates(Took::time).iter().map(of)).median)
            .collect(),
    };
    let categories = measured
        .iter()
        .map(|one| format!("page cache {}", temperature(one.cold)))
        .collect();
    let series = vec![
        of("actors recovered by their events", |(node, _)| *node),
        of("scan and decode alone", |(_, raw)| *raw),
    ];
    Chart::bars("Replay of events", "events/s", categories, series)
}

fn measure(settings: &Settings, events: usize, temperatures: &[bool]) -> Vec<Measured> {
    let dir = settings.fresh_dir();
    fill(dir.path(), events / ACTORS);
    let mut measured = Vec::new();
    for cold in temperatures.iter().copied() {
        // A first pass of each side, not counted.
        if !cold {
            through_node(dir.path(), events);
            without_runtime(dir.path(), events);
        } else if !drop_caches() {
            eprintln!("the page cache cannot be dropped here (not root): no cold figures");
            break;
        }
        let runs = (0..settings.runs).map(|_| {
            let fresh = || !cold || drop_caches();
            assert!(fresh(), "the page cache could be dropped before");
            let node = through_node(dir.path(), events);
            assert!(fresh(), "the page cache could be dropped before");
            let raw = without_runtime(dir.path(), events);
            (node, raw)
        });
        let runs = runs.collect();
        measured.push(Measured { events, cold, runs });
    }
    measured
}

/// One event with each command: as small as entries come.
fn fill(dir: &Path, each: usize) {
    let node = ledgers(dir, |config| config.snapshot_every = 0);
    node.block_on(async {
        let writer = node.clone();
        all(ACTORS, 512, move |actor| {
            let ledger = writer.actor::<Ledger>(&actor.to_string());
            async move {
                let each = stream::iter(0..each);
                each.for_each_concurrent(32, |_| async {
                    ledger.ask(Book::small(1)).await.expect("it is written");
                })
                .await;
            }
        })
        .await;
    });
    end(&node);
}

/// Until every actor has answered.
fn through_node(dir: &Path, events: usize) -> Took {
    let node = ledgers(dir, |config| {
        config.snapshot_every = 0;
        config.workers = NonZeroUsize::new(THREADS).expect("it is not 0");
        config.resident_bytes = 0;
    });
    let found = Arc::new(AtomicU64::new(0));
    let start = Start::now();
    node.block_on(async {
        let (asker, found) = (node.clone(), Arc::clone(&found));
        all(ACTORS, CALLERS, move |actor| {
            let (ledger, found) = (
                asker.actor::<Ledger>(&actor.to_string()),
                Arc::clone(&found),
            );
            async move {
                let bookings = ledger.ask(Bookings).await.expect("it is recovered");
                found.fetch_add(bookings, Ordering::Relaxed);
            }
        })
        .await;
    });
    let took = start.took();
    assert_eq!(found.load(Ordering::Relaxed), events as u64);
    end(&node);
    took
}

/// The same entries and events, read from the same files and decoded.
fn without_runtime(dir: &Path, events: usize) -> Took {
    let index = dir.join("index");
    let path = if index.exists() {
        index
    } else {
        dir.join("journal")
    };
    let options = Options::default();
    let families = DB::list_cf(&options, &path).expect("the store is there");
    let db = DB::open_cf_for_read_only(&options, &path, families, false).expect("the store opens");
    let start = Start::now();
    let share = ACTORS.div_ceil(THREADS) as u64;
    let found: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let db = &db;
                std::thread::Builder::new()
                    .name("reader".to_owned())
                    .spawn_scoped(scope, move || {
                        // Actors have the numbers from 1 on.
                        decode(db, thread * share + 1, (thread + 1) * share + 1)
                    })
                    .expect("a thread starts")
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .sum()
    });
    let took = start.took();
    assert_eq!(found, events as u64);
    took
}

/// The entries of actors from `first` to before `end`: keys begin with the actor's number, values with eight bytes
/// for the commit.
fn decode(db: &DB, first: u64, end: u64) -> u64 {
    let family = db.cf_handle("entries").expect("it has entries");
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end.to_be_bytes());
    let mut found = 0;
    let mut rows = db.raw_iterator_cf_opt(family, options);
    rows.seek(first.to_be_bytes());
    while let Some(value) = rows.value() {
        let entry = EntryRef::decode(&value[8..]).expect("it is an entry");
        for event in entry.events.iter() {
            let decoded = LedgerEvent::decode(event.name, event.version, event.data);
            std::hint::black_box(decoded.expect("it decodes"));
            found += 1;
        }
        rows.next();
    }
    rows.status().expect("it reads");
    found
}
