//! Everything that can happen to a patrol.
//!
//! A run in a steady state is two entries: `started` with the request for the checks, and `finished` with one
//! small record for each target. All other events are about changes, and about notifications.

use serde::{Deserialize, Serialize};
use steadfast::{Event, Timestamp};

use super::config::PatrolConfig;
use super::probe::{Checked, Failure};
use crate::concern::{
    Configured, Finished, Paused, Resumed, Started, Stopping, TickMissed, TickQueued, TickSkipped,
};

/// The events of a patrol. Names are `patrol.` and the variant in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "patrol.")]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "an event is made, journalled and dropped; no two of them are kept"
)]
pub enum PatrolEvent {
    /// The configuration changed.
    Configured(Configured<PatrolConfig>),
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
    /// The run is to end before its work is done.
    Stopping(Stopping),
    /// A run exists.
    Started(Started),
    /// A target fails that passed before.
    CheckFailed(CheckFailed),
    /// A target alerts.
    Alerted(Alerted),
    /// A target alerts no more.
    Resolved(Resolved),
    /// A target still alerts, and it is told again.
    Reminded(Reminded),
    /// A notification under way is sent to what is configured now.
    Readdressed(Readdressed),
    /// A notification was answered.
    Notified(Notified),
    /// A notification was given up.
    NotificationGivenUp(NotificationGivenUp),
    /// The run has ended.
    Finished(Finished<Report>),
}

/// `patrol.check_failed`: the first failed check of a target that passed before or is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFailed {
    /// Which target.
    pub target: String,
    /// Why.
    pub failure: Failure,
}

/// `patrol.alerted`: a target failed `alert_after` times in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    /// Which target.
    pub target: String,
    /// When the first of these checks failed.
    pub since: Timestamp,
    /// When the last of them failed.
    pub at: Timestamp,
    /// How many they are.
    pub failures: u32,
    /// Why the last of them failed.
    pub failure: Failure,
    /// The notification that goes with it: its number is this event's sequence number. `None` where nobody
    /// is to be told.
    pub notice: Option<u64>,
}

/// `patrol.resolved`: a target that alerted passed `resolve_after` times in a row, or is not checked any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Which target.
    pub target: String,
    /// When the first of these checks passed.
    pub since: Timestamp,
    /// When the last of them passed.
    pub at: Timestamp,
    /// How many they are; 0 if it is not checked any more.
    pub passes: u32,
    /// As in [`Alerted`].
    pub notice: Option<u64>,
}

/// `patrol.reminded`: a target has been alerting for another `remind_every`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminded {
    /// Which target.
    pub target: String,
    /// When.
    pub at: Timestamp,
    /// Why its last check failed.
    pub reason: String,
    /// As in [`Alerted`].
    pub notice: u64,
}

/// `patrol.readdressed`: `notify` changed while a notification was under way. It is sent anew, with the same key;
/// what comes of the request before counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readdressed {
    /// About which target.
    pub target: String,
    /// Its number.
    pub notice: u64,
    /// The number of the request that counts; grows with each for this target.
    pub issue: u32,
}

/// `patrol.notified`: the webhook took a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// About which target.
    pub target: String,
    /// Its number.
    pub notice: u64,
    /// What the webhook answered: 2xx.
    pub status: u16,
}

/// `patrol.notification_given_up`: nobody will be told this any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationGivenUp {
    /// About which target.
    pub target: String,
    /// Its number.
    pub notice: u64,
    /// Why.
    pub error: String,
    /// How many attempts were made.
    pub attempts: u32,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// How many targets were as expected.
    pub passed: u32,
    /// How many were not.
    pub failed: u32,
    /// One for each target, in the order of the configuration.
    pub targets: Vec<Checked>,
}
