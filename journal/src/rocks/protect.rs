//! Sets the files of a journal aside while it is opened, so that a refusal changes nothing.
//!
//! A file of its own because opening a database replays its log and deletes it: what was in doubt
//! would be gone. Hard links cost nothing and keep every file, because `RocksDB` never changes the
//! content of a file that an earlier process wrote: it writes new ones and removes old names. (It does
//! cut the space reserved behind the end of the newest log, which changes that file's time only.)
//!
//! Invariants:
//! * `journal.opening` is complete whenever it has that name: it gets it by one rename.
//! * It is gone, durably, before anything new is committed: it never stands for an older state of a
//!   journal that went on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::runs::damage_note;
use crate::error::Error;
use crate::mark::sync_dir;

/// Where things lie in a data directory.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The data directory.
    pub(super) dir: PathBuf,
    /// The database.
    pub(super) journal: PathBuf,
    /// The index, which follows from it.
    pub(super) index: PathBuf,
    /// Links of it while it is opened.
    aside: PathBuf,
    /// The same, incomplete.
    partial: PathBuf,
    /// A database that was refused, on its way out.
    refused: PathBuf,
}

impl Paths {
    pub(super) fn new(dir: &Path) -> Self {
        let at = |name| dir.join(name);
        Self {
            dir: dir.to_owned(),
            journal: at("journal"),
            index: at("index"),
            aside: at("journal.opening"),
            partial: at("journal.opening.partial"),
            refused: at("journal.refused"),
        }
    }

    /// Whether there is a database, whole or not.
    pub(super) fn has_journal(&self) -> bool {
        std::fs::read_dir(&self.journal).is_ok_and(|mut files| files.next().is_some())
    }

    /// The files of the write-ahead log with their sizes, by name.
    pub(super) fn logs(&self) -> Vec<(String, u64)> {
        let mut logs = Vec::new();
        for file in std::fs::read_dir(&self.journal)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = file.file_name().to_string_lossy().into_owned();
            if Path::new(&name)
                .extension()
                .is_some_and(|kind| kind == "log")
            {
                logs.push((name, file.metadata().map_or(0, |data| data.len())));
            }
        }
        logs.sort();
        logs
    }

    /// What was noted of damage in the index, while it was in use.
    pub(super) fn noted_damage(&self) -> Option<String> {
        let note = std::fs::read(damage_note(&self.index)).ok()?;
        Some(String::from_utf8_lossy(&note).into_owned())
    }

    /// Removes the index, which is built anew from the commits, and what was noted of it.
    pub(super) fn remove_index(&self) -> Result<(), Error> {
        self.remove(&self.index)?;
        let note = damage_note(&self.index);
        if !note.exists() {
            return Ok(());
        }
        // In this order on the disk as well: what is left of an index may open, and nobody would know of its damage.
        sync_dir(&self.dir)?;
        std::fs::remove_file(&note)
            .map_err(|source| Error::file(&self.dir, "remove", &note, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        std::fs::rename(from, to)
            .map_err(|source| Error::file(&self.dir, "rename", from, source))?;
        sync_dir(&self.dir)
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::file(&self.dir, "remove", path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Finishes what an opening left behind that was cut off.
pub(super) fn settle(paths: &Paths) -> Result<(), Error> {
    paths.remove(&paths.partial)?;
    // Putting back renames twice: the database out of the way, the links in its place.
    if !paths.journal.exists() && paths.aside.exists() {
        paths.rename(&paths.aside, &paths.journal)?;
    }
    if !paths.journal.exists() && paths.refused.exists() {
        paths.rename(&paths.refused, &paths.journal)?;
    }
    paths.remove(&paths.refused)
}

/// The files of a journal as they were before it was opened.
#[derive(Debug)]
pub(super) struct Aside<'a> {
    paths: &'a Paths,
}

impl<'a> Aside<'a> {
    /// Sets the files aside. Links that a cut-off opening left are the older ones, and stay.
    pub(super) fn set(paths: &'a Paths) -> Result<Self, Error> {
        if !paths.aside.exists() {
            link_all(paths)?;
            failpoint!("open.linked");
            sync_dir(&paths.partial)?;
            paths.rename(&paths.partial, &paths.aside)?;
        }
        failpoint!("open.set_aside");
        Ok(Self { paths })
    }

    /// Puts the files back. The database must be closed.
    pub(super) fn put_back(self) -> Result<(), Error> {
        let Paths {
            journal,
            aside,
            refused,
            ..
        } = self.paths;
        self.paths.rename(journal, refused)?;
        failpoint!("open.refusing");
        self.paths.rename(aside, journal)?;
        failpoint!("open.refused");
        self.paths.remove(refused)
    }

    /// Lets go of the files: what was opened is whole.
    pub(super) fn discard(self) -> Result<(), Error> {
        self.paths.rename(&self.paths.aside, &self.paths.partial)?;
        failpoint!("open.unlinking");
        self.paths.remove(&self.paths.partial)?;
        failpoint!("open.unlinked");
        Ok(())
    }
}

fn link_all(paths: &Paths) -> Result<(), Error> {
    let failed =
        |path: &Path, source| Error::file(&paths.dir, "hard-link for a safe opening", path, source);
    std::fs::create_dir(&paths.partial).map_err(|error| failed(&paths.partial, error))?;
    let files = std::fs::read_dir(&paths.journal).map_err(|error| failed(&paths.journal, error))?;
    for file in files {
        let file = file.map_err(|error| failed(&paths.journal, error))?;
        let (from, to) = (file.path(), paths.partial.join(file.file_name()));
        std::fs::hard_link(&from, &to).map_err(|error| failed(&from, error))?;
    }
    Ok(())
}
