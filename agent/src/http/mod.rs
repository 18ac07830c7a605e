//! The HTTP side of a node: its own threads, away from those of the actors.
//!
//! * [`App`]: what all requests share: the node, once it is there, and the phase of the process;
//! * [`Server`]: one listener and its thread;
//! * `guard`: who may ask; `patience`: for how long; `routes`: what can be asked; `problem`: how it is refused.

mod actors;
mod app;
mod concerns;
mod events;
pub(crate) mod fuzzing;
mod guard;
mod metrics;
mod patience;
mod problem;
mod quarantine;
mod routes;
mod server;
mod status;

pub(crate) use app::{App, Phase};
pub(crate) use server::{Listener, Server, bind_tcp};
