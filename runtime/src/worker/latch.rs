//! Between a worker and the journal: handing over, letting out, and what a failed journal takes back.

use std::collections::VecDeque;
use std::sync::Arc;

use steadfast_journal::{CommitIndex, Journal, Submission, failpoint, mutant};

use super::batch::{Batch, Consequence, Durable};
use super::run::{Generation, Worker};
use super::slot::State;
use super::timers::TimerKey;
use crate::core::{Change, TimerRow, message_of};
use crate::error::Refusal;
use crate::host::Invoke;
use crate::node::EffectJob;

impl Worker {
    /// Hands the open batch to the journal.
    pub(super) fn hand_over(&mut self) {
        if self.open.appends.is_empty() {
            return;
        }
        let Some(generation) = &self.generation else {
            return;
        };
        let ticket = self.open.ticket;
        let next = self.open.next();
        let mut batch = std::mem::replace(&mut self.open, next);
        batch.handed_over = self.shared.clock.running();
        let (sender, number) = (self.durable_sender.clone(), generation.number);
        let (shared, mut answers) = (Arc::clone(&self.shared), batch.take_few_answers());
        let submission = Submission {
            appends: std::mem::take(&mut batch.appends),
            done: Box::new(move |outcome| {
                // Before the worker is woken: there may be no processor for both. After a failure they go with the
                // news, because whoever is told may ask again, and the worker must know by then.
                if let (Ok(commit), false) = (&outcome, answers.is_empty()) {
                    shared.note_durable(*commit);
                    answers.drain(..).for_each(Invoke::finish);
                }
                // The channel holds more than a worker can have in flight, and it closes only when the
                // worker is gone and nobody waits any more.
                drop(sender.try_send(Durable {
                    generation: number,
                    ticket,
                    outcome,
                    answers,
                }));
            }),
        };
        self.in_flight.push_back(batch);
        self.shared.mail.handed_over(self.index, ticket);
        generation.journal.submit(submission);
        failpoint!("batch.handed_over");
    }

    /// A batch has its outcome.
    pub(super) fn on_durable(&mut self, durable: Durable) {
        let current = self.generation.as_ref().map(|generation| generation.number);
        if current != Some(durable.generation) {
            return;
        }
        match durable.outcome {
            Ok(commit) => self.let_out(durable.ticket, commit),
            Err(error) => {
                self.shared.journal_failed(durable.generation, &error);
                self.on_latch(durable.generation);
                for answer in durable.answers {
                    answer.refuse(Refusal::OutcomeUnknown);
                }
            }
        }
    }

    fn let_out(&mut self, ticket: u64, commit: CommitIndex) {
        if self.in_flight.front().map(|batch| batch.ticket) != Some(ticket) {
            return self.out_of_order(ticket);
        }
        let Some(batch) = self.in_flight.pop_front() else {
            return;
        };
        failpoint!("batch.durable");
        self.durable = ticket;
        self.undurable_bytes = self.undurable_bytes.saturating_sub(batch.bytes);
        let running = self.shared.clock.running();
        let took = running.saturating_sub(batch.handed_over);
        self.shared
            .metrics
            .committed(batch.events, batch.bytes, took);
        self.shared.note_durable(commit);
        self.shared.note_commit(self.index, commit.get(), running);
        for answer in batch.answers {
            answer.finish();
        }
        failpoint!("batch.answered");
        for (taken, room) in batch.snapshots {
            self.shared.store_snapshot(taken, commit, room);
        }
        for consequence in batch.consequences {
            self.arm(consequence);
        }
        for key in batch.slots {
            self.settle(key, commit);
        }
        self.shared.mail.let_out(self.index, ticket);
        failpoint!("batch.let_out");
    }

    /// An outcome that is not that of the oldest batch: a bug, and nothing may be let out on its word.
    fn out_of_order(&mut self, ticket: u64) {
        let Some(generation) = self.generation.as_ref().map(|open| open.number) else {
            return;
        };
        let reason = format!("the journal answered for batch {ticket} out of order");
        self.shared.generation_failed(generation, reason);
        self.on_latch(generation);
    }

    /// Looks after a slot whose batch became durable.
    fn settle(&mut self, key: usize, commit: CommitIndex) {
        let durable = self.durable;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.last_commit = Some(commit);
        if slot.last_ticket > durable {
            return;
        }
        let leave = slot.stop && slot.mailbox.is_empty() && matches!(slot.state, State::Live(_));
        if leave {
            self.save_settled(key);
            self.remove(key);
        } else {
            self.rebuild_if_settled(key);
        }
    }

    /// Starts what a durable entry brings about.
    fn arm(&mut self, consequence: Consequence) {
        let Consequence {
            actor,
            kind,
            number,
            change,
        } = consequence;
        match change {
            Change::TimerSet(timer) => {
                let row = TimerRow {
                    actor,
                    kind: kind.name.to_owned(),
                    timer,
                };
                self.arm_timer(number, row);
            }
            Change::TimerGone { id, due } => {
                let key = TimerKey { actor: number, id };
                self.timers.remove(key, Some(due.firing));
                self.account_timers();
            }
            Change::EffectRequested(effect) => {
                self.shared.launch(EffectJob {
                    actor,
                    kind,
                    number,
                    effect,
                    resumed: false,
                });
            }
            Change::EffectSet(_) => {}
            Change::EffectGone { key } => self.shared.effect_consumed(number, key),
            Change::MessageSent(out) => {
                self.shared.metrics.message(kind.name, "sent");
                let message = message_of(&actor, kind.name, number, out);
                if mutant!("message_doubled") {
                    self.shared.post(message.clone());
                }
                failpoint!("message.posting");
                self.shared.post(message);
                failpoint!("message.posted");
            }
            Change::MessageTaken { id } => {
                self.shared.metrics.message(kind.name, "taken");
                self.shared.mail.backlog.taken(id);
                self.refill(&actor);
            }
        }
    }

    /// The journal failed: nothing that is not durable counts any more. What was not yet handled stays.
    pub(super) fn on_latch(&mut self, generation: u64) {
        let current = self.generation.as_ref().map(|generation| generation.number);
        if current != Some(generation) {
            return;
        }
        self.generation = None;
        let next = self.open.ticket + 1;
        let open = std::mem::replace(&mut self.open, Batch::new(next));
        let lost: Vec<Batch> = std::mem::take(&mut self.in_flight)
            .into_iter()
            .chain([open])
            .collect();
        for batch in lost {
            for answer in batch.answers {
                answer.refuse(if mutant!("outcome_denied") {
                    Refusal::Stopped
                } else {
                    Refusal::OutcomeUnknown
                });
            }
        }
        for (_, slot) in self.slots.iter_mut() {
            let settled = slot.last_ticket <= self.durable || mutant!("unsettled_actor_kept");
            if let State::Quarantined(_) = slot.state {
                // What it holds is found again in the journal.
                if let Some(trouble) = &mut slot.trouble {
                    trouble.kept.clear();
                }
            } else if !settled || matches!(slot.state, State::Broken) {
                slot.set_state(State::Cold);
                // What is rebuilt may hold later commits than this.
                slot.last_commit = None;
            }
            slot.last_ticket = 0;
            if let State::Cold = slot.state {
                slot.recovery = None;
            }
            // Work of the runtime's own is found again in the journal.
            let waiting: VecDeque<_> = std::mem::take(&mut slot.mailbox);
            let (internal, callers): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|envelope| envelope.internal.is_some());
            slot.mailbox = callers.into();
            for envelope in internal {
                envelope.refuse(Refusal::OutcomeUnknown);
            }
        }
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.account(key);
        }
        self.durable = next - 1;
        self.shared.mail.let_out(self.index, self.durable);
        self.undurable_bytes = 0;
        self.timers.clear();
        self.clear_mail();
        self.account_timers();
        self.unarmed.clear();
        self.deferred.clear();
        self.ready.clear();
        self.to_recover.clear();
        self.to_warm.clear();
    }

    /// A journal is open: go on where the mailboxes stand.
    pub(super) fn on_open(&mut self, generation: u64, journal: Arc<dyn Journal>) {
        self.generation = Some(Generation {
            number: generation,
            journal,
        });
        let waiting: Vec<usize> = self
            .slots
            .iter()
            .filter(|(_, slot)| !slot.mailbox.is_empty() || slot.wanted())
            .map(|(key, _)| key)
            .collect();
        for (_, slot) in self.slots.iter_mut() {
            slot.queued = false;
        }
        for key in waiting {
            match self.slots.get(key).map(|slot| &slot.state) {
                Some(State::Live(_)) => self.make_ready(key),
                Some(State::Cold) => self.ask_recovery(key),
                Some(State::Recovering | State::Broken | State::Quarantined(_)) | None => {}
            }
        }
    }

    /// The journal cannot be written for the time being: who was to wait for it is told now, as those
    /// are who ask from now on.
    pub(super) fn refuse_callers(&mut self, reason: &str) {
        if self.generation.is_some() {
            return;
        }
        let mut refused = Vec::new();
        for (_, slot) in self.slots.iter_mut() {
            let waiting = std::mem::take(&mut slot.mailbox).into_iter();
            let (internal, callers): (Vec<_>, Vec<_>) =
                waiting.partition(|envelope| envelope.internal.is_some());
            slot.mailbox = internal.into();
            refused.extend(callers);
        }
        for envelope in refused {
            let reason = reason.to_owned();
            self.refuse(envelope, Refusal::ReadOnly { reason });
        }
    }

    /// The node ends: whoever still waits is told.
    pub(super) fn refuse_everything(&mut self) {
        let next = self.open.ticket + 1;
        let open = std::mem::replace(&mut self.open, Batch::new(next));
        for batch in std::mem::take(&mut self.in_flight)
            .into_iter()
            .chain([open])
        {
            for answer in batch.answers {
                answer.refuse(Refusal::OutcomeUnknown);
            }
        }
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            let waiting = self
                .slot_mut(key)
                .map(|slot| std::mem::take(&mut slot.mailbox));
            for envelope in waiting.into_iter().flatten() {
                self.refuse(envelope, Refusal::Stopped);
            }
        }
        self.generation = None;
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.remove(key);
        }
    }
}
