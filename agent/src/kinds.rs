//! The kinds of concerns that this program runs, by name.

use serde::Serialize;
use serde_json::Value;
use steadfast::{Node, NodeBuilder};
use steadfast_actors::{cleanup, exec, patrol};

use crate::config::Kind;
use crate::problem::{Code, Problem};
use crate::reload;

/// A node over `dir` that knows all kinds.
pub(crate) fn node(dir: &std::path::Path) -> NodeBuilder {
    let environment = exec::Environment::new(std::env::vars_os());
    let node = Node::open(dir).resource(environment);
    reload::register(patrol::register(exec::register(cleanup::register(node))))
}

/// The stable name of a configured kind, and its configuration as the `configure` command takes it.
pub(crate) fn configuration(kind: &Kind) -> Result<(&'static str, Value), Problem> {
    match kind {
        Kind::Cleanup(config) => body("cleanup", config),
        Kind::Exec(config) => body("exec", config.as_ref()),
        Kind::HttpPatrol(config) => body("http-patrol", config.as_ref()),
    }
}

fn body(kind: &'static str, config: &impl Serialize) -> Result<(&'static str, Value), Problem> {
    let body = serde_json::to_value(config)
        .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    Ok((kind, body))
}
