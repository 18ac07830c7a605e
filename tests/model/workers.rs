//! What workers do in a step: turns, batches, messages, and what a failed journal takes back.

use super::list::List;
use super::protocol::{Mistake, Protocol};
use super::world::{
    Answer, Answers, Batch, Entry, Inbox, Item, Op, PAGE, Process, Submission, WINDOW, Who, Worker,
};

impl Worker {
    /// `answer_read` in `runtime/src/worker/turn.rs`: an answer without an entry waits for the batch with the newest
    /// one. What may go out at once is returned.
    fn gate(&mut self, answer: Answer) -> Answers {
        let mut now = Answers::default();
        let newest = self.newest;
        if newest <= self.durable {
            now.push(answer);
        } else if newest == self.open.ticket {
            self.open.answers.push(answer);
        } else {
            let batches = &mut *self.in_flight;
            let holder = batches.iter_mut().find(|batch| batch.ticket == newest);
            holder.expect("it is in flight").answers.push(answer);
        }
        now
    }

    /// `append` in `runtime/src/worker/turn.rs`.
    fn append(&mut self, entry: Entry) {
        self.open.entries.push(entry);
        self.newest = self.open.ticket;
    }

    fn close_batch(&mut self) -> Batch {
        let next = Batch::new(self.open.ticket + 1);
        std::mem::replace(&mut self.open, next)
    }
}

impl Protocol {
    pub(super) fn turn(self, who: Who, process: &mut Process) -> Answers {
        match who {
            Who::Sender => self.sender_turn(&mut process.sender),
            Who::Receiver => {
                self.receiver_turn(process);
                Answers::default()
            }
        }
    }

    /// A command: one whose key is known gets the answer that is kept (`recall` in `runtime/src/host/typed.rs`).
    fn sender_turn(self, sender: &mut Worker) -> Answers {
        let item = sender.mailbox.pop_front();
        let done = sender.actor.as_mut().expect("it is in memory");
        match item {
            None | Some(Item::Message(_)) => Answers::default(),
            Some(Item::Look) => {
                let count = u8::try_from(done.len()).unwrap();
                let answer = Answer { to: 0, count };
                if self.makes(Mistake::ReadBeforeDurable) {
                    return std::iter::once(answer).collect();
                }
                sender.gate(answer)
            }
            Some(Item::Ask(op)) => {
                let known = done.iter().position(|other| *other == op);
                if let Some(place) = known
                    && !self.makes(Mistake::ForgetKeys)
                {
                    let count = u8::try_from(place + 1).unwrap();
                    return sender.gate(Answer { to: op, count });
                }
                done.push(op);
                let count = u8::try_from(done.len()).unwrap();
                sender.append(Entry::Did(op));
                sender.open.answers.push(Answer { to: op, count });
                Answers::default()
            }
        }
    }

    /// A message: its entry takes it, and it leaves the window (`message_taken` in `runtime/src/worker/inbox.rs`).
    fn receiver_turn(self, process: &mut Process) {
        let receiver = &mut process.receiver;
        let Some(Item::Message(op)) = receiver.mailbox.pop_front() else {
            return;
        };
        receiver.actor.as_mut().expect("it is in memory").push(op);
        receiver.append(Entry::Took(op));
        let inbox = &mut process.inbox;
        inbox.taken = receiver.open.ticket;
        inbox.window.pop_front();
        inbox.handed -= 1;
        self.hand_in(process);
    }

    /// `hand_over` in `runtime/src/worker/latch.rs`, with `take_few_answers` in `runtime/src/worker/batch.rs`.
    pub(super) fn hand_over(self, who: Who, process: &mut Process) -> Answers {
        let mut batch = process.worker(who).close_batch();
        let ticket = batch.ticket;
        let mut submission = Submission {
            of_receiver: who == Who::Receiver,
            ticket,
            entries: batch.entries,
            ..Submission::default()
        };
        let mut early = Answers::default();
        if self.makes(Mistake::AnswerBeforeDurable) {
            early = batch.answers.take();
        } else if !batch
            .entries
            .iter()
            .any(|entry| self.has_consequence(*entry))
        {
            submission.few = batch.answers.take();
        }
        if self.makes(Mistake::PostBeforeDurable) {
            self.post(&batch, process);
        }
        process.worker(who).in_flight.push(batch);
        if who == Who::Sender {
            process.handed_over = ticket;
        }
        process.writer.queue.push(submission);
        early
    }

    fn has_consequence(self, entry: Entry) -> bool {
        match entry {
            Entry::Did(op) => self.sends(op),
            Entry::Took(_) => true,
        }
    }

    fn post(self, batch: &Batch, process: &mut Process) {
        for entry in &*batch.entries {
            match entry {
                Entry::Did(op) if self.sends(*op) => process.lane.push(*op),
                Entry::Did(_) | Entry::Took(_) => {}
            }
        }
    }

    /// `let_out` in `runtime/src/worker/latch.rs`: answers, then messages, then the word that both are out.
    pub(super) fn let_out(self, who: Who, process: &mut Process) -> Answers {
        let worker = process.worker(who);
        let ticket = worker.outcomes.pop_front().expect("an outcome");
        let batch = worker.in_flight.pop_front().expect("a batch");
        assert_eq!(batch.ticket, ticket, "outcomes come in order");
        worker.durable = ticket;
        match who {
            Who::Sender => {
                if !self.makes(Mistake::PostBeforeDurable) {
                    self.post(&batch, process);
                }
                process.let_out = ticket;
            }
            Who::Receiver => {
                self.refill(process);
                self.collect(process);
            }
        }
        batch.answers
    }

    /// `on_open`, and what every handling of a control message ends with (`pump` in `runtime/src/worker/run.rs`): a lane
    /// may hold what the journal that failed had left there.
    pub(super) fn open(self, who: Who, process: &mut Process) {
        process.worker(who).is_open = true;
        if who == Who::Receiver && !self.makes(Mistake::CollectLate) {
            self.collect(process);
        }
    }

    /// `on_latch`: nothing counts that is not durable; what was not handled stays. Returns whose outcome is unknown.
    pub(super) fn latch(self, who: Who, process: &mut Process) -> Answers {
        let mut unknown = Answers::default();
        for submission in process.writer.queue.iter() {
            if submission.who() == who {
                submission
                    .few
                    .iter()
                    .for_each(|answer| unknown.push(*answer));
            }
        }
        let worker = process.worker(who);
        worker.is_open = false;
        let open = worker.close_batch();
        for batch in worker.in_flight.take().iter().chain([&open]) {
            batch
                .answers
                .iter()
                .for_each(|answer| unknown.push(*answer));
        }
        if !worker.is_settled() && !self.makes(Mistake::KeepUnsettledActor) {
            worker.actor = None;
        }
        worker.newest = 0;
        worker.outcomes = List::default();
        worker.durable = open.ticket;
        let durable = worker.durable;
        let owed = |item: &Item| matches!(item, Item::Message(_));
        worker.mailbox.retain(|item| !owed(item));
        match who {
            Who::Sender => process.let_out = durable,
            Who::Receiver => {
                process.inbox = Inbox::default();
                process.lane = List::default();
            }
        }
        unknown
    }

    /// `collect_mail`: how far the sender's worker is, looked at first, then all that is in the lane.
    pub(super) fn collect(self, process: &mut Process) {
        process.inbox.let_out = process.let_out;
        for op in process.lane.take().iter() {
            self.receive(*op, process);
        }
        self.hand_in(process);
    }

    fn receive(self, op: Op, process: &mut Process) {
        let inbox = &mut process.inbox;
        let was_read = inbox.read.iter().any(|(read, _)| *read == op);
        if was_read && !self.makes(Mistake::ForgetWhatWasRead) {
            return;
        }
        let behind = inbox.more || inbox.reading || inbox.window.len() >= WINDOW;
        if behind || !inbox.is_open {
            inbox.more |= !self.makes(Mistake::ForgetOverflow);
        } else {
            inbox.window.push(op);
        }
        self.hand_in(process);
    }

    /// `hand_in`: from the window into the mailbox, from the outbox into the window.
    pub(super) fn hand_in(self, process: &mut Process) {
        let (receiver, inbox) = (&mut process.receiver, &mut process.inbox);
        if !inbox.is_open || !receiver.is_open {
            return;
        }
        while let Some(op) = inbox.window.get(inbox.handed) {
            receiver.mailbox.push(Item::Message(*op));
            inbox.handed += 1;
        }
        self.refill(process);
    }

    /// `refill`: the outbox is read on only where nothing is in memory and all takings are durable.
    fn refill(self, process: &mut Process) {
        let (receiver, inbox) = (&process.receiver, &mut process.inbox);
        let taking = inbox.taken > receiver.durable && !self.makes(Mistake::ReadWhileTaking);
        if !inbox.window.is_empty() || inbox.reading || taking {
            return;
        }
        if inbox.more {
            inbox.reading = true;
            inbox.more = false;
        } else {
            inbox.forget_read();
        }
    }

    /// The oldest rows of the outbox, and whether there are more.
    pub(super) fn read_page(self, disk: &[Entry]) -> (List<Op, 2>, bool) {
        let taken = |op: Op| disk.contains(&Entry::Took(op)) && !self.makes(Mistake::KeepRow);
        let sent = disk.iter().filter_map(|entry| Who::Sender.wrote(*entry));
        let rows = sent.filter(|op| self.sends(*op) && !taken(*op));
        let rows: Vec<Op> = rows.collect();
        let page = rows.iter().take(PAGE).copied().collect();
        (page, rows.len() > PAGE)
    }

    pub(super) fn take_page(self, process: &mut Process) {
        let handed_over = process.handed_over;
        let inbox = &mut process.inbox;
        let Some((page, full)) = inbox.page.take() else {
            return;
        };
        inbox.reading = false;
        inbox.more |= full;
        inbox.forget_read();
        for op in &*page {
            inbox.read.push((*op, handed_over));
        }
        inbox.window = page;
        self.hand_in(process);
        self.collect(process);
    }
}

impl Inbox {
    /// What the sender's worker cannot bring any more need not be known by name.
    fn forget_read(&mut self) {
        let let_out = self.let_out;
        self.read.retain(|(_, until)| *until > let_out);
    }
}
