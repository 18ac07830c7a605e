//! The actor under test: a counter whose events name the operation that caused them, so that every
//! loss, doubling and half application shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, AfterCrash, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live,
    Never, Node, NodeBuilder, Outcome, RetryPolicy, StatefulActor,
};

use crate::plan::{Extra, Plan};
use crate::record::Record;

/// More than this is rejected.
pub const LIMIT: u64 = 1_000;

/// What happened to a tally.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "tally.")]
pub enum TallyEvent {
    /// An amount was added.
    Added {
        /// By this operation.
        op: u64,
        /// So much.
        amount: u64,
        /// Only makes the event longer.
        note: String,
    },
    /// The second event of an operation that has two.
    AddedMore {
        /// By this operation.
        op: u64,
        /// So much.
        amount: u64,
    },
    /// The operation's timer fired.
    Rang {
        /// The operation that set it.
        op: u64,
    },
    /// The operation's effect has its outcome.
    Settled {
        /// The operation that wanted it.
        op: u64,
        /// Whether it is known to have been done.
        done: bool,
    },
}

/// Sums, and what is still to come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of all amounts.
    pub sum: u64,
    /// Operations applied.
    pub operations: u64,
    /// Operations whose timer or effect is pending.
    pub pending: BTreeSet<u64>,
}

impl StatefulActor for Tally {
    const KIND: &'static str = "tally";
    type Event = TallyEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &TallyEvent) {
        match event {
            TallyEvent::Added { op, amount, .. } => {
                self.sum += amount;
                self.operations += 1;
                match Plan::of(*op).extra {
                    Extra::Ring(_) | Extra::Receipt | Extra::Once => {
                        self.pending.insert(*op);
                    }
                    Extra::Plain | Extra::Reject | Extra::Twice => {}
                }
            }
            TallyEvent::AddedMore { amount, .. } => self.sum += amount,
            TallyEvent::Rang { op } | TallyEvent::Settled { op, .. } => {
                self.pending.remove(op);
            }
        }
    }
}

/// Does operation `op`, as [`Plan::of`] says.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[command(name = "add", reply = Added, rejection = TooMuch)]
pub struct Add {
    /// The operation.
    pub op: u64,
    /// Only makes the entry longer.
    pub note: String,
}

/// What became of an [`Add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The first event of the operation.
    pub seq: u64,
    /// The sum with that event.
    pub sum: u64,
}

/// The amount is over [`LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooMuch;

impl Handle<Add> for Tally {
    fn handle(tally: &mut Live<'_, Self>, add: Add) -> Result<Added, TooMuch> {
        let op = add.op;
        let plan = Plan::of(op);
        if plan.amount > LIMIT {
            return Err(TooMuch);
        }
        let amount = plan.amount;
        let note = add.note;
        tally.emit(TallyEvent::Added { op, amount, note });
        let (seq, sum) = (tally.seq(), tally.sum);
        match plan.extra {
            Extra::Plain | Extra::Reject => {}
            Extra::Twice => tally.emit(TallyEvent::AddedMore { op, amount }),
            Extra::Ring(delay) => tally.after(&format!("ring-{op}"), delay, Ring { op }),
            Extra::Receipt => {
                tally.run(Receipt { op });
            }
            Extra::Once => {
                tally.run(Once { op });
            }
        }
        Ok(Added { seq, sum })
    }
}

/// Sent by an operation's timer.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "ring", reply = ())]
pub struct Ring {
    op: u64,
}

impl Handle<Ring> for Tally {
    fn handle(tally: &mut Live<'_, Self>, ring: Ring) -> Result<(), Never> {
        tally.emit(TallyEvent::Rang { op: ring.op });
        Ok(())
    }
}

/// Asks for the state.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "peek", reply = Tally)]
pub struct Peek;

impl Handle<Peek> for Tally {
    fn handle(tally: &mut Live<'_, Self>, _: Peek) -> Result<Tally, Never> {
        Ok(tally.state().clone())
    }
}

/// Adds like [`Add`], then fails in one of the ways that a handler can.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "stumble", reply = (), rejection = TooMuch)]
pub struct Stumble {
    /// The operation that must leave no trace.
    pub op: u64,
    /// Whether to panic; else it rejects what it already decided, which is a mistake too.
    pub panic: bool,
}

impl Handle<Stumble> for Tally {
    fn handle(tally: &mut Live<'_, Self>, stumble: Stumble) -> Result<(), TooMuch> {
        let (op, note) = (stumble.op, String::new());
        tally.emit(TallyEvent::Added {
            op,
            amount: 1,
            note,
        });
        tally.after("stumble", Duration::ZERO, Ring { op });
        assert!(!stumble.panic, "on purpose");
        Err(TooMuch)
    }
}

/// An effect that may run again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    op: u64,
}

impl Effect for Receipt {
    const NAME: &'static str = "receipt";
    type Output = ();

    fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            first: Duration::from_millis(10),
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<Arc<Record>>()?
            .ran(self.op, &cx.id().to_string());
        if self.op.is_multiple_of(3) && cx.attempt() == 1 {
            return Err(EffectError::retryable("the first attempt fails"));
        }
        Ok(())
    }
}

/// An effect that must not run twice, whatever happens.
#[derive(Debug, Serialize, Deserialize)]
pub struct Once {
    op: u64,
}

impl Effect for Once {
    const NAME: &'static str = "once";
    const AFTER_CRASH: AfterCrash = AfterCrash::Hold;
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<Arc<Record>>()?
            .ran(self.op, &cx.id().to_string());
        Ok(())
    }
}

impl Handle<Done<Receipt>> for Tally {
    fn handle(tally: &mut Live<'_, Self>, done: Done<Receipt>) -> Result<(), Never> {
        settle(tally, done.effect.op, &done.outcome);
        Ok(())
    }
}

impl Handle<Done<Once>> for Tally {
    fn handle(tally: &mut Live<'_, Self>, done: Done<Once>) -> Result<(), Never> {
        settle(tally, done.effect.op, &done.outcome);
        Ok(())
    }
}

fn settle(tally: &mut Live<'_, Tally>, op: u64, outcome: &Outcome<()>) {
    let done = *outcome == Outcome::Succeeded(());
    tally.emit(TallyEvent::Settled { op, done });
}

/// A node for tallies over `dir`, in the library's own settings.
#[must_use]
pub fn plain_node(dir: &Path, record: &Arc<Record>) -> NodeBuilder {
    Node::open(dir)
        .register::<Tally>(|kind| {
            kind.command::<Add>()
                .command::<Ring>()
                .command::<Peek>()
                .command::<Stumble>()
                .effect::<Receipt>()
                .effect::<Once>()
        })
        .resource(Arc::clone(record))
}

/// A restless one whose journal flushes, and whose index takes runs in, all the time too.
#[must_use]
pub fn busy_node(dir: &Path, record: &Arc<Record>) -> NodeBuilder {
    restless_node(dir, record).journal_options(|options| {
        options.flush_every_bytes = 128 << 10;
        options.index_run_bytes = 32 << 10;
    })
}

/// The same, made to passivate, recover and snapshot all the time.
#[must_use]
pub fn restless_node(dir: &Path, record: &Arc<Record>) -> NodeBuilder {
    plain_node(dir, record).config(|config| {
        config.passivate_after = Duration::from_millis(50);
        config.snapshot_every = 16;
    })
}
