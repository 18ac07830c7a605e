//! Steps of an effect that the runtime journals on an actor's behalf, in the actor's own order: an
//! attempt starts, an attempt failed and is repeated later.

use std::time::Duration;

use tokio::sync::oneshot;

use super::execute::{Exec, Ran, write};
use super::{Invoke, Resident};
use crate::core::{EffectKey, Operation, Staged};
use crate::error::Refusal;
use crate::host::typed::give;
use crate::node::Lent;

/// Which step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// This attempt is about to run.
    Start { attempt: u32 },
    /// This attempt is to run after the wait; the one before it failed so.
    Retry {
        attempt: u32,
        wait: Duration,
        error: String,
        in_doubt: bool,
    },
}

/// What became of a step. A step that is dropped without a word is [`Stepped::Dropped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// It is durable.
    Durable,
    /// The actor could not be asked just now.
    Refused,
    /// The effect is not pending any more, will be loaded anew, or has nobody to run for.
    Dropped,
}

/// A step in a mailbox. Whoever waits for it is told what became of it.
pub(crate) struct EffectStep {
    pub(crate) key: EffectKey,
    pub(crate) step: Step,
    /// Stands for the effect's task, which does nothing meanwhile. Before `done`, so that it goes first.
    pub(crate) lent: Option<Lent>,
    pub(crate) done: Option<oneshot::Sender<Stepped>>,
}

impl EffectStep {
    fn tell(self, stepped: Stepped) {
        drop(self.lent);
        if let Some(done) = self.done {
            // The effect's task is gone only when the node is: then nobody needs to know.
            give(done, stepped);
        }
    }
}

impl Invoke for EffectStep {
    fn name(&self) -> &'static str {
        "effect step"
    }

    fn run(&mut self, resident: &mut dyn Resident, exec: &Exec<'_>) -> Ran {
        if !resident.core().effects.contains_key(&self.key) {
            return Ran::Stale;
        }
        let operation = match &self.step {
            Step::Start { attempt } => Operation::StartEffect {
                key: self.key,
                attempt: *attempt,
            },
            Step::Retry {
                attempt,
                wait,
                error,
                in_doubt,
            } => Operation::RetryEffect {
                key: self.key,
                attempt: *attempt,
                due: exec.now.plus(*wait),
                error: error.clone(),
                in_doubt: *in_doubt,
            },
        };
        match write(
            resident.core_mut(),
            Staged::only(operation),
            None,
            None,
            exec,
        ) {
            Ok(written) => Ran::Wrote(Box::new(written)),
            Err(error) => Ran::Broken {
                reason: error.to_string(),
            },
        }
    }

    fn finish(self: Box<Self>) {
        self.tell(Stepped::Durable);
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        self.tell(match refusal {
            Refusal::Failed { .. } | Refusal::ReadOnly { .. } | Refusal::Overloaded { .. } => {
                Stepped::Refused
            }
            Refusal::OutcomeUnknown
            | Refusal::Stopped
            | Refusal::Quarantined { .. }
            | Refusal::Expired
            | Refusal::TooLarge { .. } => Stepped::Dropped,
        });
    }
}
