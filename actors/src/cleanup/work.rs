//! How far a run is: the fold of its events, and what follows from it. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::effect::PageEnd;
use super::event::{Planned, Removed, Scanned, SkipReason, Skipped};
use super::plan::{Count, Cursor, PlannedFile, Problems, Root};
use crate::concern::RunOutcome;

#[cfg(test)]
mod tests;

/// How far the current run is. It holds at most one page of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Where the last page ended.
    pub(super) cursor: Option<Cursor>,
    /// Why it ended there.
    end: PageEnd,
    pub(super) roots: Vec<Root>,
    /// Batches of this page that are not swept yet. The first one is being swept.
    plan: VecDeque<Batch>,
    /// Batches planned so far, on all pages.
    pub(super) batches: u64,
    /// Whether other rules hold since the run started.
    superseded: bool,
    pub(super) report: Report,
}

/// Files that are swept together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) files: Vec<PlannedFile>,
}

/// What a run has done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// All files that matched and might go.
    pub found: Count,
    /// Those that were planned, or previewed by a dry run.
    pub selected: Count,
    /// Those that were removed.
    pub removed: Count,
    /// Those that were not selected, as the limits allowed no more.
    pub left: Count,
    /// Those of `left` that are larger than all that one run may remove.
    #[serde(default)]
    pub too_large: Count,
    /// Planned files that somebody else removed first.
    pub vanished: u64,
    /// Planned files that changed and stayed.
    pub changed: u64,
    /// Planned files that could not be removed.
    pub failed: u64,
    /// Planned files of which nobody knows.
    pub unknown: u64,
    /// Roots that do not exist: nothing to do there.
    pub missing_roots: Vec<String>,
    /// Roots that exist and could not be read.
    pub unreadable_roots: Problems,
    /// What could not be looked at below the roots.
    pub problems: Problems,
}

/// What follows once nothing of the run is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Remove these.
    Sweep(&'a Batch),
    /// Look for the next page.
    Scan,
    /// End it.
    Finish(RunOutcome, Option<String>),
}

impl Work {
    /// A run that has just started.
    pub(super) fn new() -> Self {
        Self {
            cursor: None,
            end: PageEnd::More,
            roots: Vec::new(),
            plan: VecDeque::new(),
            batches: 0,
            superseded: false,
            report: Report::default(),
        }
    }

    pub(super) fn next(&self) -> Next<'_> {
        if self.superseded {
            let reason = "the configuration changed during the run".to_owned();
            return Next::Finish(RunOutcome::Cancelled, Some(reason));
        }
        match (self.plan.front(), self.end) {
            (Some(batch), _) => Next::Sweep(batch),
            (None, PageEnd::More) => Next::Scan,
            (None, PageEnd::Complete | PageEnd::Limited) => {
                let (outcome, reason) = self.report.outcome(self.end);
                Next::Finish(outcome, reason)
            }
        }
    }

    /// The batch that is being swept.
    pub(super) fn sweeping(&self) -> Option<u64> {
        self.plan.front().map(|batch| batch.number)
    }

    pub(super) fn supersede(&mut self) {
        self.superseded = true;
    }

    pub(super) fn scanned(&mut self, page: &Scanned) {
        let report = &mut self.report;
        // Later pages find only what comes after them. A page that is followed by another is never empty.
        if self.cursor.is_none() {
            report.found = page.found;
            report.too_large = page.too_large;
        }
        report.selected += page.selected;
        // Those that are too large come anywhere in the order, and later pages find only what comes after them.
        report.left = page.left.less(page.too_large);
        report.left += report.too_large;
        // Each page walks anew, so problems are seen again on each: the worst walk is what is told.
        if page.problems.count > report.problems.count {
            report.problems = page.problems.clone();
        }
        if page.unreadable_roots.count > report.unreadable_roots.count {
            report.unreadable_roots = page.unreadable_roots.clone();
        }
        report.missing_roots.clone_from(&page.missing_roots);
        self.end = page.end;
        self.roots.clone_from(&page.roots);
        if page.cursor.is_some() {
            self.cursor.clone_from(&page.cursor);
        }
    }

    pub(super) fn planned(&mut self, event: &Planned) {
        self.batches = event.batch;
        self.plan.push_back(Batch {
            number: event.batch,
            files: event.files.clone(),
        });
    }

    pub(super) fn removed(&mut self, event: &Removed, count: Count) {
        self.report.removed += count;
        self.swept(event.batch);
    }

    pub(super) fn skipped(&mut self, event: &Skipped) {
        for file in &event.files {
            let counter = match file.reason {
                SkipReason::Vanished => &mut self.report.vanished,
                SkipReason::Changed => &mut self.report.changed,
                SkipReason::Failed => &mut self.report.failed,
                SkipReason::Unknown => &mut self.report.unknown,
            };
            *counter += 1;
        }
        self.swept(event.batch);
    }

    /// One sweep may lead to two events, so the second finds its batch gone.
    fn swept(&mut self, batch: u64) {
        while self.plan.front().is_some_and(|front| front.number <= batch) {
            self.plan.pop_front();
        }
    }
}

impl Report {
    fn limited(&self) -> String {
        let Count { files, bytes } = self.left;
        let large = match self.too_large.files {
            0 => String::new(),
            large => format!(" ({large} of them larger than `limits.bytes`)"),
        };
        format!(
            "stopped at the limits: {files} more files with {bytes} bytes are left{large}; \
             raise `limits` if they are to go"
        )
    }

    /// How a run ends that went through all its pages, the last of which ended like this.
    fn outcome(&self, end: PageEnd) -> (RunOutcome, Option<String>) {
        let roots = &self.unreadable_roots;
        let kept = self.failed + self.unknown;
        if roots.count > 0 {
            let which = roots.examples.join("; ");
            (
                RunOutcome::Failed,
                Some(format!("a root could not be read: {which}")),
            )
        } else if end == PageEnd::Limited || self.too_large.files > 0 {
            (RunOutcome::Limited, Some(self.limited()))
        } else if kept > 0 || self.problems.count > 0 {
            let unseen = self.problems.count;
            let first = self.problems.examples.first();
            let first = first.map(|place| format!(", such as {place}"));
            let reason = format!(
                "{kept} files could not be removed and {unseen} places not be looked at{}",
                first.unwrap_or_default()
            );
            (RunOutcome::Partial, Some(reason))
        } else if self.missing_roots.is_empty() {
            (RunOutcome::Succeeded, None)
        } else {
            let missing = self.missing_roots.join(", ");
            (
                RunOutcome::Succeeded,
                Some(format!("nothing to do where nothing is: {missing}")),
            )
        }
    }
}
