//! Collects problems while the configuration is read on, so that a user sees all of them at once.

use std::collections::BTreeSet;

use super::problem::Problem;

/// Most problems of one report; who has more fixes these first.
pub(super) const MOST: usize = 50;

/// The problems so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    /// Keys already complained about. What follows from their absence is not a problem of its own.
    refused: BTreeSet<String>,
}

impl Report {
    /// Adds a problem; its key counts as refused from now on.
    pub(super) fn add(&mut self, problem: Problem) {
        if !self.is_full() {
            self.refused.insert(problem.key.clone());
            self.problems.push(problem);
        }
    }

    /// Counts a key as refused without a problem of its own: that it is missing was said otherwise.
    pub(super) fn excuse(&mut self, key: String) {
        self.refused.insert(key);
    }

    /// Whether `key`, or something in it, was refused already.
    pub(super) fn has_refused(&self, key: &str) -> bool {
        let from_key_on = self.refused.range(key.to_owned()..);
        let mut rests = from_key_on.map_while(|refused| refused.strip_prefix(key));
        rests.any(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// Whether reading on is of no more use.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems. Where there are [`MOST`] there may be more.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}
