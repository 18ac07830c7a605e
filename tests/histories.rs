//! Goal: each actor is linearizable, whatever happens to its node: every answer is one that a single list could have
//! given at some moment between question and answer, every key took effect once, and what nobody knows the outcome of
//! took effect before the node was open again or never.
//!
//! Method: two to four clients ask two slates of a real node with one to three workers, over a journal in memory, while
//! its power is cut, its syncs fail, its commits are held, time passes, it is restarted (`course`, `hand`). What they asked and
//! heard is explained by a sequential specification (`slate`) with a search that knows nothing of the node
//! (`linear`). Histories of killed processes are read from their record and explained in the same way (`killed`).
//!
//! The controls are histories made by hand, and recorded ones with one answer changed: none of them may pass.

mod controls;
mod course;
mod hand;
mod judged;
mod killed;
mod linear;
mod slate;

use judged::Reached;

use crate::harness::{proved, runtime, say, seed, tries};

/// What must have happened in a batch of histories.
const REACHED: [&str; 16] = [
    "power cuts",
    "power cuts in a write",
    "power cuts with commits held",
    "commits held",
    "failing syncs",
    "times passed",
    "orderly restarts",
    "overlapping calls",
    "unknown and there",
    "unknown and gone",
    "keys answered again",
    "keys resolved later",
    "exchanged",
    "not exchanged",
    "refused",
    "changed histories refused",
];

#[test]
fn every_history_of_a_node_is_explained_by_one_list() {
    let from = seed("every_history_of_a_node_is_explained_by_one_list");
    let histories = tries(300, 5_000);
    let runtime = runtime();
    let mut reached = Reached::new();
    for seed in from..from + histories {
        let judged = hand::record(&runtime, seed).judge();
        let judged = judged.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        for (what, times) in judged.reached {
            *reached.entry(what).or_default() += times;
        }
        let changed = judged.calls.into_iter().map(controls::refuse_changed);
        *reached.entry("changed histories refused").or_default() += changed.sum::<u64>();
    }
    say(&format!("{histories} histories reached {reached:#?}"));
    let missing = REACHED.iter().filter(|what| !reached.contains_key(*what));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "never");
    proved("histories", histories);
}
