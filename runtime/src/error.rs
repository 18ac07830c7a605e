//! What an asker, or whoever starts a node, can get instead of an answer.

use std::time::Duration;

/// Why a command has no reply. `R` is the command's own rejection.
///
/// Each says what is known about the disk. Where the command was never handled or nothing was written, the
/// journal is as if it had never been asked, now and after any crash, and asking again is safe. Only
/// [`OutcomeUnknown`](Self::OutcomeUnknown) leaves it open.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// # let node = steadfast::Node::in_memory().register::<Account>(|kind| kind.command::<Deposit>()).start_blocking()?;
/// # node.block_on(async {
/// use steadfast::AskError;
///
/// let alice = node.actor::<Account>("alice");
/// let answer = loop {
///     match alice.ask(Deposit { cents: 70 }).key("order-77").await {
///         Ok(balance) => break Ok(balance),
///         Err(AskError::Rejected(TooMuch)) => break Err("at most 1,000 at once".to_owned()),
///         // With the key it takes effect once, however often it is asked.
///         Err(AskError::OutcomeUnknown | AskError::ReadOnly { .. }) => continue,
///         Err(AskError::Overloaded { retry_after }) => tokio::time::sleep(retry_after).await,
///         Err(other) => break Err(other.to_string()),
///     }
/// };
/// assert_eq!(answer, Ok(70));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError<R> {
    /// The actor said no. Nothing was written: what its handler read is durable.
    #[error("rejected")]
    Rejected(R),
    /// The mailbox is full, or the worker's queue before it, or too many messages of the actor wait for
    /// their receivers. Never handled, nothing on disk: ask again later.
    #[error("overloaded: ask again in {retry_after:?}")]
    Overloaded {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The deadline passed before the command's turn. Never handled and never will be: nothing on disk.
    #[error("the deadline passed before the command was handled")]
    Expired,
    /// The node is shutting down. Never handled, nothing on disk: ask again after its start.
    #[error("the node has stopped")]
    Stopped,
    /// The journal cannot be written at the moment. Never handled, nothing on disk: ask again later.
    #[error("read-only: {reason}")]
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// The actor is set aside. Never handled, nothing on disk; all that it wrote before is there.
    /// [`Node::quarantine`](crate::Node::quarantine) has the ways back.
    #[error("the actor is in quarantine, after event {seq}: {reason}")]
    Quarantined {
        /// Why.
        reason: String,
        /// Its newest event that could be read.
        seq: u64,
    },
    /// The key was already used for another command, which is on disk. This one was never handled.
    #[error("the key was already used for another command")]
    KeyReused,
    /// What the command would write is over the limit. It was handled, and nothing was written.
    #[error("the command would write {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// What it came to.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The handler panicked or made a mistake, or the command could not be brought to its actor at all.
    /// Nothing was written; where its handler ran, the actor is rebuilt from the journal.
    #[error("failed: {reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
    /// It was handled, and nobody knows whether that reached the disk: the write failed, the node ended
    /// before it was over, or the deadline passed meanwhile. It is there as a whole or not at all, and what
    /// it is stays so once it was read. A keyed command can be asked again and resolves to exactly one
    /// execution.
    #[error("the outcome is unknown: ask again with the same key, or look at the state")]
    OutcomeUnknown,
}

/// An [`AskError`] without the part that depends on the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Overloaded { retry_after: Duration },
    Expired,
    Stopped,
    ReadOnly { reason: String },
    Quarantined { reason: String, seq: u64 },
    TooLarge { bytes: usize, limit: usize },
    Failed { reason: String },
    OutcomeUnknown,
}

impl<R> From<Refusal> for AskError<R> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Overloaded { retry_after } => Self::Overloaded { retry_after },
            Refusal::Expired => Self::Expired,
            Refusal::Stopped => Self::Stopped,
            Refusal::ReadOnly { reason } => Self::ReadOnly { reason },
            Refusal::Quarantined { reason, seq } => Self::Quarantined { reason, seq },
            Refusal::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            Refusal::Failed { reason } => Self::Failed { reason },
            Refusal::OutcomeUnknown => Self::OutcomeUnknown,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        AskError::<std::convert::Infallible>::from(self.clone()).fmt(f)
    }
}

impl Refusal {
    /// A short stable word for metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "overloaded",
            Self::Expired => "expired",
            Self::Stopped => "stopped",
            Self::ReadOnly { .. } => "read_only",
            Self::Quarantined { .. } => "quarantined",
            Self::TooLarge { .. } => "too_large",
            Self::Failed { .. } => "failed",
            Self::OutcomeUnknown => "unknown",
        }
    }
}

/// Why a node could not start, stop or be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] steadfast_journal::Error),
    /// The snapshots could not be opened, not even as an empty store.
    #[error(transparent)]
    Snapshots(#[from] steadfast_snapshots::Error),
    /// A kind, command or effect was registered twice.
    #[error("{what} {name:?} is registered twice: remove one")]
    Duplicate {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A setting makes no sense.
    #[error("setting {field}: {reason}")]
    Config {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread could not be started.
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
    /// A thread ended before it answered.
    #[error("the node stopped unexpectedly")]
    Stopped,
    /// There is no such actor.
    #[error("there is no actor {id}")]
    NoActor {
        /// Its name.
        id: String,
    },
    /// The actor has no such event yet.
    #[error("actor {id} has no event {seq}: its newest is {newest}")]
    NoEvent {
        /// The actor.
        id: String,
        /// What was asked for.
        seq: u64,
        /// The newest event.
        newest: u64,
    },
    /// The actor's kind is not registered in this program.
    #[error("actor {id} is of kind {kind:?}, which this program does not register")]
    UnknownKind {
        /// The actor.
        id: String,
        /// Its kind.
        kind: String,
    },
    /// The actor is not set aside.
    #[error("actor {id} is not in quarantine: `list` shows those that are")]
    NotQuarantined {
        /// The actor.
        id: String,
    },
    /// What keeps the actor in quarantine was not skipped.
    #[error("nothing of actor {id} was skipped: {reason}")]
    NotSkipped {
        /// The actor.
        id: String,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// The actor's entries cannot be replayed.
    #[error("actor {id} cannot be recovered after event {seq}: {reason}")]
    Unrecoverable {
        /// The actor.
        id: String,
        /// Newest event that could be applied.
        seq: u64,
        /// What stopped it.
        reason: String,
    },
}

impl NodeError {
    /// Whether the disk has no room for what the start of a node writes: the same start may succeed later.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        use steadfast_journal::Error as Journal;

        fn is_full(error: &Journal) -> bool {
            if let Journal::Failed(cause) = error {
                return is_full(cause);
            }
            matches!(error, Journal::NoSpace { .. })
        }
        if let Self::Journal(error) = self {
            return is_full(error);
        }
        matches!(
            self,
            Self::Snapshots(steadfast_snapshots::Error::NoSpace { .. })
        )
    }
}

/// An error with its causes on one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
