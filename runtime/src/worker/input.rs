//! What a worker is sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use steadfast_journal::{ActorId, ActorNumber, Journal};
use tokio::sync::{mpsc, oneshot};

use super::batch::{Durable, MAX_IN_FLIGHT};
use super::claim::Claim;
use super::look::{Report, Seen};
use super::quarantine::Supervise;
use super::slot::ActorStatus;
use super::timers::TimerKey;
use super::view::{Looked, WorkerTotals};
use crate::core::{EffectKey, TimerRow};
use crate::error::Refusal;
use crate::host::{Invoke, KindEntry, RawOutcome, Recovered, Source, Unrecoverable};
use crate::node::{Held, MailPage};

/// An actor and what it is asked as: one allocation, shared by all commands of one `ActorRef`.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    /// Where its worker found it last: a hint that saves the look-up of its name, never believed without a look at
    /// the slot.
    place: AtomicUsize,
}

impl Target {
    pub(crate) fn new(actor: ActorId, kind: Arc<KindEntry>) -> Self {
        Self {
            actor,
            kind,
            place: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    pub(super) fn set_place(&self, key: usize) {
        self.place.store(key, Ordering::Relaxed);
    }
}

/// Until when a command may begin.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// On the running clock; not handled after it.
    pub(crate) expires: Duration,
    /// Decides between a caller that gives up and a worker that begins.
    pub(crate) claim: Claim,
}

/// A command addressed to an actor.
pub(crate) struct Envelope {
    pub(crate) to: Arc<Target>,
    pub(crate) invoke: Box<dyn Invoke>,
    pub(crate) traceparent: Option<Box<str>>,
    pub(crate) deadline: Option<Box<Deadline>>,
    /// Whether the caller waits when the mailbox is full.
    pub(crate) patient: bool,
    /// Whether a query may be answered before what it saw is durable.
    pub(crate) dirty: bool,
    /// For work of the runtime's own: how to bring it again if the handler breaks.
    pub(crate) internal: Option<Internal>,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("actor", &self.to.actor)
            .field("command", &self.invoke.name())
            .finish_non_exhaustive()
    }
}

/// Work that the runtime owes an actor; it is owed until the journal says that it was consumed.
#[derive(Debug, Clone)]
pub(crate) enum Internal {
    Timer(TimerKey),
    Answer(Arc<Answer>),
    Message {
        to: ActorId,
    },
    Step,
    /// Skips by hand what keeps the actor in quarantine.
    Skip,
}

/// The outcome of an effect, kept until it is consumed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) number: ActorNumber,
    pub(crate) name: String,
    pub(crate) key: EffectKey,
    pub(crate) body: serde_bytes::ByteBuf,
    pub(crate) outcome: RawOutcome,
}

/// Control input; never behind commands.
pub(crate) enum Control {
    /// A recovery ended.
    Recovered {
        slot: usize,
        number: u64,
        generation: u64,
        held: Held,
        outcome: Result<Recovered, Unrecoverable>,
    },
    /// Work of the runtime's own for an actor.
    Deliver(Envelope),
    /// An effect's outcome for an actor.
    Answer(Arc<Answer>),
    /// The journal failed: drop what is not durable, then say so.
    Latch {
        generation: u64,
        ack: oneshot::Sender<()>,
    },
    /// A journal is open.
    Open {
        generation: u64,
        journal: Arc<dyn Journal>,
    },
    /// The journal does not open: callers are told instead of waiting for it.
    ReadOnly { reason: String },
    /// Pending timers found in the journal.
    LoadTimers {
        generation: u64,
        rows: Vec<(ActorNumber, TimerRow)>,
        ack: oneshot::Sender<()>,
    },
    /// Of the `held` timers that are in memory on the node, `target` are to be left; those due within `until`
    /// stay.
    TrimTimers {
        target: usize,
        held: usize,
        until: Duration,
        ack: oneshot::Sender<()>,
    },
    /// The clock was moved: look at the timers, then say so.
    Wake(oneshot::Sender<()>),
    /// News of messages.
    Mail(MailNews),
    /// Set an actor aside.
    Quarantine {
        actor: ActorId,
        kind: Arc<KindEntry>,
        reason: String,
        /// What cannot be handled, where that is why.
        source: Option<Source>,
    },
    /// Bring actors into memory when nothing else is to be done; says how many that will be.
    Warm {
        actors: Vec<(ActorId, Arc<KindEntry>)>,
        reply: oneshot::Sender<usize>,
    },
    /// Look after actors that are set aside.
    Supervise(Supervise),
    /// What is known about one actor in memory; with its state, if that is wanted.
    View {
        actor: ActorId,
        with_state: bool,
        reply: oneshot::Sender<Option<Looked>>,
    },
    /// How many actors there are in memory.
    Totals(oneshot::Sender<WorkerTotals>),
    /// What is known about actors in memory.
    Status(oneshot::Sender<Vec<(ActorId, ActorStatus)>>),
    /// Do what is due and say what is left to do: for the test kit.
    Look(oneshot::Sender<Report>),
    /// What actors in memory are: for the test kit.
    States(oneshot::Sender<Vec<Seen>>),
    /// Accept nothing more, finish what was accepted, then say so.
    Drain(oneshot::Sender<()>),
    /// Refuse everything from now on and end.
    Stop,
}

/// What a worker is told about messages for its actors.
pub(crate) enum MailNews {
    /// Other workers have some.
    Posted,
    /// These actors, of these kinds, have some in the outbox.
    Found {
        generation: u64,
        receivers: BTreeMap<ActorId, String>,
    },
    /// The outbox was searched.
    Searched { generation: u64 },
    /// A read of one actor's messages ended.
    Read {
        to: ActorId,
        generation: u64,
        page: Result<MailPage, String>,
    },
}

/// The sending ends of a worker's streams.
#[derive(Debug, Clone)]
pub(crate) struct WorkerPort {
    pub(crate) commands: mpsc::Sender<Envelope>,
    pub(crate) control: mpsc::Sender<Control>,
}

/// The receiving ends, and the sender that goes into completions.
pub(crate) struct Inputs {
    pub(crate) commands: CommandQueue,
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) durable: mpsc::Receiver<Durable>,
    pub(crate) durable_sender: mpsc::Sender<Durable>,
}

/// Commands on their way to a worker. When the worker ends, whoever is still here was never handled and
/// is told so.
pub(crate) struct CommandQueue(mpsc::Receiver<Envelope>);

impl CommandQueue {
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Option<Vec<Envelope>>> {
        let mut chunk = Vec::with_capacity(self.0.len().min(limit));
        match self.0.poll_recv_many(cx, &mut chunk, limit) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(0) => Poll::Ready(None),
            Poll::Ready(_) => Poll::Ready(Some(chunk)),
        }
    }
}

impl Drop for CommandQueue {
    fn drop(&mut self) {
        self.0.close();
        // Whoever has a place and has not taken it yet may never run again: its thread may be the one that
        // waits for us. It is told `OutcomeUnknown` when its command is dropped.
        while let Ok(envelope) = self.0.try_recv() {
            envelope.refuse(Refusal::Stopped);
        }
    }
}

/// The channels of one worker. Control waits when full; outcomes never find theirs full, because a
/// worker has fewer batches in flight than it holds.
pub(crate) fn ports(worker_queue: usize) -> (WorkerPort, Inputs) {
    let (commands_sender, commands) = mpsc::channel(worker_queue);
    let (control_sender, control) = mpsc::channel(1_024);
    let (durable_sender, durable) = mpsc::channel(2 * MAX_IN_FLIGHT);
    let port = WorkerPort {
        commands: commands_sender,
        control: control_sender,
    };
    (
        port,
        Inputs {
            commands: CommandQueue(commands),
            control,
            durable,
            durable_sender,
        },
    )
}

impl Envelope {
    /// Work of the runtime's own for an actor.
    pub(crate) fn owed(
        actor: ActorId,
        kind: Arc<KindEntry>,
        invoke: Box<dyn Invoke>,
        internal: Internal,
    ) -> Self {
        Self {
            to: Arc::new(Target::new(actor, kind)),
            invoke,
            traceparent: None,
            deadline: None,
            patient: true,
            dirty: false,
            internal: Some(internal),
        }
    }

    /// Answers without handling.
    pub(crate) fn refuse(self, refusal: Refusal) {
        self.invoke.refuse(refusal);
    }
}
