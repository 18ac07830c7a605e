//! Effects: what an actor wants done outside, journalled as an intent and executed after the commit.
//!
//! The outside world is at-least-once: a crash between doing and recording leaves the question open.
//! [`AfterCrash`] says how an effect answers it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, HistoryId};
use tokio::sync::watch;

use super::{Command, Never, RetryPolicy};
use crate::resources::Resources;

/// One kind of side effect. The value itself is what is journalled; clients and sockets come from
/// [`EffectContext::resource`].
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::{AfterCrash, Effect, EffectContext, EffectError, Reconciled, RetryPolicy};
///
/// #[derive(Serialize, Deserialize)]
/// struct Charge { card: String, cents: u64 }
/// # struct Bank;
/// # impl Bank {
/// #     async fn charge(&self, _: &str, _: u64, _: &str) -> std::io::Result<String> { Ok(String::new()) }
/// #     async fn find(&self, _: &str) -> std::io::Result<Option<String>> { Ok(None) }
/// # }
///
/// impl Effect for Charge {
///     const NAME: &'static str = "charge";
///     const AFTER_CRASH: AfterCrash = AfterCrash::Reconcile; // never charge twice
///     type Output = String;
///
///     fn retry(&self) -> RetryPolicy {
///         RetryPolicy { retries: 5, ..RetryPolicy::default() }
///     }
///
///     async fn run(&self, cx: &EffectContext) -> Result<String, EffectError> {
///         let bank = cx.resource::<Bank>()?;
///         let charged = bank.charge(&self.card, self.cents, &cx.id().to_string()).await;
///         charged.map_err(|error| EffectError::retryable(error.to_string()))
///     }
///
///     async fn reconcile(&self, cx: &EffectContext) -> Result<Reconciled<String>, EffectError> {
///         let found = cx.resource::<Bank>()?.find(&cx.id().to_string()).await;
///         match found.map_err(|error| EffectError::retryable(error.to_string()))? {
///             Some(receipt) => Ok(Reconciled::Done(receipt)),
///             None => Ok(Reconciled::NotDone),
///         }
///     }
/// }
/// ```
pub trait Effect: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name, as it is journalled.
    const NAME: &'static str;

    /// What a crash in the middle means.
    const AFTER_CRASH: AfterCrash = AfterCrash::Retry;

    /// Whose place its attempts take among those that run at the same time.
    const CLASS: EffectClass = EffectClass::Short;

    /// What it brings back. It is not journalled by itself; what its actor puts into events counts for
    /// [`Config::entry_bytes`](crate::Config::entry_bytes), and one that wants too much is set aside.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// How often and how patiently a failed attempt is repeated. Kept with the intent.
    fn retry(&self) -> RetryPolicy {
        RetryPolicy::default()
    }

    /// Does it. Runs on the node's own tokio runtime, never on a worker.
    ///
    /// # Errors
    /// [`EffectError`] says whether another attempt makes sense.
    fn run(
        &self,
        cx: &EffectContext,
    ) -> impl Future<Output = Result<Self::Output, EffectError>> + Send;

    /// Completes when the next attempt is to wait no longer, neither for its time nor for a place among the
    /// others: such as when somebody wants a repetition cancelled, and [`run`](Self::run) would see that.
    /// Polled only while an attempt waits. By default it never completes.
    fn hurry(&self, cx: &EffectContext) -> impl Future<Output = ()> + Send {
        let _ = cx;
        std::future::pending()
    }

    /// For [`AfterCrash::Reconcile`]: asks the world what became of an attempt that was cut off by a crash
    /// or a panic.
    ///
    /// # Errors
    /// An error is retried like one of [`run`](Self::run), as a question. When it is given up, the actor
    /// is told [`Outcome::Unknown`].
    fn reconcile(
        &self,
        cx: &EffectContext,
    ) -> impl Future<Output = Result<Reconciled<Self::Output>, EffectError>> + Send {
        let _ = cx;
        async { Ok(Reconciled::Unknown) }
    }
}

/// What is done with an effect that may have been running when the process died, or that panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterCrash {
    /// Run it again: it is idempotent, or its [`EffectId`] makes it so.
    Retry,
    /// Ask [`Effect::reconcile`] first.
    Reconcile,
    /// Never repeat it: the actor is told [`Outcome::Unknown`] and a human decides.
    Hold,
}

/// How an effect shares the node with others: classes do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[non_exhaustive]
pub enum EffectClass {
    /// Over soon: at most [`Config::effects`](crate::Config::effects) run at the same time.
    #[default]
    Short,
    /// May take minutes or hours: at most [`Config::long_effects`](crate::Config::long_effects).
    Long,
    /// Ends or frees something, and never waits for a place. For few and small effects only.
    Urgent,
}

/// What [`Effect::reconcile`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled<T> {
    /// It was done, with this output.
    Done(T),
    /// It was not done: run it.
    NotDone,
    /// It cannot be found out: the actor is told [`Outcome::Unknown`].
    Unknown,
}

/// Names one effect for ever: the same over retries and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EffectId {
    /// The timeline it belongs to.
    pub history: HistoryId,
    /// The actor that wants it.
    pub actor: ActorId,
    /// The entry that holds the intent.
    pub entry: u64,
    /// Its place among the operations of that entry.
    pub index: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}.{}",
            self.history, self.actor, self.entry, self.index
        )
    }
}

/// What an effect sees while it runs.
#[derive(Debug, Clone)]
pub struct EffectContext {
    pub(crate) id: EffectId,
    pub(crate) attempt: u32,
    pub(crate) resumed: bool,
    pub(crate) resources: Arc<Resources>,
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) drain: Duration,
}

impl EffectContext {
    /// The effect's stable identifier: give it to the other side as an idempotency key.
    #[must_use]
    pub const fn id(&self) -> &EffectId {
        &self.id
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether an earlier attempt may have done some or all of it: after a restart, or after a failed
    /// attempt. False only when this is certainly the first time.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        self.resumed || self.attempt > 1
    }

    /// Completes when the node begins to shut down, and tells how long it waits for its effects from then
    /// on ([`Config::drain_timeout`](crate::Config::drain_timeout)). An effect that may take longer brings
    /// what it does to an end within this time and answers: its outcome is still journalled. Or it returns
    /// [`EffectError::interrupted`]. One that does neither is cut off as by a crash. At the abrupt end of a
    /// node this does not complete.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::{EffectContext, EffectError};
    ///
    /// async fn poll(cx: &EffectContext, work: impl Future<Output = u64>) -> Result<u64, EffectError> {
    ///     tokio::select! {
    ///         found = work => Ok(found),
    ///         _ = cx.stopping() => Err(EffectError::interrupted("the node stops")),
    ///     }
    /// }
    /// ```
    pub async fn stopping(&self) -> Duration {
        let mut draining = self.draining.clone();
        if draining.wait_for(|draining| *draining).await.is_err() {
            // The node is gone without having shut down: so is whoever waits here.
            std::future::pending::<()>().await;
        }
        self.drain
    }

    /// Whether the node has begun to shut down: see [`stopping`](Self::stopping).
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.draining.borrow()
    }

    /// Something the node was given with `NodeBuilder::resource`, such as an HTTP client.
    ///
    /// # Errors
    /// A fatal [`EffectError`] that names the missing type.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, EffectError> {
        self.resources.get::<T>().ok_or_else(|| {
            let missing = std::any::type_name::<T>();
            EffectError::fatal(format!(
                "no resource {missing}: add it with NodeBuilder::resource"
            ))
        })
    }
}

/// Why an attempt failed. Of its text up to 4 KiB are journalled with each retry and told to the actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EffectError {
    message: String,
    kind: ErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    Retryable,
    Fatal,
    Interrupted,
}

impl EffectError {
    /// Another attempt may succeed.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: ErrorKind::Retryable,
        }
    }

    /// No attempt will succeed: the actor is told at once.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: ErrorKind::Fatal,
        }
    }

    /// The node shuts down, and the effect is to go on at its next start: it stays pending, as one that was
    /// cut off by a crash, and its [`AfterCrash`] decides. While the node does not shut down it is a
    /// [`retryable`](Self::retryable) error.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: ErrorKind::Interrupted,
        }
    }

    /// Whether another attempt makes sense.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Retryable | ErrorKind::Interrupted)
    }

    /// Whether it is one of [`interrupted`](Self::interrupted).
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        matches!(self.kind, ErrorKind::Interrupted)
    }
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<T> {
    /// It was done.
    Succeeded(T),
    /// It was given up.
    Failed {
        /// The last error.
        error: String,
        /// How many attempts were made.
        attempts: u32,
    },
    /// It may have been done or not, and must not be repeated: somebody has to look.
    Unknown,
}

/// The command that answers an effect. It is named as the effect.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::{testkit::given, Command, Live, Handle, Never};
/// use steadfast::Outcome;
///
/// // What `handle` of a `Done<Receipt>` finds in `done.outcome`.
/// let text = |outcome: Outcome<()>| match outcome {
///     Outcome::Succeeded(()) => "printed".to_owned(),
///     Outcome::Failed { error, attempts } => format!("given up after {attempts}: {error}"),
///     Outcome::Unknown => "look whether it was printed".to_owned(),
/// };
/// assert_eq!(text(Outcome::Succeeded(())), "printed");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Done<E: Effect> {
    /// Which effect.
    pub id: EffectId,
    /// The effect itself, as it was asked for.
    pub effect: E,
    /// How it ended.
    pub outcome: Outcome<E::Output>,
}

impl<E: Effect> Command for Done<E> {
    const NAME: &'static str = E::NAME;
    type Reply = ();
    type Rejection = Never;
}
