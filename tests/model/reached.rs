//! What a model must have gone through: one that never gets there proves nothing.

use std::collections::BTreeMap;

use super::protocol::{Protocol, Step};
use super::world::{Item, Op, Process, Who, World};

/// How many steps did each of these.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeMap<&'static str, u64>);

const ALL: [&str; 13] = [
    "a key was recalled",
    "a recalled answer waited for its batch",
    "a look waited for a batch",
    "a message was read from the outbox",
    "what was read came by the lane as well",
    "a message found no room",
    "one commit held entries of both workers",
    "an actor was recovered with its entries",
    "a worker let out after the journal had failed",
    "an actor at rest outlived a failure",
    "a part of what was not synced was there",
    "the writer let an answer out",
    "everything was done after all faults",
];

impl Reached {
    /// What no step did.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let all = ALL.into_iter();
        all.filter(|what| !self.0.contains_key(what)).collect()
    }

    fn reach(&mut self, what: &'static str, yes: bool) {
        if yes {
            *self.0.entry(what).or_default() += 1;
        }
    }

    /// Takes down what happened between two states.
    pub(super) fn note(&mut self, protocol: Protocol, before: &World, step: Step, after: &World) {
        if let (Some(process), Some(now)) = (&before.process, &after.process) {
            match step {
                Step::Turn(who) => self.turn(before, process, who),
                Step::TakePage | Step::Collect => self.mail(process, step, now),
                Step::Write | Step::Sync => self.commit(process, step),
                Step::LetOut(_) => {
                    let late = process.writer.has_failed;
                    self.reach("a worker let out after the journal had failed", late);
                }
                Step::Latch(who) => {
                    let stays = now.worker_of(who).actor.is_some();
                    self.reach("an actor at rest outlived a failure", stays);
                }
                Step::Reopen { kept } => {
                    let part = kept > 0 && kept < process.unsynced().len();
                    self.reach("a part of what was not synced was there", part);
                }
                Step::Ask(_)
                | Step::Look
                | Step::HandOver(_)
                | Step::FailSync
                | Step::ReadOutbox
                | Step::Open(_)
                | Step::SearchOutbox
                | Step::OpenMail
                | Step::Passivate(_)
                | Step::CutPower { .. } => {}
            }
        }
        let told = after.clients.iter().all(|client| client.told.is_some());
        let sent = after.durable(Who::Sender);
        let sent = sent.iter().filter(|op| protocol.sends(**op)).count();
        let done = told && after.durable(Who::Receiver).len() == sent;
        let last = after.faults == protocol.faults;
        self.reach("everything was done after all faults", done && last);
    }

    fn turn(&mut self, before: &World, process: &Process, who: Who) {
        let worker = process.worker_of(who);
        let recovered = worker.actor.is_none() && !before.durable(who).is_empty();
        self.reach("an actor was recovered with its entries", recovered);
        let waits = !worker.is_settled();
        let known = |op: Op| worker.actor.is_some_and(|done| done.contains(&op));
        match worker.mailbox[0] {
            Item::Ask(op) => {
                self.reach("a key was recalled", known(op));
                let both = known(op) && waits;
                self.reach("a recalled answer waited for its batch", both);
            }
            Item::Look => self.reach("a look waited for a batch", waits),
            Item::Message(_) => {}
        }
    }

    fn mail(&mut self, process: &Process, step: Step, now: &Process) {
        let inbox = &process.inbox;
        if step == Step::TakePage {
            let read = !now.inbox.window.is_empty();
            return self.reach("a message was read from the outbox", read);
        }
        let was_read = |op: &Op| inbox.read.iter().any(|(read, _)| read == op);
        let twice = process.lane.iter().any(was_read);
        self.reach("what was read came by the lane as well", twice);
        let full = inbox.is_open && !inbox.more && !inbox.reading && now.inbox.more;
        self.reach("a message found no room", full);
    }

    fn commit(&mut self, process: &Process, step: Step) {
        let queue = process.writer.queue.iter();
        let few = queue.clone().any(|submission| !submission.few.is_empty());
        self.reach("the writer let an answer out", few && step == Step::Sync);
        let receivers = queue.filter(|submission| submission.of_receiver).count();
        let both = receivers > 0 && receivers < process.writer.queue.len();
        self.reach("one commit held entries of both workers", both);
    }
}
