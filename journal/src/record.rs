//! The record of one group commit: what the synced write of a commit holds, and all of the journal.
//!
//! ```text
//! format  epoch  time  previous  hash   header: 1 + 8 + 8 + 32 + 32 bytes
//! actor  number  hash  length  frame    for each entry: 8 + 8 + 32 + 4 bytes and the frame
//! ```
//!
//! A file of its own because format 1, which kept the frames in a table of their own, is still read.
//! The hash of a commit covers the entries' hashes, not their frames, so that the chain can be checked
//! without them.

use crate::error::Error;
use crate::hash::{CommitHeader, Hash, chain};
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId};
use crate::journal::Append;
use crate::layout::Parts;

/// First byte of a record that lists its entries and does not hold them.
const LISTING: u8 = 1;
/// First byte of a record that holds its entries.
const WHOLE: u8 = 2;
const HEADER_BYTES: usize = 1 + 8 + 8 + 32 + 32;
const HASH_AT: std::ops::Range<usize> = HEADER_BYTES - 32..HEADER_BYTES;
const ENTRY_BYTES: usize = 8 + 8 + 32 + 4;

/// Where a frame lies in the bytes of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Place {
    /// The frame in `record`; empty where the place is not in it.
    pub(crate) fn of(self, record: &[u8]) -> &[u8] {
        let from = self.offset as usize;
        record
            .get(from..from.saturating_add(self.len as usize))
            .unwrap_or_default()
    }
}

/// One entry as its commit lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) actor: ActorNumber,
    pub(crate) number: EntryNumber,
    pub(crate) hash: Hash,
    /// Where its frame is; `None` in format 1.
    pub(crate) place: Option<Place>,
}

/// What is stored of one group commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitRecord {
    pub(crate) epoch: Epoch,
    pub(crate) time_us: i64,
    pub(crate) previous: Hash,
    pub(crate) hash: Hash,
    pub(crate) entries: Vec<Listed>,
}

impl CommitRecord {
    /// The bytes of the commit with this header and these entries, and what they say.
    pub(crate) fn seal(
        header: &CommitHeader,
        appends: &[&Append],
    ) -> Result<(Vec<u8>, Self), Error> {
        let frames: usize = appends.iter().map(|append| append.frame.len()).sum();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + ENTRY_BYTES * appends.len() + frames);
        bytes.push(WHOLE);
        bytes.extend_from_slice(&header.epoch.get().to_be_bytes());
        bytes.extend_from_slice(&header.time_us.to_be_bytes());
        bytes.extend_from_slice(header.previous.as_bytes());
        bytes.extend_from_slice(Hash::ZERO.as_bytes());
        let mut entries = Vec::with_capacity(appends.len());
        for append in appends {
            entries.push(push_entry(&mut bytes, append)?);
        }
        let mut record = Self {
            epoch: header.epoch,
            time_us: header.time_us,
            previous: header.previous,
            hash: Hash::ZERO,
            entries,
        };
        record.hash = record.computed(header.history, header.index);
        if let Some(at) = bytes.get_mut(HASH_AT) {
            at.copy_from_slice(record.hash.as_bytes());
        }
        Ok((bytes, record))
    }

    /// The hash that this content has at that place.
    pub(crate) fn computed(&self, history: HistoryId, index: CommitIndex) -> Hash {
        let header = CommitHeader {
            history,
            index,
            epoch: self.epoch,
            time_us: self.time_us,
            previous: self.previous,
        };
        chain(
            &header,
            self.entries
                .iter()
                .map(|entry| (entry.actor, entry.number, entry.hash)),
        )
    }

    /// The record in `bytes`; no hash is checked here.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut parts = Parts::new("commit", bytes);
        let [format] = parts.array()?;
        if format != WHOLE && format != LISTING {
            return Err(parts.bad("unknown format"));
        }
        let epoch = parts.number(Epoch::new)?;
        let time_us = i64::from_be_bytes(parts.array()?);
        let previous = Hash::from_bytes(parts.array()?);
        let hash = Hash::from_bytes(parts.array()?);
        let mut entries = Vec::with_capacity(parts.rest.len() / 256);
        while !parts.rest.is_empty() {
            entries.push(Listed {
                actor: parts.number(ActorNumber::new)?,
                number: parts.number(EntryNumber::new)?,
                hash: Hash::from_bytes(parts.array()?),
                place: if format == WHOLE {
                    Some(frame_place(&mut parts, bytes.len())?)
                } else {
                    None
                },
            });
        }
        Ok(Self {
            epoch,
            time_us,
            previous,
            hash,
            entries,
        })
    }
}

fn push_entry(bytes: &mut Vec<u8>, append: &Append) -> Result<Listed, Error> {
    let too_large = |_| Error::Exhausted {
        what: "bytes of one commit",
    };
    let len = u32::try_from(append.frame.len()).map_err(too_large)?;
    bytes.extend_from_slice(&append.actor.get().to_be_bytes());
    bytes.extend_from_slice(&append.number.get().to_be_bytes());
    bytes.extend_from_slice(append.hash.as_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    let offset = u32::try_from(bytes.len()).map_err(too_large)?;
    bytes.extend_from_slice(&append.frame);
    Ok(Listed {
        actor: append.actor,
        number: append.number,
        hash: append.hash,
        place: Some(Place { offset, len }),
    })
}

/// Takes a length and a frame off the front.
fn frame_place(parts: &mut Parts<'_>, whole: usize) -> Result<Place, Error> {
    let len = u32::from_be_bytes(parts.array()?);
    let offset =
        u32::try_from(whole - parts.rest.len()).map_err(|_| parts.bad("it is too long"))?;
    match parts.rest.get(len as usize..) {
        Some(rest) => {
            parts.rest = rest;
            Ok(Place { offset, len })
        }
        None => Err(parts.bad("it is too short")),
    }
}

/// The bytes of format 1.
#[cfg(test)]
pub(crate) fn listing(record: &CommitRecord) -> Vec<u8> {
    let mut bytes = vec![LISTING];
    bytes.extend_from_slice(&record.epoch.get().to_be_bytes());
    bytes.extend_from_slice(&record.time_us.to_be_bytes());
    bytes.extend_from_slice(record.previous.as_bytes());
    bytes.extend_from_slice(record.hash.as_bytes());
    for entry in &record.entries {
        bytes.extend_from_slice(&entry.actor.get().to_be_bytes());
        bytes.extend_from_slice(&entry.number.get().to_be_bytes());
        bytes.extend_from_slice(entry.hash.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
