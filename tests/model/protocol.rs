//! The steps of the protocol, each as in the code that takes it, and the law.

use super::explore::Model;
use super::list::List;
use super::world::{
    Answer, Answers, Client, Entry, Item, Look, Op, Process, Search, Submission, Who, Worker,
    World, Writer,
};

/// A mistake that the code does not make: the model with it must break the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Answers go out when the batch is handed over.
    AnswerBeforeDurable,
    /// A look is answered at once, whatever it saw.
    ReadBeforeDurable,
    /// A message goes out when the batch is handed over.
    PostBeforeDurable,
    /// A key that is known is handled again.
    ForgetKeys,
    /// Taking a message leaves its row in the outbox.
    KeepRow,
    /// After a failed write an actor goes on with what it had decided.
    KeepUnsettledActor,
    /// The outbox is read while a taking is not durable.
    ReadWhileTaking,
    /// What was read from the outbox and comes by the lane as well is taken for new.
    ForgetWhatWasRead,
    /// A message that finds no room in the window is forgotten.
    ForgetOverflow,
    /// The outbox is not searched when a journal was opened.
    SkipSearch,
    /// An actor leaves memory while its newest entry is in flight.
    PassivateUnsettled,
    /// A lane is collected some time after the journal was opened, not at once: what the journal that failed had left
    /// there may have been taken by then.
    CollectLate,
}

impl Mistake {
    pub(super) const ALL: [Self; 12] = [
        Self::AnswerBeforeDurable,
        Self::ReadBeforeDurable,
        Self::PostBeforeDurable,
        Self::ForgetKeys,
        Self::KeepRow,
        Self::KeepUnsettledActor,
        Self::ReadWhileTaking,
        Self::ForgetWhatWasRead,
        Self::ForgetOverflow,
        Self::SkipSearch,
        Self::PassivateUnsettled,
        Self::CollectLate,
    ];
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A client asks, for the first time or again with its key (`runtime/src/node/actor_ref.rs`).
    Ask(Op),
    /// Somebody looks at the sender.
    Look,
    /// The first of the mailbox is handled (`runtime/src/worker/turn.rs`, `runtime/src/host/typed.rs`), by an actor that
    /// is brought into memory where it is not (`runtime/src/host/recover.rs`): until its turn nobody writes for it.
    Turn(Who),
    /// The open batch goes to the writer (`runtime/src/worker/latch.rs`, `hand_over`).
    HandOver(Who),
    /// All that waits is written as one commit (`journal/src/writer.rs`, `group`).
    Write,
    /// The commit is durable (`journal/src/committer.rs`); workers are told.
    Sync,
    /// The sync fails, and nothing is written any more (`journal/src/writer.rs`, `guarded`).
    FailSync,
    /// What waited for a durable batch is let out (`runtime/src/worker/latch.rs`, `let_out`).
    LetOut(Who),
    /// The receiver's worker takes what is in its lane (`runtime/src/worker/inbox.rs`, `collect_mail`), as it does at the
    /// end of every other step of its own.
    Collect,
    /// The outbox is read for the receiver (`runtime/src/node/mail.rs`, `read_page`).
    ReadOutbox,
    /// What was read is there (`runtime/src/worker/inbox.rs`, `take_page`).
    TakePage,
    /// A worker notices that the journal failed (`runtime/src/worker/latch.rs`, `on_latch`).
    Latch(Who),
    /// The journal is opened: after a failure (`runtime/src/node/keeper.rs`, `reopen`), or by a new process. Of what
    /// was written and not synced so many entries are there.
    Reopen { kept: usize },
    /// A worker is told so (`runtime/src/worker/latch.rs`, `on_open`).
    Open(Who),
    /// The outbox is searched (`runtime/src/node/mail.rs`, `load_outbox`).
    SearchOutbox,
    /// Deliveries begin (`runtime/src/worker/inbox.rs`, `open_mail`).
    OpenMail,
    /// An actor leaves memory (`runtime/src/worker/residency.rs`). One that is settled does so in every state, for
    /// it makes no difference: by the law it is what the disk says. This is for those that are not.
    Passivate(Who),
    /// The power fails, and of what was written and not synced so many entries are there.
    CutPower { kept: usize },
}

impl Step {
    /// Whether it happens by itself, sooner or later: nobody has to ask for it, and it is no misfortune.
    const fn is_owed(self) -> bool {
        !matches!(
            self,
            Self::Ask(_) | Self::Look | Self::Passivate(_) | Self::FailSync | Self::CutPower { .. }
        )
    }
}

/// The model, sound or with one mistake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol {
    /// Whether the second operation sends a message as well: then there is an order to keep. If not, nothing goes
    /// with its answer.
    pub(super) both_send: bool,
    /// How often each client asks: again with the same key, also where the first answer has not come.
    pub(super) asks: [u8; 2],
    /// Whether somebody looks.
    pub(super) looks: bool,
    /// Power cuts and failing syncs together.
    pub(super) faults: u8,
    pub(super) mistake: Option<Mistake>,
}

impl Model for Protocol {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        World::default()
    }

    fn steps(&self, world: &World) -> Vec<Step> {
        let Some(process) = &world.process else {
            return vec![Step::Reopen { kept: 0 }];
        };
        let mut steps = Vec::new();
        for op in [1, 2] {
            let client = usize::from(op - 1);
            if world.clients[client].asks < self.asks[client] {
                steps.push(Step::Ask(op));
            }
        }
        if self.looks && world.look == Look::NotAsked {
            steps.push(Step::Look);
        }
        for who in Who::BOTH {
            self.steps_of_worker(who, process, &mut steps);
        }
        steps_of_mail(process, &mut steps);
        steps_of_writer(process, world.faults < self.faults, &mut steps);
        steps
    }

    fn next(&self, world: &World, step: &Step) -> World {
        let mut next = world.clone();
        self.take(*step, &mut next);
        next
    }

    fn law(&self, world: &World, steps: &[Step]) -> Result<(), &'static str> {
        let (done, taken) = (world.durable(Who::Sender), world.durable(Who::Receiver));
        for (op, client) in (1..).zip(&world.clients) {
            if client.confused {
                return Err("a key was answered in two ways");
            }
            if let Some(count) = client.told
                && done.get(usize::from(count) - 1) != Some(&op)
            {
                return Err("what was acknowledged is not durable");
            }
            let mut times = done.iter().filter(|other| **other == op);
            if times.nth(1).is_some() {
                return Err("a key took effect twice");
            }
        }
        if matches!(world.look, Look::Saw(count) if usize::from(count) > done.len()) {
            return Err("somebody saw what is not durable");
        }
        let sent: List<Op, 8> = done.iter().copied().filter(|op| self.sends(*op)).collect();
        if !sent.starts_with(&taken) {
            return Err("a message was taken twice or out of order");
        }
        if let Some(process) = &world.process {
            for who in Who::BOTH {
                let worker = process.worker_of(who);
                let differs = worker
                    .actor
                    .is_some_and(|actor| actor != world.durable(who));
                if worker.is_open && worker.is_settled() && differs {
                    return Err("an actor at rest is not what its entries make of it");
                }
            }
            if process.messages().any(|op| !sent.contains(&op)) {
                return Err("a message rests on what is not durable");
            }
            if !steps.iter().any(|step| step.is_owed()) {
                return at_rest(world, process, sent.len() == taken.len());
            }
        }
        Ok(())
    }
}

/// What must hold where nothing is owed any more.
fn at_rest(world: &World, process: &Process, all_taken: bool) -> Result<(), &'static str> {
    if world.clients.iter().any(|client| client.waits > 0) || world.look == Look::Waits {
        return Err("an answer never comes");
    }
    if !all_taken {
        return Err("a message is never taken");
    }
    let inbox = &process.inbox;
    if !inbox.window.is_empty() || inbox.handed > 0 || !process.lane.is_empty() {
        return Err("a message that was taken is still waited for");
    }
    Ok(())
}

impl Process {
    /// All messages that the receiver's side knows of.
    fn messages(&self) -> impl Iterator<Item = Op> {
        let mailbox = self.receiver.mailbox.iter();
        let handed = mailbox.filter_map(|item| match item {
            Item::Message(op) => Some(*op),
            Item::Look | Item::Ask(_) => None,
        });
        let known = self.receiver.actor.iter().flat_map(|state| state.to_vec());
        let moving = self.lane.iter().chain(self.inbox.window.iter()).copied();
        handed.chain(known).chain(moving)
    }
}

fn steps_of_mail(process: &Process, steps: &mut Vec<Step>) {
    let inbox = &process.inbox;
    if process.receiver.is_open {
        let news = inbox.let_out != process.let_out && !inbox.read.is_empty();
        if !process.lane.is_empty() || news {
            steps.push(Step::Collect);
        }
        if inbox.page.is_some() {
            steps.push(Step::TakePage);
        }
        if matches!(process.search, Search::Searched { .. }) {
            steps.push(Step::OpenMail);
        }
    }
    if inbox.reading && inbox.page.is_none() {
        steps.push(Step::ReadOutbox);
    }
    if process.search == Search::NotBegun && !process.writer.has_failed {
        steps.push(Step::SearchOutbox);
    }
}

fn steps_of_writer(process: &Process, may_fail: bool, steps: &mut Vec<Step>) {
    let writer = &process.writer;
    let written = process.unsynced().len();
    if writer.has_failed {
        if !process.sender.is_open && !process.receiver.is_open {
            steps.extend((0..=written).map(|kept| Step::Reopen { kept }));
        }
    } else if writer.writing > 0 || !may_fail && !writer.queue.is_empty() {
        // Where nothing fails any more, a commit is written and synced at once: who comes later commits later.
        steps.push(Step::Sync);
    } else if !writer.queue.is_empty() {
        steps.push(Step::Write);
    }
    if may_fail {
        if writer.writing > 0 && !writer.has_failed {
            steps.push(Step::FailSync);
        }
        steps.extend((0..=written).map(|kept| Step::CutPower { kept }));
    }
}

impl Protocol {
    pub(super) fn makes(self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(super) fn sends(self, op: Op) -> bool {
        op == 1 || self.both_send
    }

    fn steps_of_worker(self, who: Who, process: &Process, steps: &mut Vec<Step>) {
        let worker = process.worker_of(who);
        if !worker.is_open {
            if !process.writer.has_failed {
                steps.push(Step::Open(who));
            }
            return;
        }
        if process.writer.has_failed {
            steps.push(Step::Latch(who));
        } else if !worker.open.entries.is_empty() {
            steps.push(Step::HandOver(who));
        }
        if !worker.outcomes.is_empty() {
            steps.push(Step::LetOut(who));
        }
        if !worker.mailbox.is_empty() {
            steps.push(Step::Turn(who));
        } else if worker.actor.is_some() && self.makes(Mistake::PassivateUnsettled) {
            steps.push(Step::Passivate(who));
        }
    }

    fn take(self, step: Step, world: &mut World) {
        let disk = world.disk;
        let durable = [world.durable(Who::Sender), world.durable(Who::Receiver)];
        let Some(process) = &mut world.process else {
            world.process = Some(Process::new(self.makes(Mistake::SkipSearch)));
            return;
        };
        match step {
            Step::Ask(op) => {
                let client = &mut world.clients[usize::from(op - 1)];
                client.asks += 1;
                client.waits += 1;
                process.sender.mailbox.push(Item::Ask(op));
            }
            Step::Look => {
                world.look = Look::Waits;
                process.sender.mailbox.push(Item::Look);
            }
            Step::Turn(who) => {
                process
                    .worker(who)
                    .actor
                    .get_or_insert(durable[who as usize]);
                let answered = self.turn(who, process);
                world.answer(&answered);
            }
            Step::HandOver(who) => {
                let answered = self.hand_over(who, process);
                world.answer(&answered);
            }
            Step::Write => process.writer.writing = process.writer.queue.len(),
            Step::Sync => world.sync(),
            Step::FailSync => {
                process.writer.has_failed = true;
                world.faults += 1;
            }
            Step::LetOut(who) => {
                let answered = self.let_out(who, process);
                world.answer(&answered);
            }
            Step::Collect => self.collect(process),
            Step::ReadOutbox => process.inbox.page = Some(self.read_page(&disk)),
            Step::TakePage => self.take_page(process),
            Step::Latch(who) => {
                let unknown = self.latch(who, process);
                world.leave_open(&unknown);
            }
            Step::Reopen { kept } => {
                let written = process.unsynced();
                process.writer = Writer::default();
                process.search = first_search(self.makes(Mistake::SkipSearch));
                world.keep(&written[..kept]);
            }
            Step::Open(who) => self.open(who, process),
            Step::SearchOutbox => {
                let (found, _) = self.read_page(&disk);
                let found = !found.is_empty();
                process.search = Search::Searched { found };
            }
            Step::OpenMail => {
                let found = matches!(process.search, Search::Searched { found: true });
                process.search = Search::Over;
                process.inbox.is_open = true;
                process.inbox.more |= found;
                self.hand_in(process);
                self.collect(process);
            }
            Step::Passivate(who) => process.worker(who).actor = None,
            Step::CutPower { kept } => world.cut_power(kept),
        }
    }
}

const fn first_search(skipped: bool) -> Search {
    if skipped {
        Search::Searched { found: false }
    } else {
        Search::NotBegun
    }
}

impl Process {
    fn new(skip_search: bool) -> Self {
        Self {
            sender: Worker::new(),
            receiver: Worker::new(),
            search: first_search(skip_search),
            ..Self::default()
        }
    }
}

impl World {
    /// Answers go out.
    fn answer(&mut self, answers: &Answers) {
        for Answer { to, count } in &**answers {
            let Some(client) = to.checked_sub(1) else {
                self.look = Look::Saw(*count);
                continue;
            };
            let client = &mut self.clients[usize::from(client)];
            client.waits -= 1;
            client.confused |= client.told.is_some_and(|told| told != *count);
            client.told = Some(*count);
        }
    }

    /// Those who waited are told that nobody knows.
    fn leave_open(&mut self, answers: &Answers) {
        for Answer { to, .. } in &**answers {
            match to.checked_sub(1) {
                None => self.look = Look::Lost,
                Some(client) => self.clients[usize::from(client)].waits -= 1,
            }
        }
    }

    fn keep(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.disk.push(*entry);
        }
    }

    fn sync(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        if process.writer.writing == 0 {
            process.writer.writing = process.writer.queue.len();
        }
        let written = process.unsynced();
        let mut answered = Answers::default();
        let done = std::mem::take(&mut process.writer.writing);
        let queue = process.writer.queue;
        for submission in &queue[..done] {
            let outcomes = &mut process.worker(submission.who()).outcomes;
            outcomes.push(submission.ticket);
            submission
                .few
                .iter()
                .for_each(|answer| answered.push(*answer));
        }
        process.writer.queue.drop_front(done);
        self.keep(&written);
        self.answer(&answered);
    }

    fn cut_power(&mut self, kept: usize) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.keep(&process.unsynced()[..kept]);
        self.faults += 1;
        for Client { waits, .. } in &mut self.clients {
            *waits = 0;
        }
        if self.look == Look::Waits {
            self.look = Look::Lost;
        }
    }
}

impl Submission {
    pub(super) const fn who(&self) -> Who {
        if self.of_receiver {
            Who::Receiver
        } else {
            Who::Sender
        }
    }
}
