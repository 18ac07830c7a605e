//! Whatever becomes of one slot, the other one speaks; what is read was written.

use std::fs;

use tempfile::TempDir;

use super::{Found, Mark, MarkFile, PAGE, Reached, Slot, encode, path_in, read};
use crate::hash::Hash;
use crate::ids::{CommitIndex, Epoch, HistoryId};
use crate::journal::Head;

const HISTORY: HistoryId = HistoryId::from_bytes([3; 16]);

fn head(epoch: u64, index: u64) -> Head {
    Head {
        index: CommitIndex::new(index).unwrap(),
        hash: Hash::of(&index.to_be_bytes()),
        epoch: Epoch::new(epoch).unwrap(),
        history: HISTORY,
    }
}

fn mark(epoch: u64, index: u64) -> Mark {
    let head = head(epoch, index);
    let hash = *head.hash.as_bytes();
    let reached = Reached {
        epoch: head.epoch,
        commit: head.index,
        hash,
    };
    Mark {
        history: HISTORY,
        reached: Some(reached),
    }
}

#[test]
fn the_newest_slot_counts() {
    let dir = TempDir::new().unwrap();
    let path = path_in(dir.path());
    assert_eq!(read(&path).unwrap(), Found::Absent);
    let mut file = MarkFile::create(dir.path(), HISTORY).unwrap();
    let empty = Mark {
        history: HISTORY,
        reached: None,
    };
    assert!(matches!(read(&path).unwrap(), Found::Whole(found, _) if found == empty));
    for index in 1..=5 {
        file.write(&head(1, index)).unwrap();
        assert!(file.is_dirty());
        assert!(matches!(read(&path).unwrap(), Found::Whole(found, _) if found == mark(1, index)));
    }
    file.sync().unwrap();
    assert!(!file.is_dirty());
    // A later epoch counts more than a later commit.
    let Found::Whole(_, slot) = read(&path).unwrap() else {
        panic!("whole")
    };
    let mut file = MarkFile::open(dir.path(), slot).unwrap();
    file.write(&head(2, 3)).unwrap();
    assert!(matches!(read(&path).unwrap(), Found::Whole(found, _) if found == mark(2, 3)));
    assert_eq!(fs::metadata(&path).unwrap().len(), 2 * PAGE as u64);
}

/// The slots took turns at each write, not at each sync: between two syncs both pages were written, so that a power cut
/// could tear both of them, and a node without a mark refuses its journal.
#[test]
fn the_slot_that_is_synced_stays_until_the_other_one_is() {
    let dir = TempDir::new().unwrap();
    let path = path_in(dir.path());
    let mut file = MarkFile::create(dir.path(), HISTORY).unwrap();
    let changed = |before: &[u8]| -> Vec<bool> {
        let now = fs::read(&path).unwrap();
        let pages = before.chunks(PAGE).zip(now.chunks(PAGE));
        pages.map(|(before, now)| before != now).collect()
    };
    let mut index = 0;
    let mut written = |file: &mut MarkFile, times: u64| {
        let before = fs::read(&path).unwrap();
        for _ in 0..times {
            index += 1;
            file.write(&head(1, index)).unwrap();
        }
        assert!(matches!(read(&path).unwrap(), Found::Whole(found, _) if found == mark(1, index)));
        changed(&before)
    };
    assert_eq!(written(&mut file, 3), [true, false]);
    file.sync().unwrap();
    assert_eq!(written(&mut file, 3), [false, true]);
    assert_eq!(written(&mut file, 2), [false, true]);
    file.sync().unwrap();
    assert_eq!(written(&mut file, 1), [true, false]);
    // As a process that was killed leaves it: the newest slot may not be on the disk, so it is synced first.
    drop(file);
    let Found::Whole(_, Slot::First) = read(&path).unwrap() else {
        panic!("the newest is in the first slot")
    };
    let mut file = MarkFile::open(dir.path(), Slot::First).unwrap();
    assert!(!file.is_dirty());
    assert_eq!(written(&mut file, 2), [false, true]);
}

#[test]
fn every_damaged_byte_of_a_slot_leaves_the_other() {
    let dir = TempDir::new().unwrap();
    let path = path_in(dir.path());
    let whole = [encode(&mark(1, 7)), encode(&mark(1, 8))].concat();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x21;
        fs::write(&path, damaged).unwrap();
        let expected = if at < PAGE {
            (mark(1, 8), Slot::Second)
        } else {
            (mark(1, 7), Slot::First)
        };
        assert_eq!(
            read(&path).unwrap(),
            Found::Whole(expected.0, expected.1),
            "byte {at}"
        );
    }
    for bytes in [0, 1, PAGE - 1] {
        fs::write(&path, &whole[..bytes]).unwrap();
        assert_eq!(read(&path).unwrap(), Found::Damaged);
    }
    fs::write(&path, &whole[..2 * PAGE - 1]).unwrap();
    assert_eq!(read(&path).unwrap(), Found::Whole(mark(1, 7), Slot::First));
    fs::write(&path, vec![0; 2 * PAGE]).unwrap();
    assert_eq!(read(&path).unwrap(), Found::Damaged);
}

#[test]
fn a_whole_slot_of_a_newer_format_counts_whatever_the_other_says() {
    let dir = TempDir::new().unwrap();
    let path = path_in(dir.path());
    let mut newer = encode(&mark(9, 9));
    newer[8..12].copy_from_slice(&77_u32.to_be_bytes());
    let crc = crc32fast::hash(&newer[..PAGE - 4]);
    newer[PAGE - 4..].copy_from_slice(&crc.to_be_bytes());
    for pages in [
        [newer.clone(), encode(&mark(1, 1))],
        [encode(&mark(1, 1)), newer],
    ] {
        fs::write(&path, pages.concat()).unwrap();
        assert_eq!(read(&path).unwrap(), Found::Newer(77));
    }
}
