//! The fold of an actor's entries into its numbers and pending work.
//!
//! Invariant: live execution and replay both go through [`Core::take`]; nothing else changes a `Core`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::{ActorNumber, Entry};

use super::keys::{KeyLimits, KeyWindow, SavedKeys};
use super::{EffectKey, Operation, TimerId};
use crate::model::{AfterCrash, RetryPolicy, Timestamp};

/// A timer that has not fired for the last time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingTimer {
    pub(crate) name: String,
    pub(crate) id: TimerId,
    pub(crate) due: Timestamp,
    /// Longest wait that `due` can mean: what a wall clock that jumped back is held to.
    pub(crate) delay: Duration,
    pub(crate) period: Option<Duration>,
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

/// A consequence of an entry for the tables and queues of pending work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    TimerSet(PendingTimer),
    TimerGone { id: TimerId, due: Timestamp },
    EffectRequested(PendingEffect),
    EffectSet(PendingEffect),
    EffectGone { key: EffectKey },
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

    /// Takes an entry in. `running` is the running clock, from which remembered keys age; `age` is how
    /// old the entry is, zero when it is being written now.
    pub(crate) fn take(
        &mut self,
        entry: &Entry,
        operations: &[Operation],
        running: Duration,
        age: Duration,
    ) -> Vec<Change> {
        self.number = Some(entry.actor);
        self.entry = entry.number.get();
        self.events = entry.events_after();
        if let Some(key) = entry
            .command
            .as_ref()
            .and_then(|command| command.key.as_ref())
        {
            self.keys.remember(key, running, age);
        }
        let mut changes = Vec::new();
        let cause = (!entry.events.is_empty()).then_some(self.events);
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
            Operation::SetTimer {
                name,
                id,
                set_at,
                delay,
                period,
                command,
                body,
            } => {
                self.cancel(name, changes);
                let timer = PendingTimer {
                    name: name.clone(),
                    id: *id,
                    due: set_at.plus(*delay),
                    delay: *delay,
                    period: *period,
                    command: command.clone(),
                    body: body.clone(),
                };
                self.timers.insert(name.clone(), timer.clone());
                changes.push(Change::TimerSet(timer));
            }
            Operation::CancelTimer { name } => self.cancel(name, changes),
            Operation::FireTimer { name, id, next } => self.fire(name, *id, *next, changes),
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
                self.change_effect(*key, changes, |effect| {
                    effect.attempt = *attempt;
                    effect.started = true;
                });
            }
            Operation::RetryEffect {
                key,
                attempt,
                due,
                in_doubt,
                ..
            } => {
                self.change_effect(*key, changes, |effect| {
                    effect.attempt = *attempt;
                    effect.started = *in_doubt;
                    effect.due = *due;
                });
            }
            Operation::AnswerEffect { key } => self.answer(*key, changes),
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
        next: Option<Timestamp>,
        changes: &mut Vec<Change>,
    ) {
        let Some(timer) = self.timers.get_mut(name).filter(|timer| timer.id == id) else {
            return;
        };
        changes.push(Change::TimerGone { id, due: timer.due });
        if let Some(next) = next {
            timer.due = next;
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
