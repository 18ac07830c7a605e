//! One holder at a time, and a probe that leaves no trace.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::{Lock, create_with, holder};
use crate::error::Error;

#[test]
fn one_holder_at_a_time() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("a/data");
    assert!(matches!(holder(&dir), Err(Error::Missing { .. })));
    assert!(!dir.exists());
    let lock = Lock::acquire(&dir).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(dir.clone()), mode(dir.join("lock"))), (0o700, 0o600));
    let by = holder(&dir).unwrap().unwrap();
    assert_eq!(by.pid, std::process::id());
    assert!(
        by.since.ends_with('Z') && by.since.contains('T'),
        "{}",
        by.since
    );
    let second = Lock::acquire(&dir);
    assert!(
        matches!(&second, Err(Error::Held { pid, since, .. }) if (*pid, since) == (by.pid, &by.since)),
        "{second:?}"
    );
    drop(lock);
    assert_eq!(holder(&dir).unwrap(), None);
    drop(Lock::acquire(&dir).unwrap());
}

#[test]
fn a_holder_that_did_not_say_who_it_is_is_still_one() {
    let dir = TempDir::new().unwrap();
    let _lock = Lock::acquire(dir.path()).unwrap();
    std::fs::write(dir.path().join("lock"), "").unwrap();
    assert_eq!(holder(dir.path()).unwrap().unwrap().pid, 0);
}

#[test]
fn a_directory_that_cannot_be_is_an_error_with_its_name() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Lock::acquire(&path).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
    }
}

/// A new data directory could be gone after a power cut, with all that was acknowledged in it: only what is in it was
/// synced, never its name, which is its parent's.
#[test]
fn each_directory_that_is_created_is_synced_into_its_parent() {
    let root = TempDir::new().unwrap();
    let at = |path: &str| root.path().join(path);
    let synced = |dir: &str| {
        let mut synced = Vec::new();
        create_with(&at(dir), &mut |parent| {
            synced.push(parent.strip_prefix(root.path()).unwrap().to_owned());
            Ok(())
        })
        .unwrap();
        assert!(at(dir).is_dir());
        synced
    };
    assert_eq!(synced("a/b/data"), ["", "a", "a/b"].map(Path::new));
    assert_eq!(synced("a/other"), ["a"].map(Path::new));
    assert_eq!(synced("a/other"), [""; 0].map(Path::new), "it was there");
    let failed = create_with(&at("new"), &mut |_| Err(Error::Closed));
    assert!(matches!(failed, Err(Error::Closed)));
    // Of a path that begins here, here.
    let relative = Path::new("steadfast-lock-test");
    let mut here = Vec::new();
    let created = create_with(relative, &mut |parent| {
        here.push(parent.to_owned());
        Ok(())
    });
    std::fs::remove_dir(relative).unwrap();
    created.unwrap();
    assert_eq!(here, [Path::new(".")]);
}
