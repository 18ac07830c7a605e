//! Into mailboxes: admission and effect outcomes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;

use super::input::{Answer, Envelope, Internal, Target};
use super::run::Worker;
use super::slot::{Slot, State};
use crate::error::Refusal;
use crate::host::{KindEntry, Source};

/// Runs code that decodes what an embedder defined: its panic must not take the worker down.
pub(super) fn guarded<T>(make: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| Err("decoding it panicked".to_owned()))
}

/// Commands whose memory is fetched together.
const NEAR: usize = 16;
/// So few commands are not worth a look ahead.
const WORTH_TOUCHING: usize = 8;

/// How soon a full mailbox may have room again.
const RETRY_AFTER: Duration = Duration::from_millis(20);

impl Worker {
    /// Brings what these commands need into the processor's cache. Addresses, slots and states lie all over the
    /// memory, and some were last written by another core: used one after the other, each would be waited for; read
    /// together, they are under way at the same time.
    pub(super) fn touch(&self, chunk: &[Envelope]) {
        if chunk.len() < WORTH_TOUCHING {
            return;
        }
        for some in chunk.chunks(NEAR) {
            let slots = some.iter().map(|envelope| envelope.to.place());
            let slots = slots.filter_map(|place| self.slots.get(place));
            let states = slots.map(|slot| match &slot.state {
                State::Live(resident) => resident.core().entry,
                State::Cold | State::Recovering | State::Broken | State::Quarantined(_) => 0,
            });
            let sources = some.iter().filter(|envelope| {
                let source = envelope.invoke.source();
                source.is_some_and(|source| matches!(source, Source::Caller { .. }))
            });
            std::hint::black_box((states.fold(0, |sum, entry| sum ^ entry), sources.count()));
        }
    }

    /// Admits a command to its actor's mailbox, or refuses it.
    pub(super) fn accept(&mut self, envelope: Envelope) {
        let internal = envelope.internal.is_some();
        if self.stopping || (self.shared.is_stopping() && !internal) {
            return self.refuse(envelope, Refusal::Stopped);
        }
        if !internal && let Some(reason) = self.shared.read_only() {
            return self.refuse(envelope, Refusal::ReadOnly { reason });
        }
        let key = self.slot_of(&envelope.to);
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
        if slot.kind.name != envelope.to.kind.name {
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
        if slot.mailbox.capacity() == 0 {
            slot.mailbox = self.spare.take();
        }
        slot.mailbox.push_back(envelope);
        match slot.state {
            State::Live(_) => self.make_ready(key),
            State::Cold => self.ask_recovery(key),
            State::Recovering | State::Broken | State::Quarantined(_) => {}
        }
    }

    /// The slot of what a command is addressed to.
    fn slot_of(&mut self, to: &Target) -> usize {
        let place = to.place();
        let same = |slot: &Slot| Arc::ptr_eq(&slot.kind, &to.kind) && slot.id == to.actor;
        if self.slots.get(place).is_some_and(same) {
            return place;
        }
        let key = self.slot_as(&to.actor, &to.kind);
        to.set_place(key);
        key
    }

    /// The slot of an actor that is asked as `kind`. Whoever asks for a name first does not decide its kind:
    /// only an entry does.
    fn slot_as(&mut self, actor: &ActorId, kind: &Arc<KindEntry>) -> usize {
        let Some(key) = self.slots.find(actor) else {
            return self.new_slot(actor, kind);
        };
        let other = self.slots.get(key).is_some_and(|slot| {
            slot.kind.name != kind.name
                && slot.mailbox.is_empty()
                && matches!(&slot.state, State::Live(resident) if resident.core().entry == 0)
        });
        if !other {
            return key;
        }
        self.remove(key);
        self.new_slot(actor, kind)
    }

    pub(super) fn slot_for(&mut self, actor: &ActorId, kind: &Arc<KindEntry>) -> usize {
        self.slots
            .find(actor)
            .unwrap_or_else(|| self.new_slot(actor, kind))
    }

    fn new_slot(&mut self, actor: &ActorId, kind: &Arc<KindEntry>) -> usize {
        let now = self.shared.clock.running();
        let slot = Slot::new(actor.clone(), Arc::clone(kind), now);
        self.shared.metrics.resident(kind.name, 1);
        self.slots.insert(slot)
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
                let envelope = Envelope::owed(
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
                if let Some(key) = self.slots.find(&answer.actor) {
                    self.keep(key, Internal::Answer(Arc::clone(answer)));
                }
            }
        }
    }
}
