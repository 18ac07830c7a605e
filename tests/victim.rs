//! The program that the tests kill: it embeds the library and writes down what it was promised.
//!
//! ```text
//! victim load DIR RECORD AGAIN LIFE SEED NOTE   load until killed, or until standard input ends
//! victim transfers DIR RECORD AGAIN LIFE SEED NOTE   transfers until killed, or until input ends
//! victim fill DIR COUNT                         creates COUNT actors, stops in order
//! victim first-ask DIR KEY                      starts and asks once
//! ```
//! `STEADFAST_FAILPOINT=NAME:COUNT` lets it end at the `COUNT`-th passing of a point, as `kill -9` would;
//! `STEADFAST_MUTANT=NAME` lets it make a mistake; with `STEADFAST_BUSY` its journal does soon what it else does rarely.
//!
//! What it says on standard output is for the test that waits for it.

use std::fs::read_to_string;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use steadfast::{Clock, Node, NodeBuilder, SystemClock, failpoints, mutants};
use steadfast_tests::bank::{self, Transfers};
use steadfast_tests::tally::{self, Add, Peek, Tally};
use steadfast_tests::{Extra, Load, Options, Plan, Record};

type Failure = Box<dyn std::error::Error>;

/// Asks at once while actors are created.
const TOGETHER: usize = 4_096;

fn main() -> Result<(), Failure> {
    let begun = SystemClock::new().running();
    if let Ok(text) = std::env::var("STEADFAST_FAILPOINT") {
        failpoints::arm(&text).ok_or("STEADFAST_FAILPOINT is NAME:COUNT")?;
    }
    if let Ok(name) = std::env::var("STEADFAST_MUTANT") {
        mutants::arm(&name).ok_or("STEADFAST_MUTANT names no mistake")?;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match args.as_slice() {
        ["load", dir, record, again, numbers @ ..] => {
            let record = Arc::new(Record::append_to(Path::new(record))?);
            let node = if std::env::var_os("STEADFAST_BUSY").is_some() {
                tally::busy_node(Path::new(dir), &record)
            } else {
                tally::restless_node(Path::new(dir), &record)
            };
            runtime.block_on(load(node, record, again, numbers))
        }
        ["transfers", dir, record, again, numbers @ ..] => {
            runtime.block_on(transfer(Path::new(dir), Path::new(record), again, numbers))
        }
        ["fill", dir, count] => runtime.block_on(fill(Path::new(dir), count.parse()?)),
        ["first-ask", dir, key] => runtime.block_on(first_ask(Path::new(dir), key, begun)),
        _ => Err("see the top of victim.rs".into()),
    }
}

fn options(numbers: &[&str]) -> Result<Options, Failure> {
    let [life, seed, filler] = numbers else {
        return Err("LIFE SEED NOTE".into());
    };
    Ok(Options {
        life: life.parse()?,
        seed: seed.parse()?,
        note: filler.parse()?,
    })
}

fn operations(list: &str) -> Result<Vec<u64>, Failure> {
    let numbers = read_to_string(list)?;
    Ok(numbers
        .lines()
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()?)
}

async fn transfer(dir: &Path, record: &Path, again: &str, numbers: &[&str]) -> Result<(), Failure> {
    let (options, again) = (options(numbers)?, operations(again)?);
    let record = Arc::new(Record::append_to(record)?);
    let node = bank::bank_node(dir).start().await?;
    say(format!("ready {}", std::process::id()));
    let asked_to_stop = end_of_input()?;
    let running = tokio::spawn(Transfers::new(node.clone(), record, options, say).run(again));
    asked_to_stop.await?;
    node.shutdown().await?;
    running.await?;
    say("stopped");
    Ok(())
}

async fn load(
    node: NodeBuilder,
    record: Arc<Record>,
    again: &str,
    numbers: &[&str],
) -> Result<(), Failure> {
    let (options, again) = (options(numbers)?, operations(again)?);
    let node = node.start().await?;
    say(format!("ready {}", std::process::id()));
    tokio::spawn(tell_openings(node.clone()));
    let asked_to_stop = end_of_input()?;
    let running = tokio::spawn(Load::new(node.clone(), record, options, say).run(again));
    asked_to_stop.await?;
    node.shutdown().await?;
    running.await?;
    say("stopped");
    Ok(())
}

/// Says so whenever the journal was opened again.
async fn tell_openings(node: Node) {
    let mut commits = node.watch_commits();
    let mut known = node.opened().ok().map(|report| report.epoch);
    while commits.changed().await.is_ok() {
        let now = node.opened().ok().map(|report| report.epoch);
        if now.is_some() && now != known {
            known = now;
            say("reopened");
        }
    }
}

/// Completes when standard input ends.
fn end_of_input() -> std::io::Result<tokio::sync::oneshot::Receiver<()>> {
    let (ended, has_ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("victim-stdin".to_owned())
        .spawn(move || {
            let mut rest = Vec::new();
            drop(std::io::stdin().read_to_end(&mut rest));
            // Nobody waits where the program ends already.
            let (Ok(()) | Err(())) = ended.send(());
        })?;
    Ok(has_ended)
}

async fn fill(dir: &Path, count: u64) -> Result<(), Failure> {
    let record = Arc::new(Record::append_to(&dir.with_extension("record"))?);
    let node = tally::plain_node(dir, &record).start().await?;
    for first in (0..count).step_by(TOGETHER) {
        let mut asked = Vec::new();
        for key in (first..count).take(TOGETHER) {
            let actor = node.actor::<Tally>(&format!("{key:06}"));
            let add = Add {
                op: plain_operation(key),
                note: "state".to_owned(),
            };
            asked.push(tokio::spawn(async move { actor.ask(add).await }));
        }
        for answer in asked {
            answer.await?.map_err(|error| error.to_string())?;
        }
    }
    node.shutdown().await?;
    say("stopped");
    Ok(())
}

/// The first operation from `key` times a large number on that only adds.
fn plain_operation(key: u64) -> u64 {
    let mut op = key * 1_000;
    while Plan::of(op).extra != Extra::Plain {
        op += 1;
    }
    op
}

async fn first_ask(dir: &Path, key: &str, begun: Duration) -> Result<(), Failure> {
    let record = Arc::new(Record::append_to(&dir.with_extension("record"))?);
    let node = tally::plain_node(dir, &record).start().await?;
    let clock = SystemClock::new();
    let started = clock.running();
    let tally = node
        .actor::<Tally>(key)
        .ask(Peek)
        .await
        .map_err(|error| error.to_string())?;
    let answered = clock.running();
    say(format!(
        "answered {} starting {} asking {}",
        tally.operations,
        micros(started.saturating_sub(begun)),
        micros(answered.saturating_sub(started))
    ));
    let report = node.opened()?;
    say(format!(
        "journal {} wal {} commits {}",
        micros(report.took),
        report.wal_bytes,
        report.verified_commits
    ));
    Ok(())
}

fn micros(duration: Duration) -> u128 {
    duration.as_micros()
}

/// One line, at once. Nobody may be listening any more.
fn say(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()));
}
