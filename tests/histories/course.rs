//! One history of a real node: clients on threads of their own that ask two slates at the same time, while the node's
//! disk, power and clock are in the hands of a seed.
//!
//! Moments are counted, not measured: each question takes the next number right before it is asked, each answer right
//! after it came. So a call that was over before another one began has the smaller numbers, whatever the threads did
//! in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use steadfast::Node;
use steadfast::testkit::{CommitFault, FaultPlan, TestNode};
use steadfast_tests::Dice;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};

use super::linear::{Call, NEVER, explain};
use super::slate::{Answer, Heard, Plain, Question, Slate, What, kind};

/// Slates of one history.
const SLATES: usize = 2;
/// Questions of one client that are not refused.
const QUESTIONS: u64 = 10;
/// All of its questions, for each of these: those that are refused come on top.
const TIRED: u64 = 6;
/// By the node's clock: an actor that rests for so long leaves memory.
const REST: Duration = Duration::from_secs(1);

/// What a batch of histories reached, by name.
pub(super) type Reached = BTreeMap<&'static str, u64>;

/// A question and what became of it.
#[derive(Debug, Clone)]
struct Asked {
    slate: usize,
    question: Question,
    asked: u64,
    /// The opening of the node that was asked.
    opening: usize,
    heard: Option<(u64, Outcome)>,
}

#[derive(Debug, Clone)]
enum Outcome {
    Answer(Answer),
    Unknown,
    Refused,
}

/// All that was asked and heard.
#[derive(Debug, Default)]
struct Told {
    calls: Vec<Asked>,
    /// The moment by which each opening but the first was there.
    openings: Vec<u64>,
    /// Of each slate the value that was heard of last.
    newest: [u64; SLATES],
    /// Questions with a key: anybody may ask them again.
    keyed: Vec<(usize, Question)>,
    /// Numbers given to values and keys.
    numbers: u64,
    wrong: Vec<String>,
}

/// What wakes whoever waits for the others.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    moment: u64,
    /// Questions that were refused: who was to wait is one that time passes for.
    refused: u64,
    /// Clients that are not done.
    clients: u64,
}

/// The node of the moment, `None` while it is down, and the number of its opening.
type Door = (usize, Option<Node>);

/// What clients and the hand that holds the node share.
struct Course {
    told: Mutex<Told>,
    progress: watch::Sender<Progress>,
    door: watch::Sender<Door>,
    names: [String; SLATES],
}

impl Course {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn next_moment(&self) -> u64 {
        let mut moment = 0;
        self.progress.send_modify(|progress| {
            progress.moment += 1;
            moment = progress.moment;
        });
        moment
    }

    /// Asks, and keeps what was heard.
    async fn ask(
        &self,
        (opening, node): &(usize, Node),
        slate: usize,
        question: Question,
        deadline: Option<Duration>,
    ) -> Heard {
        let actor = node.actor::<Slate>(&self.names[slate]);
        let asked = Asked {
            slate,
            question: question.clone(),
            asked: self.next_moment(),
            opening: *opening,
            heard: None,
        };
        let index = {
            let mut told = self.told();
            told.calls.push(asked);
            told.calls.len() - 1
        };
        let heard = question.put_to(&actor, deadline).await;
        let moment = self.next_moment();
        let mut told = self.told();
        let outcome = match &heard {
            Heard::Answer(answer) => {
                told.notice(slate, &question, answer);
                Outcome::Answer(answer.clone())
            }
            Heard::Unknown => Outcome::Unknown,
            Heard::Refused | Heard::Gone => Outcome::Refused,
            Heard::Wrong(text) => {
                told.wrong.push(format!("{question:?}: {text}"));
                Outcome::Refused
            }
        };
        told.calls[index].heard = Some((moment, outcome));
        heard
    }

    /// The node, once its opening is another one than those before `from`.
    async fn node(&self, from: usize) -> (usize, Node) {
        let mut door = self.door.subscribe();
        let open = door.wait_for(|(opening, node)| *opening >= from && node.is_some());
        let (opening, node) = &*open.await.unwrap();
        (*opening, node.clone().unwrap())
    }
}

impl Told {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn notice(&mut self, slate: usize, question: &Question, answer: &Answer) {
        let newest = match (answer, &question.what) {
            (Answer::Count(_), What::Add { values, .. }) => values.last(),
            (Answer::Exchanged, What::Exchange { to, .. }) => Some(to),
            (Answer::Newest(newest), _) => Some(newest),
            (Answer::Values(values), _) => values.last(),
            (Answer::Count(_) | Answer::Exchanged, _) => None,
        };
        if let Some(newest) = newest {
            self.newest[slate] = *newest;
        }
    }

    /// Draws what to ask next.
    fn draw(&mut self, dice: &mut Dice) -> (usize, Question) {
        let known = self.keyed.len() as u64;
        if known > 0 && dice.roll(6) == 0 {
            let index = usize::try_from(dice.roll(known)).unwrap();
            return self.keyed[index].clone();
        }
        let slate = usize::try_from(dice.roll(SLATES as u64)).unwrap();
        let what = match dice.roll(10) {
            0..4 => {
                let values = (0..=dice.roll(2)).map(|_| self.number()).collect();
                let leave = dice.roll(6) == 0;
                What::Add { values, leave }
            }
            4..7 => {
                let (from, to) = (self.newest[slate], self.number());
                What::Exchange { from, to }
            }
            _ => What::Read,
        };
        let keyed = what != What::Read && dice.roll(2) == 0;
        let key = keyed.then(|| self.number());
        let question = Question { key, what };
        if keyed {
            self.keyed.push((slate, question.clone()));
        }
        (slate, question)
    }
}

/// One client: asks, and asks again with the same key where the outcome is unknown.
async fn client(course: Arc<Course>, mut dice: Dice) {
    let (mut from, mut done) = (0, 0);
    let mut again = None;
    for _ in 0..QUESTIONS * TIRED {
        if done == QUESTIONS {
            break;
        }
        let node = course.node(from).await;
        let drawn = again.take();
        let (slate, question) = drawn.unwrap_or_else(|| course.told().draw(&mut dice));
        let deadline = (dice.roll(8) == 0).then_some(REST / 2);
        let heard = course.ask(&node, slate, question.clone(), deadline).await;
        match heard {
            Heard::Answer(_) => done += 1,
            Heard::Unknown => {
                done += 1;
                again = question.key.is_some().then_some((slate, question));
            }
            Heard::Gone => from = node.0 + 1,
            Heard::Refused | Heard::Wrong(_) => {
                let progress = &course.progress;
                progress.send_modify(|progress| progress.refused += 1);
                yield_now().await;
            }
        }
    }
    course
        .progress
        .send_modify(|progress| progress.clients -= 1);
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

/// A history that is over.
#[derive(Debug)]
pub(super) struct History {
    told: Told,
    pub(super) reached: Reached,
}

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
    let course = Arc::new(Course {
        told: Mutex::default(),
        progress: watch::Sender::new(Progress {
            clients,
            ..Progress::default()
        }),
        door: watch::Sender::new((0, Some(node.node()))),
        names: std::array::from_fn(|slate| format!("{slate}-{seed}")),
    });
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

impl History {
    /// The calls of each slate.
    fn calls(&self) -> Vec<Vec<Call<Plain>>> {
        let mut slates: Vec<Vec<Call<Plain>>> = (0..SLATES).map(|_| Vec::new()).collect();
        for call in &self.told.calls {
            let (over, answer) = match call.heard.clone() {
                Some((_, Outcome::Refused)) => continue,
                // A read without an answer says nothing and does nothing.
                None | Some((_, Outcome::Unknown)) if call.question.what == What::Read => continue,
                Some((moment, Outcome::Answer(answer))) => (moment, Some(answer)),
                None | Some((_, Outcome::Unknown)) => (self.last_moment(call), None),
            };
            slates[call.slate].push(Call {
                question: call.question.clone(),
                asked: call.asked,
                over,
                answer,
            });
        }
        slates
    }

    /// From when on a call of unknown outcome cannot take effect: when the node was open again.
    fn last_moment(&self, call: &Asked) -> u64 {
        let openings = &self.told.openings;
        openings.get(call.opening).copied().unwrap_or(NEVER)
    }

    /// Judges it, and says what it reached.
    ///
    /// # Errors
    /// What cannot be explained.
    pub(super) fn judge(mut self) -> Result<Judged, String> {
        if !self.told.wrong.is_empty() {
            return Err(self.told.wrong.join("\n"));
        }
        let calls = self.calls();
        for calls in &calls {
            let order = explain(Plain::default(), calls)?;
            let taken: BTreeSet<usize> = order.took_effect.into_iter().collect();
            let is_open = |index: &usize| calls[*index].answer.is_none();
            let open: Vec<usize> = (0..calls.len()).filter(is_open).collect();
            let there = open.iter().filter(|index| taken.contains(index)).count();
            self.count("unknown and there", there);
            self.count("unknown and gone", open.len() - there);
            self.count("overlapping calls", overlapping(calls));
            self.count_keys(calls);
            for call in calls {
                match &call.answer {
                    Some(Answer::Newest(_)) => self.count("not exchanged", 1),
                    Some(Answer::Exchanged) => self.count("exchanged", 1),
                    None | Some(Answer::Count(_) | Answer::Values(_)) => {}
                }
            }
        }
        let refused = self.told.calls.iter();
        let refused = refused.filter(|call| matches!(call.heard, Some((_, Outcome::Refused))));
        let refused = refused.count();
        self.count("refused", refused);
        Ok(Judged {
            calls,
            reached: self.reached,
        })
    }

    fn count(&mut self, what: &'static str, times: usize) {
        *self.reached.entry(what).or_default() += times as u64;
    }

    /// Keys that were asked again, and what came of it.
    fn count_keys(&mut self, calls: &[Call<Plain>]) {
        let mut keys: BTreeMap<u64, Vec<&Call<Plain>>> = BTreeMap::new();
        for call in calls {
            if let Some(key) = call.question.key {
                keys.entry(key).or_default().push(call);
            }
        }
        for calls in keys.values() {
            let answered = calls.iter().filter(|call| call.answer.is_some()).count();
            self.count("keys answered again", usize::from(answered > 1));
            let resolved = answered > 0 && answered < calls.len();
            self.count("keys resolved later", usize::from(resolved));
        }
    }
}

/// Pairs of calls that change something and were under way at the same time.
fn overlapping(calls: &[Call<Plain>]) -> usize {
    let changing = calls.iter().filter(|call| call.question.what != What::Read);
    let changing: Vec<_> = changing.collect();
    let pairs = changing.iter().enumerate().flat_map(|(index, one)| {
        let others = changing[index + 1..].iter();
        others.map(move |other| (one, other))
    });
    pairs
        .filter(|(one, other)| one.asked < other.over && other.asked < one.over)
        .count()
}

/// A history that could be explained.
#[derive(Debug)]
pub(super) struct Judged {
    /// The calls of each slate.
    pub(super) calls: Vec<Vec<Call<Plain>>>,
    pub(super) reached: Reached,
}
