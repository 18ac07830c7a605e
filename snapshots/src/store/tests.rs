//! Whatever happens to stored snapshots, the store serves a right one, an older right one, or none.
//!
//! Method: write through the store, damage rows or files, load again and look at what was passed over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use steadfast_journal::{ActorNumber, CommitIndex, EntryNumber, HistoryId};
use tempfile::TempDir;

use super::{Loaded, Opened, Reason, SnapshotStore};
use crate::error::Error;
use crate::snapshot::{Place, Snapshot, checksum, list_key};

const HISTORY: HistoryId = HistoryId::from_bytes([7; 16]);

fn snapshot(actor: u64, entry: u64) -> Snapshot {
    Snapshot {
        actor: ActorNumber::new(actor).unwrap(),
        history: HISTORY,
        commit: CommitIndex::new(entry * 10).unwrap(),
        entry: EntryNumber::new(entry).unwrap(),
        events: entry * 3,
        kind_version: 2,
        state: format!("state of {actor} at {entry}").into_bytes(),
    }
}

fn load(store: &SnapshotStore, actor: u64) -> Loaded {
    store.load(ActorNumber::new(actor).unwrap(), &|_| true)
}

fn entry(loaded: &Loaded) -> Option<u64> {
    loaded
        .snapshot
        .as_ref()
        .map(|snapshot| snapshot.entry.get())
}

fn reasons(loaded: &Loaded) -> Vec<Reason> {
    loaded
        .rejected
        .iter()
        .map(|rejection| rejection.reason.clone())
        .collect()
}

fn open(dir: &Path) -> SnapshotStore {
    let (store, opened) = SnapshotStore::open(dir).unwrap();
    assert_eq!(opened, Opened::Sound);
    store
}

/// Runs a check on both kinds of store.
fn on_both(check: impl Fn(&SnapshotStore)) {
    check(&SnapshotStore::in_memory());
    let dir = TempDir::new().unwrap();
    check(&open(&dir.path().join("snapshots")));
}

#[test]
fn a_store_in_memory_loses_and_damages_what_it_is_told_to() {
    let store = SnapshotStore::in_memory();
    assert!(!store.flip(0), "there is nothing");
    store.put(&snapshot(1, 1)).unwrap();
    store.flush().unwrap();
    store.put(&snapshot(1, 2)).unwrap();
    store.put(&snapshot(1, 3)).unwrap();
    assert_eq!(store.take_back(1), 1);
    assert_eq!(entry(&load(&store, 1)), Some(2));
    assert_eq!(store.take_back(5), 1, "the flushed one stays");
    assert_eq!(entry(&load(&store, 1)), Some(1));
    // Rows are the list and one place: whichever is hit, nothing wrong is served.
    let mut passed_over = 0;
    for draw in 0..64 {
        assert!(store.flip(draw));
        let loaded = load(&store, 1);
        passed_over += loaded.rejected.len();
        assert!(loaded.snapshot.is_none_or(|found| found == snapshot(1, 1)));
        assert!(store.flip(draw), "and back");
    }
    assert!(passed_over > 0);
    assert_eq!(entry(&load(&store, 1)), Some(1));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn keeps_the_newest_two_of_each_actor() {
    on_both(|store| {
        for entry in 1..=5 {
            store.put(&snapshot(1, entry)).unwrap();
            store.put(&snapshot(2, entry + 100)).unwrap();
        }
        assert_eq!(
            load(store, 1),
            Loaded {
                snapshot: Some(snapshot(1, 5)),
                rejected: vec![]
            }
        );
        assert_eq!(entry(&load(store, 2)), Some(105));
        let older = store.load(ActorNumber::FIRST, &|meta| meta.entry.get() < 5);
        assert_eq!(
            (entry(&older), reasons(&older)),
            (Some(4), vec![Reason::Foreign])
        );
        let none = store.load(ActorNumber::FIRST, &|meta| meta.entry.get() < 4);
        assert_eq!((entry(&none), none.rejected.len()), (None, 2));
        assert_eq!(load(store, 3), Loaded::default());
    });
}

#[test]
fn judges_history_and_commit_by_the_caller() {
    on_both(|store| {
        store.put(&snapshot(1, 1)).unwrap();
        let foreign = Snapshot {
            history: HistoryId::draw(),
            ..snapshot(1, 2)
        };
        store.put(&foreign).unwrap();
        let mine = store.load(ActorNumber::FIRST, &|meta| meta.history == HISTORY);
        assert_eq!(
            (entry(&mine), reasons(&mine)),
            (Some(1), vec![Reason::Foreign])
        );
        let early = store.load(ActorNumber::FIRST, &|meta| meta.commit.get() <= 5);
        assert_eq!(
            (entry(&early), early.rejected.len()),
            (None, 2),
            "commits from the future"
        );
    });
}

#[test]
fn a_new_timeline_replaces_what_an_abandoned_one_left() {
    on_both(|store| {
        let gone = |entry| Snapshot {
            history: HistoryId::from_bytes([8; 16]),
            ..snapshot(1, entry)
        };
        store.put(&gone(50)).unwrap();
        store.put(&gone(60)).unwrap();
        store.put(&snapshot(1, 20)).unwrap();
        assert_eq!(
            load(store, 1),
            Loaded {
                snapshot: Some(snapshot(1, 20)),
                rejected: vec![]
            }
        );
        store.put(&snapshot(1, 50)).unwrap();
        assert_eq!(load(store, 1).snapshot, Some(snapshot(1, 50)));
    });
}

#[test]
fn a_late_put_does_not_displace_a_newer_one() {
    on_both(|store| {
        store.put(&snapshot(1, 9)).unwrap();
        store.put(&snapshot(1, 7)).unwrap();
        assert_eq!(entry(&load(store, 1)), Some(9));
        let older = store.load(ActorNumber::FIRST, &|meta| meta.entry.get() < 9);
        assert_eq!(entry(&older), Some(7));
    });
}

#[test]
fn deletes_the_snapshots_of_one_actor() {
    on_both(|store| {
        for (actor, entry) in [(1, 1), (1, 2), (2, 1)] {
            store.put(&snapshot(actor, entry)).unwrap();
        }
        store.delete(ActorNumber::FIRST).unwrap();
        assert_eq!(load(store, 1), Loaded::default());
        assert_eq!(entry(&load(store, 2)), Some(1));
    });
}

/// Stores `value` as it is.
fn set(store: &SnapshotStore, key: &[u8], value: Vec<u8>) {
    store.backend.change(&[(key, Some(value))]).unwrap();
}

#[test]
fn every_flipped_byte_falls_back_to_the_older_one() {
    on_both(|store| {
        let (old, new) = (snapshot(1, 1), snapshot(1, 2));
        store.put(&old).unwrap();
        store.put(&new).unwrap();
        let key = Place::Second.key(new.actor);
        let value = new.encode(&key);
        assert_eq!(
            store.backend.read(&key, <[u8]>::to_vec).unwrap(),
            Some(value.clone())
        );
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 0x10;
            set(store, &key, damaged);
            let loaded = load(store, 1);
            assert_eq!(loaded.snapshot.as_ref(), Some(&old), "flipped at {at}");
            assert_eq!(reasons(&loaded), vec![Reason::Damaged]);
        }
        for bytes in 0..value.len() {
            set(store, &key, value[..bytes].to_vec());
            assert_eq!(entry(&load(store, 1)), Some(1), "cut to {bytes} bytes");
        }
        store.put(&snapshot(1, 3)).unwrap();
        assert_eq!(entry(&load(store, 1)), Some(3));
    });
}

#[test]
fn a_damaged_list_changes_nothing() {
    on_both(|store| {
        store.put(&snapshot(1, 1)).unwrap();
        store.put(&snapshot(1, 2)).unwrap();
        let key = list_key(ActorNumber::FIRST);
        let value = store.backend.read(&key, <[u8]>::to_vec).unwrap().unwrap();
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 0x10;
            set(store, &key, damaged.clone());
            assert!(load(store, 1).snapshot.is_some());
            // The older one is replaced, as if the list were there.
            let next = 3 + at as u64;
            store.put(&snapshot(1, next)).unwrap();
            assert_eq!(entry(&load(store, 1)), Some(next));
            let older = store.load(ActorNumber::FIRST, &|meta| meta.entry.get() < next);
            assert_eq!(entry(&older), Some(next - 1));
        }
    });
}

#[test]
fn a_value_under_another_key_does_not_count() {
    on_both(|store| {
        let here = Place::First.key(ActorNumber::FIRST);
        let there = Place::First.key(ActorNumber::new(2).unwrap());
        set(store, &here, snapshot(2, 5).encode(&there));
        assert_eq!(reasons(&load(store, 1)), vec![Reason::Damaged]);
        set(store, &here, snapshot(2, 5).encode(&here));
        assert_eq!(reasons(&load(store, 1)), vec![Reason::Damaged]);
        store.put(&snapshot(1, 5)).unwrap();
        assert_eq!(
            load(store, 1),
            Loaded {
                snapshot: Some(snapshot(1, 5)),
                rejected: vec![]
            }
        );
    });
}

#[test]
fn an_unknown_format_is_named() {
    on_both(|store| {
        let key = Place::First.key(ActorNumber::FIRST);
        let mut value = snapshot(1, 1).encode(&key);
        value[4] = 9;
        let crc = checksum(&key, 9, &value[5..]);
        value[..4].copy_from_slice(&crc.to_be_bytes());
        set(store, &key, value);
        assert_eq!(reasons(&load(store, 1)), vec![Reason::UnknownFormat(9)]);
    });
}

#[test]
fn survives_a_reopening_also_with_large_states() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    let large = Snapshot {
        state: vec![0x5a; 3 << 20],
        ..snapshot(1, 1)
    };
    let store = open(&path);
    store.put_flushed(&large).unwrap();
    store.put_flushed(&snapshot(2, 1)).unwrap();
    drop(store);
    let store = open(&path);
    assert_eq!(load(&store, 1).snapshot, Some(large));
    assert_eq!(load(&store, 2).snapshot, Some(snapshot(2, 1)));
}

#[test]
fn only_what_was_flushed_survives_a_crash() {
    let dir = TempDir::new().unwrap();
    let (path, crashed) = (dir.path().join("snapshots"), dir.path().join("crashed"));
    let store = open(&path);
    let first = store.put(&snapshot(1, 1)).unwrap();
    assert!(!store.is_flushed(first));
    assert_eq!(store.flush().unwrap(), first);
    assert!(store.is_flushed(first));
    let second = store.put(&snapshot(1, 2)).unwrap();
    let third = store.put(&snapshot(1, 3)).unwrap();
    assert!(store.is_flushed(first) && !store.is_flushed(second) && !store.is_flushed(third));
    // What a crash leaves is what the files hold now.
    copy(&path, &crashed);
    fs::remove_file(crashed.join("LOCK")).unwrap();
    let after = open(&crashed);
    assert_eq!(
        load(&after, 1).snapshot,
        Some(snapshot(1, 1)),
        "also what was pruned since is back"
    );
    drop(store);
}

#[test]
fn the_directory_is_its_owners_only() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    drop(open(&path));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn one_process_has_it_open() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    let store = open(&path);
    store.put_flushed(&snapshot(1, 1)).unwrap();
    assert!(matches!(
        SnapshotStore::open(&path),
        Err(Error::Held { .. })
    ));
    let reader = SnapshotStore::open_read_only(&path).unwrap().unwrap();
    assert_eq!(load(&reader, 1).snapshot, Some(snapshot(1, 1)));
    assert!(matches!(reader.put(&snapshot(1, 2)), Err(Error::ReadOnly)));
    assert!(matches!(reader.flush(), Err(Error::ReadOnly)));
}

/// A closed store with two snapshots of several actors.
fn filled(path: &Path) {
    let store = open(path);
    for round in 1..=2 {
        for actor in 1..=50 {
            store.put(&snapshot(actor, round)).unwrap();
        }
        store.flush().unwrap();
    }
}

fn files(path: &Path, kind: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.file_name().unwrap().to_str().unwrap().contains(kind))
        .collect();
    files.sort();
    files
}

/// Opens a damaged store: whatever it says, what it serves is right, and it works again.
fn check_damaged(path: &Path) -> Opened {
    let read_only = SnapshotStore::open_read_only(path).unwrap();
    let (store, opened) = SnapshotStore::open(path).unwrap();
    for store in read_only.iter().chain([&store]) {
        for actor in 1..=50 {
            if let Some(found) = load(store, actor).snapshot {
                assert_eq!(found, snapshot(actor, found.entry.get()));
            }
        }
    }
    for actor in 1..=50 {
        store.put(&snapshot(actor, 9)).unwrap();
    }
    assert_eq!(entry(&load(&store, 1)), Some(9));
    opened
}

#[test]
fn a_store_without_its_files_is_replaced() {
    let dir = TempDir::new().unwrap();
    for kind in ["CURRENT", "MANIFEST", ".sst"] {
        let path = dir.path().join(kind.replace('.', ""));
        filled(&path);
        fs::remove_file(&files(&path, kind)[0]).unwrap();
        let opened = check_damaged(&path);
        let Opened::Replaced { moved_to, detail } = opened else {
            panic!("{kind}: {opened:?}")
        };
        assert!(moved_to.is_dir() && !detail.is_empty());
    }
}

#[test]
fn one_damaged_store_is_kept() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    for round in 1..=3 {
        filled(&path);
        fs::write(path.join("CURRENT"), "MANIFEST-999999\n").unwrap();
        let opened = check_damaged(&path);
        let expected = dir.path().join(format!("snapshots.damaged-{round}"));
        assert!(matches!(opened, Opened::Replaced { moved_to, .. } if moved_to == expected));
        assert_eq!(files(dir.path(), "damaged"), vec![expected]);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn truncated_and_flipped_files_never_serve_a_wrong_snapshot() {
    let dir = TempDir::new().unwrap();
    let sound = dir.path().join("sound");
    filled(&sound);
    let mut round = 0;
    for kind in [".sst", "MANIFEST", "CURRENT", "OPTIONS"] {
        for file in files(&sound, kind) {
            let bytes = fs::read(&file).unwrap();
            let positions = (0..8).map(|part| bytes.len() * part / 8);
            for at in positions {
                for cut in [true, false] {
                    round += 1;
                    let path = dir.path().join(format!("copy{round}"));
                    copy(&sound, &path);
                    let mut damaged = bytes.clone();
                    if cut {
                        damaged.truncate(at);
                    } else {
                        damaged[at] ^= 0x04;
                    }
                    fs::write(path.join(file.file_name().unwrap()), damaged).unwrap();
                    check_damaged(&path);
                    fs::remove_dir_all(&path).unwrap();
                }
            }
        }
    }
    assert!(round > 40);
}

#[test]
fn a_flipped_block_is_a_rejection_and_the_next_opening_replaces_the_store() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    filled(&path);
    for file in files(&path, ".sst") {
        let mut bytes = fs::read(&file).unwrap();
        bytes[20] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let store = open(&path);
    let loaded = load(&store, 1);
    assert_eq!(loaded.snapshot, None);
    assert!(matches!(
        reasons(&loaded)[..],
        [Reason::Unreadable(_), Reason::Unreadable(_)]
    ));
    store.put(&snapshot(1, 3)).unwrap();
    assert_eq!(
        entry(&load(&store, 1)),
        Some(3),
        "a new one is served at once"
    );
    drop(store);
    let (store, opened) = SnapshotStore::open(&path).unwrap();
    assert!(matches!(opened, Opened::Replaced { .. }));
    assert_eq!(load(&store, 1), Loaded::default());
    drop(store);
    open(&path);
}

#[test]
fn reading_leaves_no_trace() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("snapshots");
    assert!(SnapshotStore::open_read_only(&path).unwrap().is_none());
    assert!(!path.exists());
    filled(&path);
    let listing = || {
        let of = |file: std::path::PathBuf| {
            let data = fs::metadata(&file).unwrap();
            (file, data.len(), data.modified().unwrap())
        };
        files(&path, "").into_iter().map(of).collect::<Vec<_>>()
    };
    let before = listing();
    let store = SnapshotStore::open_read_only(&path).unwrap().unwrap();
    assert_eq!(entry(&load(&store, 1)), Some(2));
    drop(store);
    assert_eq!(listing(), before);
}
