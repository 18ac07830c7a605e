//! How fast actors come back: replays of events, and states from snapshots.

mod replay;
mod state;

use super::Target;
use crate::{Outcome, Settings};

/// The rows of the table of targets.
pub(super) const TARGETS: &[Target] = &[
    ("recover.replay", replay::target),
    ("recover.state_all", state::all_target),
    ("recover.state_first", state::first_target),
];

/// Everything about recoveries.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let mut outcomes = replay::rows(settings);
    outcomes.extend(state::rows(settings));
    outcomes
}
