//! Kinds of actors by name: function pointers that put the types back on.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;

use serde_bytes::ByteBuf;
use steadfast_journal::ActorId;
use tokio::sync::oneshot;

use super::recover::recover;
use super::typed::JsonReply;
use super::{Invoke, RecoverContext, Recovered, ReplyTo, Source, Typed, Unrecoverable};
use crate::error::NodeError;
use crate::metrics::KindCounters;
use crate::model::{
    Command, Done, Effect, EffectClass, EffectContext, EffectError, EffectId, Event, Handle,
    Outcome, Reconciled, Returned, StatefulActor,
};
use crate::testkit::Fakes;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The outcome of an effect whose type is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawOutcome {
    /// The encoded output.
    Succeeded(ByteBuf),
    Failed {
        error: String,
        attempts: u32,
    },
    Unknown,
}

/// What reconciling found out, with the output encoded.
#[derive(Debug)]
pub(crate) enum RawReconciled {
    Done(ByteBuf),
    NotDone,
    Unknown,
}

/// What a handler may name.
#[derive(Debug, Default)]
pub(crate) struct KindNames {
    commands: HashSet<&'static str>,
    effects: HashSet<&'static str>,
    returned: HashSet<&'static str>,
    /// Whether everything may be named: in the test kit, where nothing is registered.
    any: bool,
}

impl KindNames {
    /// Everything may be named.
    pub(crate) fn any() -> Self {
        Self {
            any: true,
            ..Self::default()
        }
    }

    pub(crate) fn has_command(&self, name: &str) -> bool {
        self.any || self.commands.contains(name)
    }

    pub(crate) fn has_returned(&self, name: &str) -> bool {
        self.any || self.returned.contains(name)
    }

    pub(crate) fn has_effect(&self, name: &str) -> bool {
        self.any || self.effects.contains(name)
    }
}

type JsonSender = oneshot::Sender<JsonReply>;
/// A command with its type hidden, or why it could not be made.
type Made = Result<Box<dyn Invoke>, String>;

/// How commands of one name are brought to life.
#[derive(Clone, Copy)]
pub(crate) struct CommandEntry {
    pub(crate) from_bytes: fn(&[u8], Source) -> Made,
    pub(crate) from_json: fn(serde_json::Value, Option<String>, JsonSender) -> Made,
}

/// How effects of one name are executed and answered.
#[derive(Clone, Copy)]
pub(crate) struct EffectEntry {
    pub(crate) run: fn(ByteBuf, EffectContext) -> BoxFuture<'static, Result<ByteBuf, EffectError>>,
    pub(crate) reconcile:
        fn(ByteBuf, EffectContext) -> BoxFuture<'static, Result<RawReconciled, EffectError>>,
    pub(crate) hurry: fn(ByteBuf, EffectContext) -> BoxFuture<'static, ()>,
    pub(crate) class: EffectClass,
    pub(crate) answer: fn(EffectId, &[u8], RawOutcome, Source) -> Made,
}

/// Brings a rejected command back to life: who rejected it, its body, the rejection.
type ReturnedFn = fn(ActorId, &[u8], &[u8], Source) -> Made;

type RecoverFn = fn(&RecoverContext<'_>) -> Result<Recovered, Unrecoverable>;
type EventJsonFn = fn(&str, u32, &[u8]) -> Result<(u32, serde_json::Value), String>;

/// Which actors get their turns, and come into memory, first where several wait. It weighs, and starves
/// nobody: where all classes are busy, of 21 turns 16 go to `High`, 4 to `Normal` and 1 to `Low`. The order
/// of one actor's commands is never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Before others.
    High,
    /// As most.
    #[default]
    Normal,
    /// When there is room.
    Low,
}

/// A registered kind.
pub(crate) struct KindEntry {
    pub(crate) name: &'static str,
    /// Workers that serve no other space than the one named like this kind.
    pub(crate) workers: Option<NonZeroUsize>,
    pub(crate) priority: Priority,
    pub(crate) names: KindNames,
    pub(crate) commands: HashMap<&'static str, CommandEntry>,
    pub(crate) effects: HashMap<&'static str, EffectEntry>,
    pub(crate) returned: HashMap<&'static str, ReturnedFn>,
    pub(crate) recover: RecoverFn,
    pub(crate) event_json: EventJsonFn,
    /// What its node counts of it.
    pub(crate) counters: KindCounters,
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KindEntry")
            .field("name", &self.name)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// Names what an actor of kind `A` may schedule, run and be asked for by name.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// use std::num::NonZeroUsize;
/// use steadfast::{Node, Priority};
///
/// let node = Node::in_memory()
///     .register::<Account>(|kind| {
///         kind.command::<Deposit>() // by timers, messages, HTTP and the command line
///             .sends::<Deposit>() // to other accounts, which may reject it
///             .effect::<Receipt>()
///             .workers(NonZeroUsize::MIN) // a thread of its own
///             .priority(Priority::High)
///     })
///     .start_blocking()?;
/// # drop(node);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KindBuilder<A> {
    entry: KindEntry,
    duplicate: Option<NodeError>,
    kind: std::marker::PhantomData<fn() -> A>,
}

impl<A> fmt::Debug for KindBuilder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}

impl<A: StatefulActor> KindBuilder<A> {
    pub(crate) fn new() -> Self {
        let entry = KindEntry {
            name: A::KIND,
            workers: None,
            priority: Priority::default(),
            names: KindNames::default(),
            commands: HashMap::new(),
            effects: HashMap::new(),
            returned: HashMap::new(),
            recover: recover::<A>,
            event_json: event_json::<A::Event>,
            counters: KindCounters::default(),
        };
        Self {
            entry,
            duplicate: None,
            kind: std::marker::PhantomData,
        }
    }

    /// Gives the space that is named like this kind, where [`Node::actor`](crate::Node::actor) finds its
    /// actors, this many workers of its own, beside those of [`Config::workers`](crate::Config::workers):
    /// its handlers and those of others do not hold each other up. Actors of this kind in other spaces
    /// share the general workers, because where an actor lives must follow from its name alone.
    #[must_use]
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.entry.workers = Some(workers);
        self
    }

    /// Weighs this kind's actors against others on the same worker. Default [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.entry.priority = priority;
        self
    }

    /// Lets `C` be set by timers and sent by name, over HTTP and the command line.
    #[must_use]
    pub fn command<C: Command>(mut self) -> Self
    where
        A: Handle<C>,
    {
        if !self.entry.names.commands.insert(C::NAME) {
            self.note_duplicate("command", C::NAME);
        }
        let entry = CommandEntry {
            from_bytes: command_from_bytes::<A, C>,
            from_json: command_from_json::<A, C>,
        };
        self.entry.commands.insert(C::NAME, entry);
        self
    }

    /// Lets the actor send `C` with [`Live::send`](crate::Live::send) where the receiver may reject it: a
    /// rejected one comes back as [`Returned<C>`]. Commands that cannot be rejected need no such line.
    #[must_use]
    pub fn sends<C: Command>(mut self) -> Self
    where
        A: Handle<Returned<C>>,
    {
        if !self.entry.names.returned.insert(C::NAME) {
            self.note_duplicate("sent command", C::NAME);
        }
        self.entry
            .returned
            .insert(C::NAME, returned_from_bytes::<A, C>);
        self
    }

    /// Lets the actor run `E`; its outcome comes back as [`Done<E>`].
    #[must_use]
    pub fn effect<E: Effect>(mut self) -> Self
    where
        A: Handle<Done<E>>,
    {
        if !self.entry.names.effects.insert(E::NAME) {
            self.note_duplicate("effect", E::NAME);
        }
        let entry = EffectEntry {
            run: |body, cx| Box::pin(run_effect::<E>(body, cx)),
            reconcile: |body, cx| Box::pin(reconcile_effect::<E>(body, cx)),
            hurry: |body, cx| Box::pin(hurry_effect::<E>(body, cx)),
            class: E::CLASS,
            answer: effect_answer::<A, E>,
        };
        self.entry.effects.insert(E::NAME, entry);
        self
    }

    fn note_duplicate(&mut self, what: &'static str, name: &str) {
        let name = format!("{}.{name}", A::KIND);
        self.duplicate
            .get_or_insert(NodeError::Duplicate { what, name });
    }

    pub(crate) fn finish(self) -> Result<KindEntry, NodeError> {
        match self.duplicate {
            Some(error) => Err(error),
            None => Ok(self.entry),
        }
    }
}

fn command_from_bytes<A: Handle<C>, C: Command>(body: &[u8], source: Source) -> Made {
    let command: C = rmp_serde::from_slice(body).map_err(|error| error.to_string())?;
    Ok(Typed::<A, C>::boxed(command, source, ReplyTo::Nobody))
}

fn returned_from_bytes<A, C>(to: ActorId, body: &[u8], rejection: &[u8], source: Source) -> Made
where
    A: Handle<Returned<C>>,
    C: Command,
{
    let returned = Returned::<C> {
        to,
        command: rmp_serde::from_slice(body).map_err(|error| error.to_string())?,
        rejection: rmp_serde::from_slice(rejection).map_err(|error| error.to_string())?,
    };
    Ok(Typed::<A, Returned<C>>::boxed(
        returned,
        source,
        ReplyTo::Nobody,
    ))
}

fn command_from_json<A: Handle<C>, C: Command>(
    body: serde_json::Value,
    key: Option<String>,
    reply: JsonSender,
) -> Made {
    let command: C = serde_json::from_value(body).map_err(|error| error.to_string())?;
    Ok(Typed::<A, C>::boxed(
        command,
        Source::Caller { key },
        ReplyTo::Edge(reply),
    ))
}

fn decode_effect<E: Effect>(body: &[u8]) -> Result<E, EffectError> {
    rmp_serde::from_slice(body)
        .map_err(|error| EffectError::fatal(format!("its intent does not decode: {error}")))
}

fn encode_output<T: serde::Serialize>(output: &T) -> Result<ByteBuf, EffectError> {
    rmp_serde::to_vec_named(output)
        .map(ByteBuf::from)
        .map_err(|error| EffectError::fatal(format!("its output cannot be encoded: {error}")))
}

async fn run_effect<E: Effect>(body: ByteBuf, cx: EffectContext) -> Result<ByteBuf, EffectError> {
    let effect: E = decode_effect(&body)?;
    let output = match Fakes::of::<E>(&cx) {
        Some(fake) => fake.run(effect, cx).await?,
        None => effect.run(&cx).await?,
    };
    encode_output(&output)
}

async fn reconcile_effect<E: Effect>(
    body: ByteBuf,
    cx: EffectContext,
) -> Result<RawReconciled, EffectError> {
    let effect: E = decode_effect(&body)?;
    let found = match Fakes::of::<E>(&cx) {
        Some(fake) => fake.reconcile(effect, cx).await?,
        None => effect.reconcile(&cx).await?,
    };
    Ok(match found {
        Reconciled::Done(output) => RawReconciled::Done(encode_output(&output)?),
        Reconciled::NotDone => RawReconciled::NotDone,
        Reconciled::Unknown => RawReconciled::Unknown,
    })
}

/// One that does not decode is left to [`run_effect`] to say so; a fake does not hurry.
async fn hurry_effect<E: Effect>(body: ByteBuf, cx: EffectContext) {
    match (decode_effect::<E>(&body), Fakes::of::<E>(&cx)) {
        (Ok(effect), None) => effect.hurry(&cx).await,
        (Ok(_), Some(_)) | (Err(_), _) => std::future::pending().await,
    }
}

fn effect_answer<A, E>(id: EffectId, body: &[u8], outcome: RawOutcome, source: Source) -> Made
where
    A: Handle<Done<E>>,
    E: Effect,
{
    let effect: E = rmp_serde::from_slice(body).map_err(|error| error.to_string())?;
    let outcome = match outcome {
        RawOutcome::Succeeded(output) => {
            Outcome::Succeeded(rmp_serde::from_slice(&output).map_err(|error| error.to_string())?)
        }
        RawOutcome::Failed { error, attempts } => Outcome::Failed { error, attempts },
        RawOutcome::Unknown => Outcome::Unknown,
    };
    Ok(Typed::<A, Done<E>>::boxed(
        Done {
            id,
            effect,
            outcome,
        },
        source,
        ReplyTo::Nobody,
    ))
}

fn event_json<E: Event>(
    name: &str,
    version: u32,
    data: &[u8],
) -> Result<(u32, serde_json::Value), String> {
    let event = E::decode(name, version, data).map_err(|error| error.to_string())?;
    Ok((
        event.version(),
        event.to_json().map_err(|error| error.to_string())?,
    ))
}

/// All kinds of a node.
#[derive(Debug, Default, Clone)]
pub(crate) struct Registry {
    kinds: HashMap<&'static str, Arc<KindEntry>>,
}

impl Registry {
    pub(crate) fn add(&mut self, entry: KindEntry) -> Result<(), NodeError> {
        let name = entry.name;
        if self.kinds.insert(name, Arc::new(entry)).is_some() {
            return Err(NodeError::Duplicate {
                what: "kind",
                name: name.to_owned(),
            });
        }
        Ok(())
    }

    /// The names of all kinds, sorted.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.kinds.keys().copied().collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn get(&self, kind: &str) -> Option<&Arc<KindEntry>> {
        self.kinds.get(kind)
    }

    /// All kinds, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &KindEntry> {
        self.kinds.values().map(Arc::as_ref)
    }

    /// Spaces with workers of their own, and how many.
    pub(crate) fn own_workers(&self) -> impl Iterator<Item = (&'static str, NonZeroUsize)> {
        self.kinds
            .values()
            .filter_map(|kind| Some((kind.name, kind.workers?)))
    }
}
