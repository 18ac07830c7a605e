//! What all automation concerns share: schedule, runs, pause, and the commands that drive them.
//!
//! A concern is the actor `concern/NAME`. Its [`Kind`] says what one run does; everything around the
//! run is [`Concern`], written once:
//!
//! * one schedule, `every` or `cron`, or none; another one starts anew;
//! * at most one run at a time; a trigger during a run joins it, a tick during a run is skipped, waits or
//!   cancels it, as [`Overlap`] says;
//! * a run exists from its `started` event on and ends with its `finished` event. Between the two an
//!   effect of it is always pending, so that a restart resumes it: nothing stays "running" for ever;
//! * a tick that passed while the node was down is journalled, whatever the policy makes of it;
//! * a concern that nothing names any more is retired: paused, and told to be over where others wait for its end;
//! * pausing is durable, lets the run under way complete, and holds the timer;
//! * a run that is to be stopped is journalled as such first, and ends as `finished` like every other.

mod actor;
mod check;
mod command;
mod decide;
mod event;
mod run;
mod schedule;
mod settings;
mod tally;
#[cfg(test)]
mod tests;
mod tick;

pub use actor::{Concern, Kind, register};
pub use check::Check;
pub use command::{
    Attention, Cancel, CancelRejection, ConcernStatus, ConcernView, Configure, ConfigureReply,
    Describe, Pause, Resume, Retire, Tick, Trigger, TriggerRejection, Triggered,
};
pub(crate) use decide::{finish, stop};
pub use event::{
    Configured, Finished, Paused, Resumed, Started, Stopping, TickMissed, TickQueued,
    TickSkipReason, TickSkipped,
};
pub use run::{Cause, Run, RunId, RunOutcome, StopReason};
pub use schedule::{Missed, Overlap, Schedule};
pub use settings::{ConfigError, Settings};
pub use tally::{EndedRuns, ended_runs};

/// The space that all concerns live in: `concern/NAME`.
pub const SPACE: &str = "concern";
