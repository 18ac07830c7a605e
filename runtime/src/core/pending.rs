//! The fold of an actor's entries into its numbers and pending work.
//!
//! Invariant: live execution and replay both go through [`Core::take`]; nothing else changes a `Core`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::{ActorId, ActorNumber, Entry, EntryNumber, EntryRef, KeyRef};

use super::keys::{KeyLimits, KeyWindow, SavedKeys};
use super::{Due, EffectKey, MessageId, Operation, Repeat, TimerId};
use crate::model::{AfterCrash, CatchUp, RetryPolicy, Timestamp};

/// A timer that has not fired for the last time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingTimer {
    pub(crate) name: String,
    pub(crate) id: TimerId,
    pub(crate) due: Due,
    /// Due times that were passed over since it fired.
    pub(crate) missed: u64,
    pub(crate) repeat: Repeat,
    /// The most that one firing is delayed.
    pub(crate) jitter: Duration,
    pub(crate) catch_up: CatchUp,
    pub(crate) command: String,
    pub(crate) body: ByteBuf,
}

/// An effect without outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingEffect {
    pub(crate) key: EffectKey,
    pub(crate) name: String,
    pub(crate) body: ByteBuf,
    pub(crate) retry: RetryPolicy,
    pub(crate) after_crash: AfterCrash,
    /// The attempt that runs next or runs now, from 1.
    pub(crate) attempt: u32,
    /// Whether an attempt was journalled as started and may have done its work.
    pub(crate) started: bool,
    /// Not before.
    pub(crate) due: Timestamp,
    /// `ACTOR@SEQ` of what asked for it.
    pub(crate) cause: Option<String>,
}

/// A message as its sender's entry says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutMessage {
    pub(crate) place: EffectKey,
    pub(crate) to: ActorId,
    pub(crate) kind: String,
    pub(crate) command: String,
    pub(crate) body: ByteBuf,
    pub(crate) rejection: Option<ByteBuf>,
    /// The newest event of the entry.
    pub(crate) cause: Option<u64>,
}

impl PendingEffect {
    fn start(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.started = true;
    }
}

/// A consequence of an entry for the tables and queues of pending work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    TimerSet(PendingTimer),
    TimerGone { id: TimerId, due: Due },
    EffectRequested(PendingEffect),
    EffectSet(PendingEffect),
    EffectGone { key: EffectKey },
    MessageSent(OutMessage),
    MessageTaken { id: MessageId },
}

/// Numbers and pending work of one actor.
#[derive(Debug)]
pub(crate) struct Core {
    /// `None` until the first entry.
    pub(crate) number: Option<ActorNumber>,
    /// Newest event; 0 before the first.
    pub(crate) events: u64,
    /// Newest entry; 0 before the first.
    pub(crate) entry: u64,
    pub(crate) timers: BTreeMap<String, PendingTimer>,
    pub(crate) effects: BTreeMap<EffectKey, PendingEffect>,
    pub(crate) keys: KeyWindow,
}

/// What a `Core` takes of an entry beside its operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline<'a> {
    actor: ActorNumber,
    number: EntryNumber,
    events_after: u64,
    has_events: bool,
    time_us: i64,
    key: Option<KeyRef<'a>>,
}

impl<'a> From<&'a Entry> for Outline<'a> {
    fn from(entry: &'a Entry) -> Self {
        let key = entry
            .command
            .as_ref()
            .and_then(|command| command.key.as_ref());
        Self {
            actor: entry.actor,
            number: entry.number,
            events_after: entry.events_after(),
            has_events: !entry.events.is_empty(),
            time_us: entry.time_us,
            key: key.map(KeyRef::from),
        }
    }
}

impl<'a> From<&EntryRef<'a>> for Outline<'a> {
    fn from(entry: &EntryRef<'a>) -> Self {
        Self {
            actor: entry.actor,
            number: entry.number,
            events_after: entry.events_after(),
            has_events: !entry.events.is_empty(),
            time_us: entry.time_us,
            key: entry.command.and_then(|command| command.key),
        }
    }
}

/// A `Core` in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedCore {
    timers: Vec<PendingTimer>,
    effects: Vec<PendingEffect>,
    keys: SavedKeys,
}

impl Core {
    pub(crate) fn new(limits: KeyLimits) -> Self {
        Self {
            number: None,
            events: 0,
            entry: 0,
            timers: BTreeMap::new(),
            effects: BTreeMap::new(),
            keys: KeyWindow::new(limits),
        }
    }

    /// Takes an entry in, owned or borrowed. `running` is the running clock, from which remembered keys age; `age` is how
    /// old the entry is, zero when it is being written now.
    pub(crate) fn take<'a>(
        &mut self,
        entry: impl Into<Outline<'a>>,
        operations: &[Operation],
        running: Duration,
        age: Duration,
    ) -> Vec<Change> {
        let entry: Outline<'_> = entry.into();
        self.number = Some(entry.actor);
        self.entry = entry.number.get();
        self.events = entry.events_after;
        if let Some(key) = entry.key {
            self.keys.remember(key, running, age);
        }
        let mut changes = Vec::new();
        let cause = entry.has_events.then_some(self.events);
        let time = Timestamp::from_micros(entry.time_us);
        for (index, operation) in (0_u32..).zip(operations) {
            let key = EffectKey {
                entry: self.entry,
                index,
            };
            self.take_operation(operation, key, time, cause, &mut changes);
        }
        changes
    }

    fn take_operation(
        &mut self,
        operation: &Operation,
        place: EffectKey,
        time: Timestamp,
        cause: Option<u64>,
        changes: &mut Vec<Change>,
    ) {
        match operation {
            Operation::SetTimer(timer) => {
                self.cancel(&timer.name, changes);
                let timer = PendingTimer::clone(timer);
                self.timers.insert(timer.name.clone(), timer.clone());
                changes.push(Change::TimerSet(timer));
            }
            Operation::CancelTimer { name } => self.cancel(name, changes),
            Operation::FireTimer { name, id, next } => {
                self.fire(name, *id, next.as_ref(), 0, changes);
            }
            Operation::SkipTimer {
                name,
                id,
                next,
                missed,
            } => self.fire(name, *id, Some(next), *missed, changes),
            Operation::RequestEffect {
                name,
                body,
                retry,
                after_crash,
            } => {
                let effect = PendingEffect {
                    key: place,
                    name: name.clone(),
                    body: body.clone(),
                    retry: *retry,
                    after_crash: *after_crash,
                    attempt: 1,
                    started: false,
                    due: time,
                    cause: cause.map(|seq| seq.to_string()),
                };
                self.effects.insert(place, effect.clone());
                changes.push(Change::EffectRequested(effect));
            }
            Operation::StartEffect { key, attempt } => {
                self.change_effect(*key, changes, |effect| effect.start(*attempt));
            }
            Operation::RetryEffect {
                key,
                attempt,
                due,
                in_doubt,
                ..
            } => {
                self.change_effect(*key, changes, |effect| {
                    (effect.attempt, effect.started) = (*attempt, *in_doubt);
                    effect.due = *due;
                });
            }
            Operation::AnswerEffect { key } => self.answer(*key, changes),
            Operation::SendMessage { .. } | Operation::TakeMessage { .. } => {
                changes.extend(message_change(operation, place, cause));
            }
            // Notes: recovery reads the second one before it gets here.
            Operation::Skip { .. } | Operation::SkipEvent { .. } => {}
        }
    }

    fn cancel(&mut self, name: &str, changes: &mut Vec<Change>) {
        if let Some(old) = self.timers.remove(name) {
            changes.push(Change::TimerGone {
                id: old.id,
                due: old.due,
            });
        }
    }

    fn fire(
        &mut self,
        name: &str,
        id: TimerId,
        next: Option<&Due>,
        missed: u64,
        changes: &mut Vec<Change>,
    ) {
        let Some(timer) = self.timers.get_mut(name).filter(|timer| timer.id == id) else {
            return;
        };
        let due = timer.due.clone();
        changes.push(Change::TimerGone { id, due });
        if let Some(next) = next {
            timer.due = next.clone();
            timer.missed = missed;
            changes.push(Change::TimerSet(timer.clone()));
        } else {
            self.timers.remove(name);
        }
    }

    fn answer(&mut self, key: EffectKey, changes: &mut Vec<Change>) {
        if self.effects.remove(&key).is_some() {
            changes.push(Change::EffectGone { key });
        }
    }

    fn change_effect(
        &mut self,
        key: EffectKey,
        changes: &mut Vec<Change>,
        change: impl FnOnce(&mut PendingEffect),
    ) {
        if let Some(effect) = self.effects.get_mut(&key) {
            change(effect);
            changes.push(Change::EffectSet(effect.clone()));
        }
    }

    pub(crate) fn save(&self, running: Duration) -> SavedCore {
        SavedCore {
            timers: self.timers.values().cloned().collect(),
            effects: self.effects.values().cloned().collect(),
            keys: self.keys.save(running),
        }
    }

    /// Brings back what [`save`](Self::save) kept; `age` is how long ago that was.
    pub(crate) fn restore(&mut self, saved: SavedCore, running: Duration, age: Duration) {
        self.timers = saved
            .timers
            .into_iter()
            .map(|timer| (timer.name.clone(), timer))
            .collect();
        self.effects = saved
            .effects
            .into_iter()
            .map(|effect| (effect.key, effect))
            .collect();
        self.keys.restore(saved.keys, running, age);
    }
}

/// What an operation means for the outbox.
fn message_change(operation: &Operation, place: EffectKey, cause: Option<u64>) -> Option<Change> {
    match operation {
        Operation::SendMessage {
            to,
            kind,
            command,
            body,
            rejection,
        } => Some(Change::MessageSent(OutMessage {
            place,
            to: to.clone(),
            kind: kind.clone(),
            command: command.clone(),
            body: body.clone(),
            rejection: rejection.clone(),
            cause,
        })),
        Operation::TakeMessage { id } => Some(Change::MessageTaken { id: *id }),
        Operation::SetTimer { .. }
        | Operation::CancelTimer { .. }
        | Operation::FireTimer { .. }
        | Operation::RequestEffect { .. }
        | Operation::StartEffect { .. }
        | Operation::RetryEffect { .. }
        | Operation::AnswerEffect { .. }
        | Operation::SkipTimer { .. }
        | Operation::Skip { .. }
        | Operation::SkipEvent { .. } => None,
    }
}
