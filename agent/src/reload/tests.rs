//! What a reload does when it cannot go through: steps are undone, and one that a crash cut off is finished
//! by the next start.

use std::path::Path;

use serde_json::{Value, json};
use steadfast::{ActorId, Node, SequenceNumber};

use super::log::{Change, Via};
use super::plan::{Action, Step};
use super::{Reloader, Source, apply, log};
use crate::config::{self, Config};
use crate::kinds;
use crate::problem::{Code, Problem};
use crate::service::Notifier;

fn config(text: &str) -> Config {
    config::parse("test.toml", None, text, std::iter::empty()).unwrap()
}

fn reloader(config: &Config) -> Reloader {
    let source = Source {
        file: "test.toml".into(),
        data_dir_named: true,
    };
    Reloader::new(source, config, Notifier::default())
}

const TWO: &str = "version = 1\n\
    [concerns.a]\nkind = \"cleanup\"\npaths = [\"/x/*\"]\n\
    [concerns.b]\nkind = \"cleanup\"\npaths = [\"/y/*\"]\n";

async fn start(dir: &Path) -> Node {
    let node = kinds::node(dir).start().await.unwrap();
    let config = config(TWO);
    reloader(&config).start(&node, &config).await.unwrap();
    node
}

fn state(node: &Node, name: &str) -> Value {
    let id = ActorId::new("concern", name).unwrap();
    let view = node.inspect().unwrap().state(&id, None).unwrap();
    json!([view.state["config"]["paths"][0], view.state["paused"]])
}

fn names(node: &Node) -> Vec<String> {
    let id = ActorId::new(log::SPACE, log::KEY).unwrap();
    let inspector = node.inspect().unwrap();
    let events = inspector.events(&id, SequenceNumber::FIRST, 99).unwrap();
    events.into_iter().map(|event| event.name).collect()
}

fn step(name: &str, action: Action, paths: &[&str], before: &[&str]) -> Step {
    let config = |paths: &[&str]| {
        let config = steadfast_actors::cleanup::CleanupConfig::new(paths.iter().copied());
        serde_json::to_value(config).unwrap()
    };
    Step {
        actor: ActorId::new("concern", name).unwrap(),
        kind: "cleanup".to_owned(),
        action,
        config: config(paths),
        before: if before.is_empty() {
            Value::Null
        } else {
            config(before)
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_takes_the_others_back() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let steps = [
        step("a", Action::Change, &["/new/*"], &["/x/*"]),
        step("c", Action::Add, &["/z/*"], &[]),
        step("b", Action::Pause, &[], &["/y/*"]),
        // No paths at all: it is rejected.
        step("d", Action::Add, &[], &[]),
    ];
    let problem = apply::check(&node, &steps).await.unwrap_err();
    assert_eq!(problem.code, Code::Config, "{problem}");
    assert!(problem.detail.contains("concerns.d: "), "{problem}");
    assert_eq!(
        state(&node, "a"),
        json!(["/x/*", false]),
        "asking changes nothing"
    );

    let problem = apply::take(&node, &steps).await.unwrap_err();
    assert!(problem.detail.contains("was taken back"), "{problem}");
    assert_eq!(problem.code, Code::Config);
    assert_eq!(state(&node, "a"), json!(["/x/*", false]));
    assert_eq!(state(&node, "b"), json!(["/y/*", false]));
    assert_eq!(
        state(&node, "c"),
        json!(["/z/*", true]),
        "it cannot vanish, but it is held"
    );
    // Held like one that left the file: configured again, it goes on.
    let again = [step("c", Action::Resume, &["/z/*"], &["/z/*"])];
    apply::take(&node, &again).await.unwrap();
    assert_eq!(state(&node, "c"), json!(["/z/*", false]));
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_a_crash_cut_off_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let change = Change {
        digest: "of another file".to_owned(),
        file: "test.toml".to_owned(),
        by: "test".to_owned(),
        via: Via::Command,
        concerns: Vec::new(),
        settings: Vec::new(),
    };
    log::begin(&node, change).await.unwrap();
    let halfway = [step("a", Action::Change, &["/new/*"], &["/x/*"])];
    apply::take(&node, &halfway).await.unwrap();
    drop(node);

    let node = start(dir.path()).await;
    assert_eq!(
        state(&node, "a"),
        json!(["/x/*", false]),
        "what the file says"
    );
    assert_eq!(
        names(&node),
        ["config.applied", "config.begun", "config.applied"]
    );
    node.shutdown().await.unwrap();
    drop(node);
    let node = start(dir.path()).await;
    assert_eq!(names(&node).len(), 3, "the same file again is no news");
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_without_changes_closes_what_an_earlier_one_began() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("steadfast.toml");
    std::fs::write(&file, TWO).unwrap();
    let data = dir.path().join("data");
    let node = kinds::node(&data).start().await.unwrap();
    let config = config(TWO);
    let source = Source {
        file: file.clone(),
        data_dir_named: true,
    };
    let reloader = Reloader::new(source, &config, Notifier::default());
    reloader.start(&node, &config).await.unwrap();
    let planned = reloader.planned(&node, config).await.unwrap();
    let change = Change::of(&planned.plan, "test", Via::Command);
    log::begin(&node, change).await.unwrap();
    let again = async || reloader.reload_now(&node, "test", Via::Command).await;
    assert!(!again().await.unwrap().changes);
    let closed = ["config.applied", "config.begun", "config.applied"];
    assert_eq!(names(&node), closed);
    assert!(!again().await.unwrap().changes);
    assert_eq!(names(&node), closed, "once");
    node.shutdown().await.unwrap();
}

#[test]
fn what_is_changed_and_not_journalled_is_no_failed_reload() {
    let unwritable = Problem::new(Code::Unavailable, "the disk is full");
    let problem = super::not_closed(&unwritable);
    assert_eq!(problem.code, Code::OutcomeUnknown);
    assert!(problem.detail.contains("run by the new"), "{problem}");
    assert!(problem.detail.contains("the disk is full"), "{problem}");
}
