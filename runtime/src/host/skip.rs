//! Skipping by hand what keeps an actor in quarantine: journalled as consumed, never handled.

use tokio::sync::oneshot;

use super::execute::{Admission, Exec, Ran, Source, admit, write};
use super::typed::give;
use super::{Invoke, Resident};
use crate::core::{Operation, Staged};
use crate::error::Refusal;

/// A skip in a mailbox or behind its entry. Whoever asked for it is told when it is durable.
pub(crate) struct Skip {
    /// What is consumed, what it is called, why it is skipped; `None` where the entry is written already.
    work: Option<(Source, String, String)>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Skip {
    /// Work of the runtime's own is to be consumed.
    pub(crate) fn of_work(
        source: Source,
        what: String,
        reason: String,
        done: oneshot::Sender<Result<(), String>>,
    ) -> Self {
        Self {
            work: Some((source, what, reason)),
            done,
        }
    }

    /// The entry that skips an event is on its way.
    pub(crate) fn of_event(done: oneshot::Sender<Result<(), String>>) -> Self {
        Self { work: None, done }
    }
}

impl Invoke for Skip {
    fn name(&self) -> &'static str {
        "skip"
    }

    fn run(&mut self, resident: &mut dyn Resident, exec: &Exec<'_>) -> Ran {
        let Some((source, what, reason)) = &self.work else {
            return Ran::Stale;
        };
        let consumed = match admit(resident.core(), source, exec) {
            Ok(
                Admission::Go {
                    consumed: Some(consumed),
                    ..
                }
                | Admission::Skip(consumed),
            ) => consumed,
            Ok(Admission::Go { consumed: None, .. } | Admission::Stale) => {
                return Ran::Refused(Refusal::Failed {
                    reason: format!("{what} is not pending any more"),
                });
            }
            Err(error) => {
                return Ran::Refused(Refusal::Failed {
                    reason: format!("{what}: {error}; cancel it by a command instead"),
                });
            }
        };
        let mut staged = Staged::only(consumed);
        staged.operations.push(Operation::Skip {
            what: what.clone(),
            reason: reason.clone(),
        });
        match write(resident.core_mut(), staged, None, None, exec) {
            Ok(written) => Ran::Wrote(Box::new(written)),
            Err(error) => Ran::Broken {
                reason: error.to_string(),
            },
        }
    }

    fn finish(self: Box<Self>) {
        give(self.done, Ok(()));
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        give(self.done, Err(refusal.to_string()));
    }

    fn source(&self) -> Option<&Source> {
        self.work.as_ref().map(|(source, _, _)| source)
    }
}
