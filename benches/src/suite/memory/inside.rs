//! The process that is measured: it makes actors, and prints by how much its resident memory grew for each.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use steadfast::{ActorId, Command, Event, Handle, Live, Never, Node, StatefulActor};
use tokio::runtime::{Builder, Runtime};

use super::kib_in;
use crate::callers::{Caller, count};
use crate::child::end_with_parent;
use crate::suite::frameworks;

/// The hidden subcommand: it is followed by whose actors, how many, and a directory.
pub(super) const SUBCOMMAND: &str = "memory-inside";
/// Actors that are asked at the same time.
const IN_FLIGHT: usize = 512;
/// Idle time before an actor leaves memory, where that is measured.
const SOON: Duration = Duration::from_millis(500);

/// An actor without a state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Empty;

/// Never emitted.
#[derive(Debug, Event)]
enum EmptyEvent {
    /// It came into being.
    Made,
}

/// Are you there?
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = ())]
struct Ping;

impl StatefulActor for Empty {
    const KIND: &'static str = "empty";
    type Event = EmptyEvent;

    fn new(_: &ActorId) -> Self {
        Self
    }

    fn apply(&mut self, _: &EmptyEvent) {}
}

impl Handle<Ping> for Empty {
    fn handle(_: &mut Live<'_, Self>, _: Ping) -> Result<(), Never> {
        Ok(())
    }
}

/// If this process was started to be measured, does what it was started for.
///
/// # Panics
/// Where that fails.
#[must_use]
pub(in crate::suite) fn measure_inside(arguments: &[String]) -> Option<ExitCode> {
    let [subcommand, what, actors, dir] = arguments else {
        return None;
    };
    if subcommand != SUBCOMMAND {
        return None;
    }
    end_with_parent();
    let actors = actors.parse().expect("a number of actors");
    let bytes = match what.as_str() {
        "steadfast" => of_steadfast(actors, Path::new(dir)),
        "passivated" => of_passivated(actors, Path::new(dir)),
        "actix" => of_actix(actors),
        other => of_tasks(other, actors),
    };
    println!("{}", json!({ "bytes": bytes }));
    Some(ExitCode::SUCCESS)
}

fn resident() -> f64 {
    let kib = kib_in("/proc/self/status", "VmRSS:").expect("the kernel tells");
    count(u64::try_from(kib).expect("it fits")) * 1_024.0
}

fn for_each(before: f64, after: f64, actors: usize) -> f64 {
    (after - before) / count(u64::try_from(actors).expect("it fits"))
}

fn runtime() -> Runtime {
    let built = Builder::new_multi_thread().enable_all().build();
    built.expect("a runtime")
}

fn node(dir: &Path, passivate_after: Duration) -> Node {
    Node::open(dir)
        .register::<Empty>(|kind| kind)
        .config(|config| {
            config.resident_bytes = 0;
            config.passivate_after = passivate_after;
        })
        .start_blocking()
        .expect("the node starts")
}

/// Asks the actors of these names once each, many at the same time.
fn ask(runtime: &Runtime, node: &Arc<Node>, names: std::ops::Range<usize>, same: bool) {
    let per_task = names.len().div_ceil(IN_FLIGHT).max(1);
    let starts: Vec<usize> = names.clone().step_by(per_task).collect();
    let tasks: Vec<_> = starts
        .into_iter()
        .map(|start| {
            let (node, end) = (Arc::clone(node), (start + per_task).min(names.end));
            runtime.spawn(async move {
                for name in start..end {
                    let name = if same { 0 } else { name };
                    let actor = node.actor::<Empty>(&name.to_string());
                    actor.ask(Ping).await.expect("it answers");
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("no caller panics");
    }
}

fn of_steadfast(actors: usize, dir: &Path) -> f64 {
    let runtime = runtime();
    let node = Arc::new(node(dir, Duration::from_secs(24 * 3_600)));
    // All queues and threads have what they need.
    ask(&runtime, &node, 0..50_000, true);
    let before = resident();
    ask(&runtime, &node, 0..actors, false);
    let after = resident();
    let here = runtime.block_on(node.totals()).resident;
    assert_eq!(here, actors, "all are resident");
    for_each(before, after, actors)
}

/// What a second crowd of actors that left adds to what a first one left behind: the allocator keeps what it once
/// had, and that is used again.
fn of_passivated(actors: usize, dir: &Path) -> f64 {
    let runtime = runtime();
    let node = Arc::new(node(dir, SOON));
    let come_and_go = |names: std::ops::Range<usize>| {
        ask(&runtime, &node, names, false);
        while runtime.block_on(node.totals()).resident > 0 {
            thread::sleep(Duration::from_millis(100));
        }
        resident()
    };
    let before = come_and_go(0..actors);
    let after = come_and_go(actors..2 * actors);
    for_each(before, after, actors)
}

fn of_actix(actors: usize) -> f64 {
    actix_rt::System::new().block_on(async {
        let before = resident();
        let mut here = Vec::with_capacity(actors);
        for _ in 0..actors {
            let mut actor = frameworks::actix_here(None);
            actor.ask().await;
            here.push(actor);
        }
        let after = resident();
        drop(here);
        for_each(before, after, actors)
    })
}

/// Actors that are tasks of a tokio runtime.
fn of_tasks(framework: &str, actors: usize) -> f64 {
    runtime().block_on(async {
        match framework {
            "ractor" => grow(actors, async || frameworks::ractor_here().await).await,
            "kameo" => grow(actors, async || frameworks::kameo_here(None)).await,
            "tokio" => grow(actors, async || frameworks::task_here(ROOM_OF_ONE)).await,
            other => panic!("there is no framework {other:?}"),
        }
    })
}

/// Room in the mailbox of a bare task: as in actix.
const ROOM_OF_ONE: usize = 16;

async fn grow<C: Caller>(actors: usize, mut make: impl AsyncFnMut() -> C) -> f64 {
    let before = resident();
    let mut here = Vec::with_capacity(actors);
    for _ in 0..actors {
        let mut actor = make().await;
        actor.ask().await;
        here.push(actor);
    }
    let after = resident();
    drop(here);
    for_each(before, after, actors)
}
