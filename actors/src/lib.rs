//! Ready-made actors for [`steadfast`]: the automation concerns that the node agent runs, for embedders
//! too.
//!
//! * [`concern`]: what all concerns share: schedule, runs, pause, and their commands;
//! * [`cleanup`]: removes old files within limits;
//! * [`exec`]: runs a program, ends all that comes from it, and says when it does not know how it went;
//! * `patrol` (feature `http`): checks HTTP targets, and tells a webhook about alerts;
//! * [`human`]: sizes and durations as people write them.

pub mod human;

pub mod concern;

pub mod cleanup;

pub mod exec;
#[cfg(feature = "http")]
pub mod patrol;
