//! Everything that can happen to a cleanup, in the order in which a run goes through it.

use serde::{Deserialize, Serialize};
use steadfast::Event;

use super::config::CleanupConfig;
use super::effect::PageEnd;
use super::plan::{Count, Cursor, PlannedFile, Problems, Root};
use super::work::Report;
use crate::concern::{
    Configured, Finished, Paused, Resumed, RunId, Started, Stopping, TickMissed, TickQueued,
    TickSkipped,
};

/// The events of a cleanup. Names are `cleanup.` and the variant in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "cleanup.")]
#[non_exhaustive]
pub enum CleanupEvent {
    /// The configuration changed.
    Configured(Configured<CleanupConfig>),
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
    /// The files were looked for.
    Scanned(Scanned),
    /// What a dry run would remove.
    Previewed(Previewed),
    /// What will be removed: the intent.
    Planned(Planned),
    /// What was removed.
    Removed(Removed),
    /// What was planned and stayed.
    Skipped(Skipped),
    /// The run has ended.
    Finished(Finished<Report>),
}

/// `cleanup.scanned`: one page of the files was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// In which run.
    pub run: RunId,
    /// All that match and may go, from the start of this page on.
    pub found: Count,
    /// Those on this page: they are planned, or previewed.
    pub selected: Count,
    /// The others.
    pub left: Count,
    /// Those of `left` that are larger than all that one run may remove.
    #[serde(default)]
    pub too_large: Count,
    /// Why the page ends where it ends.
    pub end: PageEnd,
    /// Where it ends; `None` if it is empty.
    pub cursor: Option<Cursor>,
    /// The directories that were walked from.
    pub roots: Vec<Root>,
    /// Roots that do not exist.
    pub missing_roots: Vec<String>,
    /// Roots that exist and could not be read.
    pub unreadable_roots: Problems,
    /// What could not be looked at below the roots.
    pub problems: Problems,
}

/// `cleanup.planned`: one batch of the intent. It is journalled before the first file is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// In which run.
    pub run: RunId,
    /// Which batch of the run, from 1.
    pub batch: u64,
    /// The files, oldest first.
    pub files: Vec<PlannedFile>,
}

/// `cleanup.previewed`: what a dry run would remove, in batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previewed {
    /// In which run.
    pub run: RunId,
    /// The files, oldest first.
    pub files: Vec<RemovedFile>,
}

/// `cleanup.removed`: files that are gone through this concern. Each file is named in exactly one of these
/// events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// In which run.
    pub run: RunId,
    /// Which batch of the run.
    pub batch: u64,
    /// The files, oldest first.
    pub files: Vec<RemovedFile>,
}

/// One file that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedFile {
    /// Its absolute path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

impl From<PlannedFile> for RemovedFile {
    fn from(file: PlannedFile) -> Self {
        Self {
            path: file.path,
            bytes: file.bytes,
        }
    }
}

/// `cleanup.skipped`: files that were planned and that this concern did not remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// In which run.
    pub run: RunId,
    /// Which batch of the run.
    pub batch: u64,
    /// The files, oldest first.
    pub files: Vec<SkippedFile>,
}

/// One file that was not removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    /// Its absolute path.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
    /// What the system said; `None` where the reason says it all.
    pub detail: Option<String>,
}

/// Why a planned file was not removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Somebody else removed it first.
    Vanished,
    /// It changed, or another file has taken its place. That file stays.
    Changed,
    /// The system refused.
    Failed,
    /// The sweep was given up, and nobody knows whether it got to this file.
    Unknown,
}
