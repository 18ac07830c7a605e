//! States from snapshots of some 85 KB, against a flat file of the same encoded states, decoded by as many
//! threads without steadfast.
//!
//! Both sides keep every state that they decoded until the clock has stopped, because that is what a recovery leaves
//! behind. That each actor really came from its snapshot is checked: nothing was applied. Processor time is told
//! beside the time, because neighbours on the machine do not change it much.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, Node, StatefulActor};
use tempfile::TempDir;

use super::super::stage::{Said, Start, Took, all, drop_caches, end, float, kernel_number, text};
use super::temperature;
use crate::plot::{Chart, Series};
use crate::{Bound, Outcome, Settings, Spread, figure};

const ITEMS: u64 = 2_400;
/// Threads of each side.
const THREADS: usize = 2;
/// Callers at the same time.
const CALLERS: usize = 256;
/// Actors that are asked at once for the first answers.
const FIRST: usize = 1_000;
/// What is allowed in time.
const ALL: Bound = Bound::AtMost(1.25);
const ALL_FIRST: Bound = Bound::AtMost(200.0);

/// Events that were applied in this process.
static APPLIED: AtomicU64 = AtomicU64::new(0);

/// A store of goods.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stock {
    items: Vec<Item>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
struct Item {
    id: u64,
    name: String,
    count: i64,
}

impl Stock {
    fn filled(seed: u64) -> Self {
        let item = |index| {
            let name = text(seed.wrapping_mul(0x9E37_79B9).wrapping_add(index << 8), 12);
            let count = i64::try_from(index % 100).unwrap_or_default();
            Item {
                id: (1 << 16) + index,
                name,
                count,
            }
        };
        Self {
            items: (0..ITEMS).map(item).collect(),
        }
    }
}

/// What happens to a [`Stock`].
#[derive(Debug, Event)]
enum StockEvent {
    /// It was filled.
    Filled {
        /// With what follows from this.
        seed: u64,
    },
}

/// Fills it.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Fill {
    seed: u64,
}

/// How many items there are.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Size;

impl StatefulActor for Stock {
    const KIND: &'static str = "stock";
    type Event = StockEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &StockEvent) {
        APPLIED.fetch_add(1, Ordering::Relaxed);
        match event {
            StockEvent::Filled { seed } => *self = Self::filled(*seed),
        }
    }
}

impl Handle<Fill> for Stock {
    fn handle(stock: &mut Live<'_, Self>, fill: Fill) -> Result<(), Never> {
        stock.emit(StockEvent::Filled { seed: fill.seed });
        Ok(())
    }
}

impl Handle<Size> for Stock {
    fn handle(stock: &mut Live<'_, Self>, _: Size) -> Result<u64, Never> {
        Ok(stock.items.len() as u64)
    }
}

/// A directory of a node and the flat file with the same states.
struct Data {
    dir: TempDir,
    actors: usize,
    bytes: u64,
}

impl Data {
    fn node_dir(&self) -> PathBuf {
        self.dir.path().join("node")
    }

    fn flat(&self) -> PathBuf {
        self.dir.path().join("flat")
    }

    /// At least `bytes` of states.
    fn of(settings: &Settings, bytes: u64) -> Self {
        let dir = settings.fresh_dir();
        let one = encoded(0).len() as u64;
        assert!((80_000..90_000).contains(&one), "{one} bytes are not 85 KB");
        let actors = usize::try_from(bytes.div_ceil(one)).expect("so many are possible");
        let mut data = Self {
            dir,
            actors,
            bytes: 0,
        };
        data.bytes = data.write_flat();
        data.fill_node();
        data
    }

    /// Length and bytes of each state, in the order of the actors.
    fn write_flat(&self) -> u64 {
        let mut total = 0;
        for (share, actors) in shares(self.actors).into_iter().enumerate() {
            let file = File::create(self.flat().with_extension(share.to_string()));
            let mut file = BufWriter::with_capacity(1 << 20, file.expect("the disk takes a file"));
            for actor in actors {
                let state = encoded(actor as u64);
                let length = u32::try_from(state.len()).expect("a state is small");
                total += u64::from(length);
                file.write_all(&length.to_le_bytes())
                    .and_then(|()| file.write_all(&state))
                    .expect("the disk takes it");
            }
            file.flush().expect("the disk takes it");
        }
        total
    }

    /// Every actor with a snapshot. A node drops snapshots that come faster than they are stored, so that the
    /// last of each group is waited for, and what is missing in the end is taken by hand.
    fn fill_node(&self) {
        const GROUP: usize = 128;
        let node = self.node(1);
        node.block_on(async {
            for first in (0..self.actors).step_by(GROUP) {
                let writer = node.clone();
                all(GROUP.min(self.actors - first), GROUP, move |index| {
                    let actor = first + index;
                    let stock = writer.actor::<Stock>(&actor.to_string());
                    async move {
                        let seed = actor as u64;
                        stock.ask(Fill { seed }).await.expect("it is written");
                    }
                })
                .await;
                node.snapshot(&name(first)).await.expect("it is stored");
            }
            let writer = node.clone();
            all(self.actors, 2, move |actor| {
                let node = writer.clone();
                async move {
                    let taken = node.snapshot(&name(actor)).await;
                    taken.expect("it is stored");
                }
            })
            .await;
        });
        end(&node);
    }

    fn node(&self, snapshot_every: u64) -> Node {
        Node::open(self.node_dir())
            .register::<Stock>(|kind| kind)
            .config(|config| {
                config.workers = NonZeroUsize::new(THREADS).expect("it is not 0");
                config.snapshot_every = snapshot_every;
                // Everything stays, as it does on the other side; while filling, little does.
                config.resident_bytes = if snapshot_every == 1 { 64 << 20 } else { 0 };
            })
            .start_blocking()
            .expect("the node starts")
    }

    /// Until each of `actors` has answered, from a node that has just started.
    fn recover(&self, actors: Vec<usize>, callers: usize) -> Took {
        let applied = APPLIED.load(Ordering::Relaxed);
        let node = self.node(200);
        let start = Start::now();
        node.block_on(async {
            let asker = node.clone();
            all(actors.len(), callers, move |index| {
                let stock = asker.actor::<Stock>(&actors[index].to_string());
                async move {
                    assert_eq!(stock.ask(Size).await.expect("it is recovered"), ITEMS);
                }
            })
            .await;
        });
        let took = start.took();
        let replayed = APPLIED.load(Ordering::Relaxed) - applied;
        assert_eq!(replayed, 0, "actors came from their events");
        end(&node);
        took
    }

    /// The flat files, read and decoded.
    fn decode_flat(&self) -> Took {
        let start = Start::now();
        let shares: Vec<Vec<Stock>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|share| {
                    let path = self.flat().with_extension(share.to_string());
                    std::thread::Builder::new()
                        .name("reader".to_owned())
                        .spawn_scoped(scope, move || decode(&path))
                        .expect("a thread starts")
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("it does not panic"))
                .collect()
        });
        let took = start.took();
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), self.actors);
        took
    }

    /// Different actors, anywhere.
    fn some(&self, seed: usize) -> Vec<usize> {
        let step = 7_919; // prime: no actor comes twice
        (0..FIRST.min(self.actors))
            .map(|index| (seed * 31 + index * step) % self.actors)
            .collect()
    }
}

fn name(actor: usize) -> ActorId {
    ActorId::new(Stock::KIND, &actor.to_string()).expect("a number is a key")
}

fn encoded(actor: u64) -> Vec<u8> {
    rmp_serde::to_vec_named(&Stock::filled(actor)).expect("it can be encoded")
}

fn shares(actors: usize) -> Vec<std::ops::Range<usize>> {
    let share = actors.div_ceil(THREADS);
    (0..THREADS)
        .map(|index| index * share..((index + 1) * share).min(actors))
        .collect()
}

fn decode(path: &Path) -> Vec<Stock> {
    let mut file = File::open(path).expect("it is there");
    let (mut stocks, mut length, mut state) = (Vec::new(), [0; 4], Vec::new());
    while file.read_exact(&mut length).is_ok() {
        state.resize(u32::from_le_bytes(length) as usize, 0);
        file.read_exact(&mut state).expect("the state is whole");
        stocks.push(rmp_serde::from_slice(&state).expect("it decodes"));
    }
    stocks
}

/// Times of one size and one temperature.
struct Measured {
    bytes: u64,
    cold: bool,
    /// The node and the flat file, run by run.
    runs: Vec<(Took, Took)>,
}

impl Measured {
    fn ratios(&self, of: fn(&Took) -> f64) -> Vec<(f64, f64)> {
        let ratio = |(node, flat): &(Took, Took)| (of(node), of(node) / of(flat));
        self.runs.iter().map(ratio).collect()
    }

    fn ratio(&self) -> f64 {
        let ratios = self.ratios(Took::time);
        Spread::of(ratios.into_iter().map(|(_, ratio)| ratio)).median
    }

    fn said(&self, name: &str, what: &str, of: fn(&Took) -> f64) -> Said {
        let flat = Spread::of(self.runs.iter().map(|(_, flat)| of(flat))).median;
        let against = format!(
            "{what} of reading and decoding a flat file of the same {} MB of states in 85 KB pieces, {ITEMS} items each, by {THREADS} threads, page cache {}: {} ms",
            figure(float(self.bytes / 1_000_000)),
            temperature(self.cold),
            figure(flat),
        );
        Said::new(name, "ms", against)
    }

    fn outcome(&self, name: &str) -> Outcome {
        let said = self.said(name, "time", Took::time).bound(ALL);
        said.with_ratios(&self.ratios(Took::time))
    }

    fn processor(&self, name: &str) -> Outcome {
        let said = self.said(name, "processor time", Took::processor);
        said.with_ratios(&self.ratios(Took::processor))
    }
}

/// As the targets ask for.
const SIZES: [u64; 2] = [1_200_000_000, 4_900_000_000];
/// For a first look, with as many actors as are asked at once.
const SMALL: u64 = 150_000_000;

fn measure_all(settings: &Settings, data: &Data, temperatures: &[bool]) -> Vec<Measured> {
    let mut measured = Vec::new();
    for cold in temperatures.iter().copied() {
        if cold && !drop_caches() {
            eprintln!("the page cache cannot be dropped here (not root): no cold figures");
            break;
        }
        if !cold {
            data.recover((0..data.actors).collect(), CALLERS);
            data.decode_flat();
        }
        let fresh = || {
            assert!(
                !cold || drop_caches(),
                "the page cache could be dropped before"
            );
        };
        let run = |_| {
            fresh();
            let node = data.recover((0..data.actors).collect(), CALLERS);
            fresh();
            (node, data.decode_flat())
        };
        measured.push(Measured {
            bytes: data.bytes,
            cold,
            runs: (0..settings.runs).map(run).collect(),
        });
    }
    measured
}

/// Whether all states fit into memory beside what else is there, with some room.
fn fits(bytes: u64) -> Result<(), String> {
    let needed = bytes / 1_000 * 3;
    match kernel_number("meminfo", "MemAvailable") {
        Some(there) if there * 1_024 / 1_000 < needed => Err(format!(
            "{} MB of states need about {} MB of memory, of which {} MB are free",
            bytes / 1_000_000,
            needed / 1_000,
            there / 1_000
        )),
        Some(_) | None => Ok(()),
    }
}

fn first(settings: &Settings, data: &Data, name: &str) -> Outcome {
    let mut cold = false;
    let times: Vec<f64> = (0..settings.runs)
        .map(|run| {
            cold = drop_caches();
            let actors = data.some(run);
            let callers = actors.len();
            data.recover(actors, callers).time()
        })
        .collect();
    let against = format!(
        "until each of {} random actors of {} has answered, asked at once when the node has started, 85 KB each, {THREADS} workers, page cache {}",
        FIRST.min(data.actors),
        data.actors,
        temperature(cold),
    );
    Said::new(name, "ms", against).bound(ALL_FIRST).of(times)
}

/// The worst of all sizes and temperatures, and the first answers at the smaller size; when it is to be quick, the
/// smaller size from the disk.
pub(super) fn targets(settings: &Settings) -> Vec<Outcome> {
    let (sizes, temperatures): (&[u64], &[bool]) = if settings.quick {
        (&SIZES[..1], &[true])
    } else {
        (&SIZES, &[false, true])
    };
    let mut measured = Vec::new();
    let mut first_answers = None;
    for bytes in sizes {
        if let Err(why) = fits(*bytes) {
            eprintln!("recover.state_all: left out: {why}");
            continue;
        }
        let data = Data::of(settings, *bytes);
        measured.extend(measure_all(settings, &data, temperatures));
        if first_answers.is_none() {
            first_answers = Some(first(settings, &data, "recover.state_first"));
        }
    }
    let skipped = |name: &str| Outcome::Skipped {
        name: name.to_owned(),
        why: "there is not enough free memory, or the page cache cannot be dropped".to_owned(),
    };
    let worst = measured
        .iter()
        .max_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    vec![
        worst.map_or_else(
            || skipped("recover.state_all"),
            |worst| worst.outcome("recover.state_all"),
        ),
        first_answers.unwrap_or_else(|| skipped("recover.state_first")),
    ]
}

/// All rows.
pub(super) fn rows(settings: &Settings) -> (Vec<Outcome>, Chart) {
    let sizes: &[u64] = if settings.quick { &[SMALL] } else { &SIZES };
    let mut outcomes = Vec::new();
    let mut all = Vec::new();
    for bytes in sizes {
        let label = format!("{}mb", bytes / 1_000_000);
        if let Err(why) = fits(*bytes) {
            outcomes.push(Outcome::Skipped {
                name: format!("recover.state_all.{label}"),
                why,
            });
            continue;
        }
        let data = Data::of(settings, *bytes);
        for one in measure_all(settings, &data, &[false, true]) {
            let temperature = if one.cold { "cold" } else { "warm" };
            let name = format!("recover.state_all.{label}.{temperature}");
            outcomes.extend([
                one.outcome(&name),
                one.processor(&format!("{name}.processor")),
            ]);
            all.push(one);
        }
        let name = format!("recover.state_first.{label}");
        outcomes.push(first(settings, &data, &name));
    }
    (outcomes, chart(&all))
}

fn chart(measured: &[Measured]) -> Chart {
    let of = |name: &str, of: fn(&(Took, Took)) -> f64| Series {
        name: name.to_owned(),
        values: measured
            .iter()
            .map(|one| Spread::of(one.runs.iter().map(of)).median)
            .collect(),
    };
    let category = |one: &Measured| {
        let megabytes = figure(float(one.bytes / 1_000_000));
        format!("{megabytes} MB, page cache {}", temperature(one.cold))
    };
    let series = vec![
        of("actors recovered by their snapshots", |(node, _)| {
            node.time()
        }),
        of("flat file read and decoded", |(_, flat)| flat.time()),
    ];
    let categories = measured.iter().map(category).collect();
    Chart::bars("States of 85 KB restored", "ms", categories, series)
}
