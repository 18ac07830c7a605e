//! Runs: their names, what they were started by, and how they end.

use std::fmt;

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Timestamp};

/// Names one run for ever, `run_` and 32 hexadecimal digits. Later runs sort after earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The name of the run that starts at `now`: a UUID of version 7 with these random bits.
    #[must_use]
    pub fn new(now: Timestamp, random: [u64; 2]) -> Self {
        let [first, second] = random.map(u64::to_be_bytes);
        let mut bytes = [0; 10];
        for (byte, drawn) in bytes.iter_mut().zip(first.into_iter().chain(second)) {
            *byte = drawn;
        }
        let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        Self(format!("run_{}", uuid.simple()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// All that was to be done is done.
    Succeeded,
    /// Some of it could not be done; the events say what.
    Partial,
    /// A limit stopped it before everything was done.
    Limited,
    /// It could not do its work.
    Failed,
    /// It took too long.
    TimedOut,
    /// It was given up before its end.
    Cancelled,
    /// It was not worth starting.
    Skipped,
    /// Nobody knows whether its last step was done.
    Unknown,
}

impl RunOutcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Succeeded,
        Self::Partial,
        Self::Limited,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Skipped,
        Self::Unknown,
    ];

    /// Whether somebody has to look: one that was cancelled was by somebody who knows.
    #[must_use]
    pub const fn needs_somebody(self) -> bool {
        match self {
            Self::Partial | Self::Limited | Self::Failed | Self::TimedOut | Self::Unknown => true,
            Self::Succeeded | Self::Cancelled | Self::Skipped => false,
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        })
    }
}

/// One run as everybody is shown it. The shape in JSON is a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Whose run it is.
    pub actor: ActorId,
    /// When it was started.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<RunOutcome>,
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Somebody asked for it.
    Trigger {
        /// Who, as they gave their name.
        by: String,
    },
    /// Its schedule.
    Tick {
        /// When it was due.
        due: Timestamp,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trigger { by } => write!(f, "triggered by {by}"),
            Self::Tick { due } => write!(f, "tick of {due}"),
        }
    }
}

/// Why a run is stopped on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody asked for it.
    Cancelled {
        /// Who, as they gave their name.
        by: String,
    },
    /// The next tick came, and `overlap` is `cancel`.
    Overlapped {
        /// When that tick was due.
        due: Timestamp,
    },
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled { by } => write!(f, "cancelled by {by}"),
            Self::Overlapped { due } => write!(f, "cancelled for the tick of {due}"),
        }
    }
}
