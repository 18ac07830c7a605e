//! Directories whose parts do not belong together, and openings that were cut off.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{acquire, copy_dir, crashed, files, logs, refused, sound};
use crate::error::Error;
use crate::mark::path_in;

fn at(dir: &TempDir, name: &str) -> std::path::PathBuf {
    dir.path().join(name)
}

fn replace_dir(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap();
    copy_dir(from, to);
}

#[test]
fn a_mark_that_lags_is_fine() {
    let dir = TempDir::new().unwrap();
    let mut driver = crate::conformance::Driver::new(acquire(dir.path()));
    driver.write("a", 1);
    let mark = fs::read(path_in(dir.path())).unwrap();
    driver.write("a", 1);
    driver.write("b", 1);
    driver.drop_and_reopen();
    driver.write("b", 1);
    let written = driver.leave();
    fs::write(path_in(dir.path()), mark).unwrap();
    sound(dir.path(), written);
}

#[test]
fn a_directory_without_a_whole_mark_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let path = path_in(dir.path());
    let mark = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = refused(dir.path());
    assert!(
        matches!(&error, Error::BadMark { report, .. } if report.contains("missing")),
        "{error}"
    );
    let mut damaged = mark.clone();
    damaged[100] ^= 1;
    damaged[5000] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = refused(dir.path());
    assert!(
        matches!(&error, Error::BadMark { report, .. } if report.contains("damaged")),
        "{error}"
    );
}

#[test]
fn one_damaged_copy_of_the_mark_is_fine() {
    for at in [100, 5000] {
        let dir = TempDir::new().unwrap();
        let written = crashed(dir.path());
        let path = path_in(dir.path());
        let mut mark = fs::read(&path).unwrap();
        mark[at] ^= 1;
        fs::write(path, mark).unwrap();
        sound(dir.path(), written);
    }
}

#[test]
fn a_mark_of_a_newer_format_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let path = path_in(dir.path());
    let mut mark = fs::read(&path).unwrap();
    mark[8..12].copy_from_slice(&3_u32.to_be_bytes());
    let crc = crc32fast::hash(&mark[..4092]);
    mark[4092..4096].copy_from_slice(&crc.to_be_bytes());
    fs::write(path, mark).unwrap();
    assert!(matches!(
        refused(dir.path()),
        Error::NewerFormat {
            found: 3,
            supported: 2,
            ..
        }
    ));
}

#[test]
fn an_older_copy_of_the_journal_is_refused() {
    let (dir, old) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let written = crashed(dir.path());
    copy_dir(&at(&dir, "journal"), &at(&old, "journal"));
    // One more opening, without any commit of ours.
    drop(written.resume(acquire(dir.path())));
    let newest = at(&old, "newest");
    copy_dir(&at(&dir, "journal"), &newest);
    replace_dir(&at(&old, "journal"), &at(&dir, "journal"));
    let error = refused(dir.path());
    assert!(matches!(error, Error::BehindMark { .. }), "{error:?}");
    replace_dir(&newest, &at(&dir, "journal"));
    acquire(dir.path()).open().unwrap();
}

#[test]
fn the_journal_of_another_directory_is_refused() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    drop(crashed(dir.path()));
    drop(crashed(other.path()));
    replace_dir(&at(&other, "journal"), &at(&dir, "journal"));
    let error = refused(dir.path());
    assert!(matches!(error, Error::BadMark { .. }), "{error:?}");
}

#[test]
fn a_journal_that_is_gone_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    fs::remove_dir_all(at(&dir, "journal")).unwrap();
    assert!(matches!(
        refused(dir.path()),
        Error::BehindMark { head: None, .. }
    ));
    fs::create_dir(at(&dir, "journal")).unwrap();
    assert!(matches!(
        refused(dir.path()),
        Error::BehindMark { head: None, .. }
    ));
}

#[test]
fn a_first_opening_that_was_cut_off_begins_again() {
    let dir = TempDir::new().unwrap();
    let driver = crate::conformance::Driver::new(acquire(dir.path()));
    drop(driver);
    // As it was before the database came.
    let history = crate::HistoryId::draw();
    fs::remove_dir_all(at(&dir, "journal")).unwrap();
    crate::mark::MarkFile::create(dir.path(), history).unwrap();
    let journal = acquire(dir.path()).open().unwrap();
    assert_eq!(journal.head().unwrap().history, history);
    assert_eq!(journal.opened().epoch.get(), 1);
}

#[test]
fn an_incomplete_set_aside_is_dropped() {
    let dir = TempDir::new().unwrap();
    let written = crashed(dir.path());
    fs::create_dir(at(&dir, "journal.opening.partial")).unwrap();
    fs::write(at(&dir, "journal.opening.partial/CURRENT"), "half").unwrap();
    sound(dir.path(), written);
    assert!(!at(&dir, "journal.opening.partial").exists());
}

#[test]
fn a_set_aside_of_an_opening_that_was_cut_off_is_the_better_evidence() {
    let dir = TempDir::new().unwrap();
    let written = crashed(dir.path());
    copy_dir(&at(&dir, "journal"), &at(&dir, "journal.opening"));
    let evidence = files(&at(&dir, "journal.opening"));
    for log in logs(dir.path()) {
        fs::write(log, b"").unwrap();
    }
    let storage = acquire(dir.path());
    assert!(matches!(storage.open(), Err(Error::BehindMark { .. })));
    drop(storage);
    let after = files(&at(&dir, "journal"));
    let content = |files: &std::collections::BTreeMap<std::path::PathBuf, (Vec<u8>, _)>| {
        files
            .iter()
            .map(|(path, (bytes, _))| (path.file_name().unwrap().to_owned(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert!(
        content(&evidence) == content(&after),
        "the older files are back"
    );
    assert!(!at(&dir, "journal.opening").exists() && !at(&dir, "journal.refused").exists());
    sound(dir.path(), written);
}

#[test]
fn putting_back_goes_on_after_a_cut() {
    let dir = TempDir::new().unwrap();
    let written = crashed(dir.path());
    // Between the two renames.
    fs::rename(at(&dir, "journal"), at(&dir, "journal.opening")).unwrap();
    fs::create_dir(at(&dir, "journal.refused")).unwrap();
    sound(dir.path(), written);
    // After both.
    let written = {
        let dir = TempDir::new().unwrap();
        let written = crashed(dir.path());
        fs::create_dir(at(&dir, "journal.refused")).unwrap();
        sound(dir.path(), written);
        dir
    };
    assert!(!at(&written, "journal.refused").exists());
}
