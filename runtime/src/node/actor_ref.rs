//! Addresses of actors, and asking them.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;
use tokio::sync::oneshot;

use super::Shared;
use super::answering::{Answer, Answering};
use crate::error::AskError;
use crate::host::{Invoke, ReplyTo, Source, Typed};
use crate::model::{Address, Command, Handle, StatefulActor};
use crate::worker::{Envelope, Target};

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
    /// `None` where the name is none or the kind is not registered.
    to: Option<Arc<Target>>,
    worker: usize,
    kind: PhantomData<fn() -> A>,
}

impl<A> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            id: self.id.clone(),
            to: self.to.clone(),
            worker: self.worker,
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
        let kind = shared.registry.get(A::KIND);
        let to = id
            .as_ref()
            .ok()
            .zip(kind)
            .map(|(id, kind)| Arc::new(Target::new(id.clone(), Arc::clone(kind))));
        let worker = id.as_ref().map_or(0, |id| shared.worker_index(id));
        Self {
            shared,
            id,
            to,
            worker,
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
        let (envelope, worker) = self
            .envelope(invoke)
            .map_err(|reason| AskError::Failed { reason })?;
        let port = self.shared.port(worker).ok_or(AskError::Stopped)?;
        port.commands
            .send(envelope)
            .await
            .map_err(|_| AskError::Stopped)
    }

    /// The command on its way to the actor, with its worker; or why it cannot be sent.
    fn envelope(&self, invoke: Box<dyn Invoke>) -> Result<(Envelope, usize), String> {
        let to = match (&self.to, &self.id) {
            (Some(to), _) => to,
            (None, Err(reason)) => return Err(reason.clone()),
            (None, Ok(_)) => {
                return Err(format!(
                    "kind {:?} is not registered: add .register::<..>()",
                    A::KIND
                ));
            }
        };
        let envelope = Envelope {
            to: Arc::clone(to),
            invoke,
            traceparent: None,
            deadline: None,
            patient: true,
            dirty: false,
            internal: None,
        };
        Ok((envelope, self.worker))
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

impl<A: Handle<C>, C: Command> Ask<'_, A, C> {
    /// Makes the command take effect once, however often it is asked with this key; each retry gets the
    /// same reply. Remembered within the node's `keys` and `key_window`.
    ///
    /// A retry is the same command if it encodes the same, whatever the order in which maps iterate. A `HashSet`
    /// cannot be told from a `Vec`, whose order counts: give such a command a `BTreeSet`.
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
}

impl<'a, A: Handle<C>, C: Command> IntoFuture for Ask<'a, A, C> {
    type Output = Answer<C>;
    type IntoFuture = Answering<'a, C>;

    fn into_future(self) -> Self::IntoFuture {
        let (reply, answer) = oneshot::channel();
        let keyed = self.key.is_some();
        let source = Source::Caller { key: self.key };
        let invoke = Typed::<A, C>::boxed(self.command, source, ReplyTo::Caller(reply));
        let (mut envelope, worker) = match self.actor.envelope(invoke) {
            Ok(made) => made,
            Err(reason) => return Answering::failed(reason),
        };
        envelope.dirty = self.dirty && !keyed;
        envelope.patient = self.patient;
        envelope.traceparent = self.traceparent.map(String::into_boxed_str);
        Answering::new(&self.actor.shared, worker, envelope, self.deadline, answer)
    }
}
