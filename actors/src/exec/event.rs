//! Everything that can happen to an `exec`.

use serde::{Deserialize, Serialize};
use steadfast::Event;

use super::config::ExecConfig;
use super::effect::Ended;
use crate::concern::{
    Configured, Finished, Paused, Resumed, RunOutcome, Started, Stopping, TickMissed, TickQueued,
    TickSkipped,
};

/// The events of an `exec`. Names are `exec.` and the variant in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "exec.")]
#[expect(
    clippy::large_enum_variant,
    reason = "events are held one at a time, and the largest is the rarest"
)]
#[non_exhaustive]
pub enum ExecEvent {
    /// The configuration changed.
    Configured(Configured<ExecConfig>),
    /// Nothing starts any more.
    Paused(Paused),
    /// The schedule starts anew.
    Resumed(Resumed),
    /// The node was down when a run was due.
    TickMissed(TickMissed),
    /// A tick led to no run.
    TickSkipped(TickSkipped),
    /// A tick waits for the end of the run before.
    TickQueued(TickQueued),
    /// The program is to be ended.
    Stopping(Stopping),
    /// A run exists.
    Started(Started),
    /// The run has ended: with what the program said, and how it ended.
    Finished(Finished<Ended>),
}

/// How all runs of an `exec` ended, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The program ended with a code that means success.
    pub succeeded: u64,
    /// It ended otherwise, or could not be started.
    pub failed: u64,
    /// It took too long.
    pub timed_out: u64,
    /// It was cancelled.
    pub cancelled: u64,
    /// The node died while it ran, or it does not end.
    pub unknown: u64,
}

impl Totals {
    pub(super) fn count(&mut self, outcome: RunOutcome) {
        let counter = match outcome {
            RunOutcome::Succeeded => &mut self.succeeded,
            RunOutcome::TimedOut => &mut self.timed_out,
            RunOutcome::Cancelled => &mut self.cancelled,
            RunOutcome::Unknown => &mut self.unknown,
            RunOutcome::Failed | RunOutcome::Partial | RunOutcome::Limited => &mut self.failed,
            RunOutcome::Skipped => return,
        };
        *counter += 1;
    }
}
