//! Actors that are set aside: which, why, and the ways back.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use steadfast_journal::{ActorId, EntryNumber};
use tokio::sync::oneshot;

use super::Shared;
use crate::error::NodeError;
use crate::model::Timestamp;
use crate::worker::{Control, SkipBegun, SkipEvent, Supervise};

/// An actor that is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quarantined {
    /// Its name.
    pub actor: ActorId,
    /// Its kind.
    pub kind: String,
    /// Why: the last error.
    pub reason: String,
    /// Its newest event that could be read; 0 where that is not known.
    pub seq: u64,
    /// Since when.
    pub since: Timestamp,
    /// What failed last: a command, a timer, the outcome of an effect, a message, an event. `None` where
    /// no single one is to blame.
    pub item: Option<String>,
    /// How often in a row.
    pub failures: u32,
    /// Pieces of the runtime's own work that are held for it. Callers are not held but told.
    pub waiting: usize,
}

/// Looks after the actors that are set aside. Made by [`Node::quarantine`](super::Node::quarantine).
///
/// An actor is set aside when its commands fail again and again
/// ([`Config::quarantine_after`](crate::Config::quarantine_after)), when pending work of it cannot be
/// decoded or is not registered, or when its entries cannot be replayed. Callers are then told
/// [`Quarantined`](crate::AskError::Quarantined); its timers, effects and messages are kept.
///
/// Being set aside is not journalled. After a restart an actor whose entries cannot be replayed is set
/// aside again on first use, with the same reason, and one with pending work that is not registered when
/// that work comes; one whose handlers fail has all its tries again. Skipping is journalled and holds for
/// good.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// use steadfast::{AskError, Node};
///
/// let node = Node::in_memory()
///     .register::<Account>(|kind| kind)
///     .config(|config| config.quarantine_after_commands = 1)
///     .start_blocking()?;
/// node.block_on(async {
///     let alice = node.actor::<Account>("alice");
///     alice.ask(Deposit { cents: 70 }).await?;
///     assert!(matches!(alice.ask(Break).await, Err(AskError::Failed { .. })));
///     assert!(matches!(alice.ask(Balance).await, Err(AskError::Quarantined { .. })));
///
///     let quarantine = node.quarantine();
///     for actor in quarantine.list().await? {
///         println!("{} since {}: {}", actor.actor, actor.since, actor.reason);
///         quarantine.release(&actor.actor).await?;
///     }
///     assert_eq!(alice.ask(Balance).await, Ok(70)); // what it acknowledged is there
///     # Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct QuarantineControl {
    shared: Arc<Shared>,
}

impl fmt::Debug for QuarantineControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantineControl").finish_non_exhaustive()
    }
}

impl QuarantineControl {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// All actors that are set aside, by name. Those that were not used since the start are not known.
    ///
    /// # Errors
    /// [`NodeError::Stopped`].
    pub async fn list(&self) -> Result<Vec<Quarantined>, NodeError> {
        let mut all = Vec::new();
        for index in 0..self.shared.ports.len() {
            let list = |reply| Supervise::List { actor: None, reply };
            all.extend(self.ask_worker(index, list).await?);
        }
        all.sort_by(|one: &Quarantined, other| one.actor.cmp(&other.actor));
        Ok(all)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`NodeError::NotQuarantined`], [`NodeError::Stopped`].
    pub async fn show(&self, actor: &ActorId) -> Result<Quarantined, NodeError> {
        let list = |reply| Supervise::List {
            actor: Some(actor.clone()),
            reply,
        };
        let found = self.ask_worker_of(actor, list).await?.pop();
        found.ok_or_else(|| NodeError::NotQuarantined {
            id: actor.to_string(),
        })
    }

    /// Lets it try once more: it is rebuilt and what is held for it comes again. The next failure sets it
    /// aside at once, unless what failed succeeded before. Answered when the try has begun.
    ///
    /// # Errors
    /// [`NodeError::NotQuarantined`], [`NodeError::Stopped`].
    pub async fn retry(&self, actor: &ActorId) -> Result<(), NodeError> {
        let actor_id = actor.clone();
        self.ask_worker_of(actor, |reply| Supervise::Retry {
            actor: actor_id,
            reply,
        })
        .await?
    }

    /// Lets it go with its failures forgotten: it is rebuilt and what is held for it comes again. Answered
    /// when that has begun; an actor whose entries cannot be replayed is set aside again.
    ///
    /// # Errors
    /// [`NodeError::NotQuarantined`], [`NodeError::Stopped`].
    pub async fn release(&self, actor: &ActorId) -> Result<(), NodeError> {
        let actor_id = actor.clone();
        self.ask_worker_of(actor, |reply| Supervise::Release {
            actor: actor_id,
            reply,
        })
        .await?
    }

    /// Drops for good what keeps the actor in quarantine, and lets it try. Work of the runtime's own (a
    /// timer's command, an effect's outcome, a message) is journalled as consumed without being handled; a
    /// repeating timer goes on with its next due time. An event that cannot be decoded or applied keeps
    /// its place in the journal and its sequence number, and no recovery applies it any more: what it
    /// meant is missing from the state.
    ///
    /// Answered with what was skipped, once that is durable.
    ///
    /// # Errors
    /// [`NodeError::NotQuarantined`]; [`NodeError::NotSkipped`] where there is nothing to skip, or where
    /// it is not certain that it was; a store error; [`NodeError::Stopped`].
    pub async fn skip(&self, actor: &ActorId) -> Result<String, NodeError> {
        let actor_id = actor.clone();
        let begun = self
            .ask_worker_of(actor, |reply| Supervise::Skip {
                actor: actor_id,
                reply,
            })
            .await??;
        let (text, done) = match begun {
            SkipBegun::Work { text, done } => (text, done),
            SkipBegun::Event { seq } => self.skip_event(actor, seq).await?,
        };
        let outcome = done.await.map_err(|_| NodeError::Stopped)?;
        outcome.map_err(|reason| NodeError::NotSkipped {
            id: actor.to_string(),
            reason,
        })?;
        Ok(text)
    }

    async fn skip_event(
        &self,
        actor: &ActorId,
        seq: u64,
    ) -> Result<(String, oneshot::Receiver<Result<(), String>>), NodeError> {
        let missing = || NodeError::NoActor {
            id: actor.to_string(),
        };
        let generation = self.shared.generation();
        let journal = self.shared.journal().ok_or(NodeError::Stopped)?;
        let id = actor.clone();
        let read = self.shared.tasks.blocking(move || {
            let row = journal.actor(&id)?;
            let last = row.as_ref().map(|row| journal.last_entry(row.number));
            Ok::<_, steadfast_journal::Error>((row, last.transpose()?.flatten()))
        });
        let (row, last) = read.await.ok_or(NodeError::Stopped)??;
        let number = row.ok_or_else(missing)?.number;
        let last = last.ok_or_else(missing)?.entry;
        let next = EntryNumber::after(Some(last.number)).ok_or_else(|| NodeError::NotSkipped {
            id: actor.to_string(),
            reason: "its entry numbers are used up".to_owned(),
        })?;
        let actor_id = actor.clone();
        self.ask_worker_of(actor, |reply| {
            Supervise::SkipEvent(Box::new(SkipEvent {
                actor: actor_id,
                seq,
                generation,
                number,
                next,
                events: last.events_after(),
                reply,
            }))
        })
        .await?
    }

    async fn ask_worker_of<T>(
        &self,
        actor: &ActorId,
        request: impl FnOnce(oneshot::Sender<T>) -> Supervise,
    ) -> Result<T, NodeError> {
        self.ask_worker(self.shared.worker_index(actor), request)
            .await
    }

    async fn ask_worker<T>(
        &self,
        index: usize,
        request: impl FnOnce(oneshot::Sender<T>) -> Supervise,
    ) -> Result<T, NodeError> {
        let port = self.shared.ports.get(index).ok_or(NodeError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        port.control
            .send(Control::Supervise(request(reply)))
            .await
            .map_err(|_| NodeError::Stopped)?;
        answer.await.map_err(|_| NodeError::Stopped)
    }
}
