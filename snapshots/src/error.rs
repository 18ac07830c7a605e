//! What can go wrong, by what the caller can do about it. Damage is not among it: it is a rejection
//! or a replaced store.

use std::path::{Path, PathBuf};

/// Why the snapshots could not do what was asked. The journal is not touched by any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk is full: without new snapshots recovery takes longer, nothing else.
    #[error("no space left on the disk of {}: free some, snapshots go on by themselves", dir.display())]
    NoSpace {
        /// The store's directory.
        dir: PathBuf,
    },
    /// Another process, or another store of this one, has it open.
    #[error("the snapshots in {} are open elsewhere: close them there first", dir.display())]
    Held {
        /// The store's directory.
        dir: PathBuf,
    },
    /// The directory cannot be written.
    #[error("the snapshots in {} are not writable ({detail}): check owner, mode and mount options", dir.display())]
    NotWritable {
        /// The store's directory.
        dir: PathBuf,
        /// The store's words.
        detail: String,
    },
    /// The store was opened without the right to write.
    #[error("the snapshots were opened read-only: open them for writing")]
    ReadOnly,
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
    #[error("the snapshots in {} failed: {detail}; they can be deleted while no node runs", dir.display())]
    Store {
        /// The store's directory.
        dir: PathBuf,
        /// Its words.
        detail: String,
        /// Whether it reported damaged data.
        corrupt: bool,
    },
}

/// An error of the database by what the caller can do about it.
pub(crate) fn translate(dir: &Path, error: &rocksdb::Error) -> Error {
    let (dir, detail) = (dir.to_owned(), error.as_ref().to_owned());
    let says = |words: &[&str]| words.iter().any(|words| detail.contains(words));
    if says(&["No space left", "Disk quota exceeded"]) {
        Error::NoSpace { dir }
    } else if says(&["Read-only file system", "Permission denied"]) {
        Error::NotWritable { dir, detail }
    } else if says(&["lock hold by current process", "While lock file"]) {
        Error::Held { dir }
    } else {
        let corrupt = error.kind() == rocksdb::ErrorKind::Corruption;
        Error::Store {
            dir,
            detail,
            corrupt,
        }
    }
}
