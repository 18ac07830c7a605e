//! How fast actors come back: replays of events, and states from snapshots.

mod replay;
mod state;

use super::Target;
use crate::plot;
use crate::{Outcome, Settings};

/// The rows of the table of targets.
pub(super) const TARGETS: &[Target] = &[
    (&["recover.replay"], |settings| {
        vec![replay::target(settings)]
    }),
    (
        &["recover.state_all", "recover.state_first"],
        state::targets,
    ),
];

/// Everything about recoveries.
pub(super) fn run(settings: &Settings) -> Vec<Outcome> {
    let (mut outcomes, replays) = replay::rows(settings);
    let (states, restored) = state::rows(settings);
    outcomes.extend(states);
    if let Some(dir) = &settings.plots {
        plot::draw(&dir.join("recover.svg"), &[replays, restored]);
    }
    outcomes
}

const fn temperature(cold: bool) -> &'static str {
    if cold { "dropped" } else { "warm" }
}
