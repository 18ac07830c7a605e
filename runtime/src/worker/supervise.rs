//! What a worker does about actors that fail: pauses of their mailbox, and quarantine.
//!
//! Invariant: nothing that the runtime owes an actor is lost while it is set aside. Timers and effects
//! are pending in its state, and outcomes of effects are kept here.

use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;

use super::input::Internal;
use super::run::Worker;
use super::slot::{Quarantine, Slot, State};
use super::trouble::{Failing, Limits, Verdict};
use crate::core::random;
use crate::host::{Invoke, KindEntry, Source};

impl Worker {
    /// Counts a failure and does what follows from it. The actor's state is gone already.
    pub(super) fn failed(
        &mut self,
        key: usize,
        internal: Option<Internal>,
        failing: Failing,
        reason: &str,
        seq: u64,
    ) {
        let config = &self.shared.config;
        let limits = Limits {
            work: config.quarantine_after,
            commands: config.quarantine_after_commands,
        };
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let trouble = slot.trouble.get_or_insert_default();
        match trouble.failed(&failing, limits) {
            Verdict::SetAside { failures } => {
                if let Some(internal) = internal {
                    self.keep(key, internal);
                }
                let reason = format!("{reason} ({failures} times in a row)");
                self.set_aside_after(key, reason, seq, Some(failing), failures);
            }
            Verdict::Again { pause, wait } => {
                if let Some(internal) = internal {
                    self.bring_again(internal, wait);
                }
                if let Some(pause) = pause {
                    self.hold(key, pause);
                }
            }
        }
    }

    /// Holds a mailbox for between half of `pause` and all of it, so that actors that fail together do not
    /// come back together.
    fn hold(&mut self, key: usize, pause: Duration) {
        if self.is_draining() {
            return;
        }
        let thousandths = random(self.shared.next_seed(), 1) % 500;
        let less = pause.saturating_mul(u32::try_from(thousandths).unwrap_or(0)) / 1_000;
        let until = self.shared.clock.running() + pause.saturating_sub(less);
        if let Some(slot) = self.slots.get_mut(key)
            && let Some(trouble) = &mut slot.trouble
        {
            tracing::warn!(actor = %slot.id, ?pause, "actor failed repeatedly; its mailbox is held");
            let old = trouble.held_until.replace(until);
            if let Some(old) = old {
                self.holds.remove(&(old, key));
            }
            self.holds.insert((until, key));
        }
    }

    /// Lets mailboxes go on whose pause is over, or all of them.
    pub(super) fn lift_holds(&mut self, all: bool) {
        if self.holds.is_empty() {
            return;
        }
        let running = self.shared.clock.running();
        while let Some((until, key)) = self.holds.first().copied() {
            if until > running && !all {
                return;
            }
            self.holds.pop_first();
            if let Some(slot) = self.slots.get_mut(key)
                && let Some(trouble) = &mut slot.trouble
                && trouble.held_until == Some(until)
            {
                trouble.held_until = None;
                forget_trouble_that_is_over(slot);
                self.make_ready(key);
            }
        }
    }

    /// A command of the actor was handled.
    pub(super) fn succeeded(&mut self, key: usize, invoke: &dyn Invoke) {
        if let Some(slot) = self.slots.get_mut(key)
            && let Some(trouble) = &mut slot.trouble
        {
            let work = invoke.source().and_then(Source::describe);
            trouble.succeeded(work.as_deref());
            forget_trouble_that_is_over(slot);
        }
    }

    /// Work turned out not to be owed any more.
    pub(super) fn work_is_over(&mut self, key: usize, invoke: &dyn Invoke) {
        if let Some(slot) = self.slots.get_mut(key)
            && let Some(trouble) = &mut slot.trouble
            && let Some(work) = invoke.source().and_then(Source::describe)
        {
            trouble.work_is_over(Some(&work));
            forget_trouble_that_is_over(slot);
        }
    }

    /// The newest event of an actor in memory; 0 where it is not.
    pub(super) fn newest_event(&self, key: usize) -> u64 {
        match self.slots.get(key).map(|slot| &slot.state) {
            Some(State::Live(resident)) => resident.core().events,
            Some(State::Cold | State::Recovering | State::Broken | State::Quarantined(_))
            | None => 0,
        }
    }

    /// Sets an actor aside because of work that cannot even be handed to it.
    pub(super) fn quarantine(
        &mut self,
        actor: &ActorId,
        kind: &Arc<KindEntry>,
        reason: String,
        source: Option<Source>,
    ) {
        let key = self.slot_for(actor, kind);
        let seq = self.newest_event(key);
        self.set_aside(key, reason, seq, source.and_then(Failing::of_source));
    }

    pub(super) fn set_aside(
        &mut self,
        key: usize,
        reason: String,
        seq: u64,
        failing: Option<Failing>,
    ) {
        self.set_aside_after(key, reason, seq, failing, 1);
    }

    /// Sets an actor aside: callers in its mailbox are told so, work of the runtime's own is kept.
    fn set_aside_after(
        &mut self,
        key: usize,
        reason: String,
        seq: u64,
        failing: Option<Failing>,
        failures: u32,
    ) {
        let since = self.shared.clock.now();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let item = failing.as_ref().map(ToString::to_string);
        tracing::error!(actor = %slot.id, reason, seq, item, failures, "actor set aside in quarantine");
        let quarantine = Quarantine {
            reason,
            seq,
            since,
            failing,
            failures,
        };
        let refusal = quarantine.refusal();
        if !matches!(slot.state, State::Quarantined(_)) {
            self.shared.metrics.quarantined(slot.kind.name, 1);
        }
        slot.set_state(State::Quarantined(Box::new(quarantine)));
        slot.recovery = None;
        let trouble = slot.trouble.get_or_insert_default();
        trouble.wanted = false;
        if let Some(until) = trouble.held_until.take() {
            self.holds.remove(&(until, key));
        }
        let (waiting, actor) = (std::mem::take(&mut slot.mailbox), slot.id.clone());
        self.hold_mail(&actor, None);
        self.account(key);
        for envelope in waiting {
            if let Some(internal) = envelope.internal.clone() {
                self.keep(key, internal);
            }
            self.refuse(envelope, refusal.clone());
        }
    }

    /// Keeps work for an actor that is set aside. What finds no room is found again in its state: there
    /// every timer and effect is pending, and an effect whose outcome is let go here is run again.
    pub(super) fn keep(&mut self, key: usize, internal: Internal) {
        let room = self.shared.config.mailbox_capacity;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        match internal {
            // A message lies in the outbox until it is taken.
            Internal::Step | Internal::Skip | Internal::Message { .. } => {}
            // It is pending in the state, and armed again from there.
            Internal::Timer(timer) => {
                let (actor, kind) = (slot.id.clone(), Arc::clone(&slot.kind));
                self.let_timer_go(timer, &actor, &kind);
            }
            Internal::Answer(answer) => {
                let kept = &mut slot.trouble.get_or_insert_default().kept;
                if kept.len() < room {
                    return kept.push(Internal::Answer(answer));
                }
                tracing::warn!(actor = %answer.actor, effect = answer.name, "too much is kept for an actor in quarantine: the outcome of an effect is dropped, and the effect runs again after its release");
                self.shared.effect_consumed(answer.number, answer.key);
            }
        }
    }
}

/// Most actors have none.
pub(super) fn forget_trouble_that_is_over(slot: &mut Slot) {
    if slot
        .trouble
        .as_ref()
        .is_some_and(|trouble| trouble.is_over())
    {
        slot.trouble = None;
    }
}
