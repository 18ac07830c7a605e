//! What can go wrong, by what the caller can do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::{ActorNumber, CommitIndex, EntryNumber, Epoch};

/// Why the journal could not do what was asked. Unless a variant says otherwise, nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the directory open.
    #[error("data directory {} is held by process {pid} since {since}: stop that node, or talk to it instead", dir.display())]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// The holder.
        pid: u32,
        /// When it took the directory, RFC 3339.
        since: String,
    },
    /// There is no data directory at that place.
    #[error("there is no data directory at {}: check --data-dir, or start a node there first", dir.display())]
    Missing {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// The directory was written by a newer version of this library.
    #[error("data directory {} has format {found}, this program reads up to {supported}: use a newer steadfast", dir.display())]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this program knows.
        supported: u32,
    },
    /// Acknowledged commits are gone: the journal ends before the mark, or the mark is of a later epoch.
    #[error("{report}")]
    BehindMark {
        /// Where the mark says the journal reaches at least.
        mark: CommitIndex,
        /// Epoch of the mark.
        mark_epoch: Epoch,
        /// Where the journal ends.
        head: Option<CommitIndex>,
        /// What was found, which files were read, and what to run next.
        report: String,
    },
    /// The chain of commits does not verify.
    #[error("{report}")]
    BrokenChain {
        /// The first commit that is missing or does not fit.
        commit: CommitIndex,
        /// What was found, which files were read, and what to run next.
        report: String,
    },
    /// The mark is missing or both of its copies are damaged.
    #[error("{report}")]
    BadMark {
        /// The mark's file.
        path: PathBuf,
        /// What was found and what to run next.
        report: String,
    },
    /// An actor's entries have a hole.
    #[error(
        "entry {number} of actor number {actor} is missing from the journal: run `steadfast verify`"
    )]
    MissingEntry {
        /// The actor.
        actor: ActorNumber,
        /// The first number that is not there.
        number: EntryNumber,
    },
    /// Bytes at rest do not decode.
    #[error("{what} in the journal cannot be decoded: {cause}")]
    Undecodable {
        /// What it should have been.
        what: &'static str,
        /// The decoder's words.
        cause: String,
    },
    /// Something could not be encoded.
    #[error("could not be encoded for the journal")]
    Encode(#[source] rmp_serde::encode::Error),
    /// The disk is full.
    #[error("no space left on the disk of {}: free some, the node goes on by itself", dir.display())]
    NoSpace {
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory cannot be written.
    #[error("data directory {} is not writable: check its owner, mode and mount options", dir.display())]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file operation failed.
    #[error("could not {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The store reported an error or damage.
    #[error("the store in {} failed: {detail}", dir.display())]
    Store {
        /// The store's directory.
        dir: PathBuf,
        /// Its words.
        detail: String,
        /// Whether it reported damaged data.
        corrupt: bool,
    },
    /// A commit could not be written: this generation of the journal takes no more writes.
    #[error("the journal stopped after a failed write")]
    Failed(#[source] Arc<Error>),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// The previous generation of this journal is still in use, so the next one cannot begin.
    #[error("the journal in {} is still open in this process: close it before opening it again", dir.display())]
    StillOpen {
        /// The data directory.
        dir: PathBuf,
    },
    /// An append that cannot be right was handed to the writer: a bug of its caller.
    #[error("entry {number} of actor number {actor} was refused: {problem}")]
    BadAppend {
        /// The actor.
        actor: ActorNumber,
        /// The entry's number.
        number: EntryNumber,
        /// The rule that it breaks.
        problem: &'static str,
    },
    /// The writer's thread ended by a panic: this generation of the journal takes no more writes.
    #[error("the journal's writer ended unexpectedly: close the journal and open it again")]
    WriterPanicked,
    /// The system gave no thread.
    #[error("no thread could be started: check the limit of processes")]
    NoThread(#[source] std::io::Error),
    /// No more numbers are left.
    #[error("the numbers for {what} are used up")]
    Exhausted {
        /// Of what.
        what: &'static str,
    },
}

impl Error {
    /// Whether the store has damaged data.
    pub(crate) fn is_damage(&self) -> bool {
        if let Self::Failed(cause) = self {
            return cause.is_damage();
        }
        matches!(self, Self::Store { corrupt: true, .. })
    }

    /// Whether the store lacks what this process has none left of.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self, Self::Store { detail, .. } if is_shortage(detail))
    }

    /// The error of a file operation below the data directory `dir`, by what the caller can do.
    pub(crate) fn file(
        dir: &Path,
        operation: &'static str,
        path: &Path,
        source: std::io::Error,
    ) -> Self {
        let (dir, kind) = (dir.to_owned(), source.kind());
        if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            Self::NoSpace { dir }
        } else if matches!(
            kind,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
        ) {
            Self::NotWritable { dir, source }
        } else {
            let path = path.to_owned();
            Self::Io {
                operation,
                path,
                source,
            }
        }
    }
}

/// Whether a store's words tell of what this process lacks, open files or memory: no sign of damage, and over once its
/// limits are raised.
#[must_use]
pub fn is_shortage(detail: &str) -> bool {
    detail.contains("Too many open files") || detail.contains("Cannot allocate memory")
}

/// What became of a submission that was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// It may or may not be there after the journal is opened again.
    #[error("the outcome of the write is unknown until the journal is opened again")]
    Unknown(#[source] Arc<Error>),
    /// It was not written and never will be.
    #[error("not written")]
    NotWritten(#[source] Arc<Error>),
}
