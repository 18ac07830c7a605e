//! The way out of quarantine: what is asked of a worker about actors that are set aside.
//!
//! Invariant: an actor that leaves quarantine is rebuilt only when none of its commits is in flight, and
//! then all that the runtime owes it comes again.

use std::sync::Arc;
use std::time::Duration;

use serde_bytes::ByteBuf;
use steadfast_journal::{ActorId, ActorNumber, Append, Entry, EntryNumber};
use tokio::sync::oneshot;

use super::input::{Envelope, Internal};
use super::run::Worker;
use super::slot::{Quarantine, Slot, State};
use super::supervise::forget_trouble_that_is_over;
use super::trouble::Failing;
use crate::core::Operation;
use crate::error::NodeError;
use crate::host::{Skip, Source, give};
use crate::node::{EffectJob, Quarantined};

type Reply<T> = oneshot::Sender<Result<T, NodeError>>;

/// What is asked of a worker about actors that are set aside.
pub(crate) enum Supervise {
    /// All of them, or this one.
    List {
        actor: Option<ActorId>,
        reply: oneshot::Sender<Vec<Quarantined>>,
    },
    /// Let it try once more.
    Retry { actor: ActorId, reply: Reply<()> },
    /// Let it go, with its failures forgotten.
    Release { actor: ActorId, reply: Reply<()> },
    /// Journal that what failed is not to be handled any more.
    Skip {
        actor: ActorId,
        reply: Reply<SkipBegun>,
    },
    /// Journal that an event is not to be applied any more.
    SkipEvent(Box<SkipEvent>),
}

/// How far skipping is.
pub(crate) enum SkipBegun {
    /// The actor is rebuilt and journals it; the receiver is told when that is durable.
    Work {
        text: String,
        done: oneshot::Receiver<Result<(), String>>,
    },
    /// It takes [`SkipEvent`], with what the journal says about the actor's end.
    Event { seq: u64 },
}

/// The entry that skips an event, as far as it is known outside the worker.
pub(crate) struct SkipEvent {
    pub(crate) actor: ActorId,
    pub(crate) seq: u64,
    /// The journal that was read for the rest.
    pub(crate) generation: u64,
    pub(crate) number: ActorNumber,
    pub(crate) next: EntryNumber,
    pub(crate) events: u64,
    pub(crate) reply: Reply<(String, oneshot::Receiver<Result<(), String>>)>,
}

impl Worker {
    pub(super) fn supervise(&mut self, request: Supervise) {
        match request {
            Supervise::List { actor, reply } => {
                let all = self.slots.iter().map(|(_, slot)| slot);
                let wanted = all.filter(|slot| actor.as_ref().is_none_or(|id| slot.id == *id));
                give(reply, wanted.filter_map(describe).collect());
            }
            Supervise::Retry { actor, reply } => give(reply, self.let_go(&actor, true)),
            Supervise::Release { actor, reply } => give(reply, self.let_go(&actor, false)),
            Supervise::Skip { actor, reply } => give(reply, self.skip(&actor)),
            Supervise::SkipEvent(skip) => self.skip_event(*skip),
        }
    }

    fn set_aside_slot(&self, actor: &ActorId) -> Result<(usize, &Quarantine), NodeError> {
        let key = self.slots.find(actor);
        let slot = key.and_then(|key| Some((key, self.slots.get(key)?)));
        match slot.map(|(key, slot)| (key, &slot.state)) {
            Some((key, State::Quarantined(quarantine))) => Ok((key, quarantine)),
            Some(_) | None => Err(NodeError::NotQuarantined {
                id: actor.to_string(),
            }),
        }
    }

    /// Rebuilds an actor that is set aside and brings it its work again.
    fn let_go(&mut self, actor: &ActorId, trial: bool) -> Result<(), NodeError> {
        let (key, _) = self.set_aside_slot(actor)?;
        let what = if trial { "retried" } else { "released" };
        tracing::warn!(%actor, "actor in quarantine is {what}");
        self.leave_quarantine(key, trial);
        self.rebuild_if_settled(key);
        Ok(())
    }

    /// From now on the slot is on its way back; it is recovered when its last commit is durable.
    fn leave_quarantine(&mut self, key: usize, trial: bool) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        self.shared.metrics.quarantined(slot.kind.name, -1);
        slot.set_state(State::Broken);
        let trouble = slot.trouble.get_or_insert_default();
        if !trial {
            trouble.forgive();
        }
        trouble.trial = trial;
        trouble.wanted = true;
    }

    fn skip(&mut self, actor: &ActorId) -> Result<SkipBegun, NodeError> {
        let (key, quarantine) = self.set_aside_slot(actor)?;
        let reason = quarantine.reason.clone();
        let not_skipped = |reason: &str| NodeError::NotSkipped {
            id: actor.to_string(),
            reason: reason.to_owned(),
        };
        let (text, source) = match &quarantine.failing {
            Some(Failing::Event { seq, .. }) => return Ok(SkipBegun::Event { seq: *seq }),
            Some(Failing::Work {
                text,
                source: Some(source),
            }) => (text.clone(), source.clone()),
            Some(Failing::Command { .. }) => {
                return Err(not_skipped(
                    "what failed were callers' commands, which are not kept; release it instead",
                ));
            }
            Some(Failing::Work { source: None, .. }) | None => {
                return Err(not_skipped(
                    "no single event or piece of work is to blame; repair the cause and release it",
                ));
            }
        };
        tracing::error!(%actor, what = text, reason, "skipped by hand: it will not be handled");
        let (done, is_done) = oneshot::channel();
        let kind = self.slots.get(key).map(|slot| Arc::clone(&slot.kind));
        let Some(kind) = kind else {
            return Err(not_skipped("it is gone; try again"));
        };
        let skip = Skip::of_work(source, text.clone(), reason, done);
        let envelope = Envelope::owed(actor.clone(), kind, Box::new(skip), Internal::Skip);
        self.leave_quarantine(key, true);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.mailbox.push_front(envelope);
        }
        self.rebuild_if_settled(key);
        Ok(SkipBegun::Work {
            text,
            done: is_done,
        })
    }

    /// Appends the entry that skips an event, although the state it belongs to cannot be rebuilt.
    fn skip_event(&mut self, skip: SkipEvent) {
        let SkipEvent {
            actor,
            seq,
            generation,
            number,
            next,
            events,
            reply,
        } = skip;
        let changed = || NodeError::NotSkipped {
            id: actor.to_string(),
            reason: "it changed meanwhile; look at it again".to_owned(),
        };
        let current = self.generation.as_ref().map(|open| open.number);
        let found = self.set_aside_slot(&actor).ok().and_then(|(key, found)| {
            let settled = self.slots.get(key)?.last_ticket <= self.durable;
            match &found.failing {
                Some(Failing::Event { seq: poison, name }) if *poison == seq && settled => {
                    Some((key, name.clone(), found.reason.clone()))
                }
                Some(Failing::Event { .. } | Failing::Command { .. } | Failing::Work { .. })
                | None => None,
            }
        });
        let Some((key, event, reason)) = found.filter(|_| current == Some(generation)) else {
            return give(reply, Err(changed()));
        };
        tracing::error!(%actor, seq, event, reason, "event skipped by hand: it will not be applied again");
        let text = format!("event {seq} {event:?}");
        let time_us = self.shared.clock.now().as_micros();
        let operation = Operation::SkipEvent { seq, event, reason };
        let append = skip_entry(number, next, events, time_us, operation);
        let append = match append {
            Ok(append) => append,
            Err(reason) => {
                let id = actor.to_string();
                return give(reply, Err(NodeError::NotSkipped { id, reason }));
            }
        };
        let (done, is_done) = oneshot::channel();
        self.undurable_bytes += append.bytes();
        self.open.bytes += append.bytes();
        self.open.appends.push(append);
        self.open.slots.push(key);
        self.open.answers.push(Box::new(Skip::of_event(done)));
        let ticket = self.open.ticket;
        self.leave_quarantine(key, true);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.last_ticket = ticket;
        }
        give(reply, Ok((text, is_done)));
    }

    /// A skip comes before everything that the runtime owes the actor: what it is to take away may be what
    /// cannot even be handed to it, and would set it aside again.
    pub(super) fn skip_first(&mut self, key: usize) {
        let skip = self.slots.get_mut(key).and_then(|slot| {
            let first = slot.mailbox.front()?;
            matches!(first.internal, Some(Internal::Skip)).then(|| slot.mailbox.pop_front())?
        });
        if let Some(envelope) = skip {
            self.begin_round();
            self.turn(key, envelope);
        }
    }

    /// An actor that was set aside is back: what the runtime owes it comes again.
    pub(super) fn bring_back(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(trouble) = slot.trouble.as_mut().filter(|trouble| trouble.wanted) else {
            return;
        };
        trouble.wanted = false;
        let mut kept = std::mem::take(&mut trouble.kept);
        if let State::Live(resident) = &slot.state {
            let effects = &resident.core().effects;
            // The outcome of an effect that was skipped is not wanted any more.
            kept.retain(|internal| match internal {
                Internal::Answer(answer) => effects.contains_key(&answer.key),
                Internal::Timer(_) | Internal::Message { .. } | Internal::Step | Internal::Skip => {
                    true
                }
            });
        }
        for internal in kept {
            self.bring_again(internal, Duration::ZERO);
        }
        self.rearm(key);
        if let Some(actor) = self.slots.get(key).map(|slot| slot.id.clone()) {
            self.resume_mail(&actor);
        }
        if let Some(slot) = self.slots.get_mut(key) {
            forget_trouble_that_is_over(slot);
        }
    }

    /// Starts the actor's pending work as its state says.
    fn rearm(&mut self, key: usize) {
        if let Some(slot) = self.slots.get(key) {
            let (actor, kind) = (slot.id.clone(), Arc::clone(&slot.kind));
            self.unarmed.insert(actor, kind);
        }
        self.rearm_timers(key);
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let State::Live(resident) = &slot.state else {
            return;
        };
        let core = resident.core();
        let Some(number) = core.number else { return };
        let mut unknown = None;
        for effect in core.effects.values() {
            if !slot.kind.effects.contains_key(effect.name.as_str()) {
                unknown = Some((effect.name.clone(), Source::Effect { key: effect.key }));
                continue;
            }
            self.shared.launch(EffectJob {
                actor: slot.id.clone(),
                kind: Arc::clone(&slot.kind),
                number,
                effect: effect.clone(),
                resumed: true,
            });
        }
        if let Some((name, source)) = unknown {
            let reason = format!(
                "effect {name:?} waits and is not registered: add .effect::<..>() to kind {:?}",
                slot.kind.name
            );
            let seq = core.events;
            self.set_aside(key, reason, seq, Failing::of_source(source));
        }
    }
}

/// An entry that does nothing but note the skip.
fn skip_entry(
    actor: ActorNumber,
    number: EntryNumber,
    events_before: u64,
    time_us: i64,
    operation: Operation,
) -> Result<Append, String> {
    let operations = rmp_serde::to_vec(&[operation]).map_err(|error| error.to_string())?;
    let entry = Entry {
        actor,
        number,
        events_before,
        birth: None,
        time_us,
        seed: 0,
        command: None,
        events: Vec::new(),
        operations: ByteBuf::from(operations),
        cause: None,
        traceparent: None,
    };
    Append::new(&entry, Vec::new()).map_err(|error| error.to_string())
}

fn describe(slot: &Slot) -> Option<Quarantined> {
    let State::Quarantined(quarantine) = &slot.state else {
        return None;
    };
    Some(Quarantined {
        actor: slot.id.clone(),
        kind: slot.kind.name.to_owned(),
        reason: quarantine.reason.clone(),
        seq: quarantine.seq,
        since: quarantine.since,
        item: quarantine.failing.as_ref().map(ToString::to_string),
        failures: quarantine.failures,
        waiting: slot
            .trouble
            .as_ref()
            .map_or(0, |trouble| trouble.kept.len()),
    })
}
