//! Damage to files after an unclean end: never a silent loss.

use std::fs;

use tempfile::TempDir;

use super::{acquire, copy_dir, crashed, database, files, logs, refused, sound};
use crate::conformance::Driver;
use crate::error::Error;
use crate::ids::CommitIndex;
use crate::journal::JournalReader;
use crate::layout::{META_FORMAT, commit_key};
use crate::rocks::RocksReader;
use crate::store::{Keyspace, Store};

#[test]
fn an_unclean_end_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let written = crashed(dir.path());
    assert!(!logs(dir.path()).is_empty());
    sound(dir.path(), written);
}

#[test]
fn a_copy_made_while_it_was_open_is_as_good_as_a_crash() {
    let (dir, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut driver = Driver::new(acquire(dir.path()));
    for _ in 0..20 {
        driver.write("a", 2);
    }
    copy_dir(dir.path(), copy.path());
    let written = driver.leave();
    sound(copy.path(), written);
}

#[test]
fn a_truncated_log_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let log = logs(dir.path()).pop().unwrap();
    let whole = fs::read(&log).unwrap();
    for part in 0..16 {
        fs::write(&log, &whole[..(whole.len() - 1) * part / 15]).unwrap();
        let error = refused(dir.path());
        let Error::BehindMark {
            mark, head, report, ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(mark.get(), 31);
        assert!(head.is_none_or(|head| head < *mark));
        assert!(report.contains("was acknowledged"), "{report}");
        assert!(report.contains("steadfast verify --data-dir"), "{report}");
        assert!(
            report.contains(log.file_name().unwrap().to_str().unwrap()),
            "{report}"
        );
    }
}

#[test]
fn a_missing_log_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    for log in logs(dir.path()) {
        fs::remove_file(log).unwrap();
    }
    assert!(matches!(
        refused(dir.path()),
        Error::BehindMark { head: None, .. } | Error::Store { .. }
    ));
}

#[test]
fn every_flipped_bit_of_a_log_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let log = logs(dir.path()).pop().unwrap();
    let whole = fs::read(&log).unwrap();
    // Headers of two records byte by byte, bit by bit; then here and there.
    let second = 7 + usize::from(u16::from_le_bytes([whole[4], whole[5]]));
    let headers = (0..7)
        .chain(second..second + 7)
        .flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let bodies = (0..40).map(|n| (whole.len() * n / 40, n % 8));
    for (at, bit) in headers.chain(bodies) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        fs::write(&log, damaged).unwrap();
        let error = refused(dir.path());
        assert!(
            matches!(
                error,
                Error::Store { corrupt: true, .. }
                    | Error::BehindMark { .. }
                    | Error::BrokenChain { .. }
            ),
            "bit {bit} of byte {at}: {error:?}"
        );
    }
}

#[test]
fn commits_that_were_spoiled_from_within_are_refused_and_found() {
    let key = commit_key(CommitIndex::new(7).unwrap());
    for delete in [true, false] {
        let dir = TempDir::new().unwrap();
        drop(crashed(dir.path()));
        let store = database(dir.path());
        let mut value = store.get(Keyspace::Commits, &key).unwrap().unwrap();
        // The last byte of a frame, which only the entry's own hash covers.
        *value.last_mut().unwrap() ^= 1;
        store
            .write(&mut |batch| {
                if delete {
                    batch.delete(Keyspace::Commits, &key);
                } else {
                    batch.put(Keyspace::Commits, &key, &value);
                }
            })
            .unwrap();
        drop(store);
        let error = refused(dir.path());
        let Error::BrokenChain { commit, report } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(commit.get(), 7, "{report}");
        let report = RocksReader::open(dir.path()).unwrap().verify().unwrap();
        assert!(!report.findings.is_empty());
    }
}

#[test]
fn a_database_of_a_newer_format_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let store = database(dir.path());
    let format = 4711_u32.to_be_bytes();
    store
        .write(&mut |batch| batch.put(Keyspace::Meta, META_FORMAT, &format))
        .unwrap();
    drop(store);
    assert!(matches!(
        refused(dir.path()),
        Error::NewerFormat {
            found: 4711,
            supported: 2,
            ..
        }
    ));
    assert!(matches!(
        RocksReader::open(dir.path()),
        Err(Error::NewerFormat { found: 4711, .. })
    ));
}

#[test]
fn a_damaged_table_is_an_error_and_a_finding() {
    let dir = TempDir::new().unwrap();
    let driver = crashed(dir.path()).resume(acquire(dir.path()));
    driver.journal().close().unwrap();
    let written = driver.leave();
    let before = files(dir.path());
    let tables: Vec<_> = before
        .keys()
        .filter(|path| path.extension().is_some_and(|kind| kind == "sst"))
        .collect();
    let mut errors = 0;
    for table in &tables {
        let mut bytes = before[*table].0.clone();
        bytes[10] ^= 0x40;
        fs::write(table, bytes).unwrap();
        match RocksReader::open(dir.path()) {
            Err(_) => errors += 1,
            Ok(reader) => errors += usize::from(!reader.verify().unwrap().findings.is_empty()),
        }
        fs::write(table, &before[*table].0).unwrap();
    }
    assert!(errors > 0, "{} tables", tables.len());
    sound(dir.path(), written);
}
