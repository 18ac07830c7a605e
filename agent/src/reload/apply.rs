//! Taking a plan over: first every concern is asked whether it would, then each is told, and if one of them
//! cannot after all, what was done is undone.
//!
//! Invariant: no concern is told anything before all have agreed.

use serde_json::Value;
use steadfast::{ActorSummary, AskError, Node};

use super::plan::{Action, Step};
use crate::ask::{blocking, describe};
use crate::concerns::{self, ANSWER_WITHIN};
use crate::failure::asked;
use crate::problem::{Code, Problem};

/// Asks all concerns whether they would take their step. Writes nothing.
pub(super) async fn check(node: &Node, steps: &[Step]) -> Result<(), Problem> {
    for step in steps {
        match step.action {
            Action::Pause => agree_to_pause(node, step).await?,
            Action::Add | Action::Change | Action::Resume => agree_to_config(node, step).await?,
            Action::Unchanged => {}
        }
    }
    Ok(())
}

async fn agree_to_config(node: &Node, step: &Step) -> Result<(), Problem> {
    let ask = node.ask_json(&step.actor, &step.kind, "check", step.config.clone(), None);
    match ask.deadline(ANSWER_WITHIN).await {
        Ok(_) => Ok(()),
        Err(AskError::Rejected(reason)) => {
            let detail = format!("concerns.{}: {reason}", step.actor.key());
            Err(Problem::new(Code::Config, detail))
        }
        Err(error) => Err(asked(step.actor.as_str(), error)),
    }
}

/// One that is set aside runs nothing as it is.
async fn agree_to_pause(node: &Node, step: &Step) -> Result<(), Problem> {
    match describe(node, &summary(node, step).await?).await {
        Ok(_) | Err(AskError::Quarantined { .. }) => Ok(()),
        Err(error) => Err(asked(step.actor.as_str(), error)),
    }
}

async fn summary(node: &Node, step: &Step) -> Result<ActorSummary, Problem> {
    let actor = step.actor.clone();
    blocking(node, move |inspector| inspector.actor(&actor)).await
}

/// Takes all steps, or none.
///
/// # Errors
/// Why a step could not be taken. With [`Code::OutcomeUnknown`] what was done could not be undone either.
pub(super) async fn take(node: &Node, steps: &[Step]) -> Result<(), Problem> {
    for (at, step) in steps.iter().enumerate() {
        let Err(problem) = take_one(node, step).await else {
            continue;
        };
        tracing::error!(actor = %step.actor, %problem, "reload: a step failed; undoing");
        // The failed one too: what it was told may have arrived.
        let done = steps.iter().take(at.saturating_add(1)).rev();
        return Err(match undo(node, done).await {
            Ok(()) => {
                let detail = format!("{}; what was changed was taken back", problem.detail);
                Problem { detail, ..problem }
            }
            Err(worse) => {
                let detail = format!(
                    "{}; taking back what was changed failed as well: {}; the next reload or start brings all \
                     concerns in line with the file",
                    problem.detail, worse.detail
                );
                Problem::new(Code::OutcomeUnknown, detail).hint("steadfast plan")
            }
        });
    }
    Ok(())
}

async fn take_one(node: &Node, step: &Step) -> Result<(), Problem> {
    match step.action {
        Action::Add | Action::Change | Action::Resume => {
            concerns::configure(node, &step.actor, &step.kind, step.config.clone()).await
        }
        Action::Pause => match concerns::pause(node, &summary(node, step).await?).await {
            Err(problem) if problem.code == Code::Quarantined => {
                tracing::warn!(actor = %step.actor, "not in the config file, and in quarantine");
                Ok(())
            }
            paused => paused,
        },
        Action::Unchanged => Ok(()),
    }
}

/// Undoes steps; goes on after one that cannot be undone, and returns the first such problem.
async fn undo<'a>(node: &Node, steps: impl Iterator<Item = &'a Step>) -> Result<(), Problem> {
    let mut first = Ok(());
    for step in steps {
        if let Err(problem) = undo_one(node, step).await {
            tracing::error!(actor = %step.actor, %problem, "reload: could not be undone");
            first = first.and(Err(problem));
        }
    }
    first
}

async fn undo_one(node: &Node, step: &Step) -> Result<(), Problem> {
    if step.action == Action::Pause {
        return concerns::resume(node, &step.actor, &step.kind).await;
    }
    if step.before != Value::Null {
        let before = step.before.clone();
        concerns::configure(node, &step.actor, &step.kind, before).await?;
    }
    if matches!(step.action, Action::Add | Action::Resume) {
        return match summary(node, step).await {
            Ok(summary) => concerns::pause(node, &summary).await,
            // It never came to be.
            Err(problem) if problem.code == Code::NotFound => Ok(()),
            Err(problem) => Err(problem),
        };
    }
    Ok(())
}
