//! Random histories of a node: commands, time, crashes and restarts in any order.

use std::fmt;
use std::time::Duration;

use steadfast_journal::CommitFault;

use super::fail;
use super::node::{Crashed, TestNode};
use crate::node::NodeBuilder;

/// Attempts at one command after its crashes are over.
const ATTEMPTS: usize = 3;

/// What happens to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<C> {
    /// The test does something, such as asking a command.
    Do(C),
    /// Time passes, and what falls due is done.
    Advance(Duration),
    /// The power fails now, and comes back.
    Crash,
    /// The power fails at that write from now, whatever comes between.
    CrashAfter {
        /// Which one, from 1.
        writes: u64,
        /// What becomes of it.
        fate: CommitFault,
    },
    /// The node ends in order and starts again.
    Restart,
    /// Every actor leaves memory.
    Passivate,
}

/// Steps in their order. With the feature `proptest`, `sequences` gives a strategy for them, which
/// shrinks a sequence that breaks something to a short one.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};
/// # #[derive(Event)]
/// # enum TallyEvent { Added { by: u64 } }
/// # #[derive(Serialize, Deserialize)]
/// # struct Tally { sum: u64 }
/// # impl StatefulActor for Tally {
/// #     const KIND: &'static str = "tally";
/// #     type Event = TallyEvent;
/// #     fn new(_: &ActorId) -> Self { Self { sum: 0 } }
/// #     fn apply(&mut self, event: &TallyEvent) { let TallyEvent::Added { by } = event; self.sum += by }
/// # }
/// # #[derive(Serialize, Deserialize, Command)]
/// # #[command(reply = u64)]
/// # struct Add(u64);
/// # impl Handle<Add> for Tally {
/// #     fn handle(tally: &mut Live<'_, Self>, Add(by): Add) -> Result<u64, Never> {
/// #         tally.emit(TallyEvent::Added { by });
/// #         Ok(tally.sum)
/// #     }
/// # }
/// use steadfast::testkit::{CommitFault, Sequence, Step};
///
/// let sequence = Sequence::new([
///     Step::Do(3),
///     Step::CrashAfter { writes: 1, fate: CommitFault::Kept },
///     Step::Do(4),
///     Step::Restart,
///     Step::Do(5),
/// ]);
/// let mut model = 0;
/// sequence.play(
///     |node| node.register::<Tally>(|kind| kind),
///     async |node, by, key| {
///         let sum = node.actor::<Tally>("a").ask(Add(*by)).key(key).await?;
///         // Behind the `?`: this is reached once for each step, however often it was tried.
///         model += by;
///         assert_eq!(sum, model);
///         Ok(())
///     },
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Sequence<C> {
    steps: Vec<Step<C>>,
}

impl<C: fmt::Debug> fmt::Debug for Sequence<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.steps).finish()
    }
}

impl<C> Sequence<C> {
    /// These steps.
    pub fn new(steps: impl IntoIterator<Item = Step<C>>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
        }
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step<C>] {
        &self.steps
    }

    /// Plays the sequence on a new node, which takes a snapshot every 4 entries unless `build` says
    /// otherwise.
    ///
    /// `act` does what [`Step::Do`] says, and is given a key that belongs to the step. After a crash in the
    /// middle it is called again with the same key. Behind every step, and at last after a crash, what
    /// actors are in memory is compared with what their events make of them. Needs no async runtime, and
    /// must not be called from inside one.
    #[track_caller]
    pub fn play(
        &self,
        build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + 'static,
        mut act: impl AsyncFnMut(&TestNode, &C, &str) -> Result<(), Crashed>,
    ) {
        let node =
            TestNode::new(move |node| build(node.config(|config| config.snapshot_every = 4)));
        for (number, step) in self.steps.iter().enumerate() {
            let key = format!("step {number}");
            for attempt in 0.. {
                let done = node.block_on(async {
                    step_once(&node, step, &key, &mut act).await?;
                    node.settle().await
                });
                match done {
                    Ok(()) => break,
                    Err(error) if !error.is_crash() || node.storage().has_power() => {
                        fail(&format!("step {number} failed: {error}"));
                    }
                    Err(error) if attempt == ATTEMPTS => {
                        fail(&format!("step {number} does not complete: {error}"));
                    }
                    Err(_) => node.reopen(),
                }
            }
            node.check_laws();
        }
        node.reopen();
        let settled = node.block_on(node.settle());
        if let Err(error) = settled {
            fail(&format!("after the last step: {error}"));
        }
        node.check_laws();
    }
}

async fn step_once<C>(
    node: &TestNode,
    step: &Step<C>,
    key: &str,
    act: &mut impl AsyncFnMut(&TestNode, &C, &str) -> Result<(), Crashed>,
) -> Result<(), Crashed> {
    match step {
        Step::Do(what) => act(node, what, key).await,
        Step::Advance(by) => node.advance(*by).await,
        Step::Crash => {
            node.reopen();
            Ok(())
        }
        Step::CrashAfter { writes, fate } => {
            node.crash_after(*writes, *fate);
            Ok(())
        }
        Step::Restart => node.restart().await,
        Step::Passivate => node.passivate().await,
    }
}
