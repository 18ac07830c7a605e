//! Talking to a node: where it is, how to reach it, and how to read a directory that none holds.

mod endpoint;
mod http;
mod reader;

pub(crate) use endpoint::Endpoint;
pub(crate) use http::{Client, Patience, actor_path, concern_path, quarantine_path};
pub(crate) use reader::{Access, Reader, connect, no_node};
