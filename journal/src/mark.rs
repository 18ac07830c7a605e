//! `DIR/mark`: how far the journal reached, kept outside of it, so that a journal that lost its end
//! cannot look whole.
//!
//! A file of its own because its layout is a promise to every later format. Two slots in pages of
//! their own are written in turn, so that a torn write spoils one of them at most.
//!
//! Invariants:
//! * The mark may lag behind the journal, never lead it; it is written only after a sync.
//! * One slot is synced, and whole; writes go to the other one until that is synced too.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::hash::Hash;
use crate::ids::{CommitIndex, Epoch, HistoryId};
use crate::journal::Head;
use crate::layout::FORMAT;

/// Bytes of one slot.
const PAGE: usize = 4096;
/// Begins every slot, in every format.
const MAGIC: [u8; 8] = *b"SFMARK\r\n";

/// One slot's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The timeline.
    pub(crate) history: HistoryId,
    /// `None` in a directory that has no commit yet.
    pub(crate) reached: Option<Reached>,
}

/// The commit that a mark names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    /// The epoch that wrote it. First, because marks are ordered by it.
    pub(crate) epoch: Epoch,
    /// Its index.
    pub(crate) commit: CommitIndex,
    /// The chain's hash with it.
    pub(crate) hash: HashBytes,
}

/// A hash that can be ordered, only to make [`Reached`] so.
pub(crate) type HashBytes = [u8; 32];

impl Reached {
    /// The hash as such.
    pub(crate) const fn hash(&self) -> Hash {
        Hash::from_bytes(self.hash)
    }
}

/// What reading `DIR/mark` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is no such file.
    Absent,
    /// Neither slot is whole.
    Damaged,
    /// A whole slot says that a newer program wrote it.
    Newer(u32),
    /// The newest whole slot, and which one it is.
    Whole(Mark, Slot),
}

/// One of the two places of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The first page.
    First,
    /// The second page.
    Second,
}

impl Slot {
    const fn offset(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => PAGE as u64,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Where the mark of a data directory lies.
pub(crate) fn path_in(dir: &Path) -> PathBuf {
    dir.join("mark")
}

/// Reads the mark at `path`.
pub(crate) fn read(path: &Path) -> Result<Found, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(choose(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Absent),
        Err(source) => Err(Error::Io {
            operation: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

pub(crate) fn choose(bytes: &[u8]) -> Found {
    let page = |at: usize| bytes.get(at..at + PAGE).and_then(decode);
    let (first, second) = (page(0), page(PAGE));
    for content in [&first, &second].into_iter().flatten() {
        if let Content::Newer(format) = content {
            return Found::Newer(*format);
        }
    }
    let mark = |content| match content {
        Some(Content::Mark(mark)) => Some(mark),
        Some(Content::Newer(_)) | None => None,
    };
    match (mark(first), mark(second)) {
        (Some(first), Some(second)) if second.reached > first.reached => {
            Found::Whole(second, Slot::Second)
        }
        (Some(first), _) => Found::Whole(first, Slot::First),
        (None, Some(second)) => Found::Whole(second, Slot::Second),
        (None, None) => Found::Damaged,
    }
}

enum Content {
    Mark(Mark),
    Newer(u32),
}

/// The content of a whole page. In every format a page begins with the magic and the format, and
/// ends with the CRC-32 of all before it.
fn decode(page: &[u8]) -> Option<Content> {
    let (body, crc) = page.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    let (magic, rest) = body.split_first_chunk::<8>()?;
    let (format, rest) = rest.split_first_chunk::<4>()?;
    let format = u32::from_be_bytes(*format);
    if *magic != MAGIC || format == 0 {
        return None;
    }
    if format > FORMAT {
        return Some(Content::Newer(format));
    }
    let (history, rest) = rest.split_first_chunk::<16>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (commit, rest) = rest.split_first_chunk::<8>()?;
    let (hash, _) = rest.split_first_chunk::<32>()?;
    let epoch = Epoch::new(u64::from_be_bytes(*epoch));
    let commit = CommitIndex::new(u64::from_be_bytes(*commit));
    let reached = match (epoch, commit) {
        (Some(epoch), Some(commit)) => Some(Reached {
            epoch,
            commit,
            hash: *hash,
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return None,
    };
    Some(Content::Mark(Mark {
        history: HistoryId::from_bytes(*history),
        reached,
    }))
}

pub(crate) fn encode(mark: &Mark) -> Vec<u8> {
    let (epoch, commit, hash) = mark.reached.map_or((0, 0, [0; 32]), |at| {
        (at.epoch.get(), at.commit.get(), at.hash)
    });
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&FORMAT.to_be_bytes());
    page.extend_from_slice(mark.history.as_bytes());
    page.extend_from_slice(&epoch.to_be_bytes());
    page.extend_from_slice(&commit.to_be_bytes());
    page.extend_from_slice(&hash);
    self::page(&page)
}

/// A whole page that begins with these bytes.
pub(crate) fn page(content: &[u8]) -> Vec<u8> {
    let mut page = content.to_vec();
    page.resize(PAGE - 4, 0);
    let crc = crc32fast::hash(&page);
    page.extend_from_slice(&crc.to_be_bytes());
    page
}

/// The mark of an open journal. Owned by the writer's thread.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    path: PathBuf,
    /// Never the slot that was synced last: a torn write spoils this one alone, however often it was written since.
    next: Slot,
    /// Whether something was written since the last sync.
    dirty: bool,
}

impl MarkFile {
    /// Creates the mark of a directory that has no commit yet, durable before it returns.
    pub(crate) fn create(dir: &Path, history: HistoryId) -> Result<Self, Error> {
        let path = path_in(dir);
        // Under another name until it is whole: a crash in between must not look like a damaged mark.
        let unfinished = path.with_extension("new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(|source| Error::file(dir, "create", &unfinished, source))?;
        let mut mark = Self {
            file,
            path: path.clone(),
            next: Slot::First,
            dirty: false,
        };
        let empty = Mark {
            history,
            reached: None,
        };
        mark.put(&empty)?;
        mark.next = Slot::Second;
        mark.put(&empty)?;
        mark.sync()?;
        failpoint!("create.mark_written");
        std::fs::rename(&unfinished, &path)
            .map_err(|source| Error::file(dir, "rename", &unfinished, source))?;
        failpoint!("create.mark_named");
        sync_dir(dir)?;
        Ok(mark)
    }

    /// Opens the mark whose newest slot is `newest`.
    pub(crate) fn open(dir: &Path, newest: Slot) -> Result<Self, Error> {
        let path = path_in(dir);
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|source| Error::file(dir, "open", &path, source))?;
        let mut mark = Self {
            file,
            path,
            next: newest,
            dirty: true,
        };
        // A process that was killed may not have come to it, and only then the other slot is free.
        mark.sync()?;
        Ok(mark)
    }

    /// Notes that the journal durably reached `head`; survives the process, not yet the machine.
    pub(crate) fn write(&mut self, head: &Head) -> Result<(), Error> {
        let hash = *head.hash.as_bytes();
        let reached = Some(Reached {
            epoch: head.epoch,
            commit: head.index,
            hash,
        });
        self.put(&Mark {
            history: head.history,
            reached,
        })
    }

    fn put(&mut self, mark: &Mark) -> Result<(), Error> {
        failpoint!("mark.writing");
        self.file
            .write_all_at(&encode(mark), self.next.offset())
            .map_err(|source| self.failed("write", source))?;
        failpoint!("mark.written");
        self.dirty = true;
        Ok(())
    }

    /// Makes what was written survive the machine too.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.dirty {
            failpoint!("mark.syncing");
            self.file
                .sync_data()
                .map_err(|source| self.failed("sync", source))?;
            failpoint!("mark.synced");
            self.next = self.next.other();
            self.dirty = false;
        }
        Ok(())
    }

    /// Whether a sync would change anything.
    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> Error {
        Error::file(
            self.path.parent().unwrap_or(&self.path),
            operation,
            &self.path,
            source,
        )
    }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| Error::file(dir, "sync", dir, source))
}

#[cfg(test)]
mod tests;
