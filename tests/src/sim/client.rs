//! Who asks in the simulation: remembers each question and what was answered, and in which order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use steadfast::AskError;
use steadfast::testkit::TestNode;
use tokio::task::LocalSet;

use super::cell::{Cell, Did, Do, Extra, Look, No, key_of};

/// What was told about an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was done: its first event, and the sum then.
    Did(u64, u64),
    /// It was rejected.
    Rejected,
    /// It was refused, certainly without effect; and whether because nothing could be written.
    Refused { read_only: bool },
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
    /// Whether somebody knows what became of it.
    pub(super) fn is_known(&self) -> bool {
        self.tries.iter().any(|attempt| {
            matches!(
                attempt.answered,
                Some((_, Answer::Did(..) | Answer::Rejected | Answer::Failed))
            )
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
}

impl Told {
    fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }
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
    pub(super) fn ask(&self, node: &TestNode, local: &LocalSet, op: u64) {
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
            let mut question = actor.ask(Do { op, at, extra });
            if asking.keyed {
                question = question.key(format!("op-{op}"));
            }
            let answer = answer_of(question.await);
            let mut told = told.borrow_mut();
            let answer = answer.unwrap_or_else(|wrong| {
                told.wrong.push(format!("operation {op}: {wrong}"));
                Answer::Unknown
            });
            let tick = told.next_tick();
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
        let (told, waiting) = (Rc::clone(&self.told), Rc::clone(&self.waiting));
        *waiting.borrow_mut() += 1;
        local.spawn_local(async move {
            let state = actor.ask(Look).await.ok();
            let mut told = told.borrow_mut();
            let tick = told.next_tick();
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
            Answer::Refused { read_only: false }
        }
        Err(AskError::OutcomeUnknown) => Answer::Unknown,
        Err(AskError::ReadOnly { .. }) => Answer::Refused { read_only: true },
        Err(
            AskError::Stopped
            | AskError::Overloaded { .. }
            | AskError::Expired
            | AskError::Quarantined { .. },
        ) => Answer::Refused { read_only: false },
        Err(
            error @ (AskError::KeyReused | AskError::TooLarge { .. } | AskError::Failed { .. }),
        ) => {
            return Err(error.to_string());
        }
    })
}
