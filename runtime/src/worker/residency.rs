//! Who stays in memory: as many as the budget allows, those used last, as long as they are used at all.
//!
//! Invariant: only actors leave that nobody waits for and none of whose commits is in flight.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::run::Worker;
use super::slot::{Slot, State};
use crate::host::discard;

/// What an actor takes beside its state, roughly: slot, name, empty collections.
const BASE: usize = 1 << 10;
/// In memory a state is about so many times larger than its encoded form.
const IN_MEMORY: usize = 2;
/// Growth below which the state is not encoded just to measure it.
const WORTH_MEASURING: usize = 256 << 10;
/// Among so many that were not used for longest the one leaves that is cheapest to bring back.
const CANDIDATES: usize = 8;
/// Actors looked at in vain before the rest is left for the next time.
const LOOKS: usize = 256;

/// What is known of an actor's size, in the bytes of its encoded form.
#[derive(Debug, Default)]
pub(crate) struct Size {
    measured: usize,
    /// Written since.
    grown: usize,
    /// What the worker's sum has of it, in estimated bytes of memory.
    accounted: usize,
}

impl Size {
    pub(crate) fn measured(&mut self, bytes: usize) {
        self.measured = bytes;
        self.grown = 0;
    }

    pub(crate) fn grown(&mut self, bytes: usize) {
        self.grown = self.grown.saturating_add(bytes);
    }

    /// Whether it may have doubled: so rarely that measuring it costs little in sum.
    fn is_vague(&self) -> bool {
        self.grown > self.measured.max(WORTH_MEASURING)
    }

    fn estimate(&self) -> usize {
        let encoded = self.measured.saturating_add(self.grown);
        BASE.saturating_add(encoded.saturating_mul(IN_MEMORY))
    }
}

/// Actors in memory by when they were used. A place may be older than the last use, never newer.
#[derive(Debug, Default)]
pub(super) struct UseOrder(BinaryHeap<Reverse<Place>>);

/// When it was used, where it is, and which recovery brought it there.
type Place = (Duration, usize, u64);

impl Worker {
    /// What this worker's actors may take; 0 means no limit.
    pub(super) fn resident_share(&self) -> usize {
        let all = self.shared.config.resident_bytes;
        if all == 0 {
            return 0;
        }
        (all / self.shared.worker_count()).max(1)
    }

    /// An actor was recovered.
    pub(super) fn came_into_memory(&mut self, key: usize, number: u64) {
        self.account(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.brought_by = number;
        let last_used = slot.last_used;
        if self.resident_share() == 0 {
            return;
        }
        self.use_order.0.push(Reverse((last_used, key, number)));
        if self.use_order.0.len() > 2 * self.slots.len() + 64 {
            self.forget_old_places();
        }
    }

    /// Places of actors that left by other ways.
    fn forget_old_places(&mut self) {
        let slots = &self.slots;
        self.use_order
            .0
            .retain(|Reverse((_, key, number))| holds(slots.get(*key), *number).is_some());
    }

    /// Brings the sum in line with what is in the slot now.
    pub(super) fn account(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let now = match slot.state {
            State::Live(_) => slot.size.estimate(),
            State::Cold | State::Recovering | State::Broken | State::Quarantined(_) => 0,
        };
        let before = std::mem::replace(&mut slot.size.accounted, now);
        if now != before {
            self.resident_bytes = self.resident_bytes.saturating_sub(before) + now;
            self.tally.resident_bytes(before, now);
        }
    }

    /// The actor has written so many bytes.
    pub(super) fn grew(&mut self, key: usize, bytes: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.size.grown(bytes);
        if slot.size.is_vague() {
            // Measures as well; without a commit to belong to, it is no snapshot yet.
            let unsaved = slot.unsaved_entries;
            let taken = self.take_snapshot(key);
            if let Some(slot) = self.slots.get_mut(key) {
                slot.unsaved_entries = unsaved;
                if taken.is_none() {
                    // It cannot be encoded: what was written is all there is to go by.
                    slot.size.measured = slot.size.measured.saturating_add(slot.size.grown);
                    slot.size.grown = 0;
                }
            }
        }
        self.account(key);
    }

    /// Lets actors leave memory until the rest is within the budget, or nobody can leave at the moment.
    pub(super) fn keep_within_budget(&mut self) {
        let share = self.resident_share();
        while share != 0 && self.resident_bytes > share {
            let (candidates, others) = self.candidates();
            let best = candidates.iter().min_by_key(|(_, key, _)| self.cost(*key));
            let leaves = best.map(|(_, key, _)| *key);
            let stay = candidates.iter().filter(|(_, key, _)| Some(*key) != leaves);
            let places = stay.chain(&others).copied().map(Reverse);
            self.use_order.0.extend(places);
            let Some(key) = leaves else { return };
            self.save_settled(key);
            if let Some(slot) = self.slots.get(key) {
                self.shared.metrics.evicted(slot.kind.name);
            }
            self.remove(key);
        }
    }

    /// Those that may leave, from the one not used for longest; and the places of those that may not now.
    fn candidates(&mut self) -> (Vec<Place>, Vec<Place>) {
        let (mut candidates, mut others) = (Vec::new(), Vec::new());
        while candidates.len() < CANDIDATES && others.len() < LOOKS {
            let Some(Reverse((used, key, number))) = self.use_order.0.pop() else {
                break;
            };
            let Some(slot) = holds(self.slots.get(key), number) else {
                continue;
            };
            let place = (slot.last_used, key, number);
            let settled = slot.last_ticket <= self.durable && slot.mailbox.is_empty();
            if slot.last_used > used {
                self.use_order.0.push(Reverse(place));
            } else if settled && slot.trouble.is_none() {
                candidates.push(place);
            } else {
                others.push(place);
            }
        }
        (candidates, others)
    }

    /// What bringing an actor back takes for each byte that it leaves, as a number to compare by.
    fn cost(&self, key: usize) -> u64 {
        /// An entry to replay is worth as much as so many bytes of a snapshot.
        const ENTRY: usize = 1_024;
        let Some(slot) = self.slots.get(key) else {
            return u64::MAX;
        };
        let every = self.shared.config.snapshot_every;
        let saved_first = every > 0 && slot.unsaved_entries >= (every / 10).max(1);
        let entries = if saved_first { 0 } else { slot.unsaved_entries };
        let replay = usize::try_from(entries)
            .unwrap_or(usize::MAX)
            .saturating_mul(ENTRY);
        let size = slot.size.estimate();
        let effort = size.saturating_add(replay).saturating_mul(1_000);
        u64::try_from(effort / size.max(1)).unwrap_or(u64::MAX)
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
                let here = matches!(slot.state, State::Live(_) | State::Cold);
                rested && settled && here && !slot.wanted() && slot.recovery.is_none()
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
            self.shared.metrics.resident(slot.kind.name, -1);
            self.resident_bytes = self.resident_bytes.saturating_sub(slot.size.accounted);
            self.tally.resident_bytes(slot.size.accounted, 0);
            discard("an actor", slot);
        }
    }
}

/// The slot, if it still holds what this recovery brought.
fn holds(slot: Option<&Slot>, number: u64) -> Option<&Slot> {
    slot.filter(|slot| slot.brought_by == number && matches!(slot.state, State::Live(_)))
}
