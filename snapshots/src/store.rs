//! The store of snapshots: opening whatever is there, keeping two per actor, loading the newest that
//! counts.
//!
//! A file of its own because it decides what becomes of a snapshot that is bad, foreign or late.
//!
//! Invariants:
//! * A snapshot is served only if its checksum fits and the caller says that its commit is in the
//!   journal's past.
//! * Changes reach the disk in the order in which they were made: what a flush leaves behind after a
//!   crash is a state that the store once had.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use steadfast_journal::{ActorNumber, EntryNumber, failpoint, is_shortage};

use crate::backend::Backend;
use crate::error::Error;
use crate::snapshot::{List, Listed, Place, Snapshot, SnapshotMeta, list_key};

/// Snapshots of all actors. Cheap to share behind an `Arc`; never blocks the journal.
pub struct SnapshotStore {
    backend: Backend,
    /// The number of the newest finished put.
    put: AtomicU64,
    /// All puts up to this number are durable.
    flushed: AtomicU64,
    /// Makes reading an actor's list and writing it one step: two threads may put the same actor.
    changing: Mutex<()>,
    /// Set by the first damage that was met, so that it is noted once.
    damaged: AtomicBool,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// A store, empty or not.
    Sound,
    /// A damaged store was moved aside and replaced by an empty one: actors recover by full replay.
    Replaced {
        /// Where the damaged one lies now; the one moved aside before it is gone.
        moved_to: PathBuf,
        /// What was wrong with it.
        detail: String,
    },
}

/// Place of a put in the order of all puts of this opening, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PutNumber(u64);

/// The newest snapshot that counts, or what was made of it, and what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T = Snapshot> {
    /// `None`: replay from the start.
    pub snapshot: Option<T>,
    /// Each newer one that does not count; to be counted and logged.
    pub rejected: Vec<Rejection>,
}

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self {
            snapshot: None,
            rejected: Vec::new(),
        }
    }
}

/// A snapshot that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its entry, where that could be read.
    pub entry: Option<EntryNumber>,
    /// Why it does not count.
    pub reason: Reason,
}

/// Why a snapshot does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Its bytes do not have their checksum, or are no snapshot.
    #[error("it is damaged")]
    Damaged,
    /// A newer program wrote it.
    #[error("it has format {0}, which this program does not know")]
    UnknownFormat(u8),
    /// Its commit is not in the journal's past.
    #[error("its commit is not in the past of this journal")]
    Foreign,
    /// The store could not read it.
    #[error("the store could not read it: {0}")]
    Unreadable(String),
}

impl SnapshotStore {
    /// Opens the store in `dir` (`DATA/snapshots`) for writing. One that is damaged is moved to
    /// `snapshots.damaged-N` beside it and replaced by an empty one.
    ///
    /// # Errors
    /// [`Error::Held`], [`Error::NoSpace`], [`Error::NotWritable`], a file error, or a store error where this process
    /// may open no more files. Damage is none.
    pub fn open(dir: &Path) -> Result<(Self, Opened), Error> {
        let detail = match try_open(dir) {
            Ok(backend) => return Ok((Self::new(backend), Opened::Sound)),
            Err(Error::Store { detail, .. }) if !is_shortage(&detail) => detail,
            Err(other) => return Err(other),
        };
        let moved_to = move_aside(dir)?;
        failpoint!("snapshots.moved_aside");
        remove_note(dir)?;
        let backend = Backend::open(dir)?;
        failpoint!("snapshots.replaced");
        Ok((Self::new(backend), Opened::Replaced { moved_to, detail }))
    }

    /// Opens the store in `dir` for reading, beside no matter whom; writes nothing. `None` where there
    /// is none or it is damaged: then replay.
    ///
    /// # Errors
    /// Where the system does not let it be read.
    pub fn open_read_only(dir: &Path) -> Result<Option<Self>, Error> {
        if !dir.join("CURRENT").exists() {
            return Ok(None);
        }
        match Backend::open_read_only(dir) {
            Ok(backend) => Ok(Some(Self::new(backend))),
            Err(Error::Store { detail, .. }) => {
                tracing::warn!(dir = %dir.display(), detail, "the snapshots cannot be read");
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// A store that ends with its last reference.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Backend::Memory(Mutex::default()))
    }

    /// Takes back the newest `changes` of a store in memory that no flush covers, as a crash may; how many there were. For tests.
    #[must_use]
    pub fn take_back(&self, changes: usize) -> usize {
        self.backend.in_memory(|rows| rows.take_back(changes))
    }

    /// Turns one bit of a store in memory over, `draw` says which; false if there is none. For tests.
    #[must_use]
    pub fn flip(&self, draw: u64) -> bool {
        self.backend.in_memory(|rows| rows.flip(draw))
    }

    fn new(backend: Backend) -> Self {
        Self {
            backend,
            put: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            changing: Mutex::new(()),
            damaged: AtomicBool::new(false),
        }
    }

    /// Stores a snapshot in place of the older of the two that are kept of its actor. It survives a
    /// crash only once flushed: see [`SnapshotStore::flush`].
    ///
    /// The entry it is of must be durable in the journal. One that comes later than two newer ones
    /// of the same timeline is dropped.
    ///
    /// # Errors
    /// A store error; the older snapshots are as they were.
    pub fn put(&self, snapshot: &Snapshot) -> Result<PutNumber, Error> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = self.list(snapshot.actor);
        if let Some(place) = place_for(snapshot, &mut list) {
            let (key, list_key) = (place.key(snapshot.actor), list_key(snapshot.actor));
            failpoint!("snapshot.putting");
            let written = self.backend.change(&[
                (&key, Some(snapshot.encode(&key))),
                (&list_key, Some(list.encode(&list_key))),
            ]);
            written.inspect_err(|error| self.note_damage(error))?;
            failpoint!("snapshot.put");
        }
        let number = self.put.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        drop(changing);
        Ok(PutNumber(number))
    }

    /// Stores a snapshot and makes it durable before returning.
    ///
    /// # Errors
    /// A store error.
    pub fn put_flushed(&self, snapshot: &Snapshot) -> Result<(), Error> {
        self.put(snapshot)?;
        self.flush().map(drop)
    }

    /// Makes every finished put durable, and says up to which one.
    ///
    /// # Errors
    /// A store error; then nothing new counts as durable.
    pub fn flush(&self) -> Result<PutNumber, Error> {
        let upto = self.put.load(Ordering::SeqCst);
        failpoint!("snapshot.flushing");
        self.backend
            .flush()
            .inspect_err(|error| self.note_damage(error))?;
        failpoint!("snapshot.flushed");
        self.flushed.fetch_max(upto, Ordering::SeqCst);
        Ok(PutNumber(upto))
    }

    /// Whether a put is known to be durable. Never wrong when it says so; the store may also have
    /// written it by itself already.
    #[must_use]
    pub fn is_flushed(&self, put: PutNumber) -> bool {
        put.0 <= self.flushed.load(Ordering::SeqCst)
    }

    /// The newest snapshot of an actor whose commit `in_past` says to lie in the journal's past.
    ///
    /// Damage and read errors are rejections, not failures: there is always the journal.
    #[must_use]
    pub fn load(&self, actor: ActorNumber, in_past: &dyn Fn(&SnapshotMeta) -> bool) -> Loaded {
        self.load_with(actor, in_past, SnapshotMeta::with_state)
    }

    /// As [`load`](Self::load), with what `make` makes of the snapshot and its state. The state is shown where
    /// it lies, checked: who only decodes it needs no copy.
    #[must_use]
    pub fn load_with<T>(
        &self,
        actor: ActorNumber,
        in_past: &dyn Fn(&SnapshotMeta) -> bool,
        mut make: impl FnMut(SnapshotMeta, &[u8]) -> T,
    ) -> Loaded<T> {
        let mut loaded = Loaded::default();
        let newest = self.listed(actor).unwrap_or_default().newest();
        for place in [newest, newest.other()] {
            let read = self.read(actor, place, |meta, state| {
                if in_past(&meta) {
                    Ok(make(meta, state))
                } else {
                    Err(meta.entry)
                }
            });
            match read {
                Ok(None) => {}
                Ok(Some(Ok(found))) => {
                    loaded.snapshot = Some(found);
                    return loaded;
                }
                Ok(Some(Err(entry))) => {
                    let (entry, reason) = (Some(entry), Reason::Foreign);
                    loaded.rejected.push(Rejection { entry, reason });
                }
                Err(reason) => loaded.rejected.push(Rejection {
                    entry: None,
                    reason,
                }),
            }
        }
        loaded
    }

    /// Drops the snapshots of an actor.
    ///
    /// # Errors
    /// A store error.
    pub fn delete(&self, actor: ActorNumber) -> Result<(), Error> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let [first, second] = Place::BOTH.map(|place| place.key(actor));
        let list = list_key(actor);
        let outcome = self
            .backend
            .change(&[(&first, None), (&second, None), (&list, None)]);
        drop(changing);
        outcome.inspect_err(|error| self.note_damage(error))
    }

    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Reason> {
        self.backend.read(key, show).map_err(|error| {
            self.note_damage(&error);
            Reason::Unreadable(error.to_string())
        })
    }

    fn read<T>(
        &self,
        actor: ActorNumber,
        place: Place,
        make: impl FnOnce(SnapshotMeta, &[u8]) -> T,
    ) -> Result<Option<T>, Reason> {
        let key = place.key(actor);
        let found = self.get(&key, |value| {
            let (meta, state) = SnapshotMeta::decode(&key, value)?;
            if meta.actor == actor {
                Ok(make(meta, state))
            } else {
                Err(Reason::Damaged)
            }
        })?;
        found.transpose()
    }

    /// The list of an actor, if it is there and whole.
    fn listed(&self, actor: ActorNumber) -> Option<List> {
        let key = list_key(actor);
        let list = self.get(&key, |value| List::decode(&key, value));
        list.ok().flatten().and_then(Result::ok)
    }

    /// The list of an actor; made anew from what it lists where it is not whole.
    fn list(&self, actor: ActorNumber) -> List {
        self.listed(actor).unwrap_or_else(|| {
            let mut list = List::default();
            for place in Place::BOTH {
                if let Ok(Some(found)) = self.read(actor, place, |meta, _| meta) {
                    list.set(
                        place,
                        Some(Listed {
                            entry: found.entry,
                            history: found.history,
                        }),
                    );
                }
            }
            list
        })
    }

    /// Leaves a note for the next opening, which then replaces the store: a damaged file heals only
    /// where its rows are written again, and it ends all compactions.
    fn note_damage(&self, error: &Error) {
        let Error::Store {
            dir,
            detail,
            corrupt: true,
        } = error
        else {
            return;
        };
        if self.backend.is_writable() && !self.damaged.swap(true, Ordering::SeqCst) {
            tracing::error!(%error, "the snapshots are damaged; the next start replaces them");
            if let Err(error) = std::fs::write(note(dir), detail) {
                tracing::error!(%error, "this could not be noted for the next start");
            }
        }
    }
}

/// Where a new snapshot goes, noted in the list; `None` where it comes too late.
fn place_for(new: &Snapshot, list: &mut List) -> Option<Place> {
    for place in Place::BOTH {
        // From that entry on, another timeline can only be one that is over.
        let over = |old: Listed| old.entry >= new.entry && old.history != new.history;
        if list
            .get(place)
            .is_some_and(|old| over(old) || old.entry == new.entry)
        {
            list.set(place, None);
        }
    }
    let older = list.newest().other();
    let place = Place::BOTH
        .into_iter()
        .find(|place| list.get(*place).is_none())
        .unwrap_or(older);
    if list.get(place).is_some_and(|old| old.entry > new.entry) {
        return None;
    }
    list.set(
        place,
        Some(Listed {
            entry: new.entry,
            history: new.history,
        }),
    );
    Some(place)
}

impl fmt::Debug for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotStore").finish_non_exhaustive()
    }
}

fn try_open(dir: &Path) -> Result<Backend, Error> {
    let damaged = |detail| {
        Err(Error::Store {
            dir: dir.to_owned(),
            detail,
            corrupt: true,
        })
    };
    // Without this file RocksDB starts an empty database over whatever else there is.
    if !dir.join("CURRENT").exists() && has_files(dir) {
        return damaged("its file CURRENT is missing".to_owned());
    }
    // Opened in any case: where someone else has it open, it is not ours to move.
    let backend = Backend::open(dir)?;
    match std::fs::read_to_string(note(dir)) {
        Ok(detail) => damaged(detail),
        Err(_) => Ok(backend),
    }
}

/// The note that a store was found damaged while in use, beside its directory.
fn note(dir: &Path) -> PathBuf {
    dir.with_extension("damaged")
}

fn remove_note(dir: &Path) -> Result<(), Error> {
    let path = note(dir);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Io {
            operation: "remove",
            path,
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn has_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some())
}

/// Moves a damaged store out of the way, in the place of the one before it.
fn move_aside(dir: &Path) -> Result<PathBuf, Error> {
    let failed = |operation, path: &Path, source| Error::Io {
        operation,
        path: path.to_owned(),
        source,
    };
    let parent = dir.parent().unwrap_or(dir);
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.damaged-");
    let mut last = 0;
    let beside = std::fs::read_dir(parent).map_err(|error| failed("list", parent, error))?;
    for file in beside {
        let file = file.map_err(|error| failed("list", parent, error))?;
        let name = file.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix)?.parse::<u64>().ok());
        if let Some(number) = number {
            let path = file.path();
            last = last.max(number);
            std::fs::remove_dir_all(&path).map_err(|error| failed("remove", &path, error))?;
        }
    }
    let moved_to = parent.join(format!("{prefix}{}", last.saturating_add(1)));
    std::fs::rename(dir, &moved_to).map_err(|error| failed("move aside", dir, error))?;
    Ok(moved_to)
}

#[cfg(test)]
mod tests;
