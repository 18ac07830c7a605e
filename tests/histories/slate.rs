//! The actor of the histories, and what it is by its specification.
//!
//! A slate is a list that is added to and whose newest value is exchanged for another if it is what the caller thinks.
//! Every value is written once, so that no state comes again: what somebody read says exactly when.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, ActorRef, Ask, AskError, Command, Event, Handle, KindBuilder, Live, Never,
    StatefulActor,
};

use super::linear::Specification;

#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "slate.")]
pub(super) enum SlateEvent {
    Added { value: u64 },
    Exchanged { to: u64 },
}

/// The actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slate {
    pub(super) values: Vec<u64>,
}

impl StatefulActor for Slate {
    const KIND: &'static str = "slate";
    type Event = SlateEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &SlateEvent) {
        match event {
            SlateEvent::Added { value } => self.values.push(*value),
            SlateEvent::Exchanged { to } => {
                self.values.pop();
                self.values.push(*to);
            }
        }
    }
}

/// Adds values, one event each; answered with how many there are then.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "add", reply = u64)]
struct Add {
    values: Vec<u64>,
    /// Whether the actor leaves memory behind it.
    leave: bool,
}

impl Handle<Add> for Slate {
    fn handle(slate: &mut Live<'_, Self>, Add { values, leave }: Add) -> Result<u64, Never> {
        for value in values {
            slate.emit(SlateEvent::Added { value });
        }
        if leave {
            slate.stop();
        }
        Ok(slate.values.len() as u64)
    }
}

/// Puts `to` in the place of the newest value, if that is `from`.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "exchange", reply = (), rejection = Newest)]
struct Exchange {
    from: u64,
    to: u64,
}

/// Another value is the newest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Newest(u64);

impl Handle<Exchange> for Slate {
    fn handle(slate: &mut Live<'_, Self>, Exchange { from, to }: Exchange) -> Result<(), Newest> {
        let newest = slate.values.last().copied().unwrap_or(0);
        if newest != from {
            return Err(Newest(newest));
        }
        slate.emit(SlateEvent::Exchanged { to });
        Ok(())
    }
}

/// Asks for all values.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "read", reply = Vec<u64>)]
struct Read;

impl Handle<Read> for Slate {
    fn handle(slate: &mut Live<'_, Self>, _: Read) -> Result<Vec<u64>, Never> {
        Ok(slate.values.clone())
    }
}

/// What a slate understands.
pub(super) fn kind(kind: KindBuilder<Slate>) -> KindBuilder<Slate> {
    kind.command::<Add>()
        .command::<Exchange>()
        .command::<Read>()
}

/// A question to a slate, with its key.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) key: Option<u64>,
    pub(super) what: What,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Add { values: Vec<u64>, leave: bool },
    Exchange { from: u64, to: u64 },
    Read,
}

/// What a slate says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Count(u64),
    Exchanged,
    /// Not exchanged: this is the newest.
    Newest(u64),
    Values(Vec<u64>),
}

/// What a caller hears.
#[derive(Debug)]
pub(super) enum Heard {
    Answer(Answer),
    /// It may have taken effect.
    Unknown,
    /// It certainly did not, and never will.
    Refused,
    /// The same, and the node is gone.
    Gone,
    /// What must never be said.
    Wrong(String),
}

impl Question {
    pub(super) const READ: Self = Self {
        key: None,
        what: What::Read,
    };

    /// Asks it.
    pub(super) async fn put_to(
        &self,
        slate: &ActorRef<Slate>,
        deadline: Option<Duration>,
    ) -> Heard {
        match self.what.clone() {
            What::Add { values, leave } => {
                let answer = self.put(slate.ask(Add { values, leave }), deadline).await;
                heard(answer.map(Answer::Count), |never| match never {})
            }
            What::Exchange { from, to } => {
                let answer = self.put(slate.ask(Exchange { from, to }), deadline).await;
                heard(answer.map(|()| Answer::Exchanged), |Newest(newest)| {
                    Answer::Newest(newest)
                })
            }
            What::Read => {
                let answer = self.put(slate.ask(Read), deadline).await;
                heard(answer.map(Answer::Values), |never| match never {})
            }
        }
    }

    fn put<'a, C: Command>(
        &self,
        mut ask: Ask<'a, Slate, C>,
        deadline: Option<Duration>,
    ) -> Ask<'a, Slate, C>
    where
        Slate: Handle<C>,
    {
        if let Some(key) = self.key {
            ask = ask.key(format!("key-{key}"));
        }
        match deadline {
            Some(deadline) => ask.deadline(deadline),
            None => ask,
        }
    }
}

fn heard<R: std::fmt::Debug>(
    answer: Result<Answer, AskError<R>>,
    rejection: impl FnOnce(R) -> Answer,
) -> Heard {
    match answer {
        Ok(answer) => Heard::Answer(answer),
        Err(AskError::Rejected(rejected)) => Heard::Answer(rejection(rejected)),
        Err(AskError::OutcomeUnknown) => Heard::Unknown,
        Err(AskError::ReadOnly { .. } | AskError::Overloaded { .. } | AskError::Expired) => {
            Heard::Refused
        }
        Err(AskError::Stopped) => Heard::Gone,
        Err(
            error @ (AskError::Quarantined { .. }
            | AskError::KeyReused
            | AskError::TooLarge { .. }
            | AskError::Failed { .. }),
        ) => Heard::Wrong(format!("{error:?}")),
    }
}

/// A slate by its specification: the list, and what each key that took effect was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Plain {
    values: Vec<u64>,
    keys: BTreeMap<u64, Answer>,
}

impl Specification for Plain {
    type Question = Question;
    type Answer = Answer;

    fn ask(&mut self, question: &Question) -> Answer {
        let known = question.key.and_then(|key| self.keys.get(&key));
        if let Some(answer) = known {
            return answer.clone();
        }
        let (answer, changed) = self.handle(&question.what);
        if let (Some(key), true) = (question.key, changed) {
            self.keys.insert(key, answer.clone());
        }
        answer
    }
}

impl Plain {
    fn handle(&mut self, what: &What) -> (Answer, bool) {
        match what {
            What::Add { values, .. } => {
                self.values.extend(values);
                (Answer::Count(self.values.len() as u64), true)
            }
            What::Exchange { from, to } => {
                let newest = self.values.last().copied().unwrap_or(0);
                if newest != *from {
                    return (Answer::Newest(newest), false);
                }
                self.values.pop();
                self.values.push(*to);
                (Answer::Exchanged, true)
            }
            What::Read => (Answer::Values(self.values.clone()), false),
        }
    }
}
