//! Walks the chain of commits and says at which commit it breaks, and how.
//!
//! A file of its own because opening, reading and verifying must judge a commit by the same rules.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Error;
use crate::hash::Hash;
use crate::ids::{CommitIndex, Epoch};
use crate::layout::{Checked, Past, commit_key, commit_of_key, entry_key, split_entry};
use crate::record::{CommitRecord, Frame, Listed, Place};
use crate::store::{Keyspace, Store};

/// Where and how the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Break {
    /// The first commit that is missing or does not fit.
    pub(crate) commit: CommitIndex,
    /// What is wrong with it.
    pub(crate) what: String,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The chain does not hold.
    Broken(Break),
    /// The store could not be read.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Broken(Break { commit, what }) => Self::BrokenChain {
                commit,
                report: format!(
                    "the chain of commits is broken: {what}; run `steadfast verify` for the whole \
                     picture"
                ),
            },
            Stop::Failed(error) => error,
        }
    }
}

/// The next commit that a walk expects, and what it must follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    past: &'a Past,
    next: Option<CommitIndex>,
    previous: Hash,
    epoch: Option<Epoch>,
}

impl<'a> Walk<'a> {
    /// A walk from the first commit.
    pub(crate) const fn from_start(past: &'a Past) -> Self {
        Self {
            past,
            next: Some(CommitIndex::FIRST),
            previous: Hash::ZERO,
            epoch: None,
        }
    }

    /// A walk that begins with `from`, of which it believes only that it follows its predecessor's
    /// own hash.
    pub(crate) fn from(past: &'a Past, store: &dyn Store, from: CommitIndex) -> Result<Self, Stop> {
        let Some(before) = CommitIndex::new(from.get() - 1) else {
            return Ok(Self::from_start(past));
        };
        let (record, _) = read(store, before)?;
        Ok(Self {
            past,
            next: Some(from),
            previous: record.hash,
            epoch: Some(record.epoch),
        })
    }

    /// A walk that begins behind a commit that was checked before, after a look at that one.
    pub(crate) fn behind(past: &'a Past, store: &dyn Store, at: Checked) -> Result<Self, Stop> {
        let (record, bytes) = read(store, at.index)?;
        let genuine = past
            .at(at.index)
            .map(|history| record.computed(history, at.index, &bytes));
        if record.hash != at.hash || genuine != Some(at.hash) {
            return Err(broken(
                at.index,
                format!(
                    "commit {} is not the one that was flushed and checked before (hash {}, then {})",
                    at.index, record.hash, at.hash
                ),
            ));
        }
        let (previous, epoch) = (record.hash, Some(record.epoch));
        Ok(Self {
            past,
            next: at.index.next(),
            previous,
            epoch,
        })
    }

    /// The commit that comes next.
    pub(crate) const fn next(&self) -> Option<CommitIndex> {
        self.next
    }

    /// Judges one row of the commits and moves on behind it.
    pub(crate) fn step(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<(CommitIndex, CommitRecord), Stop> {
        let found = commit_of_key(key)?;
        let index = self.next.ok_or(Error::Exhausted { what: "commits" })?;
        if found != index {
            return Err(broken(
                index,
                format!("commit {index} is missing, {found} comes next"),
            ));
        }
        let record = CommitRecord::decode(value)
            .map_err(|error| broken(index, format!("commit {index}: {error}")))?;
        let genuine = self
            .past
            .at(index)
            .map(|history| record.computed(history, index, value));
        if record.previous != self.previous {
            return Err(broken(
                index,
                format!(
                    "commit {index} does not follow the one before it (it says {}, that one is {})",
                    record.previous, self.previous
                ),
            ));
        }
        if genuine != Some(record.hash) {
            return Err(broken(
                index,
                format!("the content of commit {index} does not have its hash"),
            ));
        }
        if self.epoch.is_some_and(|before| before > record.epoch) {
            return Err(broken(
                index,
                format!("commit {index} has an epoch that was over"),
            ));
        }
        (self.next, self.previous, self.epoch) = (index.next(), record.hash, Some(record.epoch));
        Ok((index, record))
    }
}

/// The record of commit `index`, which must be there, and its bytes.
pub(crate) fn read(store: &dyn Store, index: CommitIndex) -> Result<(CommitRecord, Vec<u8>), Stop> {
    let value = store
        .get(Keyspace::Commits, &commit_key(index))?
        .ok_or_else(|| broken(index, format!("commit {index} is missing")))?;
    let record = CommitRecord::decode(&value)
        .map_err(|error| broken(index, format!("commit {index}: {error}")))?;
    Ok((record, value))
}

/// The frame of an entry that commit `index`, which has its hash, lists in its record `bytes`.
pub(crate) fn listed_frame<'a>(
    store: &dyn Store,
    index: CommitIndex,
    listed: &Listed,
    bytes: &'a [u8],
) -> Result<Cow<'a, [u8]>, Stop> {
    let hash = match listed.frame {
        Frame::Here(place) => return Ok(Cow::Borrowed(place.of(bytes))),
        Frame::Apart(hash) => hash,
    };
    let Listed { actor, number, .. } = listed;
    let name = || format!("entry {number} of actor number {actor}, which commit {index} lists,");
    let frame = legacy_frame(store, index, listed, &name)?;
    if Hash::of(&frame) != hash {
        return Err(broken(index, format!("{} does not have its hash", name())));
    }
    Ok(Cow::Owned(frame))
}

/// A frame of format 1, which kept them in a table of the journal.
fn legacy_frame(
    store: &dyn Store,
    index: CommitIndex,
    listed: &Listed,
    name: &dyn Fn() -> String,
) -> Result<Vec<u8>, Stop> {
    let mut value = store
        .get(Keyspace::Entries, &entry_key(listed.actor, listed.number))?
        .ok_or_else(|| broken(index, format!("{} is missing", name())))?;
    let (commit, _) = split_entry(&value)
        .map_err(|error| broken(index, format!("{} is damaged: {error}", name())))?;
    if commit != index {
        return Err(broken(
            index,
            format!("{} says that it is of commit {commit}", name()),
        ));
    }
    Ok(value.split_off(size_of::<u64>()))
}

/// A commit as the index takes it: the bytes that hold its frames, and its entries with their places there.
pub(crate) fn for_index(
    store: &dyn Store,
    index: CommitIndex,
    record: CommitRecord,
    bytes: &[u8],
) -> Result<(Arc<Vec<u8>>, Vec<Listed>), Stop> {
    let here = |entry: &Listed| matches!(entry.frame, Frame::Here(_));
    if record.entries.iter().all(here) {
        return Ok((Arc::new(bytes.to_vec()), record.entries));
    }
    let (mut frames, mut entries) = (Vec::new(), record.entries);
    for entry in &mut entries {
        let frame = listed_frame(store, index, entry, bytes)?;
        let exhausted = |_| Error::Exhausted {
            what: "bytes of one commit",
        };
        entry.frame = Frame::Here(Place {
            offset: u32::try_from(frames.len()).map_err(exhausted)?,
            len: u32::try_from(frame.len()).map_err(exhausted)?,
        });
        frames.extend_from_slice(&frame);
    }
    Ok((Arc::new(frames), entries))
}

fn broken(commit: CommitIndex, what: String) -> Stop {
    Stop::Broken(Break { commit, what })
}
