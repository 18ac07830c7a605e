//! Doors to the decoders of this crate, for fuzzing and for the tests that replay what it found. Not part of the API.

use steadfast_journal::{ActorNumber, CommitIndex, EntryNumber, HistoryId};

use crate::snapshot::{List, Listed, Place, Snapshot, SnapshotMeta, list_key, seal};

/// A name, and what takes any bytes.
pub type Door = (&'static str, fn(&[u8]));

/// The doors.
pub const TARGETS: [Door; 2] = [("snapshot", snapshot), ("snapshot_list", list)];

/// A snapshot's row: as it is, and with a checksum that is right.
fn snapshot(bytes: &[u8]) {
    let key = Place::First.key(ActorNumber::FIRST);
    let sealed = seal(&key, bytes);
    for value in [bytes, &sealed] {
        if let Ok((meta, state)) = SnapshotMeta::decode(&key, value) {
            assert_eq!(meta.with_state(state).encode(&key), value);
        }
    }
}

/// An actor's list: as it is, and with a checksum that is right.
fn list(bytes: &[u8]) {
    let key = list_key(ActorNumber::FIRST);
    let sealed = seal(&key, bytes);
    for value in [bytes, &sealed] {
        if let Ok(list) = List::decode(&key, value) {
            assert_eq!(List::decode(&key, &list.encode(&key)).ok(), Some(list));
        }
    }
}

/// Real encodings to begin with, by the name of their door: without their checksums.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let history = HistoryId::from_bytes([9; 16]);
    let mut seeds = Vec::new();
    for size in [0, 1, 300] {
        let snapshot = Snapshot {
            actor: ActorNumber::FIRST,
            history,
            commit: CommitIndex::FIRST,
            entry: EntryNumber::FIRST,
            events: size,
            kind_version: 2,
            state: vec![5; usize::try_from(size).unwrap_or_default()],
        };
        seeds.push(("snapshot", unsealed(&snapshot.encode(b"key"))));
    }
    let listed = Some(Listed {
        entry: EntryNumber::FIRST,
        history,
    });
    for (first, second) in [(None, None), (listed, None), (listed, listed)] {
        seeds.push((
            "snapshot_list",
            unsealed(&List { first, second }.encode(b"key")),
        ));
    }
    seeds
}

fn unsealed(value: &[u8]) -> Vec<u8> {
    value.get(5..).unwrap_or_default().to_vec()
}
