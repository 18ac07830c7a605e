//! A snapshot and its bytes at rest.
//!
//! A file of its own because nothing that is wrong with a stored snapshot may pass: the checksum
//! covers key and value, and each field is there to refuse a snapshot that does not belong here.
//!
//! Each actor has three rows: two places for snapshots, used in turn, and a list of what they hold.
//! Rows are read by their keys alone, so that a new one heals what a damaged file hid.

use steadfast_journal::{ActorNumber, CommitIndex, EntryNumber, HistoryId};

use crate::store::Reason;

/// The state of one actor as of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The actor.
    pub actor: ActorNumber,
    /// The timeline of the commit.
    pub history: HistoryId,
    /// The commit that holds the entry.
    pub commit: CommitIndex,
    /// The last entry that the state contains.
    pub entry: EntryNumber,
    /// How many events the state contains.
    pub events: u64,
    /// Version of the shape of the state.
    pub kind_version: u32,
    /// The state, encoded by the actor's owner.
    pub state: Vec<u8>,
}

/// A snapshot without its state: what it takes to judge whether it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The actor.
    pub actor: ActorNumber,
    /// The timeline of the commit.
    pub history: HistoryId,
    /// The commit that holds the entry.
    pub commit: CommitIndex,
    /// The last entry that the state contains.
    pub entry: EntryNumber,
    /// How many events the state contains.
    pub events: u64,
    /// Version of the shape of the state.
    pub kind_version: u32,
}

/// First byte of every value behind its checksum.
const FORMAT: u8 = 1;

/// One of the two places of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Second,
}

impl Place {
    /// Both of them.
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Key of the snapshot in this place.
    pub(crate) fn key(self, actor: ActorNumber) -> [u8; 9] {
        match self {
            Self::First => key(actor, 1),
            Self::Second => key(actor, 2),
        }
    }
}

/// Key of an actor's list.
pub(crate) fn list_key(actor: ActorNumber) -> [u8; 9] {
    key(actor, 0)
}

fn key(actor: ActorNumber, row: u8) -> [u8; 9] {
    let mut key = [row; 9];
    for (to, from) in key.iter_mut().zip(actor.get().to_be_bytes()) {
        *to = from;
    }
    key
}

impl Snapshot {
    /// All but the state.
    #[must_use]
    pub const fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            actor: self.actor,
            history: self.history,
            commit: self.commit,
            entry: self.entry,
            events: self.events,
            kind_version: self.kind_version,
        }
    }

    /// Its value under `key`.
    pub(crate) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(58 + self.state.len());
        body.extend_from_slice(self.history.as_bytes());
        body.extend_from_slice(&self.actor.get().to_be_bytes());
        body.extend_from_slice(&self.commit.get().to_be_bytes());
        body.extend_from_slice(&self.entry.get().to_be_bytes());
        body.extend_from_slice(&self.events.to_be_bytes());
        body.extend_from_slice(&self.kind_version.to_be_bytes());
        body.extend_from_slice(&self.state);
        seal(key, &body)
    }
}

impl SnapshotMeta {
    /// The snapshot in a row; its state where it lies, because it may be large.
    pub(crate) fn decode<'a>(key: &[u8], value: &'a [u8]) -> Result<(Self, &'a [u8]), Reason> {
        snapshot_fields(unseal(key, value)?).ok_or(Reason::Damaged)
    }

    /// The whole snapshot, with a copy of its state.
    pub(crate) fn with_state(self, state: &[u8]) -> Snapshot {
        Snapshot {
            actor: self.actor,
            history: self.history,
            commit: self.commit,
            entry: self.entry,
            events: self.events,
            kind_version: self.kind_version,
            state: state.to_vec(),
        }
    }
}

/// What one place holds, as the list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) entry: EntryNumber,
    pub(crate) history: HistoryId,
}

/// What both places of an actor hold: read instead of them where the states are not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct List {
    pub(crate) first: Option<Listed>,
    pub(crate) second: Option<Listed>,
}

impl List {
    pub(crate) const fn get(&self, place: Place) -> Option<Listed> {
        match place {
            Place::First => self.first,
            Place::Second => self.second,
        }
    }

    pub(crate) const fn set(&mut self, place: Place, listed: Option<Listed>) {
        match place {
            Place::First => self.first = listed,
            Place::Second => self.second = listed,
        }
    }

    /// The place of the newest snapshot.
    pub(crate) fn newest(&self) -> Place {
        let entry = |listed: Option<Listed>| listed.map(|listed| listed.entry);
        if entry(self.second) > entry(self.first) {
            Place::Second
        } else {
            Place::First
        }
    }

    pub(crate) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(48);
        for place in Place::BOTH {
            let listed = self.get(place);
            let entry = listed.map_or(0, |listed| listed.entry.get());
            let history = listed.map_or([0; 16], |listed| *listed.history.as_bytes());
            body.extend_from_slice(&entry.to_be_bytes());
            body.extend_from_slice(&history);
        }
        seal(key, &body)
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Self, Reason> {
        let body = unseal(key, value)?;
        let (first, rest) = listed_fields(body).ok_or(Reason::Damaged)?;
        let (second, rest) = listed_fields(rest).ok_or(Reason::Damaged)?;
        if rest.is_empty() {
            Ok(Self { first, second })
        } else {
            Err(Reason::Damaged)
        }
    }
}

fn listed_fields(rest: &[u8]) -> Option<(Option<Listed>, &[u8])> {
    let (entry, rest) = rest.split_first_chunk::<8>()?;
    let (history, rest) = rest.split_first_chunk::<16>()?;
    let listed = |entry| Listed {
        entry,
        history: HistoryId::from_bytes(*history),
    };
    Some((
        EntryNumber::new(u64::from_be_bytes(*entry)).map(listed),
        rest,
    ))
}

/// All but the state, and the state, which is the end of the row.
fn snapshot_fields(rest: &[u8]) -> Option<(SnapshotMeta, &[u8])> {
    let (history, rest) = rest.split_first_chunk::<16>()?;
    let (actor, rest) = rest.split_first_chunk::<8>()?;
    let (commit, rest) = rest.split_first_chunk::<8>()?;
    let (entry, rest) = rest.split_first_chunk::<8>()?;
    let (events, rest) = rest.split_first_chunk::<8>()?;
    let (kind_version, state) = rest.split_first_chunk::<4>()?;
    let meta = SnapshotMeta {
        actor: ActorNumber::new(u64::from_be_bytes(*actor))?,
        history: HistoryId::from_bytes(*history),
        commit: CommitIndex::new(u64::from_be_bytes(*commit))?,
        entry: EntryNumber::new(u64::from_be_bytes(*entry))?,
        events: u64::from_be_bytes(*events),
        kind_version: u32::from_be_bytes(*kind_version),
    };
    Some((meta, state))
}

/// CRC-32 of key and the rest, format, body.
pub(crate) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(5 + body.len());
    value.extend_from_slice(&checksum(key, FORMAT, body).to_be_bytes());
    value.push(FORMAT);
    value.extend_from_slice(body);
    value
}

fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Reason> {
    let (crc, rest) = value.split_first_chunk::<4>().ok_or(Reason::Damaged)?;
    let (&format, body) = rest.split_first().ok_or(Reason::Damaged)?;
    if checksum(key, format, body) != u32::from_be_bytes(*crc) {
        return Err(Reason::Damaged);
    }
    if format == FORMAT {
        Ok(body)
    } else {
        Err(Reason::UnknownFormat(format))
    }
}

pub(crate) fn checksum(key: &[u8], format: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(&[format]);
    crc.update(body);
    crc.finalize()
}
