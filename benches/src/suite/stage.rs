//! What the subjects about data at rest share: actors that fill a disk, ways to ask many of them, and a look at
//! the machine.
//!
//! Invariant: what is written is synced before it is acknowledged, as everywhere; and nothing here is
//! compressible enough to be smaller on the disk than it says.

use std::future::Future;
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Command, Config, Event, Handle, KindBuilder, Live, Never, Node, StatefulActor,
};

use crate::{Bound, Outcome, Row, Spread};

/// Bytes of the text that makes an encoded [`Booked`](LedgerEvent::Booked) 119 bytes long.
const SMALL: u32 = 80;
/// The first number, so that each takes as many bytes as every other.
const NUMBERS: u64 = 1 << 40;

/// What was booked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    events: u64,
    cents: u64,
}

/// What happens to a [`Ledger`].
#[derive(Debug, Event)]
pub(super) enum LedgerEvent {
    /// Something was booked.
    Booked {
        /// Which booking it is.
        number: u64,
        /// How much.
        cents: u64,
        /// What for.
        memo: String,
    },
}

/// Books, so many times; answers how many bookings there are.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(super) struct Book {
    /// Events of this command.
    pub(super) times: u32,
    /// Bytes of the text of each.
    pub(super) memo: u32,
}

impl Book {
    /// One event of 119 bytes.
    pub(super) const fn small(times: u32) -> Self {
        Self { times, memo: SMALL }
    }
}

/// How many bookings there are.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(super) struct Bookings;

/// Books once, answers how many bookings there are, and leaves memory as soon as that is durable.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(super) struct BookAndLeave;

/// Has a timer set that is due in a year.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(super) struct SetTimers {
    /// How many.
    pub(super) count: u32,
}

impl StatefulActor for Ledger {
    const KIND: &'static str = "ledger";
    type Event = LedgerEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &LedgerEvent) {
        match event {
            LedgerEvent::Booked { cents, .. } => {
                self.events += 1;
                self.cents = self.cents.wrapping_add(*cents);
            }
        }
    }
}

impl Handle<Book> for Ledger {
    fn handle(ledger: &mut Live<'_, Self>, order: Book) -> Result<u64, Never> {
        for _ in 0..order.times {
            book(ledger, order.memo);
        }
        Ok(ledger.events)
    }
}

fn book(ledger: &mut Live<'_, Ledger>, memo: u32) {
    let seed = ledger.random();
    let number = NUMBERS + ledger.events;
    ledger.emit(LedgerEvent::Booked {
        number,
        cents: NUMBERS + seed % NUMBERS,
        memo: text(seed, memo),
    });
}

impl Handle<Bookings> for Ledger {
    fn handle(ledger: &mut Live<'_, Self>, _: Bookings) -> Result<u64, Never> {
        Ok(ledger.events)
    }
}

impl Handle<BookAndLeave> for Ledger {
    fn handle(ledger: &mut Live<'_, Self>, _: BookAndLeave) -> Result<u64, Never> {
        book(ledger, SMALL);
        ledger.stop();
        Ok(ledger.events)
    }
}

impl Handle<SetTimers> for Ledger {
    fn handle(ledger: &mut Live<'_, Self>, set: SetTimers) -> Result<(), Never> {
        for index in 0..set.count {
            let due = Duration::from_secs(365 * 24 * 3_600);
            ledger.after(&format!("t{index}"), due, Bookings);
        }
        Ok(())
    }
}

/// Text that does not compress to much less.
pub(super) fn text(seed: u64, bytes: u32) -> String {
    let mut state = seed | 1;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes as usize);
    while text.len() < bytes as usize {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for shift in 0..10 {
            if text.len() < bytes as usize {
                let letter = usize::try_from((state >> (shift * 6)) & 63).unwrap_or_default();
                text.push(char::from(letters[letter]));
            }
        }
    }
    text
}

/// A node of ledgers in `dir`.
///
/// # Panics
/// Where it does not start.
pub(super) fn ledgers(dir: &Path, change: impl FnOnce(&mut Config)) -> Node {
    Node::open(dir)
        .register::<Ledger>(KindBuilder::command::<Bookings>)
        .config(change)
        .start_blocking()
        .unwrap_or_else(|error| panic!("the node in {} does not start: {error}", dir.display()))
}

/// Ends `node` in order.
pub(super) fn end(node: &Node) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime to wait in");
    runtime
        .block_on(node.shutdown())
        .expect("the node ends in order");
}

/// Does `each` for 0..`count`, at most `width` at the same time, as tasks of the runtime that this runs in.
pub(super) async fn all<F>(
    count: usize,
    width: usize,
    each: impl Fn(usize) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let tasks: Vec<_> = (0..width.min(count))
        .map(|first| {
            let each = each.clone();
            tokio::spawn(async move {
                for index in (first..count).step_by(width) {
                    each(index).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
}

/// Reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the time that passes"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Forgets what the system has of files in memory; false where it does not let us.
pub(super) fn drop_caches() -> bool {
    let synced = Process::new("sync").status();
    synced.is_ok_and(|status| status.success())
        && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Bytes of all files below `dir` whose names `wanted` wants.
pub(super) fn bytes_below(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> u64 {
    let Ok(files) = std::fs::read_dir(dir) else {
        return 0;
    };
    let size = |file: std::fs::DirEntry| {
        let path = file.path();
        match file.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&path, wanted),
            Ok(meta) if wanted(&file.file_name().to_string_lossy()) => meta.len(),
            Ok(_) | Err(_) => 0,
        }
    };
    files.flatten().map(size).sum()
}

/// A number in `/proc/FILE` behind `name`, in the unit that it has there.
pub(super) fn kernel_number(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc").join(file)).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Processor time of this process.
pub(super) fn cpu_millis() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, come the fields from the third on; times are in 1/100 s.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let time = |index: usize| {
        let field = fields.split_whitespace().nth(index);
        field.and_then(|field| field.parse::<f64>().ok())
    };
    (time(11).unwrap_or(0.0) + time(12).unwrap_or(0.0)) * 10.0
}

/// When something began, by the clock and by the processor time of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    clock: Instant,
    cpu: f64,
}

/// What something took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    time: f64,
    processor: f64,
}

impl Start {
    pub(super) fn now() -> Self {
        let cpu = cpu_millis();
        Self { clock: now(), cpu }
    }

    pub(super) fn took(self) -> Took {
        let time = millis(self.clock.elapsed());
        let processor = cpu_millis() - self.cpu;
        Took { time, processor }
    }
}

impl Took {
    pub(super) const fn time(&self) -> f64 {
        self.time
    }

    pub(super) const fn processor(&self) -> f64 {
        self.processor
    }
}

/// The recoveries that `node` has done, and the events that they applied.
pub(super) fn recoveries(node: &Node) -> (u64, u64) {
    let text = node.metrics();
    let sum = |name: &str| {
        let lines = text.lines().filter(|line| line.contains(name));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum()
    };
    (
        sum("replay_duration_seconds_count{"),
        sum("replay_events_total{"),
    )
}

/// What a row says, but for its figures.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) against: String,
    pub(super) bound: Option<Bound>,
}

impl Said {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, against: String) -> Self {
        Self {
            name: name.into(),
            unit,
            against,
            bound: None,
        }
    }

    pub(super) fn bound(self, bound: Bound) -> Self {
        Self {
            bound: Some(bound),
            ..self
        }
    }

    /// Figures without anything to hold them against.
    pub(super) fn of(self, values: impl IntoIterator<Item = f64>) -> Outcome {
        self.row(Spread::of(values), None)
    }

    /// Figures, each with its ratio.
    pub(super) fn with_ratios(self, figures: &[(f64, f64)]) -> Outcome {
        let values = Spread::of(figures.iter().map(|(value, _)| *value));
        let ratio = Spread::of(figures.iter().map(|(_, ratio)| *ratio)).median;
        self.row(values, Some(ratio))
    }

    fn row(self, value: Spread, ratio: Option<f64>) -> Outcome {
        Outcome::Measured(Row {
            name: self.name,
            value,
            unit: self.unit,
            against: self.against,
            ratio,
            bound: self.bound,
        })
    }
}

/// A number as a figure; all that are measured here are far below where digits are lost.
#[expect(
    clippy::cast_precision_loss,
    reason = "no count here is anywhere near 2^52"
)]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// So many a second.
pub(super) fn rate(count: usize, took: Duration) -> f64 {
    float(count as u64) / took.as_secs_f64()
}

/// Milliseconds.
pub(super) fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_booking_has_119_bytes() {
        let event = LedgerEvent::Booked {
            number: NUMBERS,
            cents: NUMBERS + NUMBERS - 1,
            memo: text(7, SMALL),
        };
        assert_eq!(event.encode().unwrap().len(), 119);
    }
}
