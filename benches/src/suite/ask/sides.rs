//! Who is asked, each on a thread of its own.

use std::num::NonZeroUsize;
use std::sync::mpsc as std_mpsc;
use std::thread;

use actix::Addr;
use actix_rt::Arbiter;
use serde::{Deserialize, Serialize};
use steadfast::{ActorId, ActorRef, Command, Event, Handle, Live, Never, Node, StatefulActor};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::callers::Caller;
use crate::suite::frameworks::{self, GetBack, Number, Question, ROOM};

/// One of those that are compared.
pub(super) trait Side {
    type Caller: Caller;

    fn caller(&self) -> Self::Caller;
}

/// A runtime on all cores but one, which is the actor's.
pub(super) fn callers_runtime() -> Runtime {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.saturating_sub(1).max(1);
    let built = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("callers")
        .enable_all()
        .build();
    built.expect("a runtime for the callers")
}

/// One thread for actors that are tasks.
fn actor_runtime() -> Runtime {
    let built = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("actors")
        .enable_all()
        .build();
    built.expect("a runtime for an actor")
}

/// steadfast's actor: the number is the fold of no events.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Seven;

/// Never emitted.
#[derive(Debug, Event)]
pub(super) enum SevenEvent {
    /// It was counted.
    Counted,
}

/// What is the number?
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(super) struct Get;

/// Computes with what it is given, and decides that nothing happened.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(super) struct Consider {
    amount: u64,
    text: String,
}

impl StatefulActor for Seven {
    const KIND: &'static str = "seven";
    type Event = SevenEvent;

    fn new(_: &ActorId) -> Self {
        Self
    }

    fn apply(&mut self, _: &SevenEvent) {}
}

impl Handle<Get> for Seven {
    fn handle(_: &mut Live<'_, Self>, _: Get) -> Result<u64, Never> {
        Ok(7)
    }
}

impl Handle<Consider> for Seven {
    fn handle(_: &mut Live<'_, Self>, Consider { amount, text }: Consider) -> Result<u64, Never> {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(amount.saturating_add(length))
    }
}

/// A node with one worker.
pub(super) struct Steadfast {
    /// Keeps the node.
    _node: Node,
    actor: ActorRef<Seven>,
}

impl Steadfast {
    pub(super) fn start() -> Self {
        let node = Node::in_memory()
            .register::<Seven>(|kind| kind)
            .config(|config| {
                config.workers = NonZeroUsize::MIN;
                config.mailbox_capacity = ROOM;
                config.worker_queue = ROOM;
            })
            .start_blocking()
            .expect("the node starts");
        let actor = node.actor("one");
        Self { _node: node, actor }
    }

    pub(super) fn dirty(&self) -> Dirty {
        Dirty(self.actor.clone())
    }

    pub(super) fn command(&self) -> Considered {
        Considered(self.actor.clone())
    }
}

impl Side for Steadfast {
    type Caller = ActorRef<Seven>;

    fn caller(&self) -> ActorRef<Seven> {
        self.actor.clone()
    }
}

impl Caller for ActorRef<Seven> {
    async fn ask(&mut self) {
        let answer = ActorRef::ask(self, Get).await;
        assert_eq!(answer.expect("steadfast answers"), 7);
    }
}

/// A query that does not wait for the actor's commits.
#[derive(Clone)]
pub(super) struct Dirty(ActorRef<Seven>);

impl Side for Dirty {
    type Caller = Self;

    fn caller(&self) -> Self {
        self.clone()
    }
}

impl Caller for Dirty {
    async fn ask(&mut self) {
        let answer = self.0.ask(Get).dirty_ok().await;
        assert_eq!(answer.expect("steadfast answers"), 7);
    }
}

/// A command that carries something and writes nothing.
#[derive(Clone)]
pub(super) struct Considered(ActorRef<Seven>);

impl Side for Considered {
    type Caller = Self;

    fn caller(&self) -> Self {
        self.clone()
    }
}

impl Caller for Considered {
    async fn ask(&mut self) {
        let considered = Consider {
            amount: 2,
            text: "apple".to_owned(),
        };
        let answer = self.0.ask(considered).await;
        assert_eq!(answer.expect("steadfast answers"), 7);
    }
}

/// actix, on an arbiter of its own.
pub(super) struct Actix {
    arbiter: Arbiter,
    actor: Addr<Number>,
    /// Its system's thread, which ends with the arbiter's.
    system: Option<thread::JoinHandle<()>>,
    stop: actix_rt::System,
}

impl Actix {
    pub(super) fn start() -> Self {
        let (tell, told) = std_mpsc::sync_channel(1);
        let system = thread::Builder::new()
            .name("system".to_owned())
            .spawn(move || {
                let runner = actix_rt::System::new();
                let arbiter = Arbiter::new();
                let here = actix_rt::System::current();
                tell.send((arbiter, here)).expect("somebody waits");
                runner.run().expect("the system ends in order");
            });
        let system = system.expect("a thread");
        let (arbiter, stop) = told.recv().expect("the system starts");
        let (tell, told) = std_mpsc::sync_channel(1);
        let sent = arbiter.spawn_fn(move || {
            let actor = frameworks::actix_here(Some(ROOM));
            tell.send(actor).expect("somebody waits");
        });
        assert!(sent, "the arbiter runs");
        Self {
            arbiter,
            actor: told.recv().expect("the actor starts"),
            system: Some(system),
            stop,
        }
    }
}

impl Drop for Actix {
    fn drop(&mut self) {
        self.arbiter.stop();
        self.stop.stop();
        if let Some(system) = self.system.take() {
            // It says by itself why it panicked.
            drop(system.join());
        }
    }
}

impl Side for Actix {
    type Caller = Addr<Number>;

    fn caller(&self) -> Addr<Number> {
        self.actor.clone()
    }
}

/// ractor, a task on a runtime of one thread.
pub(super) struct Ractor {
    /// Keeps the actor's thread.
    _runtime: Runtime,
    actor: ractor::ActorRef<GetBack>,
}

impl Ractor {
    pub(super) fn start() -> Self {
        let runtime = actor_runtime();
        let actor = runtime.block_on(frameworks::ractor_here());
        Self {
            _runtime: runtime,
            actor,
        }
    }
}

impl Side for Ractor {
    type Caller = ractor::ActorRef<GetBack>;

    fn caller(&self) -> Self::Caller {
        self.actor.clone()
    }
}

/// kameo, a task on a runtime of one thread.
pub(super) struct Kameo {
    /// Keeps the actor's thread.
    _runtime: Runtime,
    actor: kameo::actor::ActorRef<Number>,
}

impl Kameo {
    pub(super) fn start() -> Self {
        let runtime = actor_runtime();
        let actor = runtime.block_on(async { frameworks::kameo_here(Some(ROOM)) });
        Self {
            _runtime: runtime,
            actor,
        }
    }
}

impl Side for Kameo {
    type Caller = kameo::actor::ActorRef<Number>;

    fn caller(&self) -> Self::Caller {
        self.actor.clone()
    }
}

/// A bare task with a channel, on a runtime of one thread.
pub(super) struct Task {
    /// Keeps the task's thread.
    _runtime: Runtime,
    actor: mpsc::Sender<Question>,
}

impl Task {
    pub(super) fn start() -> Self {
        let runtime = actor_runtime();
        let actor = runtime.block_on(async { frameworks::task_here(ROOM) });
        Self {
            _runtime: runtime,
            actor,
        }
    }
}

impl Side for Task {
    type Caller = mpsc::Sender<Question>;

    fn caller(&self) -> Self::Caller {
        self.actor.clone()
    }
}
