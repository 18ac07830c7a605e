//! Test fixtures: a tree in a directory of its own, with files of a known age.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use steadfast::Timestamp;
use tempfile::TempDir;

use super::config::CleanupConfig;
use super::effect::{Scan, Sweep};
use super::plan::{Count, PlannedFile};
use super::walk;
use crate::cleanup::dirs::Access;
use crate::concern::RunId;

/// "Now" of the fixtures, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// A directory that is removed with it.
pub(super) struct Tree {
    dir: TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The absolute path of `name`.
    pub(super) fn path(&self, name: &str) -> String {
        self.root().join(name).to_str().unwrap().to_owned()
    }

    /// A file of `bytes` bytes that was changed `age` seconds before now.
    pub(super) fn file(&self, name: &str, bytes: u64, age: u64) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        file.set_len(bytes).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(NOW - age)).unwrap();
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        self.root().join(name).symlink_metadata().is_ok()
    }

    /// A cleanup of these globs below the root.
    pub(super) fn config(&self, globs: &[&str]) -> CleanupConfig {
        CleanupConfig::new(globs.iter().map(|glob| self.path(glob)))
    }
}

pub(super) fn run_id() -> RunId {
    RunId::new(now(), [1, 2])
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_micros(i64::try_from(NOW).unwrap() * 1_000_000)
}

pub(super) fn scan(config: CleanupConfig) -> Scan {
    let left = config.limits.less(Count::default());
    Scan { run: run_id(), config, as_of: now(), after: None, left }
}

/// The sweep of the first page that `config` finds.
pub(super) fn sweep(config: CleanupConfig) -> Sweep {
    let page = walk::scan(&scan(config), Access::default()).unwrap();
    Sweep { run: run_id(), batch: 1, roots: page.roots, files: page.files }
}

pub(super) fn names<'a>(tree: &Tree, files: &'a [PlannedFile]) -> Vec<&'a str> {
    let prefix = tree.path("");
    files.iter().map(|file| file.path.strip_prefix(&prefix).unwrap()).collect()
}
