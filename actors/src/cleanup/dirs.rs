//! Directories as handles: opened once, entered component by component, never through a symlink, never
//! into another file system, and never into the data directory of a node.

use std::{fmt, io};

use cap_fs_ext::DirExt;
use cap_std::fs::{Dir, Metadata, MetadataExt};

use super::plan::PlannedFile;
use super::way;

/// What the file system is asked, as functions, so that a test can make them fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// Opens a directory by its name in another, not following a symlink.
    pub(super) enter: fn(&Dir, &str) -> io::Result<Dir>,
    /// Removes a file by its name in a directory.
    pub(super) unlink: fn(&Dir, &str) -> io::Result<()>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            enter: |directory, name| directory.open_dir_nofollow(name),
            unlink: |directory, name| directory.remove_file(name),
        }
    }
}

/// Why a directory cannot be entered.
#[derive(Debug)]
pub(super) enum Miss {
    /// It is not there.
    Absent,
    /// There is something else: a symlink, a file.
    Elsewhere,
    /// It is of another file system than the root.
    OtherFileSystem,
    /// It is the data directory of a node, or below one.
    DataDirectory,
    /// The system refused.
    Refused(io::Error),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "it is not there",
            Self::Elsewhere => "not a directory",
            Self::OtherFileSystem => {
                "another file system than that of the glob's root: it needs a glob of its own, which begins in it"
            }
            Self::DataDirectory => {
                "the data directory of a node, whose files are not to be removed"
            }
            Self::Refused(error) => return error.fmt(f),
        })
    }
}

impl From<io::Error> for Miss {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Absent
        } else {
            Self::Refused(error)
        }
    }
}

/// A root directory. Symlinks are followed on the [way](super::way) to it only: it was named.
#[derive(Debug)]
pub(super) struct RootDir {
    pub(super) path: String,
    pub(super) inode: u64,
    dir: Dir,
    device: u64,
}

impl RootDir {
    pub(super) fn open(path: &str) -> Result<Self, Miss> {
        let mut way = way::open(path)?;
        if way.iter().any(is_data_dir) {
            return Err(Miss::DataDirectory);
        }
        let dir = way.pop().ok_or(Miss::Absent)?;
        let metadata = dir.dir_metadata().map_err(Miss::from)?;
        let (inode, device) = (metadata.ino(), metadata.dev());
        Ok(Self {
            path: path.to_owned(),
            inode,
            dir,
            device,
        })
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The directory `name` in `parent`, which is this root or below it.
    pub(super) fn enter(&self, access: Access, parent: &Dir, name: &str) -> Result<Dir, Miss> {
        let dir = match (access.enter)(parent, name) {
            Ok(dir) => dir,
            Err(error) => return Err(why_not(parent, name, error)),
        };
        let metadata = dir.dir_metadata().map_err(Miss::Refused)?;
        if metadata.dev() != self.device {
            Err(Miss::OtherFileSystem)
        } else if is_data_dir(&dir) {
            Err(Miss::DataDirectory)
        } else {
            Ok(dir)
        }
    }

    /// The directory with the absolute path `path`, which is below this root.
    pub(super) fn descend(&self, access: Access, path: &str) -> Result<Dir, Miss> {
        let below = path.strip_prefix(&self.path).unwrap_or_default();
        let mut dir = self.dir.try_clone().map_err(Miss::Refused)?;
        for name in below.split('/').filter(|name| !name.is_empty()) {
            dir = self.enter(access, &dir, name)?;
        }
        Ok(dir)
    }

    /// What the file `name` in `parent` is, if it is a regular file of this file system.
    pub(super) fn look(&self, parent: &Dir, path: &str, name: &str) -> Result<PlannedFile, Miss> {
        match parent.symlink_metadata(name) {
            Ok(metadata) if !metadata.is_file() => Err(Miss::Elsewhere),
            Ok(metadata) if metadata.dev() != self.device => Err(Miss::OtherFileSystem),
            Ok(metadata) => Ok(identity(path, &metadata)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a node's data directory holds from its start. Its journal has files called `*.log`.
const DATA_DIR: [&str; 3] = ["mark", "lock", "journal"];

fn is_data_dir(dir: &Dir) -> bool {
    DATA_DIR
        .iter()
        .all(|name| dir.symlink_metadata(name).is_ok())
}

/// Whether the absolute path `path` is `root` or below it.
pub(super) fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Tells the reasons apart by looking: the error codes for a symlink differ between systems.
fn why_not(parent: &Dir, name: &str, error: io::Error) -> Miss {
    match parent.symlink_metadata(name) {
        Ok(metadata) if metadata.is_dir() => Miss::Refused(error),
        Ok(_) => Miss::Elsewhere,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Miss::Absent,
        Err(_) => Miss::Refused(error),
    }
}

fn identity(path: &str, metadata: &Metadata) -> PlannedFile {
    let seconds = metadata.mtime().saturating_mul(1_000_000_000);
    PlannedFile {
        path: path.to_owned(),
        bytes: metadata.len(),
        modified_ns: seconds.saturating_add(metadata.mtime_nsec()),
        inode: metadata.ino(),
        created_ns: metadata.created().ok().and_then(|time| {
            let since = time.into_std().duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_nanos()).ok()
        }),
    }
}
