//! The hash chain: each commit's hash covers the one before it, so that a missing, changed or
//! foreign commit is seen wherever it lies.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId};

/// A BLAKE3 digest (<https://github.com/BLAKE3-team/BLAKE3-specs>).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands in for the hash before the first commit.
    pub const ZERO: Self = Self([0; 32]);

    /// Digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl fmt::Display for Hash {
    /// The first eight bytes in hex: enough to tell two commits apart in a report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a commit's hash covers beside its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitHeader {
    pub(crate) history: HistoryId,
    pub(crate) index: CommitIndex,
    pub(crate) epoch: Epoch,
    pub(crate) time_us: i64,
    pub(crate) previous: Hash,
}

impl CommitHeader {
    fn hasher(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.previous.as_bytes());
        hasher.update(self.history.as_bytes());
        hasher.update(&self.index.get().to_be_bytes());
        hasher.update(&self.epoch.get().to_be_bytes());
        hasher.update(&self.time_us.to_be_bytes());
        hasher
    }
}

/// The chain's hash with the commit that has this header and these bytes.
pub(crate) fn chain(header: &CommitHeader, content: &[u8]) -> Hash {
    Hash(*header.hasher().update(content).finalize().as_bytes())
}

/// The chain's hash with a commit that only lists its entries.
pub(crate) fn chain_listed(
    header: &CommitHeader,
    entries: impl Iterator<Item = (ActorNumber, EntryNumber, Hash)>,
) -> Hash {
    let mut hasher = header.hasher();
    for (actor, number, hash) in entries {
        hasher.update(&actor.get().to_be_bytes());
        hasher.update(&number.get().to_be_bytes());
        hasher.update(hash.as_bytes());
    }
    Hash(*hasher.finalize().as_bytes())
}
