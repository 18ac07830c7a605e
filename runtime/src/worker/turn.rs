//! Turns: one command after the other, each ending in an answer, an entry, or a broken actor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use steadfast_journal::{ActorNumber, Append, Entry, EntryNumber, failpoint, mutant};

use super::batch::{Consequence, Taken};
use super::input::{Deadline, Envelope, Internal};
use super::run::{QUANTUM, Worker};
use super::slot::{Slot, State};
use super::trouble::Failing;
use crate::core::{Change, MessageId, row_changes};
use crate::error::Refusal;
use crate::host::{Exec, Ran, Resident, Written};
use crate::model::Timestamp;
use crate::node::EffectJob;

/// How soon a sender with too many messages waiting may be asked again.
const BACKLOG_WAIT: Duration = Duration::from_millis(100);

impl Worker {
    /// Gives the actor in `slot` its turns; returns how many.
    pub(super) fn turns(&mut self, slot: usize) -> usize {
        let mut turns = 0;
        while turns < QUANTUM {
            let Some(entry) = self.slots.get_mut(slot) else {
                return turns;
            };
            entry.queued = false;
            if !matches!(entry.state, State::Live(_)) || entry.held() {
                return turns;
            }
            let Some(envelope) = entry.mailbox.pop_front() else {
                return turns;
            };
            if entry.mailbox.is_empty() {
                self.spare.give_back(std::mem::take(&mut entry.mailbox));
            }
            turns += 1;
            self.turn(slot, envelope);
        }
        self.make_ready(slot);
        turns
    }

    /// Puts a live slot with work into the run queue, once.
    pub(super) fn make_ready(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let free = matches!(slot.state, State::Live(_)) && !slot.held();
        if free && !slot.queued && !slot.mailbox.is_empty() {
            slot.queued = true;
            self.ready.push(slot.kind.priority, key);
        }
    }

    pub(super) fn turn(&mut self, key: usize, envelope: Envelope) {
        let clock = &self.shared.clock;
        let late =
            |deadline: &Deadline| deadline.expires <= clock.running() || !deadline.claim.begin();
        if envelope.deadline.as_deref().is_some_and(late) {
            return self.refuse(envelope, Refusal::Expired);
        }
        let Some(mut envelope) = self.admit_sender(key, envelope) else {
            return;
        };
        let (now, running) = self.turn_begins();
        let Some(ran) = self.run_guarded(key, &mut envelope, now, running) else {
            return;
        };
        let took = self.turn_ends();
        self.measure(&envelope, running, took);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.last_used = running;
        }
        match ran {
            Ran::Read { stop } => {
                if let Some(slot) = self.slots.get_mut(key) {
                    slot.stop |= stop;
                }
                self.succeeded(key, envelope.invoke.as_ref());
                self.answer_read(key, envelope);
            }
            Ran::Wrote(written) => self.append(key, envelope, *written),
            Ran::Stale => {
                self.shared.metrics.command(envelope.to.kind.name, "stale");
                self.work_is_over(key, envelope.invoke.as_ref());
                if let Some(Internal::Timer(timer)) = envelope.internal {
                    self.heal_timer(key, timer);
                }
            }
            Ran::Refused(refusal) => {
                if let Some(internal) = envelope.internal.clone() {
                    self.bring_again(internal, Duration::from_secs(1));
                }
                self.refuse(envelope, refusal);
            }
            Ran::Broken { reason } => {
                let seq = self.newest_event(key);
                self.broken(key, envelope, Refusal::Failed { reason }, seq);
            }
        }
    }

    /// Holds back who has too many messages waiting: callers are told, timers come again. Messages and the
    /// outcomes of effects go on, so that two actors that wait for each other do not wait for ever.
    fn admit_sender(&mut self, key: usize, envelope: Envelope) -> Option<Envelope> {
        let limit = self.shared.config.outbox_capacity;
        let number = match self.slots.get(key).map(|slot| &slot.state) {
            Some(State::Live(resident)) => resident.core().number,
            _ => None,
        };
        let full = number.is_some_and(|number| self.shared.mail.backlog.is_full(number, limit));
        if !full {
            return Some(envelope);
        }
        match envelope.internal {
            None => {
                let retry_after = BACKLOG_WAIT;
                self.refuse(envelope, Refusal::Overloaded { retry_after });
                None
            }
            Some(internal @ Internal::Timer(_)) => {
                self.bring_again(internal, BACKLOG_WAIT);
                None
            }
            Some(
                Internal::Answer(_) | Internal::Message { .. } | Internal::Step | Internal::Skip,
            ) => Some(envelope),
        }
    }

    /// A message counts from when it is written, so that the bound holds for what is not durable yet.
    fn note_written(&self, envelope: &Envelope, from: ActorNumber, change: &Change) {
        if let Change::MessageSent(out) = change {
            self.shared.mail.backlog.sent(MessageId {
                from,
                entry: out.place.entry,
                index: out.place.index,
            });
        }
        if mutant!("effect_before_durable")
            && let Change::EffectRequested(effect) = change
        {
            self.shared.launch(EffectJob {
                actor: envelope.to.actor.clone(),
                kind: Arc::clone(&envelope.to.kind),
                number: from,
                effect: effect.clone(),
                resumed: false,
            });
        }
    }

    fn run_guarded(
        &mut self,
        key: usize,
        envelope: &mut Envelope,
        now: Timestamp,
        running: Duration,
    ) -> Option<Ran> {
        let (command_id, seed) = self.draw();
        let slot = self.slots.get_mut(key)?;
        let State::Live(resident) = &mut slot.state else {
            return None;
        };
        let generation = self.generation.as_ref()?;
        let exec = Exec {
            id: &slot.id,
            kind: &slot.kind,
            registry: Some(&self.shared.registry),
            journal: generation.journal.as_ref(),
            history: self.shared.history(),
            now,
            running,
            boot: self.shared.clock.boot(),
            seed,
            command_id,
            traceparent: envelope.traceparent.take().map(String::from),
        };
        let _span = tracing::debug_span!(
            "command", actor = %slot.id, command = envelope.invoke.name(), command_id = exec.command_id
        )
        .entered();
        let invoke = &mut envelope.invoke;
        let guarded = catch_unwind(AssertUnwindSafe(|| invoke.run(resident.as_mut(), &exec)));
        Some(guarded.unwrap_or_else(|_| Ran::Broken {
            reason: "encoding or decoding a value of the command panicked".to_owned(),
        }))
    }

    fn measure(&mut self, envelope: &Envelope, started: Duration, took: Duration) {
        let kind = &envelope.to.kind;
        self.tally.handled(kind, took);
        if took > self.shared.config.slow_handler {
            let (kind, command) = (envelope.to.kind.name, envelope.invoke.name());
            self.shared.metrics.slow_handler(kind, command);
            if let Some(unsaid) = self.slow.note(kind, command, started) {
                tracing::warn!(
                    actor = %envelope.to.actor, command, duration_ms = took.as_millis(), unsaid,
                    "slow handler: it holds up all actors of its worker"
                );
            }
        }
    }

    pub(super) fn refuse(&mut self, envelope: Envelope, refusal: Refusal) {
        self.shared
            .metrics
            .command(envelope.to.kind.name, refusal.label());
        if let (Refusal::Quarantined { .. }, Some(Internal::Timer(timer))) =
            (&refusal, &envelope.internal)
        {
            self.let_timer_go(*timer, &envelope.to.actor, &envelope.to.kind);
        }
        envelope.refuse(refusal);
    }

    fn count_end(&mut self, envelope: &Envelope) {
        self.tally
            .ended(&envelope.to.kind, envelope.invoke.rejected());
    }

    /// Lets an answer out once everything it may rest on is durable.
    fn answer_read(&mut self, key: usize, envelope: Envelope) {
        self.count_end(&envelope);
        let ticket = self.slots.get(key).map_or(0, |slot| slot.last_ticket);
        if envelope.dirty || ticket <= self.durable || mutant!("read_before_durable") {
            envelope.invoke.finish();
        } else if ticket == self.open.ticket {
            self.open.answers.push(envelope.invoke);
        } else {
            let holder = self
                .in_flight
                .iter_mut()
                .find(|batch| batch.ticket == ticket);
            match holder {
                Some(batch) => batch.answers.push(envelope.invoke),
                None => envelope.invoke.refuse(Refusal::OutcomeUnknown),
            }
        }
    }

    /// An entry with its rows, unless it is larger than entries may be.
    fn encoded(
        &self,
        envelope: &Envelope,
        entry: &Entry,
        changes: &[Change],
    ) -> Result<Append, Refusal> {
        let failed = |reason: String| Refusal::Failed { reason };
        let (actor, kind) = (&envelope.to.actor, envelope.to.kind.name);
        let mut rows = row_changes(actor, kind, entry.actor, changes)
            .map_err(|error| failed(error.to_string()))?;
        rows.extend(self.anchor(changes));
        let append = Append::new(entry, rows).map_err(|error| failed(error.to_string()))?;
        let (bytes, limit) = (append.bytes(), self.most_bytes(envelope));
        if bytes > limit {
            return Err(Refusal::TooLarge { bytes, limit });
        }
        Ok(append)
    }

    /// Puts an entry into the open batch, with all that waits for it.
    fn append(&mut self, key: usize, envelope: Envelope, written: Written) {
        let Written {
            entry,
            changes,
            stop,
        } = written;
        let append = match self.encoded(&envelope, &entry, &changes) {
            Ok(append) => append,
            Err(refusal) => return self.broken(key, envelope, refusal, entry.events_before),
        };
        self.count_end(&envelope);
        self.tally.events(&envelope.to.kind, entry.events.len());
        let bytes = append.bytes();
        self.undurable_bytes += bytes;
        self.open.bytes += bytes;
        self.open.events += entry.events.len();
        self.open.appends.push(append);
        self.open.slots.push(key);
        let mut taken = None;
        for change in changes {
            self.note_written(&envelope, entry.actor, &change);
            if let Change::MessageTaken { id } = &change {
                taken = Some(*id);
            }
            self.open.consequences.push(Consequence {
                actor: envelope.to.actor.clone(),
                kind: Arc::clone(&envelope.to.kind),
                number: entry.actor,
                change,
            });
        }
        self.open.stops |= stop;
        self.succeeded(key, envelope.invoke.as_ref());
        self.open.answers.push(envelope.invoke);
        let ticket = self.open.ticket;
        if let Some(slot) = self.slots.get_mut(key) {
            slot.last_ticket = ticket;
            slot.unsaved_entries += 1;
            slot.stop |= stop;
        }
        if let Some(id) = taken {
            let skipped = !matches!(envelope.internal, Some(Internal::Message { .. }));
            self.message_taken(&envelope.to.actor, id, skipped);
            failpoint!("message.taken");
        }
        self.snapshot_if_due(key);
        self.grew(key, bytes);
    }

    /// How much a command may write. A step of an effect writes anew what an earlier entry was let write, and has nobody
    /// who could ask for less.
    fn most_bytes(&self, envelope: &Envelope) -> usize {
        if matches!(envelope.internal, Some(Internal::Step)) {
            return usize::MAX;
        }
        self.shared.config.entry_bytes
    }

    /// The state must not be used again: nothing of this command is kept, and the actor is rebuilt once
    /// none of its commits is in flight. `seq` is its newest event before the command.
    fn broken(&mut self, key: usize, envelope: Envelope, refusal: Refusal, seq: u64) {
        let reason = refusal.to_string();
        tracing::error!(actor = %envelope.to.actor, command = envelope.invoke.name(), reason, "command failed; the actor is rebuilt from the journal");
        let internal = envelope.internal.clone();
        let failing = Failing::of(&envelope);
        // How much a caller wants to write is no sign of a broken actor.
        let counts = internal.is_some() || !matches!(refusal, Refusal::TooLarge { .. });
        self.refuse(envelope, refusal);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.set_state(State::Broken);
        }
        self.account(key);
        if counts {
            self.failed(key, internal, failing, &reason, seq);
        }
        self.rebuild_if_settled(key);
    }

    /// Work of the runtime's own comes again later; callers decide for themselves.
    pub(super) fn bring_again(&mut self, internal: Internal, wait: Duration) {
        let running = self.shared.clock.running();
        match internal {
            Internal::Timer(timer) => self.timers.again(timer, running, wait),
            Internal::Answer(answer) => self.deferred.push((running + wait, answer)),
            Internal::Message { to } => self.hold_mail(&to, Some(wait)),
            Internal::Step | Internal::Skip => {}
        }
    }

    fn snapshot_if_due(&mut self, key: usize) {
        let every = self.shared.config.snapshot_every;
        let due = self
            .slots
            .get(key)
            .is_some_and(|slot| every > 0 && slot.unsaved_entries >= every);
        // Without room it stays due.
        if due
            && !self.shared.snapshots_are_full()
            && let Some(taken) = self.take_snapshot(key)
            && let Some(room) = self.shared.snapshot_room(taken.state.len(), false)
        {
            self.open.snapshots.push((taken, room));
        }
    }

    /// Encodes the actor as it is now. A state that cannot be encoded costs replay time, no data.
    pub(super) fn take_snapshot(&mut self, key: usize) -> Option<Taken> {
        let clocks = self.clocks();
        let slot = self.slots.get_mut(key)?;
        let State::Live(resident) = &slot.state else {
            return None;
        };
        slot.unsaved_entries = 0;
        let saved = catch_unwind(AssertUnwindSafe(|| resident.save(clocks)));
        match saved {
            Ok(Ok(state)) => {
                slot.size.measured(state.len());
                taken(resident.as_ref(), state)
            }
            Ok(Err(error)) => {
                tracing::warn!(actor = %slot.id, %error, "no snapshot: the state cannot be encoded");
                self.shared.metrics.snapshot(slot.kind.name, "failed");
                None
            }
            Err(_) => {
                tracing::warn!(actor = %slot.id, "no snapshot: encoding the state panicked");
                self.shared.metrics.snapshot(slot.kind.name, "failed");
                None
            }
        }
    }

    /// Snapshots of actors whose newest entry is durable, at the orderly end: waits for room, for as long as the end
    /// may take.
    pub(super) fn save_residents(&mut self) {
        let keys: Vec<usize> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            if self.shared.snapshots_may_wait() {
                self.save(key, true);
            } else {
                self.save_settled(key);
            }
        }
    }

    /// A snapshot of an actor before it leaves memory, if there is room.
    pub(super) fn save_settled(&mut self, key: usize) {
        if self.is_worth_saving(key) && self.shared.snapshots_are_full() {
            return self.shared.snapshot_dropped();
        }
        self.save(key, false);
    }

    fn is_worth_saving(&self, key: usize) -> bool {
        let every = self.shared.config.snapshot_every;
        self.slots.get(key).is_some_and(|slot| {
            let settled = slot.last_ticket <= self.durable;
            every != 0 && settled && slot.unsaved_entries >= (every / 10).max(1)
        })
    }

    fn save(&mut self, key: usize, waits: bool) {
        let commit = self.slots.get(key).and_then(|slot| slot.last_commit);
        if self.is_worth_saving(key)
            && let (Some(commit), Some(taken)) = (commit, self.take_snapshot(key))
            && let Some(room) = self.shared.snapshot_room(taken.state.len(), waits)
        {
            self.shared.store_snapshot(taken, commit, room);
        }
    }

    pub(super) fn slot_mut(&mut self, key: usize) -> Option<&mut Slot> {
        self.slots.get_mut(key)
    }
}

fn taken(resident: &dyn Resident, state: Vec<u8>) -> Option<Taken> {
    let core = resident.core();
    let ahead = u64::from(mutant!("snapshot_ahead"));
    Some(Taken {
        actor: core.number?,
        entry: EntryNumber::new(core.entry + ahead)?,
        events: core.events,
        kind_version: resident.state_version(),
        state,
    })
}
