//! A worker's life: streams in, mailboxes, turns, batches out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle,
    StreamHandler,
};
use futures_util::stream;
use steadfast_journal::{ActorId, Journal};
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Durable, MAX_IN_FLIGHT};
use super::inboxes::Inboxes;
use super::input::{Answer, Control, Envelope, Inputs};
use super::ready::Ready;
use super::residency::UseOrder;
use super::round::Round;
use super::slot::Spare;
use super::slots::Slots;
use super::slow::SlowHandlers;
use super::tally::Tally;
use super::timers::Timers;
use crate::host::{KindEntry, give};
use crate::node::{Shared, Turns};

/// Commands taken from the stream at once.
const CHUNK: usize = 256;
/// Turns between two looks at the other streams.
const TURNS: usize = 512;
/// Turns that one actor may have before another gets its own.
pub(super) const QUANTUM: usize = 32;
/// How often idle actors are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// An open journal, and which opening it is.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) journal: Arc<dyn Journal>,
}

/// One worker.
pub(crate) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    inputs: Option<Inputs>,
    pub(super) durable_sender: mpsc::Sender<Durable>,
    pub(super) slots: Slots,
    pub(super) spare: Spare,
    /// Commands that were given their turn so far.
    drawn: u64,
    /// Slots with a live actor and something in the mailbox, each once.
    pub(super) ready: Ready<usize>,
    /// Slots that wait for a recovery to be asked for.
    pub(super) to_recover: Ready<usize>,
    /// Actors that are to come into memory when nothing else is to be done.
    pub(super) to_warm: VecDeque<(ActorId, Arc<KindEntry>)>,
    /// Recoveries asked for and not yet back.
    pub(super) recovering: usize,
    /// Recoveries asked for so far: their numbers.
    pub(super) recoveries: u64,
    /// What the actors in memory take, as estimated.
    pub(super) resident_bytes: usize,
    pub(super) use_order: UseOrder,
    /// `None` while no journal is open: then nothing is handled.
    pub(super) generation: Option<Generation>,
    pub(super) open: Batch,
    pub(super) in_flight: VecDeque<Batch>,
    /// All batches up to this one are durable.
    pub(super) durable: u64,
    pub(super) undurable_bytes: usize,
    pub(super) timers: Timers,
    /// How many timers the node was told that this worker holds.
    pub(super) timers_told: usize,
    /// Actors in quarantine, some of whose timers were let go.
    pub(super) unarmed: HashMap<ActorId, Arc<KindEntry>>,
    /// Outcomes of effects whose handler broke, with the moment to try again.
    pub(super) deferred: Vec<(Duration, Arc<Answer>)>,
    pub(super) inboxes: Inboxes,
    pub(super) slow: SlowHandlers,
    pub(super) tally: Tally,
    pub(super) round: Round,
    /// Slots whose mailbox is held after failures, with the moment when it is let go.
    pub(super) holds: BTreeSet<(Duration, usize)>,
    /// Who waits until all that was accepted is done: each who ends the node in order.
    draining: Vec<oneshot::Sender<()>>,
    pub(super) stopping: bool,
    /// When the worker wakes for a timer by itself, and how to take that back.
    wake: Option<(Duration, SpawnHandle)>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, index: usize, inputs: Inputs) -> Self {
        let round = Round::at(shared.clocks());
        Self {
            shared,
            index,
            durable_sender: inputs.durable_sender.clone(),
            inputs: Some(inputs),
            slots: Slots::default(),
            spare: Spare::default(),
            drawn: 0,
            ready: Ready::new(QUANTUM),
            to_recover: Ready::new(1),
            to_warm: VecDeque::new(),
            recovering: 0,
            recoveries: 0,
            resident_bytes: 0,
            use_order: UseOrder::default(),
            generation: None,
            open: Batch::new(1),
            in_flight: VecDeque::new(),
            durable: 0,
            undurable_bytes: 0,
            timers: Timers::default(),
            timers_told: 0,
            unarmed: HashMap::new(),
            deferred: Vec::new(),
            inboxes: Inboxes::default(),
            slow: SlowHandlers::default(),
            tally: Tally::default(),
            round,
            holds: BTreeSet::new(),
            draining: Vec::new(),
            stopping: false,
            wake: None,
        }
    }

    /// The identity of the next command and its seed: drawn by each worker for itself, from a range of its own.
    pub(super) fn draw(&mut self) -> (u128, u64) {
        self.drawn += 1;
        self.shared.command_of(self.index, self.drawn)
    }

    pub(super) fn can_run(&self) -> bool {
        self.generation.is_some()
            && self.in_flight.len() < MAX_IN_FLIGHT
            && self.undurable_bytes < self.shared.config.undurable_bytes
    }

    /// Handles what is ready, within bounds, and hands the result to the journal.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        self.work(ctx);
        self.shared.note_activity();
    }

    /// [`pump`](Self::pump) that tells nobody; returns how many turns there were.
    pub(super) fn work(&mut self, ctx: &mut Context<Self>) -> usize {
        self.collect_mail();
        self.lift_holds(false);
        self.begin_round();
        let mut turns = 0;
        while turns < TURNS && self.can_run() {
            let Some((priority, slot)) = self.ready.pop() else {
                break;
            };
            let used = self.turns(slot);
            self.ready.charge(priority, used);
            turns += used;
        }
        self.tally.tell(&self.shared.metrics);
        self.hand_over();
        self.keep_within_budget();
        if self.can_run() && !self.ready.is_empty() {
            ctx.notify(Continue);
        }
        self.set_wake(ctx);
        self.check_drained();
        turns
    }

    fn set_wake(&mut self, ctx: &mut Context<Self>) {
        let clocks = self.clocks();
        let running = clocks.running;
        let deferred = self
            .deferred
            .iter()
            .map(|(at, _)| at.saturating_sub(running))
            .min();
        let timer = if self.shared.is_stopping() {
            None
        } else {
            self.timers.next_wait(clocks)
        };
        let mail = self
            .inboxes
            .next_again()
            .map(|at| at.saturating_sub(running));
        let held = self.holds.first().map(|(at, _)| at.saturating_sub(running));
        let waits = [deferred, timer, mail, held];
        let Some(wait) = waits.into_iter().flatten().min() else {
            return;
        };
        // A timer may be years away; the runtime's own timer is asked for at most an hour.
        let wait = wait.clamp(Duration::from_millis(1), self.shared.longest_sleep());
        let at = running.saturating_add(wait);
        if self.generation.is_none() || self.wake.is_some_and(|(set, _)| set <= at) {
            return;
        }
        let sleep = actix::fut::wrap_future::<_, Self>(self.shared.clock.sleep(wait));
        let handle = ctx.spawn(sleep.map(|(), worker, ctx| {
            worker.wake = None;
            worker.fire_due();
            worker.pump(ctx);
        }));
        if let Some((_, old)) = self.wake.replace((at, handle)) {
            ctx.cancel_future(old);
        }
    }

    /// Looks for what nobody tells a worker.
    pub(super) fn sweep(&mut self) {
        self.passivate_idle();
        self.watch_recoveries();
        self.prune_inboxes();
        self.recover_released();
    }

    fn check_drained(&mut self) {
        let done = self.is_draining()
            && self.in_flight.is_empty()
            && self.slots.iter().all(|(_, slot)| slot.mailbox.is_empty());
        if done {
            self.save_residents();
            self.stopping = true;
            for ack in std::mem::take(&mut self.draining) {
                give(ack, ());
            }
        }
    }

    /// Whether the node is being ended in order, and this worker is not done.
    pub(super) const fn is_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.stopping = true;
        self.refuse_everything();
        ctx.stop();
        // In a simulation there is none.
        if let Some(arbiter) = actix::Arbiter::try_current() {
            arbiter.stop();
        }
    }
}

/// However the worker ends, its callers are told what is known.
impl Drop for Worker {
    fn drop(&mut self) {
        self.refuse_everything();
        self.tally.tell(&self.shared.metrics);
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(inputs) = self.inputs.take() else {
            return;
        };
        let Inputs {
            mut commands,
            mut control,
            mut durable,
            durable_sender: _,
        } = inputs;
        let turns = self.shared.tasks.turns();
        let turns = || turns.map(|turns| (turns.clone(), turns.next_task()));
        let puts_off = |turns: &Option<(Turns, u64)>, cx: &mut task::Context<'_>| {
            let turns = turns.as_ref();
            turns.is_some_and(|(turns, task)| turns.puts_off(*task, cx))
        };
        let own = turns();
        ctx.add_stream(stream::poll_fn(move |cx| {
            if puts_off(&own, cx) {
                task::Poll::Pending
            } else {
                durable.poll_recv(cx)
            }
        }));
        let own = turns();
        ctx.add_stream(stream::poll_fn(move |cx| {
            if puts_off(&own, cx) {
                task::Poll::Pending
            } else {
                control.poll_recv(cx)
            }
        }));
        let own = turns();
        ctx.add_stream(stream::poll_fn(move |cx| {
            if puts_off(&own, cx) {
                task::Poll::Pending
            } else {
                commands.poll_chunk(cx, CHUNK)
            }
        }));
        if self.shared.tasks.turns().is_some() {
            // The intervals of the runtime go by real time, which decides nothing in a simulation.
            return;
        }
        ctx.run_interval(SWEEP, |worker, ctx| {
            worker.sweep();
            // The wall clock may have jumped, or the machine slept.
            worker.fire_due();
            worker.pump(ctx);
        });
    }
}

/// Tells the worker to go on handling.
struct Continue;

impl Message for Continue {
    type Result = ();
}

impl Handler<Continue> for Worker {
    type Result = ();

    fn handle(&mut self, _: Continue, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}

impl StreamHandler<Vec<Envelope>> for Worker {
    fn handle(&mut self, chunk: Vec<Envelope>, ctx: &mut Self::Context) {
        self.touch(&chunk);
        for envelope in chunk {
            self.accept(envelope);
        }
        self.pump(ctx);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl StreamHandler<Durable> for Worker {
    fn handle(&mut self, durable: Durable, ctx: &mut Self::Context) {
        self.on_durable(durable);
        self.fire_due();
        self.pump(ctx);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl StreamHandler<Control> for Worker {
    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Recovered {
                slot,
                number,
                generation,
                held,
                outcome,
            } => self.on_recovered(slot, number, generation, held, outcome),
            Control::Warm { actors, reply } => give(reply, self.warm(actors)),
            Control::Deliver(envelope) => self.accept(envelope),
            Control::Answer(answer) => self.deliver_answer(&answer),
            Control::Latch { generation, ack } => {
                self.on_latch(generation);
                give(ack, ());
            }
            Control::Open {
                generation,
                journal,
            } => self.on_open(generation, journal),
            Control::ReadOnly { reason } => self.refuse_callers(&reason),
            Control::LoadTimers {
                generation,
                rows,
                ack,
            } => {
                self.load_timers(generation, rows);
                give(ack, ());
            }
            Control::TrimTimers {
                target,
                held,
                until,
                ack,
            } => {
                self.trim_timers(target, held, until);
                give(ack, ());
            }
            Control::Wake(ack) => {
                self.recover_released();
                self.fire_due();
                give(ack, ());
            }
            Control::Mail(news) => self.on_mail(news),
            Control::Quarantine {
                actor,
                kind,
                reason,
                source,
            } => self.quarantine(&actor, &kind, reason, source),
            Control::Supervise(request) => self.supervise(request),
            Control::View {
                actor,
                with_state,
                reply,
            } => give(reply, self.view(&actor, with_state)),
            Control::Totals(reply) => give(reply, self.totals()),
            Control::Status(reply) => {
                give(reply, self.statuses());
            }
            Control::Look(reply) => return self.look(reply, ctx),
            Control::States(reply) => give(reply, self.seen()),
            Control::Drain(ack) => {
                self.draining.push(ack);
                self.lift_holds(true);
            }
            Control::Stop => return self.end(ctx),
        }
        self.fire_due();
        self.pump(ctx);
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.end(ctx);
    }
}
