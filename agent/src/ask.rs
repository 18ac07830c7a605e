//! Asking a node in this process: reads that block, and commands of concerns by name.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast::{ActorSummary, AskError, Inspector, Node, NodeError};
use steadfast_actors::concern::ConcernView;

use crate::problem::{Code, Problem};

/// Runs something that blocks on the disk, off the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    node: &Node,
    read: impl FnOnce(&Inspector) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, Problem> {
    let inspector = node.inspect()?;
    match tokio::task::spawn_blocking(move || read(&inspector)).await {
        Ok(read) => Ok(read?),
        Err(error) => Err(Problem::new(Code::Failed, error.to_string())),
    }
}

/// [`blocking`] for what fails in other ways too.
pub(crate) async fn blocking_with<T: Send + 'static>(
    node: &Node,
    read: impl FnOnce(&Inspector) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let inspector = node.inspect()?;
    match tokio::task::spawn_blocking(move || read(&inspector)).await {
        Ok(read) => read,
        Err(error) => Err(Problem::new(Code::Failed, error.to_string())),
    }
}

/// Time between two tries of what passes.
const BETWEEN: Duration = Duration::from_millis(200);

/// Tries until it is done, or fails for good. What passes takes as long as it takes: an actor with a long history that
/// is being recovered, a journal that has no room. `what` is done names it in the log, once.
pub(crate) async fn patiently(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut is_told = false;
    loop {
        let problem = match attempt().await {
            Err(problem) if passes(problem.code) => problem,
            done => return done,
        };
        if !is_told {
            tracing::warn!(what, %problem, "this takes long; it is tried until it is done");
            is_told = true;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Whether the same may succeed later, without anybody doing anything about this node.
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Timeout | Code::Unavailable | Code::Overloaded | Code::OutcomeUnknown
    )
}

/// What a concern says of itself.
pub(crate) async fn describe(
    node: &Node,
    summary: &ActorSummary,
) -> Result<ConcernView, AskError<Value>> {
    let ask = node.ask_json(&summary.actor, &summary.kind, "describe", json!({}), None);
    serde_json::from_value(ask.await?).map_err(|error| AskError::Failed {
        reason: format!("its description is not understood: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it was tried where each try ends with the next of `codes`, and then it is done; and the end.
    async fn tries(codes: &[Code]) -> (usize, Option<Code>) {
        let mut tried = 0;
        let done = patiently("concern/slow", async || {
            tried += 1;
            match codes.get(tried - 1) {
                Some(code) => Err(Problem::new(*code, "not now")),
                None => Ok(()),
            }
        });
        let code = done.await.err().map(|problem| problem.code);
        (tried, code)
    }

    /// One concern that took longer than its time kept the whole node from starting.
    #[tokio::test]
    async fn what_passes_is_tried_until_it_is_done() {
        assert_eq!(tries(&[]).await, (1, None));
        let passing = [Code::Timeout, Code::Unavailable, Code::OutcomeUnknown];
        assert_eq!(tries(&passing).await, (4, None));
        let wrong = tries(&[Code::Timeout, Code::Config]).await;
        assert_eq!(wrong, (2, Some(Code::Config)));
        let aside = tries(&[Code::Quarantined]).await;
        assert_eq!(aside, (1, Some(Code::Quarantined)));
    }
}
