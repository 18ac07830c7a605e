//! Whole runs on a node in memory: what is removed, what is journalled, and that both agree.

use steadfast::AskError;
use steadfast::journal::{CommitFault, MemoryStorage};

use super::config::{CleanupConfig, Limits};
use super::testing::{Bench, Tree};
use crate::concern::{Configure, Pause, Resume, RunOutcome, Trigger, TriggerRejection};

fn by_hand() -> Trigger {
    Trigger {
        dry_run: false,
        by: "test".to_owned(),
    }
}

/// The law: what the events list is what is gone is what the state counts, each file once.
#[track_caller]
fn agree(bench: &Bench, tree: &Tree, removed: &[String], bytes: u64) {
    let (mut paths, listed_bytes) = bench.listed("cleanup.removed");
    let count = paths.len();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), count, "a file is named twice");
    let mut expected: Vec<_> = removed.iter().map(|name| tree.path(name)).collect();
    expected.sort();
    assert_eq!(paths, expected);
    assert!(removed.iter().all(|name| !tree.exists(name)));
    assert_eq!(listed_bytes, bytes);
    let totals = &bench.state()["totals"];
    assert_eq!(
        (&totals["files"], &totals["bytes"]),
        (&count.into(), &bytes.into())
    );
}

/// `count` files that match and as many that do not.
fn half(count: u64) -> (Tree, Vec<String>) {
    let tree = Tree::new();
    let mut matching = Vec::new();
    for n in 0..count {
        let name = format!("{}/{n:05}.log", n % 7);
        tree.file(&name, 3, 100 + n % 50);
        tree.file(&format!("{}/{n:05}.txt", n % 7), 3, 100);
        matching.push(name);
    }
    (tree, matching)
}

#[tokio::test]
async fn a_run_removes_what_matches_and_says_so() {
    let (tree, matching) = half(40);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    let run = bench.run(false).await;
    assert_eq!(run.outcome, Some(RunOutcome::Succeeded));
    agree(&bench, &tree, &matching, 120);
    assert!((0..40).all(|n| tree.exists(&format!("{}/{n:05}.txt", n % 7))));
    let names: Vec<_> = bench.events().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names
            .iter()
            .map(|name| name.trim_start_matches("cleanup."))
            .collect::<Vec<_>>(),
        [
            "configured",
            "started",
            "scanned",
            "planned",
            "removed",
            "finished"
        ]
    );
    assert_eq!(
        bench.named("cleanup.started")[0]["cause"]["trigger"]["by"],
        "test"
    );
    let finished = &bench.named("cleanup.finished")[0];
    assert_eq!(
        (&finished["outcome"], &finished["reason"]),
        (&"succeeded".into(), &().into())
    );
    assert_eq!(finished["report"]["removed"]["files"], 40);
}

#[tokio::test]
async fn the_shape_of_the_json_is_kept() {
    let (tree, _) = half(1);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    let run = serde_json::to_value(bench.run(false).await).unwrap();
    let state = bench.state();
    for key in [
        "config", "paused", "current", "last_run", "next_run", "runs", "totals",
    ] {
        assert!(state.get(key).is_some(), "{key} is missing in {state}");
    }
    assert_eq!(state["last_run"], run);
    assert_eq!((&state["current"], &state["runs"]), (&().into(), &1.into()));
    let keys: Vec<_> = run
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(
        (&run["actor"], &run["outcome"]),
        (&"concern/test".into(), &"succeeded".into())
    );
    assert!(run["id"].as_str().unwrap().starts_with("run_"));
    for key in ["started", "finished"] {
        let time = run[key].as_str().unwrap();
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }
}

#[tokio::test]
async fn many_files_come_in_pages_and_bounded_batches() {
    let (tree, matching) = half(1_300);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Succeeded));
    agree(&bench, &tree, &matching, 3_900);
    assert_eq!(bench.named("cleanup.scanned").len(), 2);
    let removed = bench.named("cleanup.removed");
    assert!(
        removed
            .iter()
            .all(|event| event["files"].as_array().unwrap().len() <= 256)
    );
    assert_eq!(
        bench.named("cleanup.finished")[0]["report"]["found"]["files"],
        1_300
    );
}

#[tokio::test]
async fn a_dry_run_lists_all_and_removes_nothing() {
    let (tree, matching) = half(1_100);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    assert_eq!(bench.run(true).await.outcome, Some(RunOutcome::Succeeded));
    agree(&bench, &tree, &[], 0);
    assert!(matching.iter().all(|name| tree.exists(name)));
    let (mut previewed, bytes) = bench.listed("cleanup.previewed");
    previewed.sort();
    previewed.dedup();
    assert_eq!((previewed.len(), bytes), (1_100, 3_300));
    let always = CleanupConfig {
        dry_run: true,
        ..tree.config(&["**/*.log"])
    };
    bench.cleanup().ask(Configure(always)).await.unwrap();
    bench.run(false).await;
    agree(&bench, &tree, &[], 0);
}

#[tokio::test]
async fn the_limits_stop_a_run_and_the_next_one_goes_on() {
    let (tree, matching) = half(10);
    let limits = Limits {
        files: 6,
        ..Limits::default()
    };
    let bench = Bench::with(CleanupConfig {
        limits,
        ..tree.config(&["**/*.log"])
    })
    .await;
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Limited));
    let finished = &bench.named("cleanup.finished")[0];
    assert_eq!(
        finished["report"]["left"],
        serde_json::json!({"files": 4, "bytes": 12})
    );
    assert!(
        finished["reason"]
            .as_str()
            .unwrap()
            .contains("4 more files")
    );
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Succeeded));
    agree(&bench, &tree, &matching, 30);
}

#[tokio::test]
async fn a_root_that_does_not_exist_is_a_success_that_says_so() {
    let bench = Bench::with(CleanupConfig::new(["/nowhere-of-steadfast/*.log"])).await;
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Succeeded));
    let reason = bench.named("cleanup.finished")[0]["reason"].clone();
    assert!(
        reason.as_str().unwrap().contains("/nowhere-of-steadfast"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_root_that_is_no_directory_fails_the_run_and_the_others_are_cleaned() {
    let tree = Tree::new();
    tree.file("file", 1, 9);
    tree.file("dir/x", 1, 9);
    let bench = Bench::with(tree.config(&["file/*", "dir/*"])).await;
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Failed));
    agree(&bench, &tree, &["dir/x".to_owned()], 1);
}

#[tokio::test]
async fn a_trigger_during_a_run_joins_it() {
    let (tree, matching) = half(5);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    let cleanup = bench.cleanup();
    // While commits are held the first run cannot get on.
    bench.storage.pause();
    let asks = async {
        tokio::join!(
            cleanup.ask(by_hand()),
            cleanup.ask(by_hand()),
            cleanup.ask(Trigger {
                dry_run: true,
                ..by_hand()
            }),
            cleanup.ask(Pause {}),
            async {
                tokio::task::yield_now().await;
                bench.storage.resume();
            }
        )
    };
    let (first, second, dry, paused, ()) = asks.await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(!first.joined && second.joined && paused.is_ok());
    assert_eq!(first.run, second.run);
    assert!(
        matches!(dry, Err(AskError::Rejected(TriggerRejection::OtherSort))),
        "{dry:?}"
    );
    // Paused meanwhile, it completes.
    assert_eq!(bench.end_of_run().await.id, first.run.id);
    agree(&bench, &tree, &matching, 15);
}

#[tokio::test]
async fn other_rules_end_the_run_under_way_before_it_removes_more() {
    let (tree, matching) = half(5);
    let bench = Bench::with(tree.config(&["**/*.log"])).await;
    let cleanup = bench.cleanup();
    bench.storage.pause();
    let (triggered, configured, ()) = tokio::join!(
        cleanup.ask(by_hand()),
        cleanup.ask(Configure(tree.config(&["other/*"]))),
        async {
            tokio::task::yield_now().await;
            bench.storage.resume();
        }
    );
    assert!(triggered.is_ok() && configured.is_ok());
    assert_eq!(
        bench.end_of_run().await.outcome,
        Some(RunOutcome::Cancelled)
    );
    agree(&bench, &tree, &[], 0);
    assert!(matching.iter().all(|name| tree.exists(name)));
}

#[tokio::test]
async fn a_trigger_that_cannot_start_says_what_to_do() {
    let (tree, _) = half(1);
    let bench = Bench::start(MemoryStorage::new()).await;
    let unknown = bench.cleanup().ask(by_hand()).await;
    assert!(matches!(
        unknown,
        Err(AskError::Rejected(TriggerRejection::NotConfigured))
    ));
    bench
        .cleanup()
        .ask(Configure(tree.config(&["**/*.log"])))
        .await
        .unwrap();
    bench.cleanup().ask(Pause {}).await.unwrap();
    let Err(AskError::Rejected(paused)) = bench.cleanup().ask(by_hand()).await else {
        panic!("a paused concern was triggered");
    };
    assert!(paused.to_string().contains("resume it"), "{paused}");
    bench.cleanup().ask(Resume {}).await.unwrap();
    assert_eq!(bench.run(false).await.outcome, Some(RunOutcome::Succeeded));
}

#[tokio::test]
async fn cut_off_at_any_commit_it_completes_with_exact_totals() {
    for commits in 1..=7 {
        let (tree, matching) = half(300);
        let bench = Bench::with(tree.config(&["**/*.log"])).await;
        let mut durable = bench.node.watch_commits();
        let start = *durable.borrow();
        // Not answered if the crash comes first: then it was not started, and is asked again.
        let triggered = bench.cleanup();
        let asked = tokio::spawn(async move { triggered.ask(by_hand()).await.is_ok() });
        let reached = |now: &u64| *now >= start + commits;
        let crashed = tokio::select! {
            reached = durable.wait_for(reached) => reached.is_ok(),
            _ = bench.end_of_run() => false,
        };
        bench.storage.crash();
        asked.abort();
        let storage = bench.storage.clone();
        drop(bench);
        let bench = Bench::start(storage).await;
        bench.cleanup().ask(by_hand()).await.unwrap();
        assert_eq!(
            bench.end_of_run().await.outcome,
            Some(RunOutcome::Succeeded),
            "{crashed}"
        );
        agree(&bench, &tree, &matching, 900);
    }
}

#[tokio::test]
async fn a_journal_that_fails_under_a_run_is_reopened_and_the_run_completes() {
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        let (tree, matching) = half(300);
        let bench = Bench::with(tree.config(&["**/*.log"])).await;
        let mut durable = bench.node.watch_commits();
        let start = *durable.borrow();
        bench.cleanup().ask(by_hand()).await.unwrap();
        drop(durable.wait_for(|now| *now > start).await);
        bench.storage.fail_next_commit(fault);
        assert_eq!(
            bench.end_of_run().await.outcome,
            Some(RunOutcome::Succeeded)
        );
        agree(&bench, &tree, &matching, 900);
    }
}
