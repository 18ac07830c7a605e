//! The actor of the simulation: every command leaves its number wherever it has an effect, so that each loss,
//! doubling, change of order and half application shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Address, AfterCrash, Command, Done, Effect, EffectContext, EffectError, EffectId,
    Event, Handle, KindBuilder, Live, Never, Outcome, Reconciled, RetryPolicy, Returned,
    StatefulActor,
};

use super::moments::{self, What};

/// Cells of one run: few, so that they are always in each other's way.
pub const CELLS: u64 = 4;

/// Messages of one command that are more than a receiver has in memory.
pub const FLOOD: u64 = 66;

/// The name of a cell.
#[must_use]
pub fn key_of(cell: u64) -> String {
    format!("c{cell}")
}

/// What an operation does beside adding its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extra {
    /// Nothing.
    Plain,
    /// A second event.
    Twice,
    /// It is rejected.
    Reject,
    /// The handler panics after it has decided.
    Panic,
    /// A message to this cell.
    Send(u64),
    /// A timer, in so many milliseconds.
    Ring(u64),
    /// An effect that may run again; it fails so often first.
    Receipt(u32),
    /// A timer, in so many milliseconds by the wall clock.
    RingAt(u64),
    /// The oldest timer is cancelled, if there is one.
    Cancel,
    /// The oldest timer is set anew under its name, in so many milliseconds, as one of this operation.
    Replace(u64),
    /// An effect that must never run twice.
    Once,
    /// An effect that takes its time, and of which the world can be asked whether it was done.
    Long,
    /// As many messages to this cell as are more than a mailbox takes.
    Flood(u64),
    /// Nothing, but while the program has a certain mistake, its event cannot be applied.
    Brittle,
    /// The actor leaves memory behind it.
    Stop,
}

/// What happened to a cell.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "cell.")]
pub enum CellEvent {
    /// An operation was done.
    Did {
        /// Which one.
        op: u64,
        /// What it does.
        extra: Extra,
    },
    /// The second event of an operation that has two.
    DidMore {
        /// Which one.
        op: u64,
    },
    /// A message came: the `number`-th from that cell.
    Got {
        /// The operation that sent it.
        op: u64,
        /// By this cell.
        from: u64,
        /// Its place among all that it sent here.
        number: u64,
    },
    /// A message was not taken and is here again.
    Back {
        /// The operation that sent it.
        op: u64,
    },
    /// A timer fired.
    Rang {
        /// The operation that set it.
        op: u64,
    },
    /// A timer was cancelled or replaced.
    Cancelled {
        /// The operation that had set it.
        op: u64,
    },
    /// An effect has its outcome.
    Settled {
        /// The operation that wanted it.
        op: u64,
        /// Whether it is known to have been done.
        done: bool,
    },
}

/// All that happened, folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Of each operation the number, added up.
    pub sum: u64,
    /// Events so far.
    pub events: u64,
    /// Messages sent to each cell.
    pub sent: BTreeMap<u64, u64>,
    /// Operations whose effect has not come back.
    pub pending: BTreeSet<u64>,
    /// Operations whose timer has not fired, with the one that gave the timer its name.
    pub ringing: BTreeMap<u64, u64>,
}

impl StatefulActor for Cell {
    const KIND: &'static str = "cell";
    type Event = CellEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &CellEvent) {
        self.events += 1;
        match event {
            CellEvent::Did { op, extra } => {
                self.sum += op;
                self.did(*op, *extra);
            }
            CellEvent::DidMore { op } => self.sum += op,
            CellEvent::Rang { op } | CellEvent::Cancelled { op } => {
                self.ringing.remove(op);
            }
            CellEvent::Settled { op, .. } => {
                self.pending.remove(op);
            }
            CellEvent::Got { .. } | CellEvent::Back { .. } => {}
        }
    }
}

impl Cell {
    fn did(&mut self, op: u64, extra: Extra) {
        match extra {
            Extra::Send(to) => *self.sent.entry(to).or_default() += 1,
            Extra::Flood(to) => *self.sent.entry(to).or_default() += FLOOD,
            Extra::Receipt(_) | Extra::Once | Extra::Long => {
                self.pending.insert(op);
            }
            Extra::Ring(_) | Extra::RingAt(_) => {
                self.ringing.insert(op, op);
            }
            Extra::Replace(_) => {
                let name = self.ringing.pop_first().map_or(op, |(_, name)| name);
                self.ringing.insert(op, name);
            }
            Extra::Brittle if moments::is_broken() => panic!("on purpose"),
            Extra::Plain
            | Extra::Twice
            | Extra::Reject
            | Extra::Panic
            | Extra::Cancel
            | Extra::Brittle
            | Extra::Stop => {}
        }
    }
}

/// Does an operation.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[command(name = "do", reply = Did, rejection = No)]
pub struct Do {
    /// Which one.
    pub op: u64,
    /// At this cell.
    pub at: u64,
    /// What it does.
    pub extra: Extra,
}

/// An operation was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Did {
    /// Events of the cell with its first one.
    pub seq: u64,
    /// Its sum then.
    pub sum: u64,
}

/// It is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct No;

impl Handle<Do> for Cell {
    fn handle(cell: &mut Live<'_, Self>, Do { op, at, extra }: Do) -> Result<Did, No> {
        if extra == Extra::Reject {
            return Err(No);
        }
        let to = if let Extra::Send(to) | Extra::Flood(to) = extra {
            to
        } else {
            at
        };
        let number = cell.sent.get(&to).copied().unwrap_or(0) + 1;
        let oldest = cell.ringing.first_key_value();
        let oldest = oldest.map(|(op, name)| (*op, *name));
        cell.emit(CellEvent::Did { op, extra });
        let did = Did {
            seq: cell.events,
            sum: cell.sum,
        };
        match extra {
            Extra::Plain | Extra::Reject | Extra::Brittle => {}
            Extra::Twice => cell.emit(CellEvent::DidMore { op }),
            Extra::Panic => panic!("on purpose"),
            Extra::Send(to) => {
                let to = Address::<Self>::of(&key_of(to)).unwrap();
                let from = at;
                cell.send(&to, Take { op, from, number });
            }
            Extra::Flood(to) => {
                let to = Address::<Self>::of(&key_of(to)).unwrap();
                for number in number..number + FLOOD {
                    let from = at;
                    cell.send(&to, Take { op, from, number });
                }
            }
            Extra::Ring(_) | Extra::RingAt(_) | Extra::Replace(_) | Extra::Cancel => {
                set_timer(cell, op, extra, oldest);
            }
            Extra::Receipt(failures) => drop(cell.run(Receipt { op, failures })),
            Extra::Once => drop(cell.run(Once { op })),
            Extra::Long => drop(cell.run(Long { op })),
            Extra::Stop => cell.stop(),
        }
        Ok(did)
    }
}

/// Sets the timer of `op`, or takes the oldest one away; that one is given with its name.
fn set_timer(cell: &mut Live<'_, Cell>, op: u64, extra: Extra, oldest: Option<(u64, u64)>) {
    let name_of = |op: u64| format!("ring-{op}");
    if let Extra::Ring(ms) = extra {
        cell.after(&name_of(op), Duration::from_millis(ms), Ring { op });
    } else if let Extra::RingAt(ms) = extra {
        let at = cell.now().plus(Duration::from_millis(ms));
        cell.at(&name_of(op), at, Ring { op });
    } else if let Extra::Replace(ms) = extra {
        let name = oldest.map_or(op, |(_, name)| name);
        cell.after(&name_of(name), Duration::from_millis(ms), Ring { op });
    } else if let Some((_, name)) = oldest {
        cell.cancel(&name_of(name));
    }
    if extra != Extra::Cancel {
        moments::note(op, What::Set);
    }
    if matches!(extra, Extra::Replace(_) | Extra::Cancel)
        && let Some((op, _)) = oldest
    {
        cell.emit(CellEvent::Cancelled { op });
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Command)]
#[command(name = "take", rejection = No)]
pub struct Take {
    op: u64,
    from: u64,
    number: u64,
}

impl Handle<Take> for Cell {
    fn handle(cell: &mut Live<'_, Self>, Take { op, from, number }: Take) -> Result<(), No> {
        if op.is_multiple_of(5) {
            return Err(No);
        }
        cell.emit(CellEvent::Got { op, from, number });
        Ok(())
    }
}

impl Handle<Returned<Take>> for Cell {
    fn handle(cell: &mut Live<'_, Self>, returned: Returned<Take>) -> Result<(), Never> {
        let op = returned.command.op;
        cell.emit(CellEvent::Back { op });
        Ok(())
    }
}

/// A timer.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "ring", reply = ())]
pub struct Ring {
    op: u64,
}

impl Handle<Ring> for Cell {
    fn handle(cell: &mut Live<'_, Self>, Ring { op }: Ring) -> Result<(), Never> {
        moments::note(op, What::Fired);
        cell.emit(CellEvent::Rang { op });
        Ok(())
    }
}

/// Asks for the state.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "look", reply = Cell)]
pub struct Look;

impl Handle<Look> for Cell {
    fn handle(cell: &mut Live<'_, Self>, _: Look) -> Result<Cell, Never> {
        Ok(cell.state().clone())
    }
}

/// Effects that ran, outside of every node: what happened there no crash takes back.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Operation and name of the effect, in order.
    runs: Arc<Mutex<Vec<(u64, String)>>>,
}

impl World {
    fn ran(&self, op: u64, cx: &EffectContext) {
        let mut runs = self.runs.lock().unwrap();
        // But for the history, which is drawn for each run.
        let EffectId {
            actor,
            entry,
            index,
            ..
        } = cx.id();
        runs.push((op, format!("{actor}:{entry}.{index}")));
    }

    fn has_run(&self, op: u64) -> bool {
        self.runs.lock().unwrap().iter().any(|(ran, _)| *ran == op)
    }

    /// All that ran.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, String)> {
        self.runs.lock().unwrap().clone()
    }
}

/// An effect that may run again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    op: u64,
    failures: u32,
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
        cx.resource::<World>()?.ran(self.op, cx);
        if cx.attempt() <= self.failures {
            return Err(EffectError::retryable("it fails at first"));
        }
        Ok(())
    }
}

/// An effect that must not run twice.
#[derive(Debug, Serialize, Deserialize)]
pub struct Once {
    op: u64,
}

impl Effect for Once {
    const NAME: &'static str = "once";
    const AFTER_CRASH: AfterCrash = AfterCrash::Hold;
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<World>()?.ran(self.op, cx);
        Ok(())
    }
}

/// An effect that the world remembers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Long {
    op: u64,
}

impl Effect for Long {
    const NAME: &'static str = "long";
    const AFTER_CRASH: AfterCrash = AfterCrash::Reconcile;
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<World>()?.ran(self.op, cx);
        Ok(())
    }

    async fn reconcile(&self, cx: &EffectContext) -> Result<Reconciled<()>, EffectError> {
        Ok(if cx.resource::<World>()?.has_run(self.op) {
            Reconciled::Done(())
        } else {
            Reconciled::NotDone
        })
    }
}

impl Handle<Done<Long>> for Cell {
    fn handle(cell: &mut Live<'_, Self>, done: Done<Long>) -> Result<(), Never> {
        settle(cell, done.effect.op, &done.outcome);
        Ok(())
    }
}

impl Handle<Done<Receipt>> for Cell {
    fn handle(cell: &mut Live<'_, Self>, done: Done<Receipt>) -> Result<(), Never> {
        settle(cell, done.effect.op, &done.outcome);
        Ok(())
    }
}

impl Handle<Done<Once>> for Cell {
    fn handle(cell: &mut Live<'_, Self>, done: Done<Once>) -> Result<(), Never> {
        settle(cell, done.effect.op, &done.outcome);
        Ok(())
    }
}

fn settle(cell: &mut Live<'_, Cell>, op: u64, outcome: &Outcome<()>) {
    let done = *outcome == Outcome::Succeeded(());
    cell.emit(CellEvent::Settled { op, done });
}

/// What a cell understands.
#[must_use]
pub fn kind(kind: KindBuilder<Cell>) -> KindBuilder<Cell> {
    kind.command::<Do>()
        .command::<Ring>()
        .command::<Look>()
        .command::<Take>()
        .sends::<Take>()
        .effect::<Receipt>()
        .effect::<Once>()
        .effect::<Long>()
}
