//! What a handler sees: the state behind a shared reference, and the verbs that decide.
//!
//! Invariant: nothing a handler does here leaves the actor. Everything is staged, journalled with one
//! entry, and let out once that entry is durable; or dropped whole.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use steadfast_journal::{ActorId, EventRecord, HistoryId};

use super::{
    Address, Command, Cron, Done, Effect, EffectId, Event, Handle, Never, Returned, StatefulActor,
    Timer, Timestamp,
};
use crate::core::{Clocks, Operation, PendingTimer, Staged, TimerId, first_due, random};
use crate::host::{KindNames, Registry};

/// How a timer came to fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The name it was set under.
    pub timer: String,
    /// When it was due.
    pub due: Timestamp,
    /// For a repeating timer: how many due times passed that are not fired, because the node was down or
    /// busy; which ones is what [`CatchUp`](crate::CatchUp) says. A cron expression counts up to 10,000.
    pub missed: u64,
    /// How late it fired, without its jitter, measured so that a jump of the wall clock does not count
    /// while the node ran.
    pub late: Duration,
    /// For a repeating timer: when it is due again.
    pub next: Option<Timestamp>,
}

/// What a command is told about itself; everything a handler may depend on beside the state.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) id: &'a ActorId,
    pub(crate) history: HistoryId,
    pub(crate) clocks: Clocks,
    pub(crate) seed: u64,
    pub(crate) fired: Option<Fired>,
    pub(crate) entry: u64,
    pub(crate) events_before: u64,
    pub(crate) names: &'a KindNames,
    /// What may be sent to whom; `None` in the test kit, where nothing is registered.
    pub(crate) registry: Option<&'a Registry>,
    /// The actor that sent the command, if an actor did.
    pub(crate) sender: Option<&'a ActorId>,
}

/// The actor while it handles one command. Dereferences to the state, never mutably.
pub struct Live<'a, A: StatefulActor> {
    state: &'a mut A,
    staged: &'a mut Staged,
    turn: &'a Turn<'a>,
}

impl<A: StatefulActor> fmt::Debug for Live<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("id", self.turn.id)
            .field("seq", &self.seq())
            .finish()
    }
}

impl<A: StatefulActor> Deref for Live<'_, A> {
    type Target = A;

    fn deref(&self) -> &A {
        self.state
    }
}

impl<'a, A: StatefulActor> Live<'a, A> {
    pub(crate) fn new(state: &'a mut A, staged: &'a mut Staged, turn: &'a Turn<'a>) -> Self {
        Self {
            state,
            staged,
            turn,
        }
    }

    /// The state, where a method of this type hides a field or method of it.
    #[must_use]
    pub fn state(&self) -> &A {
        self.state
    }

    /// Decides an event: it is applied to the state now and journalled with the rest of this command.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::{Command, Handle, Live, Never, testkit::given};
    /// #[derive(Serialize, Deserialize, Command)]
    /// struct Open;
    ///
    /// impl Handle<Open> for Account {
    ///     fn handle(account: &mut Live<'_, Self>, _: Open) -> Result<(), Never> {
    ///         account.emit(AccountEvent::Deposited { cents: 5 });
    ///         assert_eq!(account.cents, 5); // it is in the state already
    ///         Ok(())
    ///     }
    /// }
    ///
    /// given::<Account>([]).when(Open).then_events([AccountEvent::Deposited { cents: 5 }]);
    /// ```
    pub fn emit(&mut self, event: impl Into<A::Event>) {
        let event = event.into();
        let data = match event.encode() {
            Ok(data) => data,
            Err(error) => return self.staged.bug(error.to_string()),
        };
        let (name, version) = (Cow::Borrowed(event.name()), event.version());
        self.state.apply(&event);
        self.staged.events.push(EventRecord {
            name,
            version,
            data: data.into(),
        });
    }

    /// Sends `command` to this actor when `timer` is due. Replaces a pending timer of that name.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::{Command, Handle, Live, Never, testkit::given};
    /// # use std::time::Duration;
    /// use steadfast::{CatchUp, Cron, Timer};
    ///
    /// #[derive(Serialize, Deserialize, Command)]
    /// #[command(rejection = String)]
    /// struct Begin;
    ///
    /// impl Handle<Begin> for Account {
    ///     fn handle(account: &mut Live<'_, Self>, _: Begin) -> Result<(), String> {
    ///         let nightly = Cron::parse("30 2 * * *", "Europe/Berlin").map_err(|e| e.to_string())?;
    ///         let timer = Timer::cron(nightly).catch_up(CatchUp::Skip).jitter(Duration::from_secs(60));
    ///         account.schedule("interest", timer, Deposit { cents: 1 });
    ///
    ///         account.after("welcome", Duration::from_secs(10), Deposit { cents: 5 });
    ///         account.every("daily", Duration::from_secs(24 * 3_600), Deposit { cents: 2 });
    ///         account.at("birthday", account.now().plus(Duration::from_secs(99)), Deposit { cents: 9 });
    ///         account.cancel("daily"); // whatever was pending under that name
    ///         Ok(())
    ///     }
    /// }
    ///
    /// given::<Account>([])
    ///     .when(Begin)
    ///     .then_timer("welcome", Duration::from_secs(10))
    ///     .then_no_timer("daily")
    ///     .when_timer::<Deposit>("welcome")
    ///     .then_reply(5);
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a command or effect is given away when it is sent"
    )]
    pub fn schedule<C: Command>(&mut self, name: &str, timer: Timer, command: C)
    where
        A: Handle<C>,
    {
        self.set_timer(name, &timer, &command);
    }

    /// Sends `command` to this actor once, `delay` after now: [`Timer::after`].
    pub fn after<C: Command>(&mut self, name: &str, delay: Duration, command: C)
    where
        A: Handle<C>,
    {
        self.schedule(name, Timer::after(delay), command);
    }

    /// Sends `command` to this actor once, when the wall clock says `time`: [`Timer::at`].
    pub fn at<C: Command>(&mut self, name: &str, time: Timestamp, command: C)
    where
        A: Handle<C>,
    {
        self.schedule(name, Timer::at(time), command);
    }

    /// Sends `command` to this actor again and again, first one `period` from now: [`Timer::every`]. Due
    /// times that pass while the node is down are fired once, together: [`fired`](Self::fired) tells how
    /// many.
    pub fn every<C: Command>(&mut self, name: &str, period: Duration, command: C)
    where
        A: Handle<C>,
    {
        self.schedule(name, Timer::every(period), command);
    }

    /// Sends `command` to this actor at each time of `cron`: [`Timer::cron`]. Due times that pass while
    /// the node is down are fired once, together.
    pub fn cron<C: Command>(&mut self, name: &str, cron: Cron, command: C)
    where
        A: Handle<C>,
    {
        self.schedule(name, Timer::cron(cron), command);
    }

    /// Forgets the pending timer of that name; nothing happens where there is none.
    pub fn cancel(&mut self, name: &str) {
        self.staged.operations.push(Operation::CancelTimer {
            name: name.to_owned(),
        });
    }

    /// Sends `command` to another actor once this one's commit is durable: exactly once, in the order in
    /// which this actor sends to that one, over crashes and restarts. A rejection comes back as
    /// [`Returned`]; a reply is dropped.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::{Command, Handle, Live, Never, testkit::given};
    /// use steadfast::Address;
    ///
    /// #[derive(Serialize, Deserialize, Command)]
    /// #[command(rejection = Overdrawn)]
    /// struct Pay { to: Address<Account>, cents: u64 }
    ///
    /// impl Handle<Pay> for Account {
    ///     fn handle(account: &mut Live<'_, Self>, Pay { to, cents }: Pay) -> Result<(), Overdrawn> {
    ///         if cents > account.cents {
    ///             return Err(Overdrawn);
    ///         }
    ///         account.emit(AccountEvent::Withdrawn { cents });
    ///         account.send(&to, Deposit { cents }); // in the same entry: both or neither
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let bob = Address::<Account>::of("bob").unwrap();
    /// given::<Account>([AccountEvent::Deposited { cents: 100 }])
    ///     .when(Pay { to: bob.clone(), cents: 30 })
    ///     .then_sent(&bob, |deposit: &Deposit| assert_eq!(deposit.cents, 30));
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a command or effect is given away when it is sent"
    )]
    pub fn send<B, C: Command>(&mut self, to: &Address<B>, command: C)
    where
        B: Handle<C>,
        A: Handle<Returned<C>>,
    {
        if let Some(missing) = self.missing_for_sending::<B, C>() {
            return self.staged.bug(missing);
        }
        match rmp_serde::to_vec_named(&command) {
            Ok(body) => self.staged.operations.push(Operation::SendMessage {
                to: to.id().clone(),
                kind: B::KIND.to_owned(),
                command: C::NAME.to_owned(),
                body: body.into(),
                rejection: None,
            }),
            Err(error) => self.staged.bug(format!("command {:?}: {error}", C::NAME)),
        }
    }

    /// Which line the registration lacks for sending `C` to a `B`.
    fn missing_for_sending<B: Handle<C>, C: Command>(&self) -> Option<String> {
        let registry = self.turn.registry?;
        let receives = registry
            .get(B::KIND)
            .is_some_and(|kind| kind.names.has_command(C::NAME));
        if !receives {
            return Some(format!(
                "command {:?} is not registered for {:?}: add .command::<..>() where the node is built",
                C::NAME,
                B::KIND
            ));
        }
        let may_return = TypeId::of::<C::Rejection>() != TypeId::of::<Never>();
        (may_return && !self.turn.names.has_returned(C::NAME)).then(|| {
            format!(
                "{:?} may come back to {:?} rejected: add .sends::<..>() where the node is built",
                C::NAME,
                A::KIND
            )
        })
    }

    /// Wants `effect` done after the commit. Its outcome comes back as [`Done`].
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::{Command, Handle, Live, Never, testkit::given};
    ///
    /// #[derive(Serialize, Deserialize, Command)]
    /// struct Print;
    ///
    /// impl Handle<Print> for Account {
    ///     fn handle(account: &mut Live<'_, Self>, _: Print) -> Result<(), Never> {
    ///         account.run(Receipt { cents: account.cents }); // answered by `Handle<Done<Receipt>>`
    ///         Ok(())
    ///     }
    /// }
    ///
    /// given::<Account>([AccountEvent::Deposited { cents: 7 }])
    ///     .when(Print)
    ///     .then_effect(|receipt: &Receipt| assert_eq!(receipt.cents, 7));
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a command or effect is given away when it is sent"
    )]
    pub fn run<E: Effect>(&mut self, effect: E) -> EffectId
    where
        A: Handle<Done<E>>,
    {
        let index = self.staged.next_index();
        if !self.turn.names.has_effect(E::NAME) {
            self.staged.bug(format!(
                "effect {:?} is not registered for {:?}: add .effect::<..>() where the node is built",
                E::NAME,
                A::KIND
            ));
        }
        match rmp_serde::to_vec_named(&effect) {
            Ok(body) => self.staged.operations.push(Operation::RequestEffect {
                name: E::NAME.to_owned(),
                body: body.into(),
                retry: effect.retry(),
                after_crash: E::AFTER_CRASH,
            }),
            Err(error) => self.staged.bug(format!("effect {:?}: {error}", E::NAME)),
        }
        EffectId {
            history: self.turn.history,
            actor: self.turn.id.clone(),
            entry: self.turn.entry,
            index,
        }
    }

    /// Wall-clock time when this command started; the same however often it is asked for.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.turn.clocks.now
    }

    /// A number that nobody can foresee; the seed is journalled with the entry. Not for secrets.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use steadfast::{Command, Handle, Live, Never, testkit::given};
    ///
    /// #[derive(Serialize, Deserialize, Command)]
    /// #[command(reply = (u64, u64))]
    /// struct Toss;
    ///
    /// impl Handle<Toss> for Account {
    ///     fn handle(account: &mut Live<'_, Self>, _: Toss) -> Result<(u64, u64), Never> {
    ///         Ok((account.random() % 6, account.random() % 6)) // two numbers
    ///     }
    /// }
    ///
    /// given::<Account>([]).when(Toss).then_no_events();
    /// ```
    pub fn random(&mut self) -> u64 {
        self.staged.draws += 1;
        random(self.turn.seed, self.staged.draws)
    }

    /// Sequence number of the newest event, with those that this command emitted; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.turn.events_before + self.staged.events.len() as u64
    }

    /// This actor's name.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        self.turn.id
    }

    /// How this command's timer came to fire; `None` if the command was not sent by a timer.
    #[must_use]
    pub fn fired(&self) -> Option<&Fired> {
        self.turn.fired.as_ref()
    }

    /// The actor that sent this command with [`send`](Self::send); `None` if no actor did.
    #[must_use]
    pub fn sender(&self) -> Option<&ActorId> {
        self.turn.sender
    }

    /// Drops this actor from memory once everything it wrote is durable and its mailbox is empty. It
    /// comes back with the next command.
    pub fn stop(&mut self) {
        self.staged.stop = true;
    }

    fn set_timer<C: Command>(&mut self, name: &str, timer: &Timer, command: &C)
    where
        A: Handle<C>,
    {
        if !self.turn.names.has_command(C::NAME) {
            return self.staged.bug(format!(
                "command {:?} is not registered for {:?}: add .command::<..>() where the node is built",
                C::NAME,
                A::KIND
            ));
        }
        let id = TimerId {
            entry: self.turn.entry,
            index: self.staged.next_index(),
        };
        // The other end of the sequence that handlers draw from.
        let draw = random(self.turn.seed, u64::MAX - u64::from(id.index));
        let (due, repeat) = match first_due(timer, self.turn.clocks, draw) {
            Ok(first) => first,
            Err(reason) => return self.staged.bug(format!("timer {name:?} {reason}")),
        };
        match rmp_serde::to_vec_named(command) {
            Ok(body) => {
                let timer = PendingTimer {
                    name: name.to_owned(),
                    id,
                    due,
                    missed: 0,
                    repeat,
                    jitter: timer.jitter,
                    catch_up: timer.catch_up,
                    command: C::NAME.to_owned(),
                    body: body.into(),
                };
                let operation = Operation::SetTimer(Box::new(timer));
                self.staged.operations.push(operation);
            }
            Err(error) => self.staged.bug(format!("command {:?}: {error}", C::NAME)),
        }
    }
}
