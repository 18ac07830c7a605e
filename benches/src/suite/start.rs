//! From the start of a process to its first answer, over a directory with a million actors.
//!
//! The program starts itself again as a child that opens the directory and asks one actor. The clock runs in
//! the parent, from before the child is spawned until its line has arrived.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command as Process, ExitCode, Stdio};
use std::time::Duration;

use steadfast::Node;

use super::Target;
use super::stage::{
    Book, Bookings, Ledger, Said, all, drop_caches, end, float, ledgers, millis, now,
};
use crate::child::end_with_parent;
use crate::{Bound, Outcome, Settings, Spread, figure};

/// First argument of a child that answers once.
const ANSWER: &str = "start-child-answer";
/// First argument of a child that writes until it is killed.
const WRITE: &str = "start-child-write";

/// Actors on the disk.
const MILLION: usize = 1_000_000;

/// The rows of the table of targets.
pub(super) const TARGETS: &[Target] = &[(&["start.first_answer", "start.after_kill"], targets)];

/// The first answer at the worse of a warm and a dropped page cache, and that after a kill.
fn targets(settings: &Settings) -> Vec<Outcome> {
    let dir = prepared(settings, MILLION);
    let clean = |cold| clean(settings, dir.path(), MILLION, cold, "start.first_answer");
    let median = |outcome: &Outcome| match outcome {
        Outcome::Measured(row) => row.value.median,
        Outcome::Skipped { .. } => 0.0,
    };
    let (warm, cold) = (clean(false), clean(true));
    let worse = if median(&cold) > median(&warm) {
        cold
    } else {
        warm
    };
    vec![worse, killed(settings, dir.path(), MILLION)]
}

/// Everything about starts.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let actors = if settings.quick { 200_000 } else { MILLION };
    let dir = prepared(settings, actors);
    let clean = |cold, name| clean(settings, dir.path(), actors, cold, name);
    vec![
        clean(false, "start.first_answer.warm"),
        clean(true, "start.first_answer.cold"),
        killed(settings, dir.path(), actors),
    ]
}

/// What a child of this program is to do instead of measuring; `None` for any other.
#[must_use]
pub fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next()?;
    let work = match role.as_str() {
        ANSWER => answer,
        WRITE => write,
        _ => return None,
    };
    end_with_parent();
    work(Path::new(&arguments.next()?));
    Some(ExitCode::SUCCESS)
}

/// Opens, asks, tells, and ends in order.
fn answer(dir: &Path) {
    let node = ledgers(dir, |_| ());
    let bookings = node.block_on(async { node.actor::<Ledger>("7").ask(Bookings).await });
    let bookings = bookings.expect("the actor answers");
    let opened = node.opened().expect("it is open");
    println!(
        "{}",
        serde_json::json!({ "bookings": bookings, "wal_bytes": opened.wal_bytes })
    );
    std::io::stdout().flush().expect("the parent reads");
    end(&node);
}

/// Writes with many callers, and tells how many answers there were.
fn write(dir: &Path) {
    let node = ledgers(dir, |_| ());
    node.block_on(async {
        let writer = node.clone();
        all(usize::MAX, 512, move |index| {
            let ledger = writer.actor::<Ledger>(&(index % 10_000).to_string());
            async move {
                ledger.ask(Book::small(1)).await.expect("it is written");
                if index % 10_000 == 0 {
                    println!("{index}");
                }
            }
        })
        .await;
    });
}

fn spawn(role: &str, dir: &Path) -> Child {
    let program = std::env::current_exe().expect("this program has a file");
    Process::new(program)
        .arg(role)
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

/// What one start took, and the bytes of log that it read.
fn one_start(dir: &Path) -> (Duration, u64) {
    let start = now();
    let mut child = spawn(ANSWER, dir);
    let mut line = String::new();
    let output = child.stdout.take().expect("it has an output");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("the child speaks");
    let took = start.elapsed();
    assert!(child.wait().expect("it ends").success(), "the child failed");
    let said: serde_json::Value = serde_json::from_str(&line).expect("the child says JSON");
    assert!(
        said["bookings"]
            .as_u64()
            .is_some_and(|bookings| bookings > 0),
        "the actor that was asked is new: {line}"
    );
    (took, said["wal_bytes"].as_u64().expect("it says so"))
}

/// A directory with many actors, closed in order.
fn prepared(settings: &Settings, actors: usize) -> tempfile::TempDir {
    let dir = settings.fresh_dir();
    let start = now();
    let node = ledgers(dir.path(), |config| config.resident_bytes = 256 << 20);
    create(&node, actors);
    end(&node);
    eprintln!("{actors} actors in {:.1} s", start.elapsed().as_secs_f64());
    dir
}

/// So many actors, each with one event.
pub(super) fn create(node: &Node, actors: usize) {
    node.block_on(async {
        let writer = node.clone();
        all(actors, 8_192, move |actor| {
            let ledger = writer.actor::<Ledger>(&actor.to_string());
            async move {
                ledger.ask(Book::small(1)).await.expect("it is written");
            }
        })
        .await;
    });
}

fn clean(settings: &Settings, dir: &Path, actors: usize, cold: bool, name: &str) -> Outcome {
    one_start(dir);
    let mut dropped = cold;
    let times: Vec<f64> = (0..settings.runs)
        .map(|_| {
            dropped = dropped && drop_caches();
            millis(one_start(dir).0)
        })
        .collect();
    let against = format!(
        "from before the process is spawned until an actor of {} on disk has answered, after a clean stop, page cache {}",
        figure(float(actors as u64)),
        if dropped { "dropped" } else { "warm" },
    );
    Said::new(name, "ms", against)
        .bound(Bound::AtMost(200.0))
        .of(times)
}

/// A child that writes is killed; the next one is timed.
fn killed(settings: &Settings, dir: &Path, actors: usize) -> Outcome {
    let load = Duration::from_secs(if settings.quick { 2 } else { 10 });
    let (mut times, mut logs) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        let mut child = spawn(WRITE, dir);
        let mut output = BufReader::new(child.stdout.take().expect("it has an output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the child writes");
        std::thread::sleep(load);
        child.kill().expect("it can be killed");
        child.wait().expect("it is gone");
        let (took, log) = one_start(dir);
        times.push(millis(took));
        logs.push(float(log) / 1e6);
    }
    let logs = Spread::of(logs);
    let against = format!(
        "from before the process is spawned until an actor of {} has answered, after SIGKILL under the load of 512 callers for {} s; log replayed: {} MB ({} to {})",
        figure(float(actors as u64)),
        load.as_secs(),
        figure(logs.median),
        figure(logs.least),
        figure(logs.greatest),
    );
    Said::new("start.after_kill", "ms", against)
        .bound(Bound::AtMost(1_000.0))
        .of(times)
}
