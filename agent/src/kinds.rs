//! The kinds of concerns that this program runs, by name.

use serde_json::Value;
use steadfast::{Node, NodeBuilder};
use steadfast_actors::cleanup::{Cleanup, CleanupConfig, Scan, Sweep};
use steadfast_actors::concern::{Configure, Describe, Pause, Resume, Tick, Trigger};

use crate::config::Kind;
use crate::problem::{Code, Problem};

/// A node over `dir` that knows all kinds.
pub(crate) fn node(dir: &std::path::Path) -> NodeBuilder {
    Node::open(dir).register::<Cleanup>(|kind| {
        kind.command::<Configure<CleanupConfig>>()
            .command::<Trigger>()
            .command::<Pause>()
            .command::<Resume>()
            .command::<Tick>()
            .command::<Describe>()
            .effect::<Scan>()
            .effect::<Sweep>()
    })
}

/// The stable name of a configured kind, and its configuration as the `configure` command takes it.
pub(crate) fn configuration(kind: &Kind) -> Result<(&'static str, Value), Problem> {
    match kind {
        Kind::Cleanup(config) => {
            let body = serde_json::to_value(config)
                .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
            Ok(("cleanup", body))
        }
    }
}
