//! The smallest actor in each of four other ways: one number, and a question for it.

use actix::{Actor as _, Addr};
use kameo::actor::Spawn as _;
use ractor::RpcReplyPort;
use tokio::sync::{mpsc, oneshot};

use crate::callers::Caller;

/// Room for the questions of all callers, in frameworks where a mailbox has a limit.
pub(super) const ROOM: usize = 16_384;

/// The actor, in all of them.
pub(super) struct Number(u64);

impl Number {
    pub(super) const fn new() -> Self {
        Self(7)
    }
}

/// What is the number?
pub(super) struct Get;

impl actix::Message for Get {
    type Result = u64;
}

impl actix::Actor for Number {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Get> for Number {
    type Result = u64;

    fn handle(&mut self, _: Get, _: &mut Self::Context) -> u64 {
        self.0
    }
}

/// On the current arbiter.
pub(super) fn actix_here(room: Option<usize>) -> Addr<Number> {
    Number::create(|context| {
        if let Some(room) = room {
            context.set_mailbox_capacity(room);
        }
        Number::new()
    })
}

impl Caller for Addr<Number> {
    async fn ask(&mut self) {
        assert_eq!(self.send(Get).await.expect("actix answers"), 7);
    }
}

/// The question in ractor.
pub(super) struct GetBack(RpcReplyPort<u64>);

impl ractor::Actor for Number {
    type Msg = GetBack;
    type State = u64;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ractor::ActorRef<GetBack>,
        (): (),
    ) -> Result<u64, ractor::ActorProcessingErr> {
        Ok(self.0)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<GetBack>,
        GetBack(reply): GetBack,
        state: &mut u64,
    ) -> Result<(), ractor::ActorProcessingErr> {
        Ok(reply.send(*state)?)
    }
}

/// On the current runtime.
pub(super) async fn ractor_here() -> ractor::ActorRef<GetBack> {
    let spawned = <Number as ractor::Actor>::spawn(None, Number::new(), ()).await;
    spawned.expect("ractor spawns").0
}

impl Caller for ractor::ActorRef<GetBack> {
    async fn ask(&mut self) {
        let answer = self.call(GetBack, None).await.expect("ractor sends");
        assert_eq!(answer.expect("ractor answers"), 7);
    }
}

impl kameo::Actor for Number {
    type Args = Self;
    type Error = kameo::error::Infallible;

    async fn on_start(number: Self, _: kameo::actor::ActorRef<Self>) -> Result<Self, Self::Error> {
        Ok(number)
    }
}

impl kameo::message::Message<Get> for Number {
    type Reply = u64;

    async fn handle(&mut self, _: Get, _: &mut kameo::message::Context<Self, u64>) -> u64 {
        self.0
    }
}

/// On the current runtime.
pub(super) fn kameo_here(room: Option<usize>) -> kameo::actor::ActorRef<Number> {
    match room {
        Some(room) => Number::spawn_with_mailbox(Number::new(), kameo::mailbox::bounded(room)),
        None => Number::spawn(Number::new()),
    }
}

impl Caller for kameo::actor::ActorRef<Number> {
    async fn ask(&mut self) {
        let answer = kameo::actor::ActorRef::ask(self, Get).await;
        assert_eq!(answer.expect("kameo answers"), 7);
    }
}

/// A question to a bare task.
pub(super) type Question = oneshot::Sender<u64>;

/// On the current runtime.
pub(super) fn task_here(room: usize) -> mpsc::Sender<Question> {
    let (sender, mut questions) = mpsc::channel::<Question>(room);
    tokio::spawn(async move {
        let number = Number::new();
        while let Some(question) = questions.recv().await {
            question.send(number.0).expect("the caller waits");
        }
    });
    sender
}

impl Caller for mpsc::Sender<Question> {
    async fn ask(&mut self) {
        let (question, answer) = oneshot::channel();
        self.send(question).await.expect("the task receives");
        assert_eq!(answer.await.expect("the task answers"), 7);
    }
}
