//! The events that all concerns share. Each kind lists them in its own event enum under its own prefix.
//!
//! Each carries `next_run` where it may change: the state must know it from events alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast::Timestamp;

use super::{Cause, Missed, RunId, RunOutcome, Settings, StopReason};

/// `configured`: a configuration that differs from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Configured<C: Settings> {
    /// What holds from now on.
    pub config: C,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// `paused`: nothing starts any more, and ticks that waited are forgotten. A run under way completes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {}

/// `resumed`: the schedule starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// `started`: a run exists from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its name.
    pub run: RunId,
    /// When it started.
    pub started: Timestamp,
    /// What started it.
    pub cause: Cause,
    /// Whether it only shows what it would do.
    pub dry_run: bool,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// `tick_missed`: the node was down when the concern should have run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickMissed {
    /// When the first of them was due.
    pub due: Timestamp,
    /// How many due times passed, from 1.
    pub count: u64,
    /// What follows: one run for all of them, one for each, or none.
    pub policy: Missed,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// `tick_skipped`: a tick that led to no run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickSkipped {
    /// When it was due.
    pub due: Timestamp,
    /// Why nothing was started.
    pub reason: TickSkipReason,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// Why a tick led to no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TickSkipReason {
    /// The run before was still going.
    Running,
    /// The run before was still going, and as many ticks as may wait for its end did so already.
    Waiting,
}

/// `tick_queued`: a tick that gets its run when those before it have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickQueued {
    /// When it was due.
    pub due: Timestamp,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
}

/// `stopping`: the run is to end before its work is done. It goes on until it has `finished`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// Which run.
    pub run: RunId,
    /// Why.
    pub reason: StopReason,
}

/// `finished`: the run has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "R: Serialize", deserialize = "R: DeserializeOwned"))]
pub struct Finished<R> {
    /// Its name.
    pub run: RunId,
    /// How it ended.
    pub outcome: RunOutcome,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// What there is to say about the outcome; `None` where there is nothing.
    pub reason: Option<String>,
    /// What it did, as its kind counts it.
    pub report: R,
}
