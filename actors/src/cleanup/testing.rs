//! Test fixtures: a tree in a directory of its own, with files of a known age; a node with one cleanup.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use steadfast::journal::MemoryStorage;
use steadfast::{ActorId, ActorRef, Node, NodeBuilder, SequenceNumber, Timestamp};
use tempfile::TempDir;

use super::actor::{Cleanup, register};
use super::config::CleanupConfig;
use super::dirs::Access;
use super::effect::{Scan, Sweep};
use super::plan::{Count, PlannedFile};
use super::walk;
use crate::concern::{Configure, Describe, Run, RunId, SPACE, Trigger};

/// "Now" of the fixtures, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// A directory that is removed with it.
pub(super) struct Tree {
    dir: TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
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
        file.set_modified(UNIX_EPOCH + Duration::from_secs(NOW - age))
            .unwrap();
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
    Scan {
        run: run_id(),
        config,
        as_of: now(),
        after: None,
        left,
    }
}

/// The sweep of the first page that `config` finds.
pub(super) fn sweep(config: CleanupConfig) -> Sweep {
    let page = walk::scan(&scan(config), Access::default()).unwrap();
    Sweep {
        run: run_id(),
        batch: 1,
        roots: page.roots,
        files: page.files,
    }
}

pub(super) fn names<'a>(tree: &Tree, files: &'a [PlannedFile]) -> Vec<&'a str> {
    let prefix = tree.path("");
    files
        .iter()
        .map(|file| file.path.strip_prefix(&prefix).unwrap())
        .collect()
}

/// A cleanup on a node of its own, with everything that was journalled about it.
pub(super) struct Bench {
    pub(super) storage: MemoryStorage,
    pub(super) node: Node,
}

impl Bench {
    pub(super) async fn start(storage: MemoryStorage) -> Self {
        let node = register(NodeBuilder::from(storage.clone()))
            .start()
            .await
            .unwrap();
        Self { storage, node }
    }

    /// With a configured cleanup.
    pub(super) async fn with(config: CleanupConfig) -> Self {
        let bench = Self::start(MemoryStorage::new()).await;
        bench.cleanup().ask(Configure(config)).await.unwrap();
        bench
    }

    pub(super) fn cleanup(&self) -> ActorRef<Cleanup> {
        self.node.actor_in(SPACE, "test")
    }

    pub(super) fn id() -> ActorId {
        ActorId::new(SPACE, "test").unwrap()
    }

    /// Starts a run and waits for its end.
    pub(super) async fn run(&self, dry_run: bool) -> Run {
        self.cleanup()
            .ask(Trigger {
                dry_run,
                by: "test".to_owned(),
            })
            .await
            .unwrap();
        self.end_of_run().await
    }

    /// Waits until no run is going.
    pub(super) async fn end_of_run(&self) -> Run {
        let mut commits = self.node.watch_commits();
        loop {
            commits.mark_unchanged();
            // While the journal is reopened there are other answers: they are asked again.
            if let Ok(view) = self.cleanup().ask(Describe {}).await
                && let (None, Some(run)) = (view.current, view.last_run)
            {
                return run;
            }
            tokio::select! {
                changed = commits.changed() => changed.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// All events so far, in JSON, as name and data.
    pub(super) fn events(&self) -> Vec<(String, Value)> {
        let inspector = self.node.inspect().unwrap();
        let events = inspector
            .events(&Self::id(), SequenceNumber::FIRST, usize::MAX)
            .unwrap();
        assert!(
            events.iter().zip(1..).all(|(event, seq)| event.seq == seq),
            "a gap"
        );
        events
            .into_iter()
            .map(|event| (event.name, event.data))
            .collect()
    }

    /// The data of the events of this name.
    pub(super) fn named(&self, name: &str) -> Vec<Value> {
        let events = self.events().into_iter();
        events
            .filter(|(found, _)| found == name)
            .map(|(_, data)| data)
            .collect()
    }

    /// The state in JSON.
    pub(super) fn state(&self) -> Value {
        self.node
            .inspect()
            .unwrap()
            .state(&Self::id(), None)
            .unwrap()
            .state
    }

    /// Paths in the events of this name, in order, with their bytes together.
    pub(super) fn listed(&self, name: &str) -> (Vec<String>, u64) {
        let (mut paths, mut bytes) = (Vec::new(), 0);
        for event in self.named(name) {
            for file in event["files"].as_array().unwrap() {
                paths.push(file["path"].as_str().unwrap().to_owned());
                bytes += file["bytes"].as_u64().unwrap();
            }
        }
        (paths, bytes)
    }
}
