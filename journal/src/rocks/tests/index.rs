//! The index: derived, behind the commits, expendable.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::{acquire, copy_dir, crashed, database, files, refused, sound};
use crate::conformance::Driver;
use crate::entry::{decode_entry, encode_entry};
use crate::error::{CommitError, Error};
use crate::hash::{CommitHeader, Hash};
use crate::ids::{CommitIndex, EntryNumber};
use crate::index::{Index, NoRuns, Runs};
use crate::journal::{Append, Head, JournalReader, Storage};
use crate::layout::{Checked, META_CHECKED, META_FORMAT, commit_key, entry_key};
use crate::mark::MarkFile;
use crate::record::{CommitRecord, Frame, listing};
use crate::rocks::{RocksOptions, RocksReader, RocksStorage};
use crate::store::{Keyspace, Store};

fn small_runs(dir: &std::path::Path) -> Box<dyn Storage> {
    let options = RocksOptions {
        index_run_bytes: 2_000,
        ..RocksOptions::default()
    };
    Box::new(RocksStorage::acquire(dir, options).unwrap())
}

#[test]
fn without_it_everything_is_found_again() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(small_runs(dir.path()));
    for round in 0..200 {
        driver.write(if round % 3 == 0 { "a" } else { "b" }, 2);
    }
    let written = driver.leave();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    written.check_with(&RocksReader::open(dir.path()).unwrap());
    sound(dir.path(), written);
}

#[test]
fn one_that_is_damaged_is_built_anew() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(small_runs(dir.path()));
    for _ in 0..100 {
        driver.write("a", 2);
    }
    driver.journal().close().unwrap();
    let written = driver.leave();
    for name in ["CURRENT", "MANIFEST"] {
        for path in files(&dir.path().join("index")).into_keys() {
            if path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(name)
            {
                fs::write(path, b"not this").unwrap();
            }
        }
    }
    sound(dir.path(), written);
}

#[test]
fn one_that_knows_more_than_the_journal_is_refused() {
    let (dir, old) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut driver = crashed(dir.path()).resume(acquire(dir.path()));
    driver.journal().close().unwrap();
    let written = driver.leave();
    copy_dir(dir.path(), old.path());
    driver = written.resume(acquire(dir.path()));
    for _ in 0..10 {
        driver.write("a", 1);
    }
    driver.journal().close().unwrap();
    drop(driver);
    // An older journal with its own mark, and the index of the newer one.
    fs::remove_dir_all(old.path().join("index")).unwrap();
    copy_dir(&dir.path().join("index"), &old.path().join("index"));
    let report = RocksReader::open(old.path()).unwrap().verify().unwrap();
    assert!(
        report.findings[0].contains("the index has entries of commit"),
        "{:?}",
        report.findings
    );
    assert!(matches!(refused(old.path()), Error::BrokenChain { .. }));
}

#[test]
fn an_entry_that_only_the_commits_know_is_a_finding() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(acquire(dir.path()));
    driver.write("a", 1);
    let mut other = Driver::new(acquire(TempDir::new().unwrap().path()));
    other.write("b", 1);
    driver.journal().close().unwrap();
    let tables = files(&dir.path().join("index"));
    assert!(
        tables
            .keys()
            .any(|path| path.extension().is_some_and(|kind| kind == "sst"))
    );
    let report = RocksReader::open(dir.path()).unwrap().verify().unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.commits, report.entries), (2, 1));
}

/// Writes the directory anew as format 1 had it: commits that list, entries in a table of the journal.
fn as_format_1(dir: &std::path::Path) {
    let store = database(dir);
    let past = crate::reads::load_past(&store).unwrap().unwrap();
    let mut mark = MarkFile::create(dir, past.current().unwrap()).unwrap();
    let mut previous = Hash::ZERO;
    let mut index = CommitIndex::FIRST;
    while let Some(bytes) = store.get(Keyspace::Commits, &commit_key(index)).unwrap() {
        let record = CommitRecord::decode(&bytes).unwrap();
        let header = CommitHeader {
            history: past.at(index).unwrap(),
            index,
            epoch: record.epoch,
            time_us: record.time_us,
            previous,
        };
        let (listed, hash) = listing(&header, &bytes);
        previous = hash;
        let head = Head {
            index,
            hash,
            epoch: record.epoch,
            history: header.history,
        };
        mark.write(&head).unwrap();
        store
            .write(&mut |batch| {
                batch.put(Keyspace::Commits, &commit_key(index), &listed);
                for entry in &record.entries {
                    let Frame::Here(place) = entry.frame else {
                        panic!("{entry:?}")
                    };
                    let frame = place.of(&bytes);
                    let again = encode_entry(&decode_entry(frame).unwrap()).unwrap();
                    assert_eq!(again, frame);
                    let value = [&index.get().to_be_bytes()[..], frame].concat();
                    batch.put(
                        Keyspace::Entries,
                        &entry_key(entry.actor, entry.number),
                        &value,
                    );
                }
                let checked = Checked { index, hash };
                batch.put(Keyspace::Meta, META_CHECKED, &checked.encode());
                batch.put(Keyspace::Meta, META_FORMAT, &1_u32.to_be_bytes());
            })
            .unwrap();
        index = index.next().unwrap();
    }
    drop(store);
    fs::remove_dir_all(dir.join("index")).unwrap();
}

#[test]
fn a_directory_of_format_1_goes_on() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(acquire(dir.path()));
    for round in 0..40 {
        driver.write(if round % 3 == 0 { "a" } else { "b" }, 2);
    }
    driver.journal().close().unwrap();
    let written = driver.leave();
    as_format_1(dir.path());
    written.check_with(&RocksReader::open(dir.path()).unwrap());
    let mut driver = written.resume(acquire(dir.path()));
    driver.check();
    driver.write("a", 1);
    driver.reopen();
    driver.write("c", 1);
    driver.drop_and_reopen();
    driver.check();
    let journal = Arc::clone(driver.journal());
    assert_eq!(
        journal
            .commits(CommitIndex::FIRST)
            .filter(Result::is_err)
            .count(),
        0
    );
}

/// An opening that failed after the index had its thread, as one does whose table of actors is damaged, kept the index
/// locked: every later opening in the same process was refused with "no locks available", of a sound journal too.
#[test]
fn an_index_that_is_dropped_lets_go_of_its_store() {
    let runs: Arc<dyn Runs> = Arc::new(NoRuns);
    let index = Index::new(Arc::clone(&runs), 1 << 20);
    index.go_behind().unwrap();
    drop(index);
    assert_eq!(Arc::strong_count(&runs), 1);
}

/// A directory whose index has one table with a block that rotted, and not the block that an opening looks at.
fn rotten(dir: &std::path::Path, batches: usize) -> Driver {
    let mut driver = Driver::new(acquire(dir));
    for _ in 0..batches {
        let appends = (0..200)
            .map(|n| driver.entry(if n % 3 == 0 { "a" } else { "b" }, 2))
            .map(|entry| Append::new(&entry, Vec::new()))
            .collect::<Result<_, _>>();
        driver.submit(appends.unwrap()).unwrap();
    }
    driver.journal().close().unwrap();
    let written = driver.leave();
    let is_table = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "sst");
    let tables = files(&dir.join("index")).into_keys().filter(is_table);
    for table in tables {
        let mut bytes = fs::read(&table).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::write(table, bytes).unwrap();
    }
    written
}

#[track_caller]
fn assert_damaged(journal: &dyn JournalReader, driver: &Driver) {
    let read = journal
        .entries(driver.number("b"), EntryNumber::FIRST)
        .find_map(Result::err);
    assert!(
        matches!(read, Some(Error::Store { corrupt: true, .. })),
        "{read:?}"
    );
}

/// A block of the index that rotted never healed: the index opened like a whole one, whatever was read from that block
/// failed for ever, and each compaction that came by it ended the next generation too, although the commits have it all.
#[test]
fn a_block_that_a_reader_finds_damaged_is_healed_by_the_next_opening() {
    for ends_with_a_commit in [true, false] {
        let dir = TempDir::new().unwrap();
        let note = dir.path().join("index.damaged");
        let written = rotten(dir.path(), 10);
        let reader = RocksReader::open(dir.path()).unwrap();
        assert_damaged(&reader, &written);
        assert!(!reader.verify().unwrap().findings.is_empty());
        drop(reader);
        assert!(!note.exists(), "who may not write leaves no note");
        let mut driver = written.resume(acquire(dir.path()));
        driver.write("c", 1);
        assert!(!note.exists());
        assert_damaged(&**driver.journal(), &driver);
        assert!(note.exists());
        if ends_with_a_commit {
            let late = Append::new(&driver.entry("c", 1), Vec::new()).unwrap();
            let refused = driver.submit(vec![late]);
            assert!(
                matches!(refused, Err(CommitError::Unknown(_))),
                "{refused:?}"
            );
            driver.forget("c");
            driver.drop_and_reopen();
        } else {
            // An orderly end is one all the same.
            driver.reopen();
            assert_eq!(driver.journal().opened().verified_commits, 0);
        }
        assert!(!note.exists(), "it was built anew");
        driver.check();
        driver.write("b", 1);
        driver.check();
    }
}

/// The same where compaction meets the block: from then on the index takes in no run.
#[test]
fn a_block_that_compaction_finds_damaged_is_healed_by_the_next_opening() {
    let dir = TempDir::new().unwrap();
    let note = dir.path().join("index.damaged");
    let mut driver = rotten(dir.path(), 3).resume(small_runs(dir.path()));
    let mut commits = 0;
    let failed = loop {
        let one = Append::new(&driver.entry("c", 200), Vec::new()).unwrap();
        match driver.submit(vec![one]) {
            Ok(_) => commits += 1,
            Err(error) => break error,
        }
        assert!(commits < 3_000, "compaction never came by it");
    };
    assert!(matches!(failed, CommitError::Unknown(_)), "{failed:?}");
    assert!(note.exists(), "after {commits} commits: {failed:?}");
    driver.drop_and_reopen();
    assert!(!note.exists(), "it was built anew");
    let last = driver.journal().last_entry(driver.number("c")).unwrap();
    if last.map(|last| last.entry.number) != driver.written("c").last().map(|last| last.number) {
        // Unknown it was: this one was not written.
        driver.forget("c");
    }
    driver.check();
    driver.write("c", 1);
    driver.reopen();
    driver.check();
}
