//! `DIR/lock`: one process per data directory.
//!
//! A file of its own because the lock outlives generations of the journal, and because a CLI asks
//! for the holder without wanting the lock.
//!
//! Invariant: the lock is the kernel's (flock), so that a killed holder never leaves one behind; the
//! text in the file only says who holds it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::Error;
use crate::mark::sync_dir;

/// Attempts to take the lock, and the time between two: a CLI that asks for the holder has it for
/// microseconds.
const ATTEMPTS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(5);

/// Who has a data directory open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process; 0 where it has not said so yet.
    pub pid: u32,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

impl Holder {
    fn unknown() -> Self {
        Self {
            pid: 0,
            since: "an unknown time".to_owned(),
        }
    }
}

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing it releases the lock.
    _file: File,
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("lock")
}

impl Lock {
    /// Takes the lock of `dir`, which is created if it is missing.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, Error> {
        create_dir(dir)?;
        let path = path_in(dir);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| Error::file(dir, "open", &path, source))?;
        take(dir, &path, &mut file)?;
        let holder = Holder {
            pid: std::process::id(),
            since: clock::wall_text(),
        };
        write_holder(&mut file, &holder)
            .map_err(|source| Error::file(dir, "write", &path, source))?;
        Ok(Self { _file: file })
    }
}

fn take(dir: &Path, path: &Path, file: &mut File) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
            Err(TryLockError::Error(source)) => {
                return Err(Error::file(dir, "lock", path, source));
            }
        }
    }
    let Holder { pid, since } = read_holder(file);
    Err(Error::Held {
        dir: dir.to_owned(),
        pid,
        since,
    })
}

/// Creates `dir` for its owner only; leaves an existing one as it is. What it creates is durable before it returns:
/// what is synced in a directory is worth nothing if that has no name after a power cut.
pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    create_with(dir, &mut sync_dir)
}

/// As [`create_dir`]; `sync` makes the names in a directory durable.
fn create_with(dir: &Path, sync: &mut dyn FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if let Some(parent) = dir.parent() {
        create_missing(parent, &DirBuilder::new(), sync)?;
    }
    create_missing(dir, DirBuilder::new().mode(0o700), sync)
}

/// Creates `dir` and all above it that are missing, from the top down.
fn create_missing(
    dir: &Path,
    how: &DirBuilder,
    sync: &mut dyn FnMut(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    // Of a relative path, the directory that it begins in.
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(dir);
    create_missing(parent, &DirBuilder::new(), sync)?;
    match how.create(dir) {
        Ok(()) => {}
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => {}
        Err(source) => return Err(Error::file(dir, "create", dir, source)),
    }
    let here = Path::new(".");
    sync(if parent.as_os_str().is_empty() {
        here
    } else {
        parent
    })
}

fn write_holder(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(holder)?;
    line.push(b'\n');
    file.set_len(0)?;
    file.write_all(&line)
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_else(|_| Holder::unknown()),
        Err(_) => Holder::unknown(),
    }
}

/// Who holds the data directory `dir`, if anyone does. Leaves no trace.
///
/// # Errors
/// [`Error::Missing`] where there is no such directory, or a file error.
pub fn holder(dir: &Path) -> Result<Option<Holder>, Error> {
    if !dir.is_dir() {
        return Err(Error::Missing {
            dir: dir.to_owned(),
        });
    }
    let path = path_in(dir);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::Io {
                operation: "open",
                path,
                source,
            });
        }
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
        Err(TryLockError::Error(source)) => Err(Error::Io {
            operation: "lock",
            path,
            source,
        }),
    }
}

#[cfg(test)]
mod tests;
