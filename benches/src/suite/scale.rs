//! How rates grow or shrink: with actors, with events of one actor, with workers, and with what is on the disk.
//!
//! What is compared is measured in turns (A B A B), each side on a directory of its own.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::Node;
use tempfile::TempDir;

use super::Target;
use super::stage::{
    Book, Bookings, Ledger, Said, all, bytes_below, end, float, ledgers, millis, now, rate,
};
use crate::{Bound, Outcome, Settings, Spread, figure};

/// The rows of the table of targets.
pub(super) const TARGETS: &[Target] = &[(&["scale.disk"], |settings| vec![disk_target(settings)])];

/// Callers at the same time.
const CALLERS: usize = 1_000;
const GB: u64 = 1_000_000_000;

/// Everything about growth.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    if let Some(gb) = settings.gb {
        return of_disk(settings, gb);
    }
    let mut outcomes = actors(settings);
    outcomes.extend(events(settings));
    outcomes.extend(workers(settings));
    outcomes.extend(disk(settings));
    outcomes
}

/// Commands a second, spread over `actors`, for about `time`.
fn commits(node: &Node, actors: usize, time: Duration) -> f64 {
    let start = now();
    let mut count = 0;
    // In rounds, because how many fit into the time is not known before.
    while start.elapsed() < time {
        node.block_on(round(node.clone(), actors, count));
        count += ROUND;
    }
    rate(count, start.elapsed())
}

const ROUND: usize = 20_000;

/// One round of commands, at actors all over the range.
async fn round(node: Node, actors: usize, first: usize) {
    all(ROUND, CALLERS, move |index| {
        let actor = (first + index) * 7_919 % actors;
        let ledger = node.actor::<Ledger>(&actor.to_string());
        async move {
            ledger.ask(Book::small(1)).await.expect("it is written");
        }
    })
    .await;
}

/// Queries a second at actors in memory.
fn asks(node: &Node, actors: usize, time: Duration) -> f64 {
    let start = now();
    let mut count = 0;
    while start.elapsed() < time {
        let node_of_round = node.clone();
        node.block_on(all(ROUND, CALLERS, move |index| {
            let actor = (count + index) * 7_919 % actors;
            let ledger = node_of_round.actor::<Ledger>(&actor.to_string());
            async move {
                ledger.ask(Bookings).await.expect("it answers");
            }
        }));
        count += ROUND;
    }
    rate(count, start.elapsed())
}

fn seconds(settings: &Settings) -> Duration {
    Duration::from_millis(if settings.quick { 300 } else { 5_000 })
}

/// The same load over more and more actors.
fn actors(settings: &Settings) -> Vec<Outcome> {
    let sizes: &[usize] = if settings.quick {
        &[100, 10_000, 100_000]
    } else {
        &[100, 10_000, 100_000, 1_000_000]
    };
    let nodes: Vec<(usize, TempDir, Node)> = sizes
        .iter()
        .map(|actors| {
            let dir = settings.fresh_dir();
            let node = ledgers(dir.path(), |_| ());
            super::start::create(&node, *actors);
            (*actors, dir, node)
        })
        .collect();
    let mut rates = vec![(Vec::new(), Vec::new()); nodes.len()];
    for _ in 0..settings.runs {
        for ((actors, _, node), (written, asked)) in nodes.iter().zip(&mut rates) {
            written.push(commits(node, *actors, seconds(settings)));
            asked.push(asks(node, *actors, seconds(settings) / 2));
        }
    }
    for (_, _, node) in &nodes {
        end(node);
    }
    let least = rates[0].clone();
    let mut outcomes = Vec::new();
    for ((actors, _, _), (written, asked)) in nodes.iter().zip(&rates) {
        let both = [("commits", written, &least.0), ("asks", asked, &least.1)];
        for (what, rates, first) in both {
            outcomes.push(compare(
                format!("scale.actors.{actors}.{what}"),
                rates,
                first,
                &format!("{what} over {} actors, {CALLERS} callers", sizes[0]),
            ));
        }
    }
    outcomes
}

/// A row of rates, each held against that of the same run.
fn compare(name: String, rates: &[f64], first: &[f64], what: &str) -> Outcome {
    let median = figure(Spread::of(first.iter().copied()).median);
    let pairs: Vec<_> = rates
        .iter()
        .zip(first)
        .map(|(rate, first)| (*rate, rate / first))
        .collect();
    Said::new(name, "/s", format!("{what}: {median}")).with_ratios(&pairs)
}

/// How many events a second an actor's recovery replays, the more events it has.
fn events(settings: &Settings) -> Vec<Outcome> {
    let dir = settings.fresh_dir();
    let node = ledgers(dir.path(), |config| config.snapshot_every = 0);
    let sizes = [1_000_u32, 10_000, 100_000];
    node.block_on(async {
        for size in sizes {
            let ledger = node.actor::<Ledger>(&format!("{size}"));
            let chunks = Arc::new(ledger);
            all(size as usize / 10, 100, move |_| {
                let ledger = Arc::clone(&chunks);
                async move {
                    ledger.ask(Book::small(10)).await.expect("it is written");
                }
            })
            .await;
        }
    });
    end(&node);
    let mut rates = vec![Vec::new(); sizes.len()];
    for _ in 0..settings.runs {
        // Nobody is in memory.
        let node = ledgers(dir.path(), |config| config.snapshot_every = 0);
        for (size, rates) in sizes.iter().zip(&mut rates) {
            let ledger = node.actor::<Ledger>(&format!("{size}"));
            let start = now();
            let found = node.block_on(async { ledger.ask(Bookings).await });
            rates.push(rate(*size as usize, start.elapsed()));
            assert_eq!(found.expect("it answers"), u64::from(*size));
        }
        end(&node);
    }
    let first = rates[0].clone();
    sizes
        .iter()
        .zip(&rates)
        .map(|(size, rates)| {
            let what = "events a second of an actor with 1,000, 10 to an entry";
            compare(format!("scale.events.{size}.recover"), rates, &first, what)
        })
        .collect()
}

/// One worker and two.
fn workers(settings: &Settings) -> Vec<Outcome> {
    const ACTORS: usize = 10_000;
    let nodes: Vec<(usize, TempDir)> = [1, 2]
        .into_iter()
        .map(|workers| (workers, settings.fresh_dir()))
        .collect();
    let mut rates = vec![(Vec::new(), Vec::new(), Vec::new()); nodes.len()];
    for _ in 0..settings.runs {
        for ((workers, dir), (written, asked, recovered)) in nodes.iter().zip(&mut rates) {
            let node = with_workers(dir.path(), *workers);
            super::start::create(&node, ACTORS);
            written.push(commits(&node, ACTORS, seconds(settings)));
            asked.push(asks(&node, ACTORS, seconds(settings) / 2));
            end(&node);
            let node = with_workers(dir.path(), *workers);
            recovered.push(recover_all(&node, ACTORS));
            end(&node);
        }
    }
    let one = rates[0].clone();
    let mut outcomes = Vec::new();
    for ((workers, _), (written, asked, recovered)) in nodes.iter().zip(&rates) {
        let all = [
            ("commits", written, &one.0),
            ("asks", asked, &one.1),
            ("recovered_events", recovered, &one.2),
        ];
        for (what, rates, one) in all {
            let name = format!("scale.workers.{workers}.{what}");
            let against = format!("{what} of one worker, {ACTORS} actors, {CALLERS} callers");
            outcomes.push(compare(name, rates, one, &against));
        }
    }
    outcomes
}

fn with_workers(dir: &Path, workers: usize) -> Node {
    ledgers(dir, |config| {
        config.snapshot_every = 0;
        config.workers = NonZeroUsize::new(workers).expect("it is not 0");
    })
}

/// Events a second, all actors recovered.
fn recover_all(node: &Node, actors: usize) -> f64 {
    let found = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let start = now();
    let (asker, sum) = (node.clone(), Arc::clone(&found));
    node.block_on(all(actors, CALLERS, move |actor| {
        let (ledger, sum) = (asker.actor::<Ledger>(&actor.to_string()), Arc::clone(&sum));
        async move {
            let events = ledger.ask(Bookings).await.expect("it is recovered");
            let events = usize::try_from(events).expect("so many are possible");
            sum.fetch_add(events, std::sync::atomic::Ordering::Relaxed);
        }
    }));
    let took = start.elapsed();
    rate(found.load(std::sync::atomic::Ordering::Relaxed), took)
}

/// Grows a directory to `bytes` or until `limit` has passed; returns what it holds then.
fn grow(node: &Node, dir: &Path, bytes: u64, limit: Duration) -> u64 {
    let start = now();
    let mut first = 0;
    loop {
        let there = bytes_below(dir, &|_| true);
        if there >= bytes || start.elapsed() > limit {
            return there;
        }
        let writer = node.clone();
        node.block_on(all(ROUND, 256, move |index| {
            let actor = ((first + index) * 7_919 % GROWN).to_string();
            let ledger = writer.actor::<Ledger>(&actor);
            async move {
                let book = Book {
                    times: 1,
                    memo: 4_000,
                };
                ledger.ask(book).await.expect("it is written");
            }
        }));
        first += ROUND;
    }
}

/// Actors of a directory that is grown.
const GROWN: usize = 10_000;

/// Much on the disk against little.
struct Disk {
    little: u64,
    much: u64,
    runs: Vec<(f64, f64)>,
    millis: Vec<f64>,
}

impl Disk {
    fn outcome(&self, name: &str) -> Outcome {
        let gb = |bytes: u64| figure(float(bytes) / float(GB));
        let little = figure(Spread::of(self.runs.iter().map(|(_, little)| *little)).median);
        let against = format!(
            "{} GB on disk against {} GB (events of 4 KB), commands of one 119-byte event, {GROWN} actors, {CALLERS} callers: {little}",
            gb(self.much),
            gb(self.little),
        );
        let pairs: Vec<_> = self
            .runs
            .iter()
            .map(|(much, little)| (*much, much / little))
            .collect();
        Said::new(name, "commands/s", against)
            .bound(Bound::AtLeast(0.8))
            .with_ratios(&pairs)
    }

    fn first_ask(&self, name: &str) -> Outcome {
        let against = format!(
            "an actor that is not in memory, {} GB on disk",
            figure(float(self.much) / float(GB))
        );
        Said::new(name, "ms", against).of(self.millis.iter().copied())
    }
}

/// Sizes to compare: bytes, and how long writing them may take.
fn measure_disk(settings: &Settings, little: u64, much: u64, limit: Duration) -> Disk {
    let dirs = [settings.fresh_dir(), settings.fresh_dir()];
    let nodes = dirs.each_ref().map(|dir| ledgers(dir.path(), |_| ()));
    let little = grow(&nodes[0], dirs[0].path(), little, limit / 4);
    let much = grow(&nodes[1], dirs[1].path(), much, limit);
    // What was begun in the background ends, and both begin alike.
    for node in &nodes {
        end(node);
    }
    let nodes = dirs.each_ref().map(|dir| ledgers(dir.path(), |_| ()));
    let mut millis_of_ask = Vec::new();
    for run in 0..settings.runs {
        let start = now();
        let ledger = nodes[1].actor::<Ledger>(&(run * 17).to_string());
        let asked = nodes[1].block_on(async { ledger.ask(Bookings).await });
        asked.expect("it answers");
        millis_of_ask.push(millis(start.elapsed()));
    }
    for node in &nodes {
        // Every actor in memory, so that only the writing is compared.
        recover_all(node, GROWN);
    }
    let time = seconds(settings);
    let runs = (0..settings.runs)
        .map(|_| {
            let much = commits(&nodes[1], GROWN, time);
            (much, commits(&nodes[0], GROWN, time))
        })
        .collect();
    for node in &nodes {
        end(node);
    }
    Disk {
        little,
        much,
        runs,
        millis: millis_of_ask,
    }
}

/// Writing takes no longer than this, whatever the disk is.
const HOUR: Duration = Duration::from_secs(3_600);

/// As large as there is time for, where it is to be quick; the row says how large that was.
fn disk_target(settings: &Settings) -> Outcome {
    let limit = if settings.quick {
        Duration::from_secs(60)
    } else {
        HOUR
    };
    measure_disk(settings, GB, 10 * GB, limit).outcome("scale.disk")
}

fn disk(settings: &Settings) -> Vec<Outcome> {
    if settings.quick {
        let disk = measure_disk(settings, GB / 10, 10 * GB, Duration::from_secs(8));
        return vec![
            disk.outcome("scale.disk"),
            disk.first_ask("scale.disk.first_ask"),
        ];
    }
    of_disk(settings, 10)
}

fn of_disk(settings: &Settings, gb: u64) -> Vec<Outcome> {
    let disk = measure_disk(settings, GB, gb * GB, HOUR);
    vec![
        disk.outcome(&format!("scale.disk.{gb}gb")),
        disk.first_ask(&format!("scale.disk.{gb}gb.first_ask")),
    ]
}
