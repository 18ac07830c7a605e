//! steadfast in this process: a counter's command, acknowledged once it is durable.

use std::sync::Arc;

use steadfast::{ActorRef, Node};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::COUNTERS;
use crate::callers::{Answered, Caller, Period, Pick, closed_loop};
use crate::{Add, Counter, Settings};

/// A node on the measured disk, and its callers' threads.
pub(super) struct Ours {
    counters: Arc<[ActorRef<Counter>]>,
    runtime: Runtime,
    /// Keeps the node; it goes before its directory.
    _node: Node,
    _dir: TempDir,
}

impl Ours {
    pub(super) fn start(settings: &Settings) -> Self {
        let dir = settings.fresh_dir();
        let node = Node::open(dir.path())
            .register::<Counter>(|kind| kind)
            .start_blocking()
            .expect("the node starts");
        let counters = (0..COUNTERS).map(|name| node.actor(&name.to_string()));
        let ours = Self {
            counters: counters.collect(),
            runtime: runtime(),
            _node: node,
            _dir: dir,
        };
        // Brings most of them into memory, so that it is not measured.
        ours.answered(500, Period::millis(0, 500));
        ours
    }

    pub(super) fn answered(&self, callers: usize, period: Period) -> Answered {
        let one = |caller| Asks {
            counters: Arc::clone(&self.counters),
            pick: Pick::of(caller),
        };
        let callers = (0..callers).map(one).collect();
        closed_loop(&self.runtime, callers, period, true)
    }
}

pub(super) fn runtime() -> Runtime {
    let built = Builder::new_multi_thread().enable_all().build();
    built.expect("a runtime for the callers")
}

struct Asks {
    counters: Arc<[ActorRef<Counter>]>,
    pick: Pick,
}

impl Caller for Asks {
    async fn ask(&mut self) {
        let counter = &self.counters[self.pick.below(COUNTERS)];
        let answer = counter.ask(Add { amount: 1 }).await;
        assert!(answer.expect("it is acknowledged") > 0);
    }
}
