//! The journal on disk: the contract, then damage, refusals and readers.
//!
//! Method: a directory is left as a crash leaves it (the journal is dropped, not closed), something is
//! done to its files, and it is opened again. What must come of it is one of two: everything that was
//! acknowledged, or a refusal after which every file is as it was.

mod damage;
mod index;
mod reading;
mod refusals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::database::{Database, Mode};
use super::{Lease, RocksOptions, RocksStorage};
use crate::conformance::{Driver, run_all};
use crate::error::Error;
use crate::journal::{Journal, Storage};
use crate::lock::Lock;

/// A data directory that goes with it.
struct Temporary {
    storage: RocksStorage,
    _dir: TempDir,
}

impl Storage for Temporary {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        self.storage.open()
    }
}

#[test]
fn keeps_the_contract() {
    run_all(&|| {
        let dir = TempDir::new().unwrap();
        let storage = RocksStorage::acquire(dir.path(), RocksOptions::default()).unwrap();
        Box::new(Temporary { storage, _dir: dir })
    });
}

#[test]
fn keeps_the_contract_while_runs_come_and_go() {
    run_all(&|| {
        let dir = TempDir::new().unwrap();
        let options = RocksOptions {
            index_run_bytes: 1_500,
            ..RocksOptions::default()
        };
        let storage = RocksStorage::acquire(dir.path(), options).unwrap();
        Box::new(Temporary { storage, _dir: dir })
    });
}

/// Bug: a node did not start on a disk that had room for all that it needed. Mechanism: RocksDB reserved 144 MB for each new
/// log; on ext4 a reservation that does not fit takes all that is left, and one of a killed process stays until its log is gone.
#[test]
fn a_log_takes_from_the_disk_what_is_written() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(acquire(dir.path()));
    driver.write("a", 1);
    let taken = files(dir.path()).into_keys().map(|path| {
        let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).unwrap());
        blocks * 512
    });
    let taken: u64 = taken.sum();
    assert!(taken < 4 << 20, "{taken} bytes");
}

fn acquire(dir: &Path) -> Box<dyn Storage> {
    Box::new(RocksStorage::acquire(dir, RocksOptions::default()).unwrap())
}

/// A directory with some commits, left as by a crash. Returns what was written.
fn crashed(dir: &Path) -> Driver {
    let mut driver = Driver::new(acquire(dir));
    for round in 0..30 {
        driver.write(if round % 3 == 0 { "a" } else { "b" }, 1);
    }
    driver.leave()
}

/// Every file below `dir` but the lock, with its content and time.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for file in std::fs::read_dir(next).unwrap() {
            let (path, data) = file
                .map(|file| (file.path(), file.metadata().unwrap()))
                .unwrap();
            if data.is_dir() {
                todo.push(path);
            } else if path != dir.join("lock") {
                let content = std::fs::read(&path).unwrap();
                found.insert(path, (content, data.modified().unwrap()));
            }
        }
    }
    found
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// The write-ahead logs that hold something.
fn logs(dir: &Path) -> Vec<PathBuf> {
    let is_log = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "log");
    let mut logs: Vec<_> = std::fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| is_log(path) && std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    logs.sort();
    logs
}

/// Opens `dir`, which must be refused and left as it was.
#[track_caller]
fn refused(dir: &Path) -> Error {
    let before = files(dir);
    let storage = acquire(dir);
    let error = storage.open().map(|_| ()).expect_err("it is refused");
    drop(storage);
    let after = files(dir);
    let names = |files: &BTreeMap<PathBuf, _>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    // Not their times: RocksDB gives back the space reserved behind the newest log.
    for (path, (content, _)) in &before {
        assert!(*content == after[path].0, "{} was changed", path.display());
    }
    error
}

/// Opens `dir`, which must hold all that `written` says.
#[track_caller]
fn sound(dir: &Path, written: Driver) {
    let mut driver = written.resume(acquire(dir));
    driver.check();
    driver.write("a", 1);
    driver.check();
}

/// The database below a closed data directory, to spoil it from within.
fn database(dir: &Path) -> Database {
    let lock = Arc::new(Lock::acquire(dir).unwrap());
    let lease = Arc::new(Lease::take(&Arc::default(), Duration::ZERO, lock).unwrap());
    Database::open(
        &dir.join("journal"),
        &RocksOptions::default(),
        Mode::Existing,
        lease,
    )
    .unwrap()
}

#[test]
fn the_options_are_obeyed() {
    let dir = TempDir::new().unwrap();
    let options = RocksOptions {
        flush_every_bytes: 20_000,
        ..RocksOptions::default()
    };
    let storage = RocksStorage::acquire(dir.path(), options).unwrap();
    let mut driver = Driver::new(Box::new(storage));
    // Flushes run beside the commits: sooner or later an opening has less to check than was written.
    let mut commits = 0;
    loop {
        for _ in 0..200 {
            driver.write("a", 3);
            commits += 1;
        }
        assert!(commits < 100_000, "no flush was ever recorded");
        driver.drop_and_reopen();
        if driver.journal().opened().verified_commits < 200 {
            break;
        }
    }
    driver.check();
}

#[test]
fn a_clean_end_leaves_nothing_to_replay() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::new(acquire(dir.path()));
    driver.write("a", 1);
    driver.reopen();
    let opened = driver.journal().opened().clone();
    assert_eq!((opened.wal_bytes, opened.verified_commits), (0, 0));
    driver.write("a", 1);
    driver.drop_and_reopen();
    let opened = driver.journal().opened().clone();
    assert!(opened.wal_bytes > 0);
    assert_eq!(
        opened.verified_commits, 2,
        "the opening and one commit since the last check"
    );
    driver.check();
}

#[test]
fn one_generation_at_a_time() {
    let dir = TempDir::new().unwrap();
    let options = RocksOptions {
        reopen_wait: Duration::ZERO,
        ..RocksOptions::default()
    };
    let storage = RocksStorage::acquire(dir.path(), options).unwrap();
    let journal = storage.open().unwrap();
    assert!(matches!(storage.open(), Err(Error::StillOpen { .. })));
    journal.close().unwrap();
    let second = storage.open().unwrap();
    assert_eq!(second.opened().epoch.get(), 2);
    drop(storage);
    assert!(matches!(
        RocksStorage::acquire(dir.path(), RocksOptions::default()),
        Err(Error::Held { .. })
    ));
    drop((journal, second));
    acquire(dir.path()).open().unwrap();
}

#[test]
fn only_known_files_lie_in_the_directory() {
    let dir = TempDir::new().unwrap();
    drop(crashed(dir.path()));
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["index", "journal", "lock", "mark"]);
    let journal = files(&dir.path().join("journal"));
    assert!(journal.keys().all(|path| {
        !path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("LOG")
    }));
}
