//! `exec`: runs a program, with an end that is known or said to be unknown.
//!
//! # One run
//! ```text
//! started ─▶ exec.program (effect): spawn ─▶ wait ─▶ end what is left of its processes ─▶ finished
//! ```
//! * **No shell unless asked for**: `command` is a list of words. With `shell = true` it is one text for
//!   `/bin/sh -c`.
//! * **The environment is empty** but for a `PATH`, what the configuration sets or lets through, and names of
//!   ours: `STEADFAST_RUN_ID`, the run; `STEADFAST_RUN` and `STEADFAST_RUN_NODE`, the mark of its processes.
//! * **Nothing is left running.** When the program ends, takes too long or is cancelled, all processes that
//!   come from it are ended: those in its process group, those below them, and those that carry the mark
//!   of the run in their environment, which a new session does not shed. They are asked with SIGTERM and,
//!   after `grace`, ended with SIGKILL.
//! * **Nothing is repeated silently.** That the program is about to start is journalled first. If the node
//!   dies while it runs, the next start ends its processes and the run is `unknown`; only
//!   `after_crash = "retry"` runs it again. A program whose processes do not end is `unknown` as well.
//! * **When the node stops in order, its programs end in order**: SIGTERM at once, SIGKILL after `grace`, or
//!   after half of the time that the node waits if that is shorter. The run is `unknown`, with what the
//!   program said and the reason; it is not repeated, also not by `retry`. With `after_crash = "retry"` it
//!   runs again at the next start instead, and what the first one said is not kept.
//! * **Programs have places of their own** among the node's effects (`Config::long_effects`), so that
//!   nothing else waits for them; stopping one never waits for a place.
//!
//! # What it cannot do
//! Processes are looked for in `/proc`; on systems without one, only the program itself is ended. A process
//! that leaves its group *and* its parent *and* clears its environment is not found; nor is one whose
//! environment the node may not read, such as a program with the set-user-ID bit. Between the death of a
//! node and its next start the program goes on.

mod actor;
mod capture;
mod command;
mod config;
mod effect;
mod event;
mod lookup;
mod processes;
mod program;
mod runs;
#[cfg(test)]
mod tests;

pub use actor::{Exec, ExecKind, register};
pub use capture::Captured;
pub use command::CommandLine;
pub use config::{AfterCrashPolicy, ExecConfig, Limits, Retry, Variables};
pub use effect::{Ended, Program, Stop};
pub use event::{ExecEvent, Totals};
pub use lookup::Environment;
