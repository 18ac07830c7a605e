//! Reading at rest: all of it, and without a trace.

use std::fs;

use tempfile::TempDir;

use super::{acquire, crashed, files, logs};
use crate::conformance::Driver;
use crate::error::Error;
use crate::ids::CommitIndex;
use crate::journal::JournalReader;
use crate::mark::path_in;
use crate::rocks::RocksReader;

#[test]
fn a_reader_sees_all_and_leaves_no_trace() {
    let dir = TempDir::new().unwrap();
    let written = crashed(dir.path());
    for closed in [false, true] {
        let before = files(dir.path());
        let reader = RocksReader::open(dir.path()).unwrap();
        written.check_with(&reader);
        assert!(
            reader
                .commits(CommitIndex::FIRST)
                .all(|commit| commit.is_ok())
        );
        drop(reader);
        assert!(files(dir.path()) == before, "closed before: {closed}");
        if !closed {
            acquire(dir.path()).open().unwrap().close().unwrap();
        }
    }
}

#[test]
fn there_must_be_a_journal_to_read() {
    let dir = TempDir::new().unwrap();
    let absent = dir.path().join("absent");
    assert!(matches!(
        RocksReader::open(&absent),
        Err(Error::Missing { .. })
    ));
    assert!(!absent.exists());
    assert!(matches!(
        RocksReader::open(dir.path()),
        Err(Error::Missing { .. })
    ));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_reader_tells_what_an_opening_would_refuse() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let log = logs(dir.path()).pop().unwrap();
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 5]).unwrap();
    let reader = RocksReader::open(dir.path()).unwrap();
    assert_eq!(reader.head().map(|head| head.index.get()), Some(30));
    let report = reader.verify().unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(
        report.findings[0].contains("commits 31 to 31 are missing"),
        "{:?}",
        report.findings
    );
    drop(reader);
    fs::remove_file(path_in(dir.path())).unwrap();
    let report = RocksReader::open(dir.path()).unwrap().verify().unwrap();
    assert!(report.findings[0].contains("mark"), "{:?}", report.findings);
}

#[test]
fn a_reader_works_beside_a_node() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(acquire(dir.path()));
    driver.write("a", 1);
    let reader = RocksReader::open(dir.path()).unwrap();
    driver.check_with(&reader);
    driver.write("a", 1);
    driver.check();
}
