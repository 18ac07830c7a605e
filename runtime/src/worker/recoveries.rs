//! Who comes into memory, and when: actors that somebody waits for, by weight, and behind them those that
//! are only to be warm.
//!
//! Invariant: what a recovery brings counts only if it is the one that the slot waits for.

use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::ActorId;

use super::run::Worker;
use super::slot::State;
use super::trouble::Failing;
use crate::error::Refusal;
use crate::host::{KindEntry, Progress, Recovered, Unrecoverable, discard};
use crate::node::{Held, PER_WORKER, RecoveryJob};

/// Recoveries of one worker that nobody waits for at once.
const WARMING: usize = 4;
/// Actors that may wait to be warm.
const TO_WARM: usize = 65_536;

/// A recovery under way.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// 0 while it waits for its turn.
    number: u64,
    /// Since when, or since it was last named in a warning.
    since: Duration,
    progress: Arc<Progress>,
}

impl Worker {
    /// Asks for the recovery of a cold actor, or lets it wait for its turn.
    pub(super) fn ask_recovery(&mut self, key: usize) {
        let running = self.shared.clock.running();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let waits = slot.recovery.is_some();
        if self.generation.is_none() || waits || !matches!(slot.state, State::Cold) {
            return;
        }
        slot.recovery = Some(Box::new(Recovery {
            number: 0,
            since: running,
            progress: self.shared.recovery_progress(),
        }));
        self.to_recover.push(slot.kind.priority, key);
        self.next_recoveries();
    }

    /// Begins as many recoveries as may be under way.
    fn next_recoveries(&mut self) {
        while self.generation.is_some() && self.recovering < PER_WORKER {
            let Some((priority, key)) = self.to_recover.pop() else {
                return self.next_warm();
            };
            self.to_recover.charge(priority, 1);
            self.begin_recovery(key, false);
        }
    }

    /// Brings actors into memory that nobody waits for, while there is plenty of room.
    fn next_warm(&mut self) {
        while self.recovering < WARMING && !self.shared.is_stopping() {
            let Some((actor, kind)) = self.to_warm.pop_front() else {
                return;
            };
            if self.slots.find(&actor).is_some() {
                continue;
            }
            if self.resident_share() != 0 && self.resident_bytes > self.resident_share() / 4 * 3 {
                tracing::info!(
                    left = self.to_warm.len() + 1,
                    "warming ends: there is no more room"
                );
                return self.to_warm.clear();
            }
            let key = self.slot_for(&actor, &kind);
            let since = self.shared.clock.running();
            if let Some(slot) = self.slots.get_mut(key) {
                slot.recovery = Some(Box::new(Recovery {
                    number: 0,
                    since,
                    progress: self.shared.recovery_progress(),
                }));
            }
            self.begin_recovery(key, true);
        }
    }

    fn begin_recovery(&mut self, key: usize, background: bool) {
        let Some(generation) = &self.generation else {
            return;
        };
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(recovery) = slot.recovery.as_mut() else {
            return;
        };
        if !matches!(slot.state, State::Cold) || recovery.number != 0 {
            return;
        }
        self.recoveries += 1;
        recovery.number = self.recoveries;
        let job = RecoveryJob {
            actor: slot.id.clone(),
            kind: Arc::clone(&slot.kind),
            journal: Arc::clone(&generation.journal),
            generation: generation.number,
            worker: self.index,
            slot: key,
            number: recovery.number,
            background,
            progress: Arc::clone(&recovery.progress),
        };
        slot.set_state(State::Recovering);
        self.recovering += 1;
        self.shared.recover(job);
    }

    pub(super) fn on_recovered(
        &mut self,
        key: usize,
        number: u64,
        generation: u64,
        held: Held,
        outcome: Result<Recovered, Unrecoverable>,
    ) {
        self.recovering = self.recovering.saturating_sub(1);
        let current = self.generation.as_ref().map(|generation| generation.number);
        let now = self.shared.clock.running();
        if let Some(slot) = self.slots.get_mut(key)
            // It may have been set aside meanwhile, and even be on its way back.
            && slot.recovery.as_ref().is_some_and(|recovery| recovery.number == number)
        {
            slot.recovery = None;
            slot.set_state(State::Cold);
            slot.last_used = now;
            let waiting = !slot.mailbox.is_empty() || slot.wanted();
            if current == Some(generation) {
                self.take_recovered(key, number, outcome);
            } else {
                discard("a state", outcome);
                if current.is_some() && waiting {
                    self.ask_recovery(key);
                }
            }
        } else {
            discard("a state", outcome);
        }
        drop(held);
        self.next_recoveries();
    }

    fn take_recovered(
        &mut self,
        key: usize,
        number: u64,
        outcome: Result<Recovered, Unrecoverable>,
    ) {
        match outcome {
            Ok(recovered) => {
                if let Some(slot) = self.slots.get_mut(key) {
                    let entry = recovered.resident.core().entry;
                    slot.unsaved_entries = entry.saturating_sub(recovered.snapshot_entry);
                    slot.last_commit = recovered.commit;
                    slot.size.measured(recovered.bytes);
                    slot.set_state(State::Live(recovered.resident));
                }
                self.came_into_memory(key, number);
                self.skip_first(key);
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
            Err(Unrecoverable { reason, seq, .. }) => self.not_recovered(key, reason, seq),
        }
    }

    /// The actor may be fine all the same: whoever waits is told, and the next one may try again.
    fn not_recovered(&mut self, key: usize, reason: String, seq: u64) {
        if self.slots.get(key).is_some_and(super::slot::Slot::wanted) {
            // It was let go from quarantine, and what is kept for it has no other place.
            return self.set_aside(key, reason, seq, None);
        }
        let waiting = self
            .slot_mut(key)
            .map(|slot| std::mem::take(&mut slot.mailbox));
        for envelope in waiting.into_iter().flatten() {
            if let Some(internal) = envelope.internal.clone() {
                self.bring_again(internal, Duration::from_secs(1));
            }
            let reason = reason.clone();
            self.refuse(envelope, Refusal::Failed { reason });
        }
        // Its name may be asked for as another kind now.
        self.remove(key);
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
        slot.set_state(State::Cold);
        if !slot.mailbox.is_empty() || slot.wanted() {
            self.ask_recovery(key);
        }
    }

    /// Takes actors that are to come into memory when nothing else is to be done; returns how many.
    pub(super) fn warm(&mut self, actors: Vec<(ActorId, Arc<KindEntry>)>) -> usize {
        let room = TO_WARM.saturating_sub(self.to_warm.len());
        let before = self.to_warm.len();
        self.to_warm.extend(actors.into_iter().take(room));
        let taken = self.to_warm.len() - before;
        self.next_recoveries();
        taken
    }

    /// Names recoveries that take too long, each again after as long a time.
    pub(super) fn watch_recoveries(&mut self) {
        let running = self.shared.clock.running();
        let patience = self.shared.config.recovery_watchdog;
        for (_, slot) in self.slots.iter_mut() {
            let Some(recovery) = &mut slot.recovery else {
                continue;
            };
            let waited = running.saturating_sub(recovery.since);
            if waited <= patience {
                continue;
            }
            recovery.since = running;
            let begun = recovery.number != 0;
            let (events, waiting) = (recovery.progress.events(), slot.mailbox.len());
            tracing::warn!(actor = %slot.id, ?waited, begun, events, waiting, "recovery takes long");
            self.shared.metrics.recovery_overdue(slot.kind.name);
        }
    }
}
