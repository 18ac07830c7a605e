//! What is sealed is decoded, and every change of it shows.

use super::*;
use crate::entry::encode_entry;

fn header() -> CommitHeader {
    CommitHeader {
        history: HistoryId::from_bytes([1; 16]),
        index: CommitIndex::new(9).unwrap(),
        epoch: Epoch::new(3).unwrap(),
        time_us: -5,
        previous: Hash::of(b"before"),
    }
}

fn sealed(entries: u64) -> (Vec<u8>, CommitRecord) {
    let appends: Vec<Append> = (1..=entries)
        .map(|n| {
            let actor = ActorNumber::new(n).unwrap();
            let entry = crate::conformance::sample(&n.to_string(), actor, None, 2);
            let frame = encode_entry(&entry).unwrap();
            Append {
                actor,
                number: EntryNumber::FIRST,
                frame,
                birth: None,
                rows: Vec::new(),
            }
        })
        .collect();
    CommitRecord::seal(&header(), &appends.iter().collect::<Vec<_>>()).unwrap()
}

/// Whether the record in `bytes` follows the one before it and has its hash.
fn genuine(bytes: &[u8]) -> bool {
    CommitRecord::decode(bytes).is_ok_and(|found| {
        found.computed(header().history, header().index, bytes) == found.hash
            && found.previous == header().previous
    })
}

#[test]
fn records_come_back_and_every_change_shows() {
    for entries in [0, 1, 3] {
        let (bytes, record) = sealed(entries);
        assert_eq!(CommitRecord::decode(&bytes).unwrap(), record);
        assert!(genuine(&bytes));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let same = std::panic::catch_unwind(|| genuine(&damaged)).unwrap_or(false);
            assert!(!same, "byte {at}");
        }
        for cut in 0..bytes.len() {
            let whole = CommitRecord::decode(&bytes[..cut]).is_ok_and(|found| found == record);
            assert!(!whole, "cut to {cut}");
        }
    }
}

#[test]
fn the_hash_is_of_its_place_and_its_history() {
    let (bytes, record) = sealed(2);
    let (history, index) = (header().history, header().index);
    let computed = |history, index| record.computed(history, index, &bytes);
    assert_eq!(record.hash, computed(history, index));
    assert_ne!(record.hash, computed(HistoryId::from_bytes([2; 16]), index));
    assert_ne!(record.hash, computed(history, index.next().unwrap()));
}

#[test]
fn a_listing_of_format_1_has_the_hash_of_its_list() {
    let (whole, record) = sealed(3);
    let (bytes, hash) = listing(&header(), &whole);
    let old = CommitRecord::decode(&bytes).unwrap();
    assert_eq!(old.hash, hash);
    assert_eq!(old.computed(header().history, header().index, &bytes), hash);
    for (old, new) in old.entries.iter().zip(&record.entries) {
        let (Frame::Apart(hash), Frame::Here(place)) = (old.frame, new.frame) else {
            panic!("{old:?} {new:?}");
        };
        assert_eq!(hash, Hash::of(place.of(&whole)));
    }
    for at in HEADER_BYTES..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let same = CommitRecord::decode(&damaged)
            .is_ok_and(|found| found.computed(header().history, header().index, &damaged) == hash);
        assert!(!same, "byte {at}");
    }
}
