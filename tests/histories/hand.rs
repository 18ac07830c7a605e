//! The hand that holds a node while it is asked: cuts its power, lets its syncs fail, holds its commits, lets time pass.

use std::sync::Arc;

use steadfast::testkit::{CommitFault, FaultPlan, TestNode};
use steadfast_tests::Dice;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::course::{Course, Progress, QUESTIONS, REST, SLATES, client};
use super::judged::{History, Reached};
use super::slate::{Answer, Heard, Question, Slate, kind};

/// Makes the history of `seed`.
pub(super) fn record(runtime: &Runtime, seed: u64) -> History {
    let mut dice = Dice::new(seed);
    let (workers, snapshot_every) = (1 + dice.roll(3), dice.roll(6));
    let node = TestNode::with_seed(seed, move |node| {
        node.register(kind).config(|config| {
            config.workers = usize::try_from(workers).unwrap().try_into().unwrap();
            config.snapshot_every = snapshot_every;
            config.passivate_after = REST;
        })
    });
    let clients = 2 + dice.roll(3);
    let names = std::array::from_fn(|slate| format!("{slate}-{seed}"));
    let course = Arc::new(Course::new(node.node(), clients, names));
    let ends = 2 * clients * QUESTIONS;
    let deeds = 1 + dice.roll(5);
    let deeds = (0..deeds).map(|_| (1 + dice.roll(ends), Deed::draw(&mut dice)));
    let deeds: Vec<(u64, Deed)> = deeds.collect();
    let mut hand = Hand {
        runtime,
        node,
        course: Arc::clone(&course),
        reached: Reached::new(),
    };
    let asking: Vec<JoinHandle<()>> = (0..clients)
        .map(|number| {
            let dice = Dice::new(seed ^ ((number + 1) << 40));
            runtime.spawn(client(Arc::clone(&course), dice))
        })
        .collect();
    hand.lead(deeds);
    for client in asking {
        runtime.block_on(client).unwrap();
    }
    hand.end()
}

/// What is done to the node meanwhile.
#[derive(Debug, Clone, Copy)]
enum Deed {
    CutPower,
    CutPowerInAWrite(u64, CommitFault),
    FailASync(u64, CommitFault),
    PassTime,
    /// Commits wait; some are let go, then the power fails where that is said.
    HoldCommits(u64, Option<CommitFault>),
    Restart,
}

impl Deed {
    fn draw(dice: &mut Dice) -> Self {
        let fate = match dice.roll(2) {
            0 => CommitFault::Lost,
            _ => CommitFault::Kept,
        };
        let write = 1 + dice.roll(3);
        match dice.roll(20) {
            0..3 => Self::CutPower,
            3..7 => Self::CutPowerInAWrite(write, fate),
            7..10 => Self::FailASync(write, fate),
            10..14 => Self::PassTime,
            14..18 => Self::HoldCommits(dice.roll(3), (dice.roll(4) > 0).then_some(fate)),
            _ => Self::Restart,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::CutPower => "power cuts",
            Self::CutPowerInAWrite(..) => "power cuts in a write",
            Self::FailASync(..) => "failing syncs",
            Self::PassTime => "times passed",
            Self::HoldCommits(_, None) => "commits held",
            Self::HoldCommits(_, Some(_)) => "power cuts with commits held",
            Self::Restart => "orderly restarts",
        }
    }
}

/// Holds the node while it is asked.
struct Hand<'a> {
    runtime: &'a Runtime,
    node: TestNode,
    course: Arc<Course>,
    reached: Reached,
}

impl Hand<'_> {
    /// Lets the node be asked, and does `deeds` at these moments, until all clients are done.
    fn lead(&mut self, mut deeds: Vec<(u64, Deed)>) {
        deeds.sort_by_key(|(moment, _)| std::cmp::Reverse(*moment));
        let mut progress = self.course.progress.subscribe();
        let mut seen = Progress::default();
        loop {
            let next = progress.wait_for(|now| now.moment > seen.moment || now.clients == 0);
            let now = *self.runtime.block_on(next).unwrap();
            if now.clients == 0 {
                return;
            }
            if !self.node.storage().has_power() {
                self.open_again();
            } else if let Some((_, deed)) = deeds.pop_if(|(moment, _)| *moment <= now.moment) {
                self.reach(deed.name());
                self.act(deed);
            } else if now.refused > seen.refused {
                self.node.clock().advance(REST / 4);
            }
            seen = now;
        }
    }

    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::CutPower => self.open_again(),
            Deed::CutPowerInAWrite(write, fate) => self.node.crash_after(write, fate),
            Deed::FailASync(write, fate) => {
                self.node.faults(&FaultPlan::new().sync_error(write, fate));
            }
            Deed::PassTime => self.node.clock().advance(REST),
            Deed::HoldCommits(let_go, fate) => self.hold(let_go, fate),
            Deed::Restart => {
                self.node.faults(&FaultPlan::new());
                let restarted = self.runtime.block_on(self.node.restart());
                match restarted {
                    Ok(()) => self.opened(),
                    Err(_) => self.open_again(),
                }
            }
        }
    }

    /// Holds commits until everybody waits for one, lets some go, and ends it.
    fn hold(&mut self, let_go: u64, fate: Option<CommitFault>) {
        self.node.faults(&FaultPlan::new().held());
        for _ in 0..let_go {
            self.settle();
            self.node.let_go(1);
        }
        self.settle();
        match fate {
            Some(CommitFault::Lost) => self.open_again(),
            Some(fate @ CommitFault::Kept) => {
                self.node.crash_after(1, fate);
                self.node.let_go(1);
                self.settle();
                self.open_again();
            }
            None => self.node.faults(&FaultPlan::new()),
        }
    }

    fn settle(&self) {
        // Whether the power has failed meanwhile is looked at elsewhere.
        drop(self.runtime.block_on(self.node.settle()));
    }

    /// The power fails, and is back.
    fn open_again(&mut self) {
        self.node.crash();
        self.node.faults(&FaultPlan::new());
        self.node.reopen();
        self.opened();
    }

    /// The node is open again: nothing of the opening before takes effect from this moment on.
    fn opened(&mut self) {
        let moment = self.course.next_moment();
        self.course.told().openings.push(moment);
        let node = self.node.node();
        self.course
            .door
            .send_modify(|(opening, door)| (*opening, *door) = (*opening + 1, Some(node)));
    }
}

impl Hand<'_> {
    /// Ends all faults, reads every slate once more, and compares that with the journal.
    fn end(mut self) -> History {
        self.open_again();
        let node = self.runtime.block_on(self.course.node(0));
        for slate in 0..SLATES {
            let read = self.course.ask(&node, slate, Question::READ, None);
            let heard = self.runtime.block_on(read);
            let stored = self.node.state::<Slate>(&self.course.names[slate]).values;
            let told = matches!(&heard, Heard::Answer(Answer::Values(values)) if *values == stored);
            if !told {
                let wrong = format!("{heard:?} was read where {stored:?} is stored");
                self.course.told().wrong.push(wrong);
            }
        }
        self.node.check_laws();
        let told = std::mem::take(&mut *self.course.told());
        History {
            told,
            reached: self.reached,
        }
    }
}
