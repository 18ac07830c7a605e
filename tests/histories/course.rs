//! One history of a real node: clients on threads of their own that ask two slates at the same time, while the node's
//! disk, power and clock are in the hands of a seed.
//!
//! Moments are counted, not measured: each question takes the next number right before it is asked, each answer right
//! after it came. So a call that was over before another one began has the smaller numbers, whatever the threads did
//! in between.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use steadfast::Node;
use steadfast_tests::Dice;
use tokio::sync::watch;
use tokio::task::yield_now;

use super::slate::{Answer, Heard, Question, Slate, What};

/// Slates of one history.
pub(super) const SLATES: usize = 2;
/// Questions of one client that are not refused.
pub(super) const QUESTIONS: u64 = 10;
/// All of its questions, for each of these: those that are refused come on top.
const TIRED: u64 = 6;
/// By the node's clock: an actor that rests for so long leaves memory.
pub(super) const REST: Duration = Duration::from_secs(1);

/// A question and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) slate: usize,
    pub(super) question: Question,
    pub(super) moment: u64,
    /// The opening of the node that was asked.
    pub(super) opening: usize,
    pub(super) heard: Option<(u64, Outcome)>,
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Answer(Answer),
    Unknown,
    Refused,
}

/// All that was asked and heard.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) calls: Vec<Asked>,
    /// The moment by which each opening but the first was there.
    pub(super) openings: Vec<u64>,
    /// Of each slate the value that was heard of last.
    pub(super) newest: [u64; SLATES],
    /// Questions with a key: anybody may ask them again.
    pub(super) keyed: Vec<(usize, Question)>,
    /// Numbers given to values and keys.
    pub(super) numbers: u64,
    pub(super) wrong: Vec<String>,
}

/// What wakes whoever waits for the others.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) moment: u64,
    /// Questions that were refused: who was to wait is one that time passes for.
    pub(super) refused: u64,
    /// Clients that are not done.
    pub(super) clients: u64,
}

/// The node of the moment, `None` while it is down, and the number of its opening.
type Door = (usize, Option<Node>);

/// What clients and the hand that holds the node share.
pub(super) struct Course {
    pub(super) told: Mutex<Told>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) door: watch::Sender<Door>,
    pub(super) names: [String; SLATES],
}

impl Course {
    pub(super) fn new(node: Node, clients: u64, names: [String; SLATES]) -> Self {
        Self {
            told: Mutex::default(),
            progress: watch::Sender::new(Progress {
                clients,
                ..Progress::default()
            }),
            door: watch::Sender::new((0, Some(node))),
            names,
        }
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    pub(super) fn next_moment(&self) -> u64 {
        let mut moment = 0;
        self.progress.send_modify(|progress| {
            progress.moment += 1;
            moment = progress.moment;
        });
        moment
    }

    /// Asks, and keeps what was heard.
    pub(super) async fn ask(
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
            moment: self.next_moment(),
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
    pub(super) async fn node(&self, from: usize) -> (usize, Node) {
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
            (Answer::Values(values), _) | (Answer::Count(_), What::Add { values, .. }) => {
                values.last()
            }
            (Answer::Newest(newest), _) => Some(newest),
            (Answer::Exchanged, What::Exchange { to, .. }) => Some(to),
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
pub(super) async fn client(course: Arc<Course>, mut dice: Dice) {
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
