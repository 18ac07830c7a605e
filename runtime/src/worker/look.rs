//! What the test kit asks a worker: whether anything is left to do, and what its actors are.

use std::time::Duration;

use actix::Context;
use steadfast_journal::ActorId;
use tokio::sync::oneshot;

use super::run::Worker;
use super::slot::{Slot, State};
use crate::core::Kept;
use crate::host::give;

/// What a worker has left to do.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What it will go on with by itself.
    pub(crate) busy: Option<&'static str>,
    /// Whether it waits for the journal.
    pub(crate) in_flight: bool,
    /// When something falls due, on the running clock.
    pub(crate) next: Option<Duration>,
}

/// An actor in memory as it is at this moment.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) actor: ActorId,
    pub(crate) events: u64,
    /// `None` for a state that has no JSON form.
    pub(crate) state: Option<serde_json::Value>,
    pub(crate) kept: Kept,
}

impl Worker {
    /// Does what is due at this moment, then says what is left.
    pub(super) fn look(&mut self, reply: oneshot::Sender<Report>, ctx: &mut Context<Self>) {
        self.sweep();
        self.fire_due();
        let turns = self.work(ctx);
        let report = self.report();
        if turns > 0 {
            self.shared.note_activity();
        }
        give(reply, report);
    }

    fn report(&self) -> Report {
        let open = self.generation.is_some();
        // Full, or rebuilt only once its last commit is durable: the journal has the next move, not this worker.
        let full = !self.in_flight.is_empty() && !self.can_run();
        let waiting = |slot: &Slot| {
            let for_disk =
                full || matches!(slot.state, State::Broken) && slot.last_ticket > self.durable;
            let held = slot
                .trouble
                .as_ref()
                .is_some_and(|trouble| trouble.held_until.is_some());
            !slot.mailbox.is_empty()
                && !held
                && !for_disk
                && !matches!(slot.state, State::Quarantined(_))
        };
        let told = self.durable_sender.capacity() < self.durable_sender.max_capacity();
        let busy = if told {
            Some("a commit became durable")
        } else if self.recovering > 0 || (open && !self.to_recover.is_empty()) {
            Some("an actor is being recovered")
        } else if open && self.slots.iter().any(|(_, slot)| waiting(slot)) {
            Some("a mailbox is not empty")
        } else if self.mail_is_moving() {
            Some("messages are on their way")
        } else {
            None
        };
        Report {
            busy,
            in_flight: !self.in_flight.is_empty(),
            next: self.next_due(),
        }
    }

    /// When this worker has something to do by itself.
    fn next_due(&self) -> Option<Duration> {
        let running = self.shared.clock.running();
        let timer = self.timers.next_wait(self.clocks());
        let timer = timer.map(|wait| running.saturating_add(wait));
        let deferred = self.deferred.iter().map(|(at, _)| *at).min();
        let after = self.shared.config.passivate_after;
        let idle = self.slots.iter().map(|(_, slot)| slot);
        let idle = idle
            .filter(|slot| matches!(slot.state, State::Live(_) | State::Cold))
            .map(|slot| slot.last_used.saturating_add(after))
            .min();
        let mail = self.inboxes.next_again();
        let held = self.holds.first().map(|(at, _)| *at);
        let due = [timer, deferred, mail, held, idle].into_iter().flatten();
        due.filter(|due| *due > running).min()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        let running = self.shared.clock.running();
        let live = self.slots.iter().filter_map(|(_, slot)| {
            let State::Live(resident) = &slot.state else {
                return None;
            };
            Some(Seen {
                actor: slot.id.clone(),
                events: resident.core().events,
                state: resident.to_json().ok(),
                kept: Kept::of(resident.core(), running),
            })
        });
        live.collect()
    }
}
