//! What the clocks say within a round of turns: each turn begins when the one before it ended, so that one reading
//! of one clock serves both.
//!
//! Invariant: a turn's wall time is never later than the wall clock was at its running time. A timer that waits from
//! there is never early by what its entry says.

use std::time::Duration;

use super::run::Worker;
use crate::core::Clocks;
use crate::model::Timestamp;

/// How long both clocks are taken to go together. Whoever sets the wall clock is noticed this late.
const TOGETHER: Duration = Duration::from_millis(10);

/// Where a round is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Read together, the wall clock first.
    read: Clocks,
    /// When the last turn ended, on the running clock.
    ended: Duration,
}

impl Round {
    pub(super) const fn at(read: Clocks) -> Self {
        Self {
            read,
            ended: read.running,
        }
    }
}

impl Worker {
    /// Looks at both clocks.
    pub(super) fn begin_round(&mut self) {
        self.round = Round::at(self.clocks());
    }

    /// What both clocks say as the next turn begins.
    pub(super) fn turn_begins(&mut self) -> (Timestamp, Duration) {
        let since = |round: &Round| round.ended.saturating_sub(round.read.running);
        if since(&self.round) > TOGETHER {
            self.begin_round();
        }
        let now = self.round.read.now.plus(since(&self.round));
        (now, self.round.ended)
    }

    /// A turn ends. How long it took.
    pub(super) fn turn_ends(&mut self) -> Duration {
        let now = self.shared.clock.running();
        let took = now.saturating_sub(self.round.ended);
        self.round.ended = now;
        took
    }
}
