//! When a concern runs by itself, and what a tick that comes late is worth.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::Fired;

/// What to do about ticks that passed while the node was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// One run for all of them together.
    #[default]
    Once,
    /// No run: wait for the next tick.
    Skip,
}

/// When a concern runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time from one tick to the next; `None` runs only by hand.
    pub every: Option<Duration>,
    /// What missed ticks lead to.
    pub missed: Missed,
}

/// A tick later than this share of its period is late, if it is later than [`LATE_AT_LEAST`] too.
const LATE_SHARE: u32 = 10;
/// A tick that is less late than this was delayed by work, not by a node that was down.
const LATE_AT_LEAST: Duration = Duration::from_secs(1);

/// Whether a tick is one that was missed at its time.
pub(super) fn is_late(fired: &Fired, period: Duration) -> bool {
    fired.missed > 0 || fired.late > (period / LATE_SHARE).max(LATE_AT_LEAST)
}
