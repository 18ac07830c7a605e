//! Everything at once: commands, recoveries of actors that left memory, pending timers, and a reader of the
//! node's order; and each beside commands alone.
//!
//! In each run every mixture is measured once, one after the other, so that what the machine does meanwhile
//! meets all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::journal::{CommitIndex, Journal, RocksOptions, RocksStorage, Storage};
use steadfast::{KindBuilder, Node};
use tempfile::TempDir;

use super::stage::{
    Book, BookAndLeave, Bookings, Ledger, Said, SetTimers, all, end, float, ledgers, now, rate,
    recoveries,
};
use crate::{Outcome, Quantiles, Settings, Spread, figure};

/// Actors that are written to.
const HOT: usize = 10_000;
/// Actors that are recovered, again and again.
const COLD: usize = 2_000;
/// Events of each of them.
const EVENTS: u32 = 200;
/// Callers that write.
const CALLERS: usize = 256;
/// Callers that have actors recovered.
const RECOVERING: usize = 16;

/// What runs beside the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mixture {
    name: &'static str,
    recoveries: bool,
    timers: bool,
    reader: bool,
}

const MIXTURES: [Mixture; 5] = [
    Mixture::of("alone", false, false, false),
    Mixture::of("recoveries", true, false, false),
    Mixture::of("timers", false, true, false),
    Mixture::of("reader", false, false, true),
    Mixture::of("all", true, true, true),
];

impl Mixture {
    const fn of(name: &'static str, recoveries: bool, timers: bool, reader: bool) -> Self {
        Self {
            name,
            recoveries,
            timers,
            reader,
        }
    }
}

/// A storage that keeps hold of the journal that it opened, for a reader beside the node.
struct Shared {
    storage: RocksStorage,
    opened: std::sync::Mutex<Option<std::sync::Weak<dyn Journal>>>,
}

impl Storage for Shared {
    fn open(&self) -> Result<Arc<dyn Journal>, steadfast::journal::Error> {
        let journal = self.storage.open()?;
        let mut opened = self.opened.lock().expect("nobody panics with it");
        *opened = Some(Arc::downgrade(&journal));
        Ok(journal)
    }
}

/// A node with actors at rest, with or without pending timers.
struct Ground {
    _dir: TempDir,
    storage: Arc<Shared>,
    node: Node,
}

impl Ground {
    fn with(settings: &Settings, timers: usize) -> Self {
        let dir = settings.fresh_dir();
        let filling = ledgers(dir.path(), |config| config.snapshot_every = 0);
        filling.block_on(async {
            let writer = filling.clone();
            all(COLD, 512, move |actor| {
                let ledger = writer.actor::<Ledger>(&format!("cold-{actor}"));
                async move {
                    for _ in 0..EVENTS / 10 {
                        ledger.ask(Book::small(10)).await.expect("it is written");
                    }
                }
            })
            .await;
            let writer = filling.clone();
            all(timers / 100, 64, move |actor| {
                let ledger = writer.actor::<Ledger>(&format!("timers-{actor}"));
                async move {
                    let set = ledger.ask(SetTimers { count: 100 }).await;
                    set.expect("they are set");
                }
            })
            .await;
        });
        end(&filling);
        let storage = RocksStorage::acquire(dir.path(), RocksOptions::default());
        let storage = Arc::new(Shared {
            storage: storage.expect("the directory is free"),
            opened: std::sync::Mutex::default(),
        });
        let node = Node::over(Arc::clone(&storage) as Arc<dyn Storage>)
            .register::<Ledger>(KindBuilder::command::<Bookings>)
            .config(|config| config.snapshot_every = 0)
            .start_blocking()
            .expect("the node starts");
        Self {
            _dir: dir,
            storage,
            node,
        }
    }

    fn journal(&self) -> Arc<dyn Journal> {
        let opened = self.storage.opened.lock().expect("nobody panics with it");
        let journal = opened.as_ref().and_then(std::sync::Weak::upgrade);
        journal.expect("the node has it open")
    }
}

/// What one mixture did.
#[derive(Debug, Clone, Copy)]
struct Figures {
    commands: f64,
    p99: f64,
    /// As the node counts them.
    recoveries: f64,
    replayed: f64,
    recovery_p99: f64,
    entries_read: f64,
}

/// Runs a mixture for so long.
fn mix(ground: &Ground, mixture: Mixture, time: Duration) -> Figures {
    let stop = Arc::new(AtomicBool::new(false));
    let reader = mixture.reader.then(|| tail(ground.journal(), &stop));
    let before = recoveries(&ground.node);
    let start = now();
    let (written, recovered) = ground.node.block_on(async {
        let writing = tokio::spawn(callers(
            ground.node.clone(),
            CALLERS,
            Arc::clone(&stop),
            write,
        ));
        let width = if mixture.recoveries { RECOVERING } else { 0 };
        let recovering = tokio::spawn(callers(
            ground.node.clone(),
            width,
            Arc::clone(&stop),
            recover,
        ));
        tokio::time::sleep(time).await;
        stop.store(true, Ordering::Relaxed);
        let joined = futures_util::future::join(writing, recovering).await;
        (
            joined.0.expect("no caller panics"),
            joined.1.expect("no caller panics"),
        )
    });
    let took = start.elapsed();
    let read = reader.map_or(0, |reader| reader.join().expect("it does not panic"));
    let (brought, replayed) = recoveries(&ground.node);
    let since = |now: u64, before: u64| float(now - before) / took.as_secs_f64();
    let p99 = |times: &[Duration]| {
        if times.is_empty() {
            0.0
        } else {
            Quantiles::of(times.to_vec()).p99
        }
    };
    Figures {
        commands: rate(written.len(), took),
        p99: p99(&written),
        recoveries: since(brought, before.0),
        replayed: since(replayed, before.1),
        recovery_p99: p99(&recovered),
        entries_read: rate(read, took),
    }
}

/// A caller's next command: the node, and a number that grows.
type Call = fn(Node, usize) -> futures_util::future::BoxFuture<'static, ()>;

fn write(node: Node, index: usize) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let ledger = node.actor::<Ledger>(&(index * 7_919 % HOT).to_string());
        ledger.ask(Book::small(1)).await.expect("it is written");
    })
}

fn recover(node: Node, index: usize) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let ledger = node.actor::<Ledger>(&format!("cold-{}", index % COLD));
        let events = ledger.ask(BookAndLeave).await;
        assert!(events.expect("it is recovered") > u64::from(EVENTS));
    })
}

/// Times of what `width` callers did until they were stopped.
async fn callers(node: Node, width: usize, stop: Arc<AtomicBool>, call: Call) -> Vec<Duration> {
    let number = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..width)
        .map(|_| {
            let (node, stop, number) = (node.clone(), Arc::clone(&stop), Arc::clone(&number));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let index = number.fetch_add(1, Ordering::Relaxed);
                    let start = now();
                    call(node.clone(), index).await;
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a caller does not panic"));
    }
    times
}

/// Reads the node's order from the head on, until it is stopped; counts entries.
fn tail(journal: Arc<dyn Journal>, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let stop = Arc::clone(stop);
    std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let mut next = journal.head().expect("it is open").index;
            let mut read = 0;
            while !stop.load(Ordering::Relaxed) {
                for commit in journal.commits(next) {
                    let commit = commit.expect("it reads");
                    read += commit.entries.len();
                    next = CommitIndex::new(commit.index.get() + 1).expect("it goes on");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            read
        })
        .expect("a thread starts")
}

/// All rows.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let timers = if settings.quick { 100_000 } else { 1_000_000 };
    let plain = Ground::with(settings, 0);
    let with_timers = Ground::with(settings, timers);
    let time = Duration::from_millis(if settings.quick { 600 } else { 10_000 });
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); MIXTURES.len()];
    for run in 0..=settings.runs {
        for (mixture, figures) in MIXTURES.iter().zip(&mut figures) {
            let ground = if mixture.timers { &with_timers } else { &plain };
            let found = mix(ground, *mixture, time);
            // The first round warms up.
            if run > 0 {
                figures.push(found);
            }
        }
    }
    for ground in [&plain, &with_timers] {
        end(&ground.node);
    }
    let alone = figures[0].clone();
    MIXTURES
        .iter()
        .zip(&figures)
        .flat_map(|(mixture, figures)| rows(*mixture, figures, &alone, timers))
        .collect()
}

fn rows(mixture: Mixture, figures: &[Figures], alone: &[Figures], timers: usize) -> Vec<Outcome> {
    let beside = match mixture.name {
        "recoveries" => {
            format!("recoveries of actors with {EVENTS} events and more by {RECOVERING} callers")
        }
        "timers" => format!("{} pending timers", figure(float(timers as u64))),
        "reader" => "a reader of all commits".to_owned(),
        "all" => "all of these".to_owned(),
        _ => "nothing".to_owned(),
    };
    let compared = |what: &str, unit, of: fn(&Figures) -> f64| {
        let pairs: Vec<_> = figures
            .iter()
            .zip(alone)
            .map(|(with, alone)| (of(with), of(with) / of(alone)))
            .collect();
        let median = figure(Spread::of(alone.iter().map(of)).median);
        let against = format!("{CALLERS} callers, {HOT} actors, beside {beside}; alone: {median}");
        Said::new(format!("mixed.{}.{what}", mixture.name), unit, against).with_ratios(&pairs)
    };
    let mut rows = vec![
        compared("commands", "/s", |figures| figures.commands),
        compared("p99", "ms", |figures| figures.p99),
    ];
    let mut told = |what: &str, unit, of: fn(&Figures) -> f64| {
        let said = Said::new(
            format!("mixed.{}.{what}", mixture.name),
            unit,
            "beside the commands".to_owned(),
        );
        rows.push(said.of(figures.iter().map(of)));
    };
    if mixture.recoveries {
        told("recoveries", "/s", |figures| figures.recoveries);
        told("replayed_events", "/s", |figures| figures.replayed);
        told("recovery_p99", "ms", |figures| figures.recovery_p99);
    }
    if mixture.reader {
        told("entries_read", "/s", |figures| figures.entries_read);
    }
    rows
}
