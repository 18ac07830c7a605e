//! Commands by name, with JSON in and out: for HTTP and command lines, where types are gone.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use steadfast_journal::ActorId;
use tokio::sync::oneshot;

use super::Node;
use super::answering::answer_within;
use crate::error::AskError;
use crate::host::{CommandEntry, KindEntry};
use crate::worker::{Envelope, Target};

/// Why a command by name can never be handled as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCommand {
    /// No such kind.
    #[error("no kind {kind:?} is registered: this program has {}", known.join(", "))]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// The kinds that are registered, by name.
        known: Vec<&'static str>,
    },
    /// The kind has no such command.
    #[error("kind {kind:?} has no command {command:?}: it has {}", known.join(", "))]
    UnknownCommand {
        /// The kind.
        kind: String,
        /// What was asked for.
        command: String,
        /// The commands of that kind, by name.
        known: Vec<&'static str>,
    },
    /// The JSON is not such a command.
    #[error("this is no {command:?}: {reason}")]
    Body {
        /// The command.
        command: String,
        /// What does not fit.
        reason: String,
    },
}

/// A command by name about to be asked. Await it.
#[must_use = "nothing is sent until it is awaited"]
pub struct JsonAsk<'a> {
    node: &'a Node,
    actor: &'a ActorId,
    kind: &'a str,
    command: &'a str,
    body: Value,
    key: Option<String>,
    deadline: Option<Duration>,
}

impl fmt::Debug for JsonAsk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonAsk")
            .field("actor", &self.actor)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

type Answer = Result<Value, AskError<Value>>;

impl Node {
    /// Sends a command by name, with JSON in and out: for HTTP and command lines. Refuses instead of
    /// waiting when the mailbox is full. Like [`ask`](super::ActorRef::ask), it is answered when everything
    /// that the answer rests on is durable.
    ///
    /// The answer is an [`AskError`] otherwise; a rejection comes as its JSON. A name or body that cannot be
    /// is [`AskError::Failed`]; [`check_json`](Self::check_json) tells these apart.
    pub fn ask_json<'a>(
        &'a self,
        actor: &'a ActorId,
        kind: &'a str,
        command: &'a str,
        body: Value,
        key: Option<String>,
    ) -> JsonAsk<'a> {
        JsonAsk {
            node: self,
            actor,
            kind,
            command,
            body,
            key,
            deadline: None,
        }
    }

    /// Whether `body` is a command `command` of kind `kind`. Sends nothing.
    ///
    /// # Errors
    /// [`InvalidCommand`] names what there is instead.
    pub fn check_json(
        &self,
        kind: &str,
        command: &str,
        body: &Value,
    ) -> Result<(), InvalidCommand> {
        let (_, found) = self.find(kind, command)?;
        let (reply, _) = oneshot::channel();
        let made = (found.from_json)(body.clone(), None, reply);
        made.map(drop).map_err(|reason| InvalidCommand::Body {
            command: command.to_owned(),
            reason,
        })
    }

    fn find(
        &self,
        kind: &str,
        command: &str,
    ) -> Result<(&Arc<KindEntry>, CommandEntry), InvalidCommand> {
        let registry = &self.shared().registry;
        let entry = registry
            .get(kind)
            .ok_or_else(|| InvalidCommand::UnknownKind {
                kind: kind.to_owned(),
                known: registry.names(),
            })?;
        let Some(found) = entry.commands.get(command) else {
            let mut known: Vec<_> = entry.commands.keys().copied().collect();
            known.sort_unstable();
            return Err(InvalidCommand::UnknownCommand {
                kind: kind.to_owned(),
                command: command.to_owned(),
                known,
            });
        };
        Ok((entry, *found))
    }
}

impl JsonAsk<'_> {
    /// Gives up after `deadline`: [`AskError::Expired`] if the command was not handled and never will be,
    /// [`AskError::OutcomeUnknown`] if it was being handled.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    async fn send(self) -> Answer {
        let shared = self.node.shared();
        let failed = |reason: String| AskError::Failed { reason };
        let (kind, found) = self
            .node
            .find(self.kind, self.command)
            .map_err(|error| failed(error.to_string()))?;
        let (reply, answer) = oneshot::channel();
        let invoke = (found.from_json)(self.body, self.key, reply).map_err(failed)?;
        let envelope = Envelope {
            to: Arc::new(Target::new(self.actor.clone(), Arc::clone(kind))),
            invoke,
            traceparent: None,
            deadline: None,
            patient: false,
            dirty: false,
            internal: None,
        };
        answer_within(shared, envelope, self.deadline, answer).await
    }
}

impl<'a> IntoFuture for JsonAsk<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
