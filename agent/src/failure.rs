//! Errors of the library as problems: the only place that maps them.

use std::io::ErrorKind;

use serde_json::Value;
use steadfast::journal::Error as JournalError;
use steadfast::{AskError, NodeError};
use steadfast_actors::concern::{CancelRejection, TriggerRejection};

use crate::problem::{Code, Problem, chain};

impl From<NodeError> for Problem {
    #[expect(
        clippy::match_same_arms,
        reason = "the last arm is for variants of later versions only"
    )]
    fn from(error: NodeError) -> Self {
        let text = chain(&error);
        match error {
            NodeError::Journal(error) => journal(&error, text),
            NodeError::NoActor { .. } => Self::new(Code::NotFound, text).hint("steadfast ps"),
            NodeError::NoEvent { id, newest, .. } => {
                Self::new(Code::NotFound, text).hint(format!("steadfast state {id} --at {newest}"))
            }
            NodeError::UnknownKind { id, .. } => {
                Self::new(Code::NotFound, text).hint(format!("steadfast events {id}"))
            }
            NodeError::Unrecoverable { .. } => {
                Self::new(Code::Integrity, text).hint("steadfast verify")
            }
            NodeError::NotQuarantined { id } => {
                Self::new(Code::NotFound, format!("actor {id} is not in quarantine"))
                    .hint("steadfast quarantine ls")
            }
            NodeError::NotSkipped { id, .. } => {
                Self::new(Code::Conflict, text).hint(format!("steadfast quarantine show {id}"))
            }
            NodeError::Stopped => {
                let detail = "the node is reopening its journal, or stopping";
                Self::new(Code::Unavailable, detail).hint("steadfast ps")
            }
            NodeError::Duplicate { .. }
            | NodeError::Config { .. }
            | NodeError::Thread(_)
            | NodeError::Snapshots(_) => Self::new(Code::Failed, text),
            // The library may learn to fail in new ways.
            _ => Self::new(Code::Failed, text),
        }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        let text = chain(&error);
        journal(&error, text)
    }
}

fn journal(error: &JournalError, text: String) -> Problem {
    let code = journal_code(error);
    let problem = Problem::new(code, text);
    if let JournalError::Missing { dir } = error {
        return problem.hint(format!(
            "steadfast run --config FILE --data-dir {}",
            dir.display()
        ));
    }
    if let JournalError::NoSpace { dir } = error {
        return problem.hint(format!("df -h {}", dir.display()));
    }
    if code == Code::Integrity {
        problem.hint("steadfast verify")
    } else {
        problem
    }
}

#[expect(
    clippy::match_same_arms,
    reason = "the last arm is for variants of later versions only"
)]
fn journal_code(error: &JournalError) -> Code {
    match error {
        JournalError::Held { .. } => Code::Locked,
        JournalError::Missing { .. } => Code::NotFound,
        JournalError::BehindMark { .. }
        | JournalError::BrokenChain { .. }
        | JournalError::BadMark { .. }
        | JournalError::MissingEntry { .. }
        | JournalError::Undecodable { .. }
        | JournalError::Store { corrupt: true, .. } => Code::Integrity,
        JournalError::NotWritable { .. } => Code::Permission,
        JournalError::Io { source, .. } if is_denied(source.kind()) => Code::Permission,
        JournalError::Closed | JournalError::StillOpen { .. } | JournalError::NoSpace { .. } => {
            Code::Unavailable
        }
        JournalError::Failed(cause) => journal_code(cause),
        JournalError::NewerFormat { .. }
        | JournalError::Encode(_)
        | JournalError::Io { .. }
        | JournalError::Store { .. }
        | JournalError::BadAppend { .. }
        | JournalError::WriterPanicked
        | JournalError::NoThread(_)
        | JournalError::Exhausted { .. } => Code::Failed,
        // The journal may learn to fail in new ways.
        _ => Code::Failed,
    }
}

/// Whether the system refused for want of a right.
pub(crate) fn is_denied(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Why a concern did not do what it was asked.
pub(crate) fn asked(actor: &str, error: AskError<Value>) -> Problem {
    let text = format!("{actor}: {error}");
    match error {
        AskError::Rejected(rejection) => rejected(actor, &rejection),
        AskError::Overloaded { .. } => Problem::new(Code::Overloaded, text),
        AskError::Expired => Problem::new(Code::Timeout, text),
        AskError::Stopped | AskError::ReadOnly { .. } => {
            Problem::new(Code::Unavailable, text).hint("steadfast status")
        }
        AskError::Quarantined { .. } => {
            Problem::new(Code::Quarantined, text).hint(format!("steadfast quarantine show {actor}"))
        }
        AskError::KeyReused => Problem::new(Code::Conflict, text),
        AskError::TooLarge { .. } => Problem::new(Code::TooLarge, text),
        AskError::Failed { .. } => Problem::new(Code::Failed, text),
        AskError::OutcomeUnknown => {
            Problem::new(Code::OutcomeUnknown, text).hint(format!("steadfast state {actor}"))
        }
    }
}

/// Why a command by name was not done.
pub(crate) fn commanded(actor: &str, command: &str, error: AskError<Value>) -> Problem {
    let AskError::Rejected(rejection) = error else {
        return asked(actor, error);
    };
    let detail = format!("{actor} rejects {command}: {rejection}");
    let mut problem = Problem::new(Code::Rejected, detail).hint(format!("steadfast state {actor}"));
    problem.errors = vec![rejection];
    problem
}

fn rejected(actor: &str, rejection: &Value) -> Problem {
    match serde_json::from_value::<TriggerRejection>(rejection.clone()) {
        Ok(rejection) => {
            let hint = if rejection == TriggerRejection::Paused {
                format!("steadfast resume {actor}")
            } else {
                "steadfast ps".to_owned()
            };
            Problem::new(Code::Conflict, format!("{actor}: {rejection}")).hint(hint)
        }
        Err(_) => match serde_json::from_value::<CancelRejection>(rejection.clone()) {
            Ok(rejection) => Problem::new(Code::Conflict, format!("{actor}: {rejection}")),
            Err(_) => Problem::new(Code::Conflict, format!("{actor} refuses: {rejection}")),
        },
    }
}
