//! A node without threads: one thread takes all turns, in an order that a seed draws.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::fail;
use super::node::{Crashed, TestNode, expect};
use crate::error::NodeError;
use crate::node::{NodeBuilder, Turns};

/// A [`TestNode`] for simulations: what happens in it, and in which order, follows from its seed and from what the
/// test does, and from nothing else. The node is the same; but its workers, its journal's writer, recoveries,
/// effects and whatever else runs beside them take turns on the thread that calls [`block_on`](Self::block_on), and
/// the seed draws whose turn is put off. Between two calls nothing moves. So a seed that fails, fails again.
///
/// All methods of [`TestNode`] can be called; those that are `async` within [`block_on`](Self::block_on), and
/// those that open or end the node outside of it.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # use steadfast::testkit::SimNode;
/// let play = |seed| {
///     let node = SimNode::new(seed, |node| node.register::<Account>(|kind| kind));
///     node.block_on(async {
///         node.actor::<Account>("alice").ask(Deposit { cents: 70 }).await
///     }).unwrap();
///     node.reopen(); // the power fails and comes back
///     assert_eq!(node.state::<Account>("alice").cents, 70);
///     node.trace()
/// };
/// assert_eq!(play(7), play(7)); // the very same turns
/// ```
pub struct SimNode {
    /// First: it ends before what drives it.
    node: TestNode,
    /// What the node runs in; a new one for each opening.
    tasks: RefCell<LocalSet>,
    runtime: Runtime,
    turns: Turns,
}

impl fmt::Debug for SimNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNode")
            .field("node", &self.node)
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

impl Deref for SimNode {
    type Target = TestNode;

    fn deref(&self) -> &TestNode {
        &self.node
    }
}

impl SimNode {
    /// Opens a node, as [`TestNode::with_seed`] does.
    #[track_caller]
    #[must_use]
    pub fn new(
        seed: u64,
        build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let node = Self {
            node: TestNode::unopened(seed, Box::new(build)),
            tasks: RefCell::default(),
            runtime: expect(runtime, "a runtime for the simulation"),
            turns: Turns::new(seed),
        };
        node.open_or_fail();
        node
    }

    /// Runs a future to its end while the node takes its turns. Must not be called from inside an async runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.tasks.borrow().block_on(&self.runtime, future)
    }

    /// How many turns were drawn so far.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns.drawn()
    }

    /// All turns so far as one number: which task was drawn each time, and whether it was put off. The same number after
    /// the same steps means the same turns, but for those of orderly ends.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.turns.trace()
    }

    /// [`TestNode::crash`].
    pub fn crash(&self) {
        self.node.crash();
        self.drop_tasks();
    }

    /// [`TestNode::reopen`].
    #[track_caller]
    pub fn reopen(&self) {
        self.crash();
        self.open_or_fail();
    }

    /// [`TestNode::restart`].
    ///
    /// # Errors
    /// [`Crashed`] if the power fails meanwhile.
    pub fn restart(&self) -> Result<(), Crashed> {
        // Many wait for the end, and tokio's watch wakes them in an order of its own. None of them outlives it.
        self.turns.leave_out(true);
        let ended = self.block_on(self.node.end_in_order());
        self.turns.leave_out(false);
        ended?;
        self.drop_tasks();
        self.open()
            .map_err(|error| Crashed::down(error.to_string()))
    }

    /// [`TestNode::check_laws`].
    #[track_caller]
    pub fn check_laws(&self) -> usize {
        let seen = self.block_on(self.node.node().seen());
        self.node.check_laws_of(seen)
    }

    #[track_caller]
    fn open_or_fail(&self) {
        loop {
            match self.open() {
                Ok(()) => return,
                // The power failed once more.
                Err(_) if !self.node.storage().has_power() => self.drop_tasks(),
                Err(error) => fail(&format!("the node does not start: {error}")),
            }
        }
    }

    fn open(&self) -> Result<(), NodeError> {
        let to_write = Arc::new(Notify::new());
        let wake = Arc::clone(&to_write);
        self.node.storage().write_by_hand(move || wake.notify_one());
        let builder = self.node.builder(&to_write);
        let started = self.block_on(builder.start_in_turns(self.turns.clone()));
        self.node.adopt(started?);
        Ok(())
    }

    /// Whatever the node was at ends here.
    fn drop_tasks(&self) {
        let _in_runtime = self.runtime.enter();
        drop(self.tasks.take());
    }
}

impl Drop for SimNode {
    fn drop(&mut self) {
        self.crash();
    }
}
