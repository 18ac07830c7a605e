//! A command on its way, with its type hidden: carried through mailboxes, run once, answered once.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use steadfast_journal::mutant;
use tokio::sync::oneshot;

use super::execute::{Answer, Exec, Ran, Source, execute};
use super::fingerprint::{fingerprint, unsorted_fingerprint};
use super::guard::{Guarded, discard};
use super::{Host, Resident};
use crate::error::{AskError, Refusal};
use crate::model::{Command, Handle};

/// A command in a mailbox. It is run at most once, then answered by exactly one of `finish` and `refuse`.
pub(crate) trait Invoke: Send {
    /// Name of the command, for logs and metrics.
    fn name(&self) -> &'static str;

    /// The command's turn. Must not panic; a panic of the handler is a [`Ran::Broken`].
    fn run(&mut self, resident: &mut dyn Resident, exec: &Exec<'_>) -> Ran;

    /// Lets the answer out.
    fn finish(self: Box<Self>);

    /// Answers with a refusal instead.
    fn refuse(self: Box<Self>, refusal: Refusal);

    /// Where the command came from; `None` for steps of the runtime's own, which no handler sees.
    fn source(&self) -> Option<&Source> {
        None
    }

    /// Whether the answer was a rejection, once it ran.
    fn rejected(&self) -> bool {
        false
    }
}

type Reply<C> = Result<<C as Command>::Reply, AskError<<C as Command>::Rejection>>;
/// An answer at the edge, where types are gone.
pub(crate) type JsonReply = Result<serde_json::Value, AskError<serde_json::Value>>;

/// Who is waiting for the answer.
pub(crate) enum ReplyTo<C: Command> {
    /// Nobody.
    Nobody,
    /// A caller in this process.
    Caller(oneshot::Sender<Reply<C>>),
    /// A caller behind HTTP or the command line.
    Edge(oneshot::Sender<JsonReply>),
}

impl<C: Command> ReplyTo<C> {
    fn send(self, reply: Reply<C>) {
        match self {
            Self::Nobody => discard("an answer nobody waits for", reply),
            Self::Caller(sender) => give(sender, reply),
            Self::Edge(sender) => {
                // The answer's own `Serialize` must not take the worker down with it.
                let json = catch_unwind(AssertUnwindSafe(|| to_json::<C>(reply)));
                give(
                    sender,
                    json.unwrap_or_else(|_| {
                        let reason = "writing the answer as JSON panicked".to_owned();
                        Err(AskError::Failed { reason })
                    }),
                );
            }
        }
    }
}

fn to_json<C: Command>(reply: Reply<C>) -> JsonReply {
    let failed = |error: serde_json::Error| AskError::Failed {
        reason: format!("the answer has no JSON form: {error}"),
    };
    match reply {
        Ok(reply) => serde_json::to_value(reply).map_err(failed),
        Err(AskError::Rejected(rejection)) => {
            Err(serde_json::to_value(rejection).map_or_else(failed, AskError::Rejected))
        }
        Err(error) => Err(without_rejection(error)),
    }
}

fn without_rejection<R, S>(error: AskError<R>) -> AskError<S> {
    match error {
        AskError::Rejected(_) => AskError::Failed {
            reason: "rejected".to_owned(),
        },
        AskError::Overloaded { retry_after } => AskError::Overloaded { retry_after },
        AskError::Expired => AskError::Expired,
        AskError::Stopped => AskError::Stopped,
        AskError::ReadOnly { reason } => AskError::ReadOnly { reason },
        AskError::Quarantined { reason, seq } => AskError::Quarantined { reason, seq },
        AskError::KeyReused => AskError::KeyReused,
        AskError::TooLarge { bytes, limit } => AskError::TooLarge { bytes, limit },
        AskError::Failed { reason } => AskError::Failed { reason },
        AskError::OutcomeUnknown => AskError::OutcomeUnknown,
    }
}

/// Answers somebody who may have stopped waiting, which is their right.
pub(crate) fn give<T>(sender: oneshot::Sender<T>, value: T) {
    if let Err(unwanted) = sender.send(value) {
        discard("an answer nobody waits for", unwanted);
    }
}

/// Command `C` for an actor of kind `A`.
pub(crate) struct Typed<A, C: Command> {
    command: Guarded<C>,
    source: Source,
    reply_to: ReplyTo<C>,
    reply: Guarded<Reply<C>>,
    kind: PhantomData<fn() -> A>,
}

impl<A: Handle<C>, C: Command> Typed<A, C> {
    pub(crate) fn boxed(command: C, source: Source, reply_to: ReplyTo<C>) -> Box<dyn Invoke> {
        Box::new(Self {
            command: Guarded::new("a command", Some(command)),
            source,
            reply_to,
            reply: Guarded::new("a reply", None),
            kind: PhantomData,
        })
    }

    /// Answers a retried key from memory; `None` where the key is new.
    fn recall(
        &mut self,
        host: &Host<A>,
        command: &C,
        fingerprint: u128,
        exec: &Exec<'_>,
    ) -> Option<Ran> {
        let Source::Caller { key: Some(key) } = &self.source else {
            return None;
        };
        if mutant!("key_forgotten") {
            return None;
        }
        let kept = host.core.keys.get(key, exec.running)?;
        // The second look is for what an earlier version wrote, and costs only those that are about to be refused.
        let same = kept.fingerprint == fingerprint
            || unsorted_fingerprint(command).is_ok_and(|digest| kept.fingerprint == digest);
        if !same {
            // Gated like a read: the command that took the key may not be durable yet.
            self.reply.set(Some(Err(AskError::KeyReused)));
            return Some(Ran::Read { stop: false });
        }
        match rmp_serde::from_slice(&kept.reply) {
            Ok(reply) => {
                self.reply.set(Some(Ok(reply)));
                Some(Ran::Read { stop: false })
            }
            Err(error) => Some(Ran::Refused(Refusal::Failed {
                reason: format!("the kept reply of {:?} does not decode: {error}", C::NAME),
            })),
        }
    }
}

impl<A: Handle<C>, C: Command> Invoke for Typed<A, C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn run(&mut self, resident: &mut dyn Resident, exec: &Exec<'_>) -> Ran {
        let Some(host) = resident.as_any_mut().downcast_mut::<Host<A>>() else {
            let reason = format!("actor {} is not of kind {:?}", exec.id, A::KIND);
            return Ran::Refused(Refusal::Failed { reason });
        };
        let Some(command) = self.command.take() else {
            return Ran::Stale;
        };
        let mut keyed = None;
        if matches!(self.source, Source::Caller { key: Some(_) }) {
            match fingerprint(&command) {
                Ok(digest) => keyed = Some(digest),
                Err(error) => {
                    return Ran::Refused(Refusal::Failed {
                        reason: error.to_string(),
                    });
                }
            }
        }
        if let Some(recalled) = keyed.and_then(|digest| self.recall(host, &command, digest, exec)) {
            return recalled;
        }
        let (ran, answer) = execute(host, command, &self.source, keyed, exec);
        let reply = answer.map(|answer: Answer<C>| answer.map_err(AskError::Rejected));
        self.reply.set(reply);
        ran
    }

    fn finish(mut self: Box<Self>) {
        let reply = self.reply.take().unwrap_or_else(|| {
            Err(AskError::Failed {
                reason: "the command was never handled".to_owned(),
            })
        });
        self.reply_to.send(reply);
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        self.reply_to.send(Err(refusal.into()));
    }

    fn source(&self) -> Option<&Source> {
        Some(&self.source)
    }

    fn rejected(&self) -> bool {
        matches!(self.reply.get(), Some(Err(AskError::Rejected(_))))
    }
}
