//! The kinds of concerns that this program runs, by name.

use serde_json::Value;
use steadfast::{Node, NodeBuilder};
use steadfast_actors::{cleanup, exec, patrol};

use crate::config::Kind;
use crate::problem::{Code, Problem};

/// A node over `dir` that knows all kinds.
pub(crate) fn node(dir: &std::path::Path) -> NodeBuilder {
    let environment = exec::Environment::new(std::env::vars_os());
    let node = Node::open(dir).resource(environment);
    patrol::register(exec::register(cleanup::register(node)))
}

/// The stable name of a configured kind, and its configuration as the `configure` command takes it.
pub(crate) fn configuration(kind: &Kind) -> Result<(&'static str, Value), Problem> {
    let (name, body) = match kind {
        Kind::Cleanup(config) => ("cleanup", serde_json::to_value(config)),
        Kind::Exec(config) => ("exec", serde_json::to_value(config)),
        Kind::HttpPatrol(config) => ("http-patrol", serde_json::to_value(config)),
    };
    let body = body.map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok((name, body))
}
