//! Timers on their way from the journal to their actors and back: loading, arming, firing, letting go.

use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::{ActorId, ActorNumber, RowChange};

use super::deliver::guarded;
use super::input::{Answer, Envelope, Internal};
use super::run::Worker;
use super::slot::State;
use super::timers::{DueTimer, TimerKey};
use crate::core::{Change, Clocks, Place, TimerRow, anchor_row};
use crate::host::{KindEntry, Source};

impl Worker {
    pub(super) fn clocks(&self) -> Clocks {
        self.shared.clocks()
    }

    /// Sends the commands of all timers that are due.
    pub(super) fn fire_due(&mut self) {
        if self.generation.is_none() || self.is_draining() || self.stopping {
            return;
        }
        let clocks = self.clocks();
        if !self.shared.is_stopping() {
            self.fire_timers(clocks);
        }
        let (now_due, later) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|(at, _)| *at <= clocks.running);
        self.deferred = later;
        let now_due: Vec<(Duration, Arc<Answer>)> = now_due;
        for (_, answer) in now_due {
            self.deliver_answer(&answer);
        }
        self.resume_held_mail(clocks.running);
    }

    fn fire_timers(&mut self, clocks: Clocks) {
        self.timers.retry_stalled(clocks.running);
        while let Some(due) = self.timers.pop_due(clocks) {
            self.fire(due);
        }
        self.timers.looked(clocks);
        self.account_timers();
        self.shared.timers.look(clocks);
    }

    fn fire(&mut self, due: DueTimer) {
        let DueTimer {
            key,
            row: TimerRow { actor, kind, timer },
            deadline,
            late,
        } = due;
        let slot = self.slots.find(&actor).and_then(|key| self.slots.get(key));
        if let Some(slot) = slot {
            if matches!(slot.state, State::Quarantined(_)) {
                let kind = Arc::clone(&slot.kind);
                return self.let_timer_go(key, &actor, &kind);
            }
            if slot.mailbox.len() >= self.shared.config.mailbox_capacity {
                return self.timers.stall(key);
            }
        }
        let source = Source::Timer {
            name: timer.name.clone(),
            id: timer.id,
            firing: timer.due.firing,
            deadline,
        };
        let Some(kind) = self.shared.registry.get(&kind).cloned() else {
            tracing::error!(%actor, kind, timer = timer.name, "a timer is due for a kind that is not registered: add .register::<..>() where the node is built");
            // The next start finds it in the table.
            return self.timers.remove(key, None);
        };
        let command = kind.commands.get(timer.command.as_str());
        let made =
            command.map(|command| guarded(|| (command.from_bytes)(&timer.body, source.clone())));
        let reason = match made {
            Some(Ok(invoke)) => {
                self.shared.metrics.timer_fired(kind.name, late);
                let internal = Internal::Timer(key);
                let envelope = Envelope::owed(actor, kind, invoke, internal);
                return self.accept(envelope);
            }
            Some(Err(reason)) => format!(
                "timer {:?} has a command that does not decode: {reason}",
                timer.name
            ),
            None => format!(
                "timer {:?} sends {:?}, which is not registered: add .command::<..>() to kind {:?}",
                timer.name, timer.command, kind.name
            ),
        };
        self.quarantine(&actor, &kind, reason, Some(source));
        self.let_timer_go(key, &actor, &kind);
    }

    /// Takes in timers that were found in the table.
    pub(super) fn load_timers(&mut self, generation: u64, rows: Vec<(ActorNumber, TimerRow)>) {
        if self.generation.as_ref().map(|open| open.number) != Some(generation) {
            return;
        }
        for (actor, row) in rows {
            let key = TimerKey {
                actor,
                id: row.timer.id,
            };
            // One that is known is newer than the row that was read for it, or the same.
            if self.timers.get(key).is_some() {
                continue;
            }
            let slot = self
                .slots
                .find(&row.actor)
                .and_then(|key| self.slots.get(key));
            match slot {
                Some(slot) if matches!(slot.state, State::Quarantined(_)) => {
                    self.unarmed.insert(row.actor, Arc::clone(&slot.kind));
                }
                _ => {
                    let shift = self.shared.timers.shift(row.timer.due.group());
                    self.timers.set(actor, row, shift);
                }
            }
        }
        self.account_timers();
    }

    /// Holds a timer in memory, if it is due early enough; the table on disk has it anyway.
    pub(super) fn arm_timer(&mut self, actor: ActorNumber, row: TimerRow) {
        let due = &row.timer.due;
        let place = Place::new(due, actor, row.timer.id);
        if let Some(shift) = self.shared.timers.admit(due.group(), place) {
            self.timers.set(actor, row, shift);
        } else {
            let id = row.timer.id;
            self.timers.remove(TimerKey { actor, id }, None);
        }
        self.account_timers();
    }

    /// A timer's command found that it is not pending as it was fired: what the actor says counts.
    pub(super) fn heal_timer(&mut self, key: usize, timer: TimerKey) {
        let (Some(slot), Some((name, _))) = (self.slots.get(key), self.timers.get(timer)) else {
            return;
        };
        let State::Live(resident) = &slot.state else {
            return;
        };
        let pending = resident.core().timers.get(name);
        match pending.filter(|pending| pending.id == timer.id) {
            Some(pending) => {
                let row = TimerRow {
                    actor: slot.id.clone(),
                    kind: slot.kind.name.to_owned(),
                    timer: pending.clone(),
                };
                self.arm_timer(timer.actor, row);
            }
            None => self.timers.remove(timer, None),
        }
        self.account_timers();
    }

    /// Forgets a timer whose actor is set aside. It is armed again when the actor is back.
    pub(super) fn let_timer_go(&mut self, key: TimerKey, actor: &ActorId, kind: &Arc<KindEntry>) {
        self.timers.remove(key, None);
        self.unarmed.insert(actor.clone(), Arc::clone(kind));
        self.account_timers();
    }

    /// An actor is in memory: arms its timers, if some were let go.
    pub(super) fn rearm_timers(&mut self, key: usize) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let State::Live(resident) = &slot.state else {
            return;
        };
        if self.unarmed.remove(&slot.id).is_none() {
            return;
        }
        let core = resident.core();
        let Some(number) = core.number else { return };
        let unknown = core.timers.values().filter(|timer| {
            let key = TimerKey {
                actor: number,
                id: timer.id,
            };
            self.timers.get(key).is_none()
        });
        let rows: Vec<TimerRow> = unknown
            .map(|timer| TimerRow {
                actor: slot.id.clone(),
                kind: slot.kind.name.to_owned(),
                timer: timer.clone(),
            })
            .collect();
        for row in rows {
            self.arm_timer(number, row);
        }
    }

    /// Brings back the actors that were released from quarantine and have timers that were let go.
    pub(super) fn recover_released(&mut self) {
        if self.unarmed.is_empty() || self.generation.is_none() || self.shared.is_stopping() {
            return;
        }
        let released = self.unarmed.iter().filter(|(actor, _)| {
            let slot = self.slots.find(actor).and_then(|key| self.slots.get(key));
            slot.is_none_or(|slot| matches!(slot.state, State::Cold | State::Live(_)))
        });
        let mut released: Vec<_> = released
            .map(|(actor, kind)| (actor.clone(), Arc::clone(kind)))
            .collect();
        released.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (actor, kind) in released {
            let key = self.slot_for(&actor, &kind);
            self.rearm_timers(key);
            self.ask_recovery(key);
        }
    }

    /// Leaves those that are due last to the table on disk, so that the node holds `target` of `held`.
    pub(super) fn trim_timers(&mut self, target: usize, held: usize, until: Duration) {
        let keep = self.timers.len().saturating_mul(target) / held.max(1);
        let left = self.timers.trim(keep, until, self.shared.clocks());
        for (group, place) in left {
            // Whoever reads the table next starts there.
            self.shared.timers.lower(group, place);
        }
        self.account_timers();
    }

    /// The row that goes with changes which set a timer by the boot clock. It is as new as they are: so a later
    /// boot never finds that a timer has longer to wait than from the start.
    pub(super) fn anchor(&self, changes: &[Change]) -> Option<RowChange> {
        let by_boot =
            |change: &Change| matches!(change, Change::TimerSet(timer) if timer.due.boot.is_some());
        if !changes.iter().any(by_boot) {
            return None;
        }
        // Three numbers encode.
        anchor_row(self.clocks()).ok()
    }

    /// Tells the node how many timers this worker holds.
    pub(super) fn account_timers(&mut self) {
        let held = self.timers.len();
        self.shared.account_timers(self.timers_told, held);
        self.timers_told = held;
    }
}
