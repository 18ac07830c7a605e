//! Bytes at rest: keys and the rows of `meta`; commit records are in `record`.
//!
//! A file of its own because both writing and reading must agree on it to the byte. Numbers are
//! big-endian so that keys sort by number. A decoder never trusts a length.

use crate::error::Error;
use crate::hash::Hash;
use crate::ids::{ActorId, ActorNumber, CommitIndex, EntryNumber, HistoryId};
use crate::journal::ActorRow;

/// Version of the layout of a data directory. Rises when an older program could misread it.
/// 1: entries in a table of the journal, commits list them. 2: commits hold them, `DATA/index` finds them.
pub(crate) const FORMAT: u32 = 2;

/// Row of `meta`: the format.
pub(crate) const META_FORMAT: &[u8] = b"format";
/// Row of `meta`: each history with its first commit.
pub(crate) const META_HISTORIES: &[u8] = b"histories";
/// Row of `meta`: the newest commit that is flushed and whose chain was verified when written.
pub(crate) const META_CHECKED: &[u8] = b"checked";

/// Prefix of rows of `actors` by name.
const BY_NAME: u8 = b'i';
/// Prefix of rows of `actors` by number.
const BY_NUMBER: u8 = b'n';

/// Reads fixed parts off the front of some bytes.
pub(crate) struct Parts<'a> {
    pub(crate) rest: &'a [u8],
    what: &'static str,
}

impl<'a> Parts<'a> {
    pub(crate) const fn new(what: &'static str, rest: &'a [u8]) -> Self {
        Self { rest, what }
    }

    pub(crate) fn bad(&self, cause: &str) -> Error {
        Error::Undecodable {
            what: self.what,
            cause: cause.to_owned(),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.bad("it is too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn number<T>(&mut self, new: impl FnOnce(u64) -> Option<T>) -> Result<T, Error> {
        let value = u64::from_be_bytes(self.array()?);
        new(value).ok_or_else(|| self.bad("a number in it is 0"))
    }

    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.bad("bytes follow its end"))
        }
    }
}

/// Key of a commit.
pub(crate) fn commit_key(index: CommitIndex) -> [u8; 8] {
    index.get().to_be_bytes()
}

/// The commit that has this key.
pub(crate) fn commit_of_key(key: &[u8]) -> Result<CommitIndex, Error> {
    let mut parts = Parts::new("commit key", key);
    let index = parts.number(CommitIndex::new)?;
    parts.end().map(|()| index)
}

/// Key of an entry.
pub(crate) fn entry_key(actor: ActorNumber, number: EntryNumber) -> [u8; 16] {
    entry_key_raw(actor.get(), number.get())
}

/// As [`entry_key`], for bounds that are no positions.
pub(crate) fn entry_key_raw(actor: u64, number: u64) -> [u8; 16] {
    ((u128::from(actor) << 64) | u128::from(number)).to_be_bytes()
}

/// The entry that has this key.
pub(crate) fn entry_of_key(key: &[u8]) -> Result<(ActorNumber, EntryNumber), Error> {
    let mut parts = Parts::new("entry key", key);
    let actor = parts.number(ActorNumber::new)?;
    let number = parts.number(EntryNumber::new)?;
    parts.end().map(|()| (actor, number))
}

/// The commit that carried an entry, and the entry's frame.
pub(crate) fn split_entry(value: &[u8]) -> Result<(CommitIndex, &[u8]), Error> {
    let mut parts = Parts::new("entry", value);
    let commit = parts.number(CommitIndex::new)?;
    Ok((commit, parts.rest))
}

/// Key of an actor by name.
pub(crate) fn actor_name_key(id: &ActorId) -> Vec<u8> {
    [&[BY_NAME], id.as_str().as_bytes()].concat()
}

/// All actors by name.
pub(crate) const ACTOR_NAMES: (&[u8], &[u8]) = (&[BY_NAME], &[BY_NAME + 1]);
/// The actors of one space by name: what begins with `SPACE/`.
pub(crate) fn actor_names_of(space: &str) -> (Vec<u8>, Vec<u8>) {
    let ending = |byte: u8| [&[BY_NAME], space.as_bytes(), &[byte]].concat();
    (ending(b'/'), ending(b'/' + 1))
}

/// All actors by number.
pub(crate) const ACTOR_NUMBERS: (&[u8], &[u8]) = (&[BY_NUMBER], &[BY_NUMBER + 1]);

/// Value of an actor by name.
pub(crate) fn actor_value(number: ActorNumber, kind: &str) -> Vec<u8> {
    [&number.get().to_be_bytes(), kind.as_bytes()].concat()
}

/// The actor in a row by name.
pub(crate) fn actor_of_row(key: &[u8], value: &[u8]) -> Result<ActorRow, Error> {
    let text = |what, bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|cause| Error::Undecodable {
            what,
            cause: cause.to_string(),
        })
    };
    let mut parts = Parts::new("actor", value);
    let number = parts.number(ActorNumber::new)?;
    let kind = text("kind of an actor", parts.rest)?;
    let name = text("actor name", key.get(1..).unwrap_or_default())?;
    let id = name.parse().map_err(|cause| Error::Undecodable {
        what: "actor name",
        cause: format!("{cause}"),
    })?;
    Ok(ActorRow { id, number, kind })
}

/// Key of an actor by number.
pub(crate) fn actor_number_key(number: ActorNumber) -> [u8; 9] {
    let mut key = [BY_NUMBER; 9];
    for (to, from) in key.iter_mut().skip(1).zip(number.get().to_be_bytes()) {
        *to = from;
    }
    key
}

/// The actor number in a key by number.
pub(crate) fn actor_of_number_key(key: &[u8]) -> Result<ActorNumber, Error> {
    let mut parts = Parts::new("actor number", key.get(1..).unwrap_or_default());
    let number = parts.number(ActorNumber::new)?;
    parts.end().map(|()| number)
}

/// A commit by place and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) index: CommitIndex,
    pub(crate) hash: Hash,
}

impl Checked {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.index.get().to_be_bytes()[..], self.hash.as_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut parts = Parts::new("checked", bytes);
        let index = parts.number(CommitIndex::new)?;
        let hash = Hash::from_bytes(parts.array()?);
        parts.end().map(|()| Self { index, hash })
    }
}

/// The histories that a journal went through, each with its first commit, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Past(Vec<(HistoryId, CommitIndex)>);

impl Past {
    /// A journal that begins with `history`.
    pub(crate) fn beginning(history: HistoryId) -> Self {
        Self(vec![(history, CommitIndex::FIRST)])
    }

    /// The history that commit `index` belongs to.
    pub(crate) fn at(&self, index: CommitIndex) -> Option<HistoryId> {
        self.0
            .iter()
            .rev()
            .find(|(_, first)| *first <= index)
            .map(|(history, _)| *history)
    }

    /// The history that goes on now.
    pub(crate) fn current(&self) -> Option<HistoryId> {
        self.0.last().map(|(history, _)| *history)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let part = |(history, first): &(HistoryId, CommitIndex)| {
            [&history.as_bytes()[..], &first.get().to_be_bytes()].concat()
        };
        self.0.iter().flat_map(part).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut parts = Parts::new("list of histories", bytes);
        let mut past: Vec<(HistoryId, CommitIndex)> = Vec::new();
        while !parts.rest.is_empty() {
            let history = HistoryId::from_bytes(parts.array()?);
            let first = parts.number(CommitIndex::new)?;
            if past.last().is_some_and(|(_, before)| *before >= first) {
                return Err(parts.bad("its commits do not rise"));
            }
            past.push((history, first));
        }
        if past.is_empty() {
            Err(parts.bad("it is empty"))
        } else {
            Ok(Self(past))
        }
    }
}

#[cfg(test)]
mod tests;
