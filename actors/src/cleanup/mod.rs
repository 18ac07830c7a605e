//! `cleanup`: removes old files, never more than its limits, with totals that are exact whenever the
//! node is killed.
//!
//! # One run
//! ```text
//! started ─▶ scan (effect) ─▶ scanned, planned… ─▶ sweep (effect) ─▶ removed, skipped ─▶ next batch
//!              ▲  read-only     the intent                                 │
//!              └──────────────── more than one page ◀──────────────────────┤
//!                                                                finished ◀┘
//! ```
//! * **The intent is journalled before the first unlink**: an effect runs only after the entry that asks
//!   for it is durable, and [`Sweep`] carries the very files it may remove.
//! * **Each file is counted once.** A sweep that a crash cut off is run again with the same files; one
//!   of them found absent then counts as removed, as nobody else was told to remove it. Found absent in a
//!   sweep that certainly runs for the first time, it has `vanished` and counts for nothing.
//! * **What is bounded stays bounded**: a run goes through its files in pages, each page in batches; a
//!   page is all that the state and one entry hold of them.
//!
//! # What it never does
//! It never removes a directory, a symlink or a special file, never follows a symlink below the root of
//! a glob (the root itself, or what is above it, may be one that only root and the node's user can change), never leaves the file system of the root, never enters the
//! data directory of a node, and never removes a file that changed since it was planned. A directory that it leaves
//! out for the third or the fourth reason is told: the run ends `partial`. Between the last look at a file and its unlink there
//! is an instant that POSIX gives no means to close; a file swapped in just then would be removed.
//!
//! # Bytes
//! Bytes are lengths of files, not blocks on disk: a sparse or hard-linked file frees less.

mod actor;
mod config;
mod dirs;
mod effect;
mod event;
mod pattern;
mod plan;
mod remove;
mod select;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;
mod way;
mod work;

pub use actor::{Cleanup, CleanupKind, register};
pub use config::{CleanupConfig, Limits};
pub use effect::{Page, PageEnd, Scan, Sweep, Verdict};
pub use event::{
    CleanupEvent, Planned, Previewed, Removed, RemovedFile, Scanned, SkipReason, Skipped,
    SkippedFile,
};
pub(crate) use pattern::Pattern;
pub use plan::{Count, Cursor, PlannedFile, Problems, Root};
pub use work::{Report, Work};
