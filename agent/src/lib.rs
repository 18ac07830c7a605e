//! The node agent `steadfast` as a library: all of the program, so that its parsers have doors for fuzzing. There is no
//! API but [`main`].
//!
//! One TOML file in, a node with its concerns out, and the command line to look
//! at it and steer it.
//!
//! # Layout
//! * [`config`]: the file and its overrides, checked before anything is touched;
//! * [`run`]: a node in the foreground: [`kinds`] it knows, [`concerns`] it is given, [`http`] it serves;
//! * [`reload`]: another configuration while it runs;
//! * [`service`]: the same under systemd: ready, alive, ending;
//! * [`cli`]: arguments, output, and the commands that end by themselves, which read and steer through
//!   [`client`];
//! * [`new`]: projects to begin with;
//! * [`problem`]: everything that can go wrong, by the [`code`] that fixes its exit code; [`failure`] maps the
//!   library's errors to it.
//!
//! Only this crate reads the environment, config files and signals.

mod ask;
mod cli;
mod client;
mod code;
mod concerns;
mod config;
mod detail;
mod failure;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod kinds;
mod logging;
mod new;
mod opening;
mod owner;
mod problem;
mod reload;
mod report;
mod run;
mod service;
mod signals;
mod socket;
mod status;
mod view;

use std::process::ExitCode;

/// Does what the arguments of the process say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    cli::main(&arguments).into()
}
