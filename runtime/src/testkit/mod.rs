//! Tests of actors: one of them without a node, or a whole node with its clock, its disk and its power in the
//! test's hands.
//!
//! # One actor
//! Given these events, when this command, then that:
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use steadfast::{ActorId, Command, Event, Handle, Live, StatefulActor};
//! # #[derive(Event)]
//! # enum AccountEvent { Deposited { cents: u64 }, Withdrawn { cents: u64 } }
//! # #[derive(Serialize, Deserialize)]
//! # struct Account { cents: u64 }
//! # impl StatefulActor for Account {
//! #     const KIND: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     fn new(_: &ActorId) -> Self { Self { cents: 0 } }
//! #     fn apply(&mut self, event: &AccountEvent) {
//! #         match event {
//! #             AccountEvent::Deposited { cents } => self.cents += cents,
//! #             AccountEvent::Withdrawn { cents } => self.cents -= cents,
//! #         }
//! #     }
//! # }
//! # #[derive(Serialize, Deserialize, Command)]
//! # #[command(reply = u64, rejection = Overdrawn)]
//! # struct Withdraw { cents: u64 }
//! # #[derive(Serialize, Deserialize)]
//! # struct Overdrawn;
//! # impl Handle<Withdraw> for Account {
//! #     fn handle(account: &mut Live<'_, Self>, command: Withdraw) -> Result<u64, Overdrawn> {
//! #         if account.cents < command.cents { return Err(Overdrawn) }
//! #         account.emit(AccountEvent::Withdrawn { cents: command.cents });
//! #         Ok(account.cents)
//! #     }
//! # }
//! use steadfast::testkit::given;
//!
//! given::<Account>([AccountEvent::Deposited { cents: 100 }])
//!     .when(Withdraw { cents: 30 })
//!     .then_events([AccountEvent::Withdrawn { cents: 30 }])
//!     .then_reply(70)
//!     .when(Withdraw { cents: 71 })
//!     .then_rejection(Overdrawn)
//!     .then_state(|account| assert_eq!(account.cents, 70));
//! ```
//!
//! Commands run through the same code as in a node, over a journal in memory; nothing needs to be
//! registered, and no effect is run. Whatever does not hold panics with the line of the test.
//!
//! # A whole node
//! A [`TestNode`] keeps everything in memory. Its clock stands until the test moves it, and then all that falls
//! due is done before [`advance`](TestNode::advance) returns; [`settle`](TestNode::settle) waits until nothing
//! is under way. Nothing sleeps and nothing is polled for. [`crash`](TestNode::crash) cuts the power,
//! [`crash_after`](TestNode::crash_after) does so in the middle of a write, [`faults`](TestNode::faults) lets the
//! disk fail and the node come back by itself, and [`fake`](TestNode::fake) replaces what an effect does.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};
//! # #[derive(Event)]
//! # enum AccountEvent { Deposited { cents: u64 } }
//! # #[derive(Serialize, Deserialize)]
//! # struct Account { cents: u64 }
//! # impl StatefulActor for Account {
//! #     const KIND: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     fn new(_: &ActorId) -> Self { Self { cents: 0 } }
//! #     fn apply(&mut self, event: &AccountEvent) {
//! #         let AccountEvent::Deposited { cents } = event;
//! #         self.cents += cents;
//! #     }
//! # }
//! # #[derive(Serialize, Deserialize, Command)]
//! # #[command(reply = u64)]
//! # struct Deposit { cents: u64 }
//! # impl Handle<Deposit> for Account {
//! #     fn handle(account: &mut Live<'_, Self>, command: Deposit) -> Result<u64, Never> {
//! #         account.emit(AccountEvent::Deposited { cents: command.cents });
//! #         Ok(account.cents)
//! #     }
//! # }
//! use steadfast::AskError;
//! use steadfast::testkit::{CommitFault, TestNode};
//!
//! let node = TestNode::new(|node| node.register::<Account>(|kind| kind));
//! node.block_on(async {
//!     let account = node.actor::<Account>("alice");
//!     assert_eq!(account.ask(Deposit { cents: 70 }).key("monday").await, Ok(70));
//!
//!     // The power fails while the next deposit is written, which reaches the disk all the same.
//!     node.crash_after(1, CommitFault::Kept);
//!     let answer = account.ask(Deposit { cents: 30 }).key("tuesday").await;
//!     assert_eq!(answer, Err(AskError::OutcomeUnknown));
//!
//!     // The caller asks again, with the same key.
//!     node.reopen();
//!     let account = node.actor::<Account>("alice");
//!     assert_eq!(account.ask(Deposit { cents: 30 }).key("tuesday").await, Ok(100));
//! });
//! assert_eq!(node.state::<Account>("alice").cents, 100);
//! ```
//!
//! [`crash_everywhere`] does this at every write of a scenario, and [`Sequence`] plays random histories; with
//! the feature `proptest`, `sequences` draws and shrinks them.
//!
//! # The three laws
//! Each `when` also checks what the runtime relies on, and whole nodes are held to the third one:
//!
//! 1. **Round trip.** Every event, the command and the state survive being encoded, decoded and encoded.
//! 2. **Determinism.** `handle`, run again on equal states with the same time and seed, gives the same
//!    events, timers, effects and answer.
//! 3. **Replay.** The state in memory equals the replay of all events from zero, and equals snapshot plus
//!    later events.
//!
//! Values are compared as they are encoded, with maps sorted, so none of them needs `PartialEq` or
//! `Debug`. A `HashMap` in a state is fine as long as nothing depends on its order; a `HashSet` is not
//! told from a list: use a `BTreeSet`.

mod bench;
mod canonical;
mod clock;
mod everywhere;
mod fake;
mod faults;
mod laws;
mod messages;
mod node;
mod replays;
mod sequence;
mod sim;
#[cfg(feature = "proptest")]
mod strategy;
mod then;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use bench::Bench;
pub use clock::VirtualClock;
pub use everywhere::{Crash, CrashPlan, crash_everywhere};
pub(crate) use fake::Fakes;
pub use fake::{FakeEffect, FakeRun};
pub use faults::FaultPlan;
pub use node::{Crashed, Recoveries, TestNode};
pub use sequence::{Sequence, Step};
pub use sim::SimNode;
pub use steadfast_journal::{CommitFault, RowsOf, Table};
#[cfg(feature = "proptest")]
pub use strategy::sequences;
pub use then::Then;

use crate::core::{PendingEffect, micros};
use crate::host::Source;
use crate::model::{Command, Done, Effect, EffectId, Handle, Outcome, StatefulActor, Timestamp};

/// The time at which every test starts: 2026-01-01 00:00 UTC.
pub const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// An actor to which `events` happened. Its name is `KIND/test`; its clock stands at [`START`].
#[track_caller]
pub fn given<A: StatefulActor>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    given_named(A::KIND, "test", events)
}

/// [`given`] for an actor with the name `SPACE/KEY`.
#[track_caller]
pub fn given_named<A: StatefulActor>(
    space: &str,
    key: &str,
    events: impl IntoIterator<Item = A::Event>,
) -> Given<A> {
    let mut bench = Bench::new(space, key);
    for event in events {
        bench.happened(event);
    }
    bench.check_replay();
    Given { bench }
}

/// An actor that waits for its next command.
#[must_use = "add .when(..): only a command checks anything"]
pub struct Given<A: StatefulActor> {
    bench: Bench<A>,
}

impl<A: StatefulActor> fmt::Debug for Given<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Given").field(&self.bench).finish()
    }
}

impl<A: StatefulActor> Given<A> {
    /// Sets the clock.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.bench.now = time;
        self
    }

    /// Moves the clock on.
    pub fn later(mut self, by: Duration) -> Self {
        self.bench.now = self.bench.now.plus(by);
        self
    }

    /// Sends a command and checks the three laws.
    #[track_caller]
    pub fn when<C: Command>(self, command: C) -> Then<A, C>
    where
        A: Handle<C>,
    {
        self.turn(command, &Source::Caller { key: None })
    }

    /// Lets the pending timer `name` fire, with its command, which must be a `C`. If it is not due yet,
    /// the clock moves to when it is.
    #[track_caller]
    pub fn when_timer<C: Command>(mut self, name: &str) -> Then<A, C>
    where
        A: Handle<C>,
    {
        let Some(timer) = self.bench.host.core.timers.get(name) else {
            let pending: Vec<_> = self.bench.host.core.timers.keys().collect();
            fail(&format!("no timer {name:?} is pending, only {pending:?}"));
        };
        if timer.command != C::NAME {
            let (sent, asked) = (&timer.command, C::NAME);
            fail(&format!("timer {name:?} sends {sent:?}, not {asked:?}"));
        }
        let command = bench::decoded(&timer.body, "the command of a timer");
        let (id, firing) = (timer.id, timer.due.firing);
        let fires = timer.due.wall.plus(timer.due.jitter);
        self.bench.now = self.bench.now.max(fires);
        let running = micros(self.bench.running());
        let source = Source::Timer {
            name: name.to_owned(),
            id,
            firing,
            deadline: running.saturating_sub(micros(self.bench.now.since(fires))),
        };
        self.turn(command, &source)
    }

    /// Answers the oldest pending effect `E`, as the runtime does once it ran.
    #[track_caller]
    pub fn when_done<E: Effect>(self, outcome: Outcome<E::Output>) -> Then<A, Done<E>>
    where
        A: Handle<Done<E>>,
    {
        let mut pending = self.bench.host.core.effects.values();
        let Some(PendingEffect { key, body, .. }) = pending.find(|effect| effect.name == E::NAME)
        else {
            fail(&format!("no effect {:?} is pending", E::NAME));
        };
        let key = *key;
        let done = Done {
            id: EffectId {
                history: self.bench.history(),
                actor: self.bench.id.clone(),
                entry: key.entry,
                index: key.index,
            },
            effect: bench::decoded(body, "an effect"),
            outcome,
        };
        self.turn(done, &Source::Effect { key })
    }

    #[track_caller]
    fn turn<C: Command>(mut self, command: C, source: &Source) -> Then<A, C>
    where
        A: Handle<C>,
    {
        let turned = self.bench.turn(command, source);
        Then::new(self, turned)
    }
}

/// The one way in which the kit reports.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "the kit runs in tests, and a panic is how a test fails"
)]
fn fail(message: &str) -> ! {
    panic!("{message}")
}
