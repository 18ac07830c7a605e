//! Asking a node in this process: reads that block, and commands of concerns by name.

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
