//! Who asks in the simulation: remembers each question and what was answered, and in which order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use steadfast::AskError;
use steadfast::testkit::TestNode;
use tokio::task::LocalSet;

use super::cell::{Cell, Did, Do, Extra, Look, No, key_of};

/// Why an operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// Nothing can be written.
    ReadOnly,
    /// Too much waits already.
    Overloaded,
    /// Its deadline came first.
    Expired,
    /// The cell is set aside.
    SetAside,
    /// The node ends.
    Stopped,
    /// The cell could not be read.
    NotRecovered,
}

/// What was told about an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// It was done: its first event, and the sum then.
    Did(u64, u64),
    /// It was rejected.
    Rejected,
    /// It was refused, certainly without effect.
    Refused(Why),
    /// Its handler panicked, so it had no effect.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// One question about an operation.
#[derive(Debug, Clone)]
pub(super) struct Try {
    /// When it was asked.
    pub(super) asked: u64,
    /// When it was answered, and what.
    pub(super) answered: Option<(u64, Answer)>,
}

/// An operation and all that was told of it.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) cell: u64,
    pub(super) extra: Extra,
    pub(super) keyed: bool,
    pub(super) tries: Vec<Try>,
}

impl Operation {
    /// Whether somebody knows what became of it. A brittle one that failed may succeed once the mistake is mended.
    pub(super) fn is_known(&self) -> bool {
        self.answers().any(|answer| match answer {
            Answer::Did(..) | Answer::Rejected => true,
            Answer::Failed => self.extra != Extra::Brittle,
            Answer::Refused(_) | Answer::Unknown => false,
        })
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = &Answer> {
        let answered = self
            .tries
            .iter()
            .filter_map(|attempt| attempt.answered.as_ref());
        answered.map(|(_, answer)| answer)
    }
}

/// A look at a cell's state.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) cell: u64,
    pub(super) asked: u64,
    /// When it was answered, and what the state was; `None` where it was refused.
    pub(super) answered: Option<(u64, Option<Cell>)>,
}

/// All that was asked and told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Counts questions and answers, which gives them their order.
    tick: u64,
    pub(super) operations: BTreeMap<u64, Operation>,
    pub(super) looks: Vec<Seen>,
    /// Answers that must never be given.
    pub(super) wrong: Vec<String>,
    /// Looks that were answered while a commit waited for the disk.
    pub(super) looked_while_held: u64,
    /// All answers and their order, as one number.
    pub(super) trace: u64,
}

impl Told {
    fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// An answer came: its place among all questions and answers.
    fn answered(&mut self, of: u64, what: &impl Hash) -> u64 {
        let tick = self.next_tick();
        let mut hasher = DefaultHasher::new();
        (self.trace, tick, of).hash(&mut hasher);
        what.hash(&mut hasher);
        self.trace = hasher.finish();
        tick
    }
}

/// How an operation is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    pub(super) deadline: Option<Duration>,
    /// Whether it is told at once that there is no room.
    pub(super) hasty: bool,
}

/// Asks, without waiting for the answers.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) told: Rc<RefCell<Told>>,
    /// Answers that have not come.
    waiting: Rc<RefCell<u64>>,
}

impl Client {
    /// Asks for operation `op`, which may have been asked before.
    pub(super) fn ask(&self, node: &TestNode, local: &LocalSet, op: u64, manner: Manner) {
        let (asking, index) = {
            let mut told = self.told.borrow_mut();
            let asked = told.next_tick();
            let operation = told.operations.get_mut(&op).unwrap();
            operation.tries.push(Try {
                asked,
                answered: None,
            });
            (operation.clone(), operation.tries.len() - 1)
        };
        let actor = node.actor::<Cell>(&key_of(asking.cell));
        let (told, waiting) = (Rc::clone(&self.told), Rc::clone(&self.waiting));
        *waiting.borrow_mut() += 1;
        local.spawn_local(async move {
            let (at, extra) = (asking.cell, asking.extra);
            let command = Do { op, at, extra };
            let mut question = if manner.hasty {
                actor.try_ask(command)
            } else {
                actor.ask(command)
            };
            if let Some(deadline) = manner.deadline {
                question = question.deadline(deadline);
            }
            if asking.keyed {
                question = question.key(format!("op-{op}"));
            }
            let answer = answer_of(question.await);
            let mut told = told.borrow_mut();
            let answer = answer.unwrap_or_else(|wrong| {
                told.wrong.push(format!("operation {op}: {wrong}"));
                Answer::Unknown
            });
            let tick = told.answered(op, &answer);
            let operation = told.operations.get_mut(&op).unwrap();
            operation.tries[index].answered = Some((tick, answer));
            *waiting.borrow_mut() -= 1;
        });
    }

    /// Asks for the state of a cell.
    pub(super) fn look(&self, node: &TestNode, local: &LocalSet, cell: u64) {
        let index = {
            let mut told = self.told.borrow_mut();
            let asked = told.next_tick();
            told.looks.push(Seen {
                cell,
                asked,
                answered: None,
            });
            told.looks.len() - 1
        };
        let actor = node.actor::<Cell>(&key_of(cell));
        let storage = node.storage().clone();
        let (told, waiting) = (Rc::clone(&self.told), Rc::clone(&self.waiting));
        *waiting.borrow_mut() += 1;
        local.spawn_local(async move {
            let state = actor.ask(Look).await.ok();
            let mut told = told.borrow_mut();
            told.looked_while_held += u64::from(state.is_some() && storage.is_holding());
            let tick = told.answered(cell, &state.as_ref().map(|state| (state.events, state.sum)));
            told.looks[index].answered = Some((tick, state));
            *waiting.borrow_mut() -= 1;
        });
    }

    /// How many answers have not come.
    pub(super) fn waiting(&self) -> u64 {
        *self.waiting.borrow()
    }
}

fn answer_of(answer: Result<Did, AskError<No>>) -> Result<Answer, String> {
    Ok(match answer {
        Ok(Did { seq, sum }) => Answer::Did(seq, sum),
        Err(AskError::Rejected(No)) => Answer::Rejected,
        Err(AskError::Failed { reason }) if reason.contains("on purpose") => Answer::Failed,
        // Bringing the actor into memory failed: its handler never ran.
        Err(AskError::Failed { reason }) if reason.contains("a failing read") => {
            Answer::Refused(Why::NotRecovered)
        }
        Err(AskError::OutcomeUnknown) => Answer::Unknown,
        Err(AskError::ReadOnly { .. }) => Answer::Refused(Why::ReadOnly),
        Err(AskError::Stopped) => Answer::Refused(Why::Stopped),
        Err(AskError::Overloaded { .. }) => Answer::Refused(Why::Overloaded),
        Err(AskError::Expired) => Answer::Refused(Why::Expired),
        Err(AskError::Quarantined { .. }) => Answer::Refused(Why::SetAside),
        Err(
            error @ (AskError::KeyReused | AskError::TooLarge { .. } | AskError::Failed { .. }),
        ) => {
            return Err(error.to_string());
        }
    })
}
