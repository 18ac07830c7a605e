//! Addresses of actors, and asking them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::error::AskError;
use crate::host::{ReplyTo, Source, Typed};
use crate::model::{Address, Command, Handle, StatefulActor};
use crate::worker::{Claim, Envelope};

/// What one sends commands to. Cheap to clone; the actor comes into memory with its first command.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
/// # node.block_on(async {
/// let alice = node.actor::<Account>("alice");
/// let also_alice = alice.clone();
/// alice.ask(Deposit { cents: 70 }).await?;
/// assert_eq!(also_alice.ask(Balance).await, Ok(70));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ActorRef<A> {
    shared: Arc<Shared>,
    id: Result<ActorId, String>,
    kind: PhantomData<fn() -> A>,
}

impl<A> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            id: self.id.clone(),
            kind: PhantomData,
        }
    }
}

impl<A> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActorRef").field(&self.id).finish()
    }
}

impl<A: StatefulActor> ActorRef<A> {
    pub(super) fn new(shared: Arc<Shared>, id: Result<ActorId, String>) -> Self {
        Self {
            shared,
            id,
            kind: PhantomData,
        }
    }

    /// The serialisable form, or `None` if the name this was made with is not one.
    #[must_use]
    pub fn address(&self) -> Option<Address<A>> {
        self.id.as_ref().ok().map(|id| id.clone().into())
    }

    /// Sends a command and waits for its answer, which comes when everything it rests on is durable.
    /// Waits while the mailbox is full.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// use steadfast::AskError;
    ///
    /// let alice = node.actor::<Account>("alice");
    /// assert_eq!(alice.ask(Deposit { cents: 70 }).await, Ok(70)); // durable from here on
    /// match alice.ask(Withdraw { cents: 100 }).await {
    ///     Err(AskError::Rejected(Overdrawn)) => {} // the actor said no, nothing was written
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask<C: Command>(&self, command: C) -> Ask<'_, A, C>
    where
        A: Handle<C>,
    {
        Ask {
            actor: self,
            command,
            key: None,
            deadline: None,
            dirty: false,
            patient: true,
            traceparent: None,
        }
    }

    /// [`ask`](Self::ask) that is told `Overloaded` instead of waiting for room in the mailbox.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// use steadfast::AskError;
    ///
    /// match node.actor::<Account>("alice").try_ask(Deposit { cents: 70 }).await {
    ///     Ok(balance) => assert_eq!(balance, 70),
    ///     Err(AskError::Overloaded { retry_after }) => println!("again in {retry_after:?}"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_ask<C: Command>(&self, command: C) -> Ask<'_, A, C>
    where
        A: Handle<C>,
    {
        Ask {
            patient: false,
            ..self.ask(command)
        }
    }

    /// Sends a command and does not wait for an answer. At most once, and lost if the process dies before
    /// it is handled; use `ask` with a key for what must happen.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// let alice = node.actor::<Account>("alice");
    /// alice.tell(Deposit { cents: 70 }).await?; // on its way, no more than that
    /// assert_eq!(alice.ask(Balance).await, Ok(70)); // commands keep their order
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AskError::Stopped`], or [`AskError::Failed`] for a name or kind that cannot be.
    pub async fn tell<C: Command>(&self, command: C) -> Result<(), AskError<C::Rejection>>
    where
        A: Handle<C>,
    {
        let invoke = Typed::<A, C>::boxed(command, Source::Caller { key: None }, ReplyTo::Nobody);
        let envelope = self.envelope(invoke)?;
        let port = self
            .shared
            .worker_of(&envelope.actor)
            .ok_or(AskError::Stopped)?;
        port.commands
            .send(envelope)
            .await
            .map_err(|_| AskError::Stopped)
    }

    fn envelope<R>(&self, invoke: Box<dyn crate::host::Invoke>) -> Result<Envelope, AskError<R>> {
        let actor = match &self.id {
            Ok(id) => id.clone(),
            Err(reason) => {
                return Err(AskError::Failed {
                    reason: reason.clone(),
                });
            }
        };
        let kind = self
            .shared
            .registry
            .get(A::KIND)
            .ok_or_else(|| AskError::Failed {
                reason: format!(
                    "kind {:?} is not registered: add .register::<..>()",
                    A::KIND
                ),
            })?;
        Ok(Envelope {
            actor,
            kind: Arc::clone(kind),
            invoke,
            command_id: self.shared.next_command_id(),
            traceparent: None,
            expires: None,
            claim: None,
            patient: true,
            dirty: false,
            internal: None,
        })
    }
}

/// A command about to be asked. Await it.
#[must_use = "nothing is sent until it is awaited"]
pub struct Ask<'a, A, C> {
    actor: &'a ActorRef<A>,
    command: C,
    key: Option<String>,
    deadline: Option<Duration>,
    dirty: bool,
    patient: bool,
    traceparent: Option<String>,
}

impl<A, C> fmt::Debug for Ask<'_, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("actor", &self.actor.id)
            .finish_non_exhaustive()
    }
}

type Answer<C> = Result<<C as Command>::Reply, AskError<<C as Command>::Rejection>>;

impl<A: Handle<C>, C: Command> Ask<'_, A, C> {
    /// Makes the command take effect once, however often it is asked with this key; each retry gets the
    /// same reply. Remembered within the node's `keys` and `key_window`.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// use steadfast::AskError;
    ///
    /// let alice = node.actor::<Account>("alice");
    /// for _ in 0..3 {
    ///     let balance = alice.ask(Deposit { cents: 70 }).key("order-77").await;
    ///     assert_eq!(balance, Ok(70)); // the reply of the first
    /// }
    /// let other = alice.ask(Deposit { cents: 71 }).key("order-77").await;
    /// assert_eq!(other, Err(AskError::KeyReused));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Gives up after `deadline`: [`AskError::Expired`] if the command was not handled and never will be,
    /// [`AskError::OutcomeUnknown`] if it was being handled.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// use std::time::Duration;
    /// use steadfast::AskError;
    ///
    /// let alice = node.actor::<Account>("alice");
    /// let order = Deposit { cents: 70 };
    /// match alice.ask(order).key("order-77").deadline(Duration::from_secs(2)).await {
    ///     Ok(balance) => assert_eq!(balance, 70),
    ///     Err(AskError::Expired) => println!("it was not handled and never will be"),
    ///     Err(AskError::OutcomeUnknown) => println!("ask again with the same key"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Lets a command that emits nothing be answered from a state that is not durable yet. Means nothing
    /// with a key, whose answer may be the one of a command that did emit.
    ///
    /// ```
    /// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
    /// # use bank::*;
    /// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
    /// # node.block_on(async {
    /// let alice = node.actor::<Account>("alice");
    /// alice.tell(Deposit { cents: 70 }).await?;
    /// let seen = alice.ask(Balance).dirty_ok().await?; // a crash may take it back
    /// assert_eq!(seen, 70);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn dirty_ok(mut self) -> Self {
        self.dirty = true;
        self
    }

    /// W3C trace context, kept with the entry.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    async fn send(self) -> Answer<C> {
        let shared = Arc::clone(&self.actor.shared);
        let (reply, answer) = oneshot::channel();
        let keyed = self.key.is_some();
        let source = Source::Caller { key: self.key };
        let invoke = Typed::<A, C>::boxed(self.command, source, ReplyTo::Caller(reply));
        let mut envelope = self.actor.envelope(invoke)?;
        envelope.dirty = self.dirty && !keyed;
        envelope.patient = self.patient;
        envelope.traceparent = self.traceparent;
        answer_within(&shared, envelope, self.deadline, answer).await
    }
}

/// Sends a command and waits for its answer, at most `deadline`.
pub(super) async fn answer_within<T, R>(
    shared: &Shared,
    mut envelope: Envelope,
    deadline: Option<Duration>,
    answer: oneshot::Receiver<Result<T, AskError<R>>>,
) -> Result<T, AskError<R>> {
    let Some(deadline) = deadline else {
        deliver(shared, envelope).await?;
        return answer.await.unwrap_or(Err(AskError::OutcomeUnknown));
    };
    let claim = Claim::default();
    envelope.claim = Some(claim.clone());
    envelope.expires = Some(shared.clock.running().saturating_add(deadline));
    let late = {
        // The timer belongs to the node's runtime; the caller's may have none.
        let _in_runtime = shared.runtime.enter();
        shared.clock.sleep(deadline)
    };
    let asked = async {
        deliver(shared, envelope).await?;
        answer.await.unwrap_or(Err(AskError::OutcomeUnknown))
    };
    tokio::select! {
        biased;
        answer = asked => answer,
        () = late => Err(if claim.give_up() { AskError::Expired } else { AskError::OutcomeUnknown }),
    }
}

async fn deliver<R>(shared: &Shared, envelope: Envelope) -> Result<(), AskError<R>> {
    if !envelope.patient {
        return send_now(shared, envelope);
    }
    let port = shared.worker_of(&envelope.actor).ok_or(AskError::Stopped)?;
    port.commands
        .send(envelope)
        .await
        .map_err(|_| AskError::Stopped)
}

/// Sends without waiting for room.
fn send_now<R>(shared: &Shared, envelope: Envelope) -> Result<(), AskError<R>> {
    let port = shared.worker_of(&envelope.actor).ok_or(AskError::Stopped)?;
    port.commands
        .try_send(envelope)
        .map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AskError::Overloaded {
                retry_after: Duration::from_millis(20),
            },
            mpsc::error::TrySendError::Closed(_) => AskError::Stopped,
        })
}

impl<'a, A: Handle<C>, C: Command> IntoFuture for Ask<'a, A, C> {
    type Output = Answer<C>;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer<C>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
