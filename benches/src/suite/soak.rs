//! The same load for hours: memory, processor time, log, tail latency and recovery must stay where they are. What is
//! written stays for ever, so the load is one that a disk holds for days: 2,000 commands a second, to actors of one kind,
//! without timers, effects or messages. Memory, log and mailboxes have limits, and a soak that misses one fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use steadfast::{ActorId, Node, StatefulActor};
use tokio::time::MissedTickBehavior;

use super::stage::{
    Book, Ledger, Said, bytes_below, cpu_millis, end, float, kernel_number, ledgers, millis, now,
};
use crate::plot::{self, Chart, Line, Scale};
use crate::{Bound, Outcome, Settings, Spread, figure};

const ACTORS: usize = 10_000;
const CALLERS: usize = 100;
/// Between two commands of a caller.
const PACE: Duration = Duration::from_millis(50);
/// MB that memory may grow by from the first quarter to the last: what RocksDB's caches and write buffers fill up to. In
/// an hour that is 20 bytes for each command; a leak that is slower shows in a longer soak.
const GROWTH: f64 = 144.0;
/// MB of log files at any time: one that is being flushed, which begins at 64 MB, and as much written meanwhile.
const LOG: f64 = 134.0;
/// Commands that wait in mailboxes, in the median: a tenth of the callers. A node that keeps up has none.
const WAITING: f64 = 10.0;
/// Microseconds of the longest time that is told apart.
const LONGEST: u64 = 600_000_000;

/// What was seen in one stretch of time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Hours since the start.
    hours: f64,
    /// Resident memory in MB.
    memory: f64,
    /// Microseconds of processor time for each command.
    cpu: f64,
    /// Commands that wait in mailboxes.
    waiting: f64,
    /// Log files in MB.
    log: f64,
    /// All files in MB.
    disk: f64,
    /// Commands a second.
    rate: f64,
    /// 99 % of them took no longer, in ms.
    p99: f64,
    /// Milliseconds in which an actor was rebuilt from what is on the disk.
    recovery: f64,
}

/// All rows.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let length = if settings.quick {
        Duration::from_secs(30)
    } else {
        Duration::from_secs_f64((settings.hours * 3_600.0).max(10.0))
    };
    let every = (length / 360).clamp(Duration::from_millis(500), Duration::from_secs(10));
    let dir = settings.fresh_dir();
    let node = ledgers(dir.path(), |_| ());
    let samples = soak(&node, dir.path(), length, every);
    end(&node);
    plot(settings, &samples);
    rows(&samples, length)
}

/// Runs the load and looks at it again and again.
fn soak(node: &Node, dir: &Path, length: Duration, every: Duration) -> Vec<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let histogram =
        || Histogram::<u64>::new_with_bounds(1, LONGEST, 3).expect("the bounds are right");
    let times = Arc::new(std::sync::Mutex::new(histogram()));
    node.block_on(async {
        let number = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let caller = call(
                    node.clone(),
                    Arc::clone(&stop),
                    Arc::clone(&number),
                    Arc::clone(&times),
                );
                tokio::spawn(caller)
            })
            .collect();
        let start = now();
        let mut samples = Vec::new();
        let (mut since, mut spent) = (start, cpu_millis());
        while start.elapsed() < length {
            tokio::time::sleep(every).await;
            let seen = std::mem::replace(
                &mut *times.lock().expect("nobody panics with it"),
                histogram(),
            );
            let (took, cpu) = (since.elapsed(), cpu_millis());
            let recovery = recovery(node, number.load(Ordering::Relaxed)).await;
            samples.push(Sample {
                hours: start.elapsed().as_secs_f64() / 3_600.0,
                memory: float(kernel_number("self/status", "VmRSS").unwrap_or(0)) / 1_000.0,
                cpu: (cpu - spent) * 1_000.0 / float(seen.len().max(1)),
                waiting: float(node.totals().await.waiting as u64),
                log: float(bytes_below(dir, &|name| {
                    Path::new(name).extension().is_some_and(|end| end == "log")
                })) / 1e6,
                disk: float(bytes_below(dir, &|_| true)) / 1e6,
                rate: float(seen.len()) / took.as_secs_f64(),
                p99: float(seen.value_at_quantile(0.99)) / 1_000.0,
                recovery,
            });
            (since, spent) = (now(), cpu);
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("a caller does not panic");
        }
        samples
    })
}

async fn call(
    node: Node,
    stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
    times: Arc<std::sync::Mutex<Histogram<u64>>>,
) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let index = number.fetch_add(1, Ordering::Relaxed);
        let ledger = node.actor::<Ledger>(&(index * 7_919 % ACTORS).to_string());
        let start = now();
        ledger.ask(Book::small(1)).await.expect("it is written");
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut times = times.lock().expect("nobody panics with it");
        times.saturating_record(micros);
    }
}

/// How long it takes to rebuild one of the actors, from its snapshot and the entries after it.
async fn recovery(node: &Node, asked: usize) -> f64 {
    let inspector = node.inspect().expect("the node runs");
    let key = (asked * 7_919 % ACTORS).to_string();
    let id = ActorId::new(Ledger::KIND, &key).expect("a good name");
    let rebuilt = tokio::task::spawn_blocking(move || {
        let start = now();
        inspector.state(&id, None).map(|_| millis(start.elapsed()))
    });
    // One that was not asked for anything yet takes no time.
    rebuilt.await.expect("it does not panic").unwrap_or(0.0)
}

/// Growth of `of` for each hour, by least squares.
fn slope(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let count = float(samples.len() as u64);
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (hours, value) = (mean(|sample| sample.hours), mean(of));
    let squares: f64 = samples
        .iter()
        .map(|sample| (sample.hours - hours).powi(2))
        .sum();
    let products: f64 = samples
        .iter()
        .map(|sample| (sample.hours - hours) * (of(sample) - value))
        .sum();
    products / squares.max(f64::MIN_POSITIVE)
}

/// What must stay where it is, over time.
fn plot(settings: &Settings, samples: &[Sample]) {
    let Some(dir) = &settings.plots else { return };
    let short = samples.last().is_none_or(|sample| sample.hours < 0.2);
    let (across, each_hour) = if short {
        ("time (s)", 3_600.0)
    } else {
        ("time (h)", 1.0)
    };
    let chart = |title: &str, up, of: fn(&Sample) -> f64| {
        let point = |sample: &Sample| (sample.hours * each_hour, of(sample));
        let line = Line {
            name: title.to_owned(),
            points: samples.iter().map(point).collect(),
        };
        Chart::lines(title, (across, Scale::Linear), up, vec![line])
    };
    let charts = [
        chart("Resident memory", "MB", |sample| sample.memory),
        chart("Mailbox depth, all actors", "commands waiting", |sample| {
            sample.waiting
        }),
        chart("Write-ahead log", "MB", |sample| sample.log),
        chart("p99", "ms", |sample| sample.p99),
        chart("Rebuilding an actor", "ms", |sample| sample.recovery),
    ];
    plot::draw(&dir.join("soak.svg"), &charts);
}

fn rows(samples: &[Sample], length: Duration) -> Vec<Outcome> {
    let quarter = (samples.len() / 4).max(1);
    let (first, last) = (&samples[..quarter], &samples[samples.len() - quarter..]);
    let what = format!(
        "{} s, {} samples, {CALLERS} callers, {ACTORS} actors",
        figure(millis(length) / 1_000.0),
        samples.len(),
    );
    let compared = |name: &str, unit, of: fn(&Sample) -> f64| {
        let early = Spread::of(first.iter().map(of)).median;
        let late = Spread::of(last.iter().map(of));
        let against = format!("last quarter against the first ({what}): {}", figure(early));
        let ratio = late.median / early.max(f64::MIN_POSITIVE);
        let pairs: Vec<_> = last.iter().map(|sample| (of(sample), ratio)).collect();
        Said::new(name, unit, against).with_ratios(&pairs)
    };
    let grown = median(last, |sample| sample.memory) - median(first, |sample| sample.memory);
    let largest = samples.iter().map(|sample| sample.log).fold(0.0, f64::max);
    let bounded = |name: &str, unit, against: &str, bound, figure| {
        Said::new(name, unit, format!("{against} ({what})"))
            .bound(Bound::AtMost(bound))
            .of([figure])
    };
    // Caches and write buffers fill first.
    let settled = &samples[quarter..];
    let settled = if settled.len() < 2 { samples } else { settled };
    vec![
        Said::new(
            "soak.memory.slope",
            "MB/h",
            format!("resident memory by least squares, from the second quarter on ({what})"),
        )
        .of([slope(settled, |sample| sample.memory)]),
        compared("soak.memory", "MB", |sample| sample.memory),
        compared("soak.p99", "ms", |sample| sample.p99),
        compared("soak.recovery", "ms", |sample| sample.recovery),
        compared("soak.commands", "/s", |sample| sample.rate),
        compared("soak.cpu", "µs/command", |sample| sample.cpu),
        compared("soak.waiting", "commands", |sample| sample.waiting),
        compared("soak.log", "MB", |sample| sample.log),
        compared("soak.disk", "MB", |sample| sample.disk),
        bounded(
            "soak.memory.growth",
            "MB",
            "median of the last quarter less that of the first",
            GROWTH,
            grown,
        ),
        bounded(
            "soak.log.largest",
            "MB",
            "the largest of all samples",
            LOG,
            largest,
        ),
        bounded(
            "soak.waiting.median",
            "commands",
            "median of all samples",
            WAITING,
            median(samples, |sample| sample.waiting),
        ),
    ]
}

fn median(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    Spread::of(samples.iter().map(of)).median
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(hours: f64, growth: f64) -> Sample {
        Sample {
            hours,
            memory: 100.0 + growth * hours,
            cpu: 0.0,
            waiting: 0.0,
            log: 0.0,
            disk: 0.0,
            rate: 0.0,
            p99: 0.0,
            recovery: 0.0,
        }
    }

    fn ten(growth: f64) -> Vec<Sample> {
        (0..10)
            .map(|hours| sample(f64::from(hours), growth))
            .collect()
    }

    #[test]
    fn a_slope_is_growth_for_each_hour() {
        assert!((slope(&ten(3.0), |sample| sample.memory) - 3.0).abs() < 1e-9);
    }

    /// The names of the limits that these samples miss.
    fn missed(samples: &[Sample]) -> Vec<String> {
        let rows = rows(samples, Duration::from_secs(10));
        let missed = rows.iter().filter(|row| row.is_missed());
        missed.map(|row| row.name().to_owned()).collect()
    }

    #[test]
    fn what_grows_or_waits_misses_its_limit() {
        assert_eq!(missed(&ten(3.0)), Vec::<String>::new());
        assert_eq!(missed(&ten(30.0)), ["soak.memory.growth"]);
        let mut one_large_log = ten(0.0);
        one_large_log[5].log = LOG + 1.0;
        assert_eq!(missed(&one_large_log), ["soak.log.largest"]);
        let mut waiting = ten(0.0);
        for sample in &mut waiting {
            sample.waiting = WAITING + 1.0;
        }
        assert_eq!(missed(&waiting), ["soak.waiting.median"]);
    }
}
