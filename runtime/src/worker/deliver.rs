//! Into mailboxes and out of memory: admission, recovery on first use, effect outcomes, passivation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;

use super::input::{Answer, Envelope, Internal};
use super::run::Worker;
use super::slot::{Slot, State};
use super::trouble::Failing;
use crate::error::Refusal;
use crate::host::{KindEntry, Recovered, Source, Unrecoverable};
use crate::node::{PER_WORKER, RecoveryJob};

/// Runs code that decodes what an embedder defined: its panic must not take the worker down.
pub(super) fn guarded<T>(make: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err("decoding it panicked".to_owned()))
}

/// How soon a full mailbox may have room again.
const RETRY_AFTER: Duration = Duration::from_millis(20);

impl Worker {
    /// Admits a command to its actor's mailbox, or refuses it.
    pub(super) fn accept(&mut self, envelope: Envelope) {
        let internal = envelope.internal.is_some();
        if self.stopping || (self.draining.is_some() && !internal) {
            return self.refuse(envelope, Refusal::Stopped);
        }
        if !internal && let Some(reason) = self.shared.read_only() {
            return self.refuse(envelope, Refusal::ReadOnly { reason });
        }
        self.let_go_of_other_kind(&envelope.actor, &envelope.kind);
        let key = self.slot_for(&envelope.actor, &envelope.kind);
        let config = &self.shared.config;
        let waiting = if envelope.patient {
            config.waiting_capacity
        } else {
            0
        };
        let room = config.mailbox_capacity.saturating_add(waiting);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.kind.name != envelope.kind.name {
            let reason = format!("{} is of kind {:?}", slot.id, slot.kind.name);
            if let Some(internal) = envelope.internal.clone() {
                // Somebody asked for this actor as another kind; that slot is gone in a moment.
                self.bring_again(internal, Duration::from_secs(1));
            }
            return self.refuse(envelope, Refusal::Failed { reason });
        }
        if let State::Quarantined(quarantine) = &slot.state {
            let refusal = quarantine.refusal();
            if let Some(internal) = envelope.internal.clone() {
                self.keep(key, internal);
            }
            return self.refuse(envelope, refusal);
        }
        if slot.mailbox.len() >= room && !internal {
            let held = slot.trouble.as_ref().and_then(|trouble| trouble.held_until);
            let wait = held.map_or(Duration::ZERO, |until| {
                until.saturating_sub(self.shared.clock.running())
            });
            self.shared.metrics.mailbox_rejected(slot.kind.name);
            let retry_after = wait.max(RETRY_AFTER);
            return self.refuse(envelope, Refusal::Overloaded { retry_after });
        }
        slot.mailbox.push_back(envelope);
        match slot.state {
            State::Live(_) => self.make_ready(key),
            State::Cold => self.ask_recovery(key),
            State::Recovering | State::Broken | State::Quarantined(_) => {}
        }
    }

    /// Whoever asks for a name first does not decide its kind: only an entry does.
    fn let_go_of_other_kind(&mut self, actor: &ActorId, kind: &Arc<KindEntry>) {
        let Some((key, slot)) = self
            .by_id
            .get(actor)
            .and_then(|key| Some((*key, self.slots.get(*key)?)))
        else {
            return;
        };
        let unwritten = matches!(&slot.state, State::Live(resident) if resident.core().entry == 0);
        if unwritten && slot.mailbox.is_empty() && slot.kind.name != kind.name {
            self.remove(key);
        }
    }

    pub(super) fn slot_for(&mut self, actor: &ActorId, kind: &Arc<KindEntry>) -> usize {
        if let Some(key) = self.by_id.get(actor) {
            return *key;
        }
        let now = self.shared.clock.running();
        let key = self
            .slots
            .insert(Slot::new(actor.clone(), Arc::clone(kind), now));
        self.by_id.insert(actor.clone(), key);
        self.shared.metrics.resident(kind.name, 1);
        key
    }

    /// Asks for the recovery of a cold actor, or lets it wait for its turn.
    pub(super) fn ask_recovery(&mut self, key: usize) {
        if self.recovering >= PER_WORKER {
            self.to_recover.push_back(key);
            return;
        }
        let Some(generation) = &self.generation else {
            return;
        };
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if !matches!(slot.state, State::Cold) {
            return;
        }
        slot.state = State::Recovering;
        self.recovering += 1;
        self.shared.recover(RecoveryJob {
            actor: slot.id.clone(),
            kind: Arc::clone(&slot.kind),
            journal: Arc::clone(&generation.journal),
            generation: generation.number,
            worker: self.index,
            slot: key,
        });
    }

    pub(super) fn on_recovered(
        &mut self,
        key: usize,
        generation: u64,
        outcome: Result<Recovered, Unrecoverable>,
    ) {
        self.recovering = self.recovering.saturating_sub(1);
        let current = self.generation.as_ref().map(|generation| generation.number);
        let now = self.shared.clock.running();
        if let Some(slot) = self.slots.get_mut(key)
            // It may have been set aside meanwhile.
            && matches!(slot.state, State::Recovering)
        {
            slot.state = State::Cold;
            slot.last_used = now;
            let waiting = !slot.mailbox.is_empty() || slot.wanted();
            if current == Some(generation) {
                self.take_recovered(key, outcome);
            } else if current.is_some() && waiting {
                self.ask_recovery(key);
            }
        }
        while self.recovering < PER_WORKER && self.generation.is_some() {
            let Some(next) = self.to_recover.pop_front() else {
                break;
            };
            self.ask_recovery(next);
        }
    }

    fn take_recovered(&mut self, key: usize, outcome: Result<Recovered, Unrecoverable>) {
        match outcome {
            Ok(recovered) => {
                if let Some(slot) = self.slots.get_mut(key) {
                    let entry = recovered.resident.core().entry;
                    slot.unsaved_entries = entry.saturating_sub(recovered.snapshot_entry);
                    slot.state = State::Live(recovered.resident);
                }
                self.bring_back(key);
                self.rearm_timers(key);
                self.make_ready(key);
            }
            Err(Unrecoverable {
                reason,
                seq,
                event,
                transient: false,
            }) => {
                let failing = event.map(|name| Failing::Event { seq: seq + 1, name });
                self.set_aside(key, reason, seq, failing);
            }
            Err(Unrecoverable { reason, .. }) => {
                let waiting = self
                    .slot_mut(key)
                    .map(|slot| std::mem::take(&mut slot.mailbox));
                for envelope in waiting.into_iter().flatten() {
                    if let Some(internal) = envelope.internal.clone() {
                        self.bring_again(internal, Duration::from_secs(1));
                    }
                    self.refuse(
                        envelope,
                        Refusal::Failed {
                            reason: reason.clone(),
                        },
                    );
                }
                // Its name may be asked for as another kind now.
                self.remove(key);
            }
        }
    }

    /// Rebuilds a broken actor, if none of its commits is in flight.
    pub(super) fn rebuild_if_settled(&mut self, key: usize) {
        let durable = self.durable;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if !matches!(slot.state, State::Broken) || slot.last_ticket > durable {
            return;
        }
        slot.state = State::Cold;
        if !slot.mailbox.is_empty() || slot.wanted() {
            self.ask_recovery(key);
        }
    }

    /// Sends the outcome of an effect to its actor.
    pub(super) fn deliver_answer(&mut self, answer: &Arc<Answer>) {
        let Some(effect) = answer.kind.effects.get(answer.name.as_str()) else {
            return;
        };
        let id = self.shared.effect_id(&answer.actor, answer.key);
        let source = Source::Effect { key: answer.key };
        let make = effect.answer;
        match guarded(|| make(id, &answer.body, answer.outcome.clone(), source.clone())) {
            Ok(invoke) => {
                let envelope = self.shared.internal_envelope(
                    answer.actor.clone(),
                    Arc::clone(&answer.kind),
                    invoke,
                    Internal::Answer(Arc::clone(answer)),
                );
                self.accept(envelope);
            }
            Err(reason) => {
                let reason = format!(
                    "the outcome of effect {:?} does not decode: {reason}",
                    answer.name
                );
                self.quarantine(&answer.actor, &answer.kind, reason, Some(source));
            }
        }
    }

    /// Drops actors from memory that are idle and settled.
    pub(super) fn passivate_idle(&mut self) {
        let running = self.shared.clock.running();
        let after = self.shared.config.passivate_after;
        let durable = self.durable;
        let idle: Vec<usize> = self
            .slots
            .iter()
            .filter(|(_, slot)| {
                let rested = slot.stop || running.saturating_sub(slot.last_used) >= after;
                let settled = slot.mailbox.is_empty() && slot.last_ticket <= durable;
                rested && settled && matches!(slot.state, State::Live(_) | State::Cold)
            })
            .map(|(key, _)| key)
            .collect();
        for key in idle {
            self.save_settled(key);
            self.remove(key);
        }
    }

    pub(super) fn remove(&mut self, key: usize) {
        if let Some(slot) = self.slots.try_remove(key) {
            self.by_id.remove(&slot.id);
            self.shared.metrics.resident(slot.kind.name, -1);
        }
    }
}
