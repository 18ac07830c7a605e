//! Real programs, run by a node in memory.

use std::path::{Path, PathBuf};

use steadfast::journal::MemoryStorage;
use steadfast::{ActorId, ActorRef, Node, NodeBuilder, SequenceNumber};

use super::{Ended, Environment, Exec, ExecConfig, register};
use crate::concern::{Configure, Describe, Finished, Run, RunOutcome, SPACE, Trigger};
use crate::human::Span;

mod ending;
mod everywhere;
mod programs;
mod stopping;

struct Bench {
    storage: MemoryStorage,
    node: Node,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self::on(MemoryStorage::new(), tempfile::tempdir().unwrap()).await
    }

    async fn on(storage: MemoryStorage, dir: tempfile::TempDir) -> Self {
        Self::with(storage, dir, |node| node).await
    }

    async fn with(
        storage: MemoryStorage,
        dir: tempfile::TempDir,
        change: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Self {
        let kept = [("KEPT", "yes"), ("NOT_KEPT", "no")];
        let kept = kept.map(|(name, value)| (name.into(), value.into()));
        let builder = NodeBuilder::from(storage.clone()).resource(Environment::new(kept));
        let node = change(register(builder)).start().await.unwrap();
        Self { storage, node, dir }
    }

    /// The node is cut off and comes back.
    async fn crash(self) -> Self {
        self.storage.crash();
        drop(self.node);
        Self::on(self.storage, self.dir).await
    }

    /// The node is stopped in order and comes back.
    async fn restart(self) -> Self {
        self.node.shutdown().await.unwrap();
        drop(self.node);
        Self::on(self.storage, self.dir).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn actor(&self) -> ActorRef<Exec> {
        self.node.actor_in(SPACE, "test")
    }

    async fn begin(&self, config: ExecConfig) -> Run {
        self.actor().ask(Configure(config)).await.unwrap();
        self.actor().ask(by_hand()).await.unwrap().run
    }

    async fn end(&self) -> Finished<Ended> {
        loop {
            let view = self.actor().ask(Describe {}).await.unwrap();
            if let (None, Some(run)) = (view.current, view.last_run) {
                return self
                    .finished()
                    .into_iter()
                    .find(|event| event.run == run.id)
                    .unwrap();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn run(&self, config: ExecConfig) -> Finished<Ended> {
        self.begin(config).await;
        self.end().await
    }

    fn finished(&self) -> Vec<Finished<Ended>> {
        let id = ActorId::new(SPACE, "test").unwrap();
        let inspector = self.node.inspect().unwrap();
        let events = inspector
            .events(&id, SequenceNumber::FIRST, usize::MAX)
            .unwrap();
        let ends = events
            .into_iter()
            .filter(|event| event.name == "exec.finished");
        ends.map(|event| serde_json::from_value(event.data).unwrap())
            .collect()
    }
}

fn by_hand() -> Trigger {
    Trigger {
        dry_run: false,
        by: "test".to_owned(),
    }
}

fn script(text: &str) -> ExecConfig {
    ExecConfig {
        grace: Span::secs(1),
        ..ExecConfig::script(text)
    }
}

/// The lines of a file, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count && text.ends_with('\n') {
            return lines;
        }
        tokio::task::yield_now().await;
    }
}

/// Whether a process is there and not merely unburied.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

#[track_caller]
fn check(finished: &Finished<Ended>, outcome: RunOutcome, reason: &str) {
    assert_eq!(finished.outcome, outcome, "{finished:?}");
    let said = finished.reason.as_deref().unwrap_or_default();
    assert!(said.contains(reason), "{said:?}");
}
