//! What the tests of this binary share: how large and how random they are, the killed program, and the
//! laws.

mod again;
mod agent;
pub(crate) mod bell;
mod disk;
mod group;
mod laws;
mod tree;
mod victim;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use steadfast::{Clock, Node, NodeError, SystemClock};
use steadfast_tests::tally::{Peek, Tally};
use steadfast_tests::{ACTORS, Plan, Record, tally};

pub(crate) use again::{asked_again, settle_and_check, settle_with};
pub(crate) use agent::{Agent, Site, steadfast, until};
pub(crate) use disk::{Cuttable, FileSystem};
pub(crate) use group::MemoryGroup;
pub(crate) use laws::{check_acknowledged, check_all, check_newest, event_of, inspect};
pub(crate) use tree::{copy_tree, read_tree};
pub(crate) use victim::Victim;

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `bounded` in a plain test run, `long` in the long form.
pub(crate) fn scaled<T>(bounded: T, long: T) -> T {
    match std::env::var("STEADFAST_TEST_SCALE").as_deref() {
        Ok("long") => long,
        _ => bounded,
    }
}

/// How often to try: as often as `STEADFAST_TEST_TRIES` says, which `make proof` sets, else `bounded` or `long`.
pub(crate) fn tries(bounded: u64, long: u64) -> u64 {
    let given = std::env::var("STEADFAST_TEST_TRIES").ok();
    given.map_or_else(
        || scaled(bounded, long),
        |text| text.parse().expect("STEADFAST_TEST_TRIES is a number"),
    )
}

/// Which try is the first: what `make proof` says in `STEADFAST_TEST_FROM`, as many as it has had before; else `other`.
pub(crate) fn begin(other: impl FnOnce() -> u64) -> u64 {
    let given = std::env::var("STEADFAST_TEST_FROM").ok();
    given.map_or_else(other, |text| {
        text.parse().expect("STEADFAST_TEST_FROM is a number")
    })
}

/// What `make proof` adds up: a claim held so often.
pub(crate) fn proved(claim: &str, count: u64) {
    say(&format!("proved: {claim} {count}"));
}

/// This run's seed, said together with the command that repeats it.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("STEADFAST_TEST_SEED").ok();
    let seed = given.map_or_else(
        || SystemClock::new().now().as_micros().unsigned_abs() % 1_000_000_007,
        |text| text.parse().expect("STEADFAST_TEST_SEED is a number"),
    );
    say(&format!(
        "{test}: seed {seed}; repeat with STEADFAST_TEST_SEED={seed} \
         cargo test --release --workspace --test integration {test}"
    ));
    seed
}

/// A line that is seen also when the test passes.
pub(crate) fn say(text: &str) {
    writeln!(std::io::stderr().lock(), "{text}").expect("standard error is open");
}

/// The same where somebody asked for every case, with `STEADFAST_TEST_VERBOSE`.
pub(crate) fn say_case(text: impl FnOnce() -> String) {
    if std::env::var_os("STEADFAST_TEST_VERBOSE").is_some() {
        say(&text());
    }
}

/// Whether `strace` is there and may trace.
pub(crate) fn can_trace(test: &str) -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        say(&format!(
            "{test}: SKIPPED: strace is missing or may not trace"
        ));
    }
    can
}

/// Opens a directory for writing, which judges it, and closes it in order.
pub(crate) fn reopen(dir: &Path, record: &Arc<Record>) -> Result<(), NodeError> {
    runtime().block_on(async {
        let node = tally::plain_node(dir, record).start().await?;
        node.shutdown().await
    })
}

/// A runtime for the test's own async parts.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Where one run keeps its things: the record lies beside the data, never in it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) record: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (dir, record) = (root.path().join("data"), root.path().join("record"));
        Self { root, dir, record }
    }

    /// Another copy of the data.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let to = self.root.path().join(name);
        copy_tree(&self.dir, &to);
        to
    }

    /// The same once more, to go on from here in another way.
    pub(crate) fn fork(&self) -> Self {
        let fork = Self::new();
        copy_tree(&self.dir, &fork.dir);
        std::fs::copy(&self.record, &fork.record).expect("a copy");
        fork
    }

    pub(crate) fn open_record(&self) -> Arc<Record> {
        Arc::new(Record::append_to(&self.record).expect("the record opens"))
    }
}

/// Starts a node that passivates and snapshots all the time.
pub(crate) async fn start(dir: &Path, record: &Arc<Record>) -> Node {
    tally::restless_node(dir, record)
        .start()
        .await
        .expect("the node starts")
}

/// The state of every actor of the load, as asked for.
pub(crate) async fn peek_all(node: &Node) -> Vec<Tally> {
    let mut asked = Vec::new();
    for number in 0..ACTORS {
        let actor = node.actor::<Tally>(&format!("{number:04}"));
        asked.push(tokio::spawn(async move { actor.ask(Peek).await }));
    }
    let mut states = Vec::new();
    for answer in asked {
        states.push(answer.await.expect("no panic").expect("a state"));
    }
    states
}

/// Waits until every timer fired and every effect was answered; returns the states then.
pub(crate) async fn wait_settled(node: &Node) -> Vec<Tally> {
    let mut commits = node.watch_commits();
    let settled = async {
        loop {
            commits.borrow_and_update();
            let states = peek_all(node).await;
            if states.iter().all(|state| state.pending.is_empty()) {
                return states;
            }
            commits.changed().await.expect("the node runs");
        }
    };
    if let Ok(states) = tokio::time::timeout(PATIENCE, settled).await {
        return states;
    }
    let states = peek_all(node).await;
    let lost: Vec<u64> = states.into_iter().flat_map(|state| state.pending).collect();
    let plans: Vec<_> = lost.iter().take(10).map(|op| (op, Plan::of(*op))).collect();
    panic!(
        "{} timers or effects never came back, such as {plans:?}",
        lost.len()
    );
}
