//! One command's turn: check, handle, stage, and turn what was staged into an entry.
//!
//! Invariant: when a turn ends with anything but [`Ran::Wrote`], nothing of it is in the journal; when
//! it ends with [`Ran::Broken`], the state in memory must not be used again.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_bytes::ByteBuf;
use steadfast_journal::{
    ActorId, Birth, CommandStamp, Entry, EntryNumber, HistoryId, Journal, KeyStamp, mutant,
};

use super::{Host, KindEntry, Registry};
use crate::core::{
    Change, Clocks, Core, EffectKey, Firing, Message, Micros, Operation, PendingTimer, Staged,
    TimerId, duration, random,
};
use crate::error::Refusal;
use crate::model::{BootId, Command, CronError, Fired, Handle, Live, Timestamp, Turn};

/// What a turn is given beside the actor and the command.
pub(crate) struct Exec<'a> {
    pub(crate) id: &'a ActorId,
    pub(crate) kind: &'a KindEntry,
    /// `None` in the test kit.
    pub(crate) registry: Option<&'a Registry>,
    pub(crate) journal: &'a dyn Journal,
    pub(crate) history: HistoryId,
    pub(crate) now: Timestamp,
    pub(crate) running: Duration,
    pub(crate) boot: BootId,
    pub(crate) seed: u64,
    pub(crate) command_id: u128,
    pub(crate) traceparent: Option<String>,
}

impl Exec<'_> {
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            now: self.now,
            running: self.running,
            boot: self.boot,
        }
    }
}

/// Where a command came from, and so what its entry consumes.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A caller, perhaps with a key.
    Caller { key: Option<String> },
    /// A timer that was due.
    Timer {
        name: String,
        id: TimerId,
        /// Which of its firings.
        firing: u64,
        /// When it was due, on the running clock.
        deadline: Micros,
    },
    /// An effect that has an outcome.
    Effect { key: EffectKey },
    /// Another actor.
    Message(Arc<Message>),
}

impl Source {
    fn sender(&self) -> Option<&ActorId> {
        match self {
            Self::Message(message) => Some(&message.from),
            Self::Caller { .. } | Self::Timer { .. } | Self::Effect { .. } => None,
        }
    }

    /// Work of the runtime's own in words that are unique within its actor; `None` for a caller's command.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::Caller { .. } => None,
            Self::Timer { name, .. } => Some(format!("timer {name:?}")),
            Self::Effect { key } => Some(format!("outcome of effect {}.{}", key.entry, key.index)),
            Self::Message(message) => Some(format!(
                "message {:?} from {} ({}.{})",
                message.command, message.from, message.id.entry, message.id.index
            )),
        }
    }
}

/// How a turn ended.
pub(crate) enum Ran {
    /// Nothing was written. The answer waits for what this actor wrote before.
    Read { stop: bool },
    /// An entry is to be committed; the answer waits for it.
    Wrote(Box<Written>),
    /// What it wanted to consume is no longer pending. There is nobody to answer.
    Stale,
    /// Refused without touching the state.
    Refused(Refusal),
    /// A panic or a mistake of the handler: the actor must be rebuilt.
    Broken { reason: String },
}

/// An entry on its way to the journal.
pub(crate) struct Written {
    pub(crate) entry: Entry,
    pub(crate) changes: Vec<Change>,
    pub(crate) stop: bool,
}

/// How a handler answered.
pub(crate) type Answer<C> = Result<<C as Command>::Reply, <C as Command>::Rejection>;

/// What precedes the handler: is the source still valid, what does it consume?
pub(crate) enum Admission {
    Go {
        consumed: Option<Operation>,
        fired: Option<Fired>,
    },
    /// The handler does not run; that alone is written.
    Skip(Operation),
    Stale,
}

/// Runs `command` on `host`. On `Ran::Read` and `Ran::Wrote` the second value is the answer; there is none
/// where a timer was passed over.
pub(crate) fn execute<A, C>(
    host: &mut Host<A>,
    command: C,
    source: &Source,
    fingerprint: Option<u128>,
    exec: &Exec<'_>,
) -> (Ran, Option<Answer<C>>)
where
    A: Handle<C>,
    C: Command,
{
    let (consumed, fired) = match admit(&host.core, source, exec) {
        Ok(Admission::Go { consumed, fired }) => (consumed, fired),
        Ok(Admission::Skip(operation)) => return (skip(&mut host.core, operation, exec), None),
        Ok(Admission::Stale) => return (Ran::Stale, None),
        Err(error) => {
            let reason = error.to_string();
            return (Ran::Broken { reason }, None);
        }
    };
    let mut staged = Staged::default();
    staged.operations.extend(consumed);
    let base = staged.operations.len();
    let answer = match handle_guarded(host, command, source, fired, &mut staged, exec) {
        Ok(answer) => answer,
        Err(reason) => return (Ran::Broken { reason }, None),
    };
    if let Some(bug) = staged.take_bug() {
        return (Ran::Broken { reason: bug }, None);
    }
    if answer.is_err() && (!staged.events.is_empty() || staged.operations.len() > base) {
        let reason = format!(
            "{:?} was rejected after it had emitted: a bug in its handler",
            C::NAME
        );
        return (Ran::Broken { reason }, None);
    }
    if let (Err(rejection), Source::Message(message)) = (&answer, source) {
        match give_back(message, rejection) {
            Ok(operation) => staged.operations.push(operation),
            Err(error) => {
                let reason = format!("the rejection of {:?}: {error}", C::NAME);
                return (Ran::Broken { reason }, None);
            }
        }
    }
    if staged.is_empty() {
        return (Ran::Read { stop: staged.stop }, Some(answer));
    }
    let cause = cause_of(&host.core, source, exec.id);
    let written = stamp::<C>(&answer, source, fingerprint, exec)
        .and_then(|command| write(&mut host.core, staged, Some(command), cause, exec));
    match written {
        Ok(written) => (Ran::Wrote(Box::new(written)), Some(answer)),
        Err(error) => (
            Ran::Broken {
                reason: error.to_string(),
            },
            None,
        ),
    }
}

/// Passes over due times of a timer.
fn skip(core: &mut Core, operation: Operation, exec: &Exec<'_>) -> Ran {
    match write(core, Staged::only(operation), None, None, exec) {
        Ok(written) => Ran::Wrote(Box::new(written)),
        Err(error) => Ran::Broken {
            reason: error.to_string(),
        },
    }
}

/// Sends a rejected command back to where it came from.
fn give_back<R: serde::Serialize>(
    message: &Message,
    rejection: &R,
) -> Result<Operation, rmp_serde::encode::Error> {
    Ok(Operation::SendMessage {
        to: message.from.clone(),
        kind: message.from_kind.clone(),
        command: message.command.clone(),
        body: message.body.clone(),
        rejection: Some(rmp_serde::to_vec_named(rejection)?.into()),
    })
}

pub(crate) fn admit(core: &Core, source: &Source, exec: &Exec<'_>) -> Result<Admission, CronError> {
    match source {
        Source::Caller { .. } => Ok(Admission::Go {
            consumed: None,
            fired: None,
        }),
        Source::Effect { key } if core.effects.contains_key(key) || mutant!("outcome_twice") => {
            Ok(Admission::Go {
                consumed: Some(Operation::AnswerEffect { key: *key }),
                fired: None,
            })
        }
        Source::Effect { .. } => Ok(Admission::Stale),
        // The inbox hands each message over once, until it was taken: nothing to compare it with.
        Source::Message(message) => Ok(Admission::Go {
            consumed: Some(Operation::TakeMessage { id: message.id }),
            fired: None,
        }),
        Source::Timer {
            name,
            id,
            firing,
            deadline,
        } => match core.timers.get(name) {
            Some(timer) if timer.id == *id && timer.due.firing == *firing => {
                admit_timer(timer, *deadline, exec)
            }
            _ => Ok(Admission::Stale),
        },
    }
}

fn admit_timer(
    timer: &PendingTimer,
    deadline: Micros,
    exec: &Exec<'_>,
) -> Result<Admission, CronError> {
    let clocks = exec.clocks();
    let (name, id) = (timer.name.clone(), timer.id);
    Ok(
        match timer.consume(deadline, clocks, random(exec.seed, u64::MAX))? {
            Firing::Early => Admission::Stale,
            Firing::Skip { next, missed } => Admission::Skip(Operation::SkipTimer {
                name,
                id,
                next,
                missed,
            }),
            Firing::Run { due, missed, next } => {
                let fired = Fired {
                    timer: name.clone(),
                    due,
                    missed,
                    late: duration(clocks.running_us().saturating_sub(deadline)),
                    next: next.as_ref().map(|next| next.wall),
                };
                Admission::Go {
                    consumed: Some(Operation::FireTimer { name, id, next }),
                    fired: Some(fired),
                }
            }
        },
    )
}

fn handle_guarded<A, C>(
    host: &mut Host<A>,
    command: C,
    source: &Source,
    fired: Option<Fired>,
    staged: &mut Staged,
    exec: &Exec<'_>,
) -> Result<Answer<C>, String>
where
    A: Handle<C>,
    C: Command,
{
    let turn = Turn {
        id: exec.id,
        history: exec.history,
        clocks: exec.clocks(),
        seed: exec.seed,
        fired,
        entry: host.core.entry.saturating_add(1),
        events_before: host.core.events,
        names: &exec.kind.names,
        registry: exec.registry,
        sender: source.sender(),
    };
    let state = &mut host.state;
    catch_unwind(AssertUnwindSafe(|| {
        A::handle(&mut Live::new(state, staged, &turn), command)
    }))
    .map_err(|panic| format!("{:?} panicked: {}", C::NAME, panic_text(panic.as_ref())))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

/// The name, key and reply of a command as its entry keeps them.
fn stamp<C: Command>(
    answer: &Answer<C>,
    source: &Source,
    fingerprint: Option<u128>,
    exec: &Exec<'_>,
) -> Result<CommandStamp, BuildError> {
    let key = match (source, fingerprint, answer) {
        (Source::Caller { key: Some(key) }, Some(fingerprint), Ok(reply)) => Some(KeyStamp {
            key: key.clone(),
            fingerprint,
            reply: rmp_serde::to_vec_named(reply)?.into(),
        }),
        _ => None,
    };
    Ok(CommandStamp {
        name: Cow::Borrowed(C::NAME),
        id: exec.command_id,
        key,
    })
}

/// The event that asked for what is answered now.
fn cause_of(core: &Core, source: &Source, id: &ActorId) -> Option<String> {
    match source {
        Source::Effect { key } => {
            let seq = core.effects.get(key)?.cause.as_ref()?;
            Some(format!("{id}@{seq}"))
        }
        Source::Message(message) => message.cause.clone(),
        Source::Caller { .. } | Source::Timer { .. } => None,
    }
}

/// Turns what was staged into the actor's next entry and takes it in.
pub(crate) fn write(
    core: &mut Core,
    staged: Staged,
    command: Option<CommandStamp>,
    cause: Option<String>,
    exec: &Exec<'_>,
) -> Result<Written, BuildError> {
    let (actor, birth) = match core.number {
        Some(number) => (number, None),
        None => (exec.journal.next_actor_number()?, Some(birth(exec))),
    };
    let operations = if staged.operations.is_empty() {
        ByteBuf::new()
    } else {
        ByteBuf::from(rmp_serde::to_vec(&staged.operations)?)
    };
    let number = EntryNumber::after(EntryNumber::new(core.entry));
    let entry = Entry {
        actor,
        number: number.ok_or(BuildError::Exhausted)?,
        events_before: core.events,
        birth,
        time_us: exec.now.as_micros(),
        seed: if staged.draws == 0 { 0 } else { exec.seed },
        command,
        events: staged.events,
        operations,
        cause,
        traceparent: exec.traceparent.clone(),
    };
    let changes = core.take(&entry, &staged.operations, exec.running, Duration::ZERO);
    Ok(Written {
        entry,
        changes,
        stop: staged.stop,
    })
}

fn birth(exec: &Exec<'_>) -> Birth {
    Birth {
        id: exec.id.as_str().to_owned(),
        kind: exec.kind.name.to_owned(),
    }
}

/// Why no entry could be made of what was staged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Journal(#[from] steadfast_journal::Error),
    #[error("could not be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("the entry numbers of this actor are used up")]
    Exhausted,
}
