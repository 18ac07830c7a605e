//! The record of one group commit: what the synced write of a commit holds, and all of the journal.
//!
//! ```text
//! format  epoch  time  previous  hash   header: 1 + 8 + 8 + 32 + 32 bytes
//! actor  number  length  frame          for each entry: 8 + 8 + 4 bytes and the frame
//! ```
//!
//! A file of its own because format 1, which kept the frames in a table of their own, is still read: its
//! records have `actor number hash` for each entry. The hash of a commit covers all that stands behind the
//! header at once, frames included; in format 1 it covers the listed hashes.

use crate::error::Error;
use crate::hash::{CommitHeader, Hash, chain, chain_listed};
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId};
use crate::journal::Append;
use crate::layout::Parts;

/// First byte of a record that lists its entries and does not hold them.
const LISTING: u8 = 1;
/// First byte of a record that holds its entries.
const WHOLE: u8 = 2;
const HEADER_BYTES: usize = 1 + 8 + 8 + 32 + 32;
const HASH_AT: std::ops::Range<usize> = HEADER_BYTES - 32..HEADER_BYTES;
const ENTRY_BYTES: usize = 8 + 8 + 4;

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

/// Where the frame of a listed entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// In the record.
    Here(Place),
    /// In a table of the journal, with this hash: format 1.
    Apart(Hash),
}

/// One entry as its commit lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) actor: ActorNumber,
    pub(crate) number: EntryNumber,
    pub(crate) frame: Frame,
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
        record.hash = record.computed(header.history, header.index, &bytes);
        if let Some(at) = bytes.get_mut(HASH_AT) {
            at.copy_from_slice(record.hash.as_bytes());
        }
        Ok((bytes, record))
    }

    /// The hash that this record, whose bytes are `bytes`, has at that place.
    pub(crate) fn computed(&self, history: HistoryId, index: CommitIndex, bytes: &[u8]) -> Hash {
        let header = CommitHeader {
            history,
            index,
            epoch: self.epoch,
            time_us: self.time_us,
            previous: self.previous,
        };
        if bytes.first() == Some(&WHOLE) {
            return chain(&header, bytes.get(HEADER_BYTES..).unwrap_or_default());
        }
        let listed = self.entries.iter().filter_map(|entry| match entry.frame {
            Frame::Apart(hash) => Some((entry.actor, entry.number, hash)),
            Frame::Here(_) => None,
        });
        chain_listed(&header, listed)
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
                frame: if format == WHOLE {
                    Frame::Here(frame_place(&mut parts, bytes.len())?)
                } else {
                    Frame::Apart(Hash::from_bytes(parts.array()?))
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
    bytes.extend_from_slice(&len.to_be_bytes());
    let offset = u32::try_from(bytes.len()).map_err(too_large)?;
    bytes.extend_from_slice(&append.frame);
    Ok(Listed {
        actor: append.actor,
        number: append.number,
        frame: Frame::Here(Place { offset, len }),
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

/// The record in `bytes` as format 1 had it, behind the commit with the hash `header.previous`.
#[cfg(test)]
pub(crate) fn listing(header: &CommitHeader, bytes: &[u8]) -> (Vec<u8>, Hash) {
    let whole = CommitRecord::decode(bytes).unwrap();
    let hash_of = |entry: &Listed| match entry.frame {
        Frame::Here(place) => Hash::of(place.of(bytes)),
        Frame::Apart(_) => panic!("it is of format 1 already"),
    };
    let listed: Vec<_> = whole
        .entries
        .iter()
        .map(|entry| (entry.actor, entry.number, hash_of(entry)))
        .collect();
    let hash = chain_listed(header, listed.iter().copied());
    let mut bytes = vec![LISTING];
    bytes.extend_from_slice(&header.epoch.get().to_be_bytes());
    bytes.extend_from_slice(&header.time_us.to_be_bytes());
    bytes.extend_from_slice(header.previous.as_bytes());
    bytes.extend_from_slice(hash.as_bytes());
    for (actor, number, hash) in listed {
        bytes.extend_from_slice(&actor.get().to_be_bytes());
        bytes.extend_from_slice(&number.get().to_be_bytes());
        bytes.extend_from_slice(hash.as_bytes());
    }
    (bytes, hash)
}

#[cfg(test)]
mod tests;
