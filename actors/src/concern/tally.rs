//! How many runs ended how since the process began: what an agent makes metrics of.
//!
//! Of the process, as handlers reach nothing of their node. A run is counted when its end is decided; one whose
//! journal fails just then is decided, and counted, once more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::RunOutcome;

type Counts = BTreeMap<(&'static str, RunOutcome), u64>;

static ENDED: Mutex<Counts> = Mutex::new(BTreeMap::new());

/// Runs of a kind that ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedRuns {
    /// The kind's name.
    pub kind: &'static str,
    /// How they ended.
    pub outcome: RunOutcome,
    /// How many did since the process began. Dry runs are not among them.
    pub count: u64,
}

/// The runs of all kinds that a node was told of, by how they ended; also those of which there are none yet.
#[must_use]
pub fn ended_runs() -> Vec<EndedRuns> {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    let row = |(&(kind, outcome), &count): (&(&'static str, RunOutcome), &u64)| EndedRuns {
        kind,
        outcome,
        count,
    };
    ended.iter().map(row).collect()
}

/// There may be runs of this kind from now on.
pub(super) fn begin(kind: &'static str) {
    for outcome in RunOutcome::ALL {
        add(kind, outcome, 0);
    }
}

/// One more run has ended.
pub(super) fn count(kind: &'static str, outcome: RunOutcome) {
    add(kind, outcome, 1);
}

fn add(kind: &'static str, outcome: RunOutcome, more: u64) {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = ended.entry((kind, outcome)).or_default();
    *count = count.saturating_add(more);
}
