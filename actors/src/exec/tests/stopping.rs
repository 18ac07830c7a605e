//! Programs and the end of their node, and runs that are stopped before their program goes.

use steadfast::ActorId;
use steadfast::journal::MemoryStorage;

use super::{Bench, by_hand, check, is_alive, lines, script};
use crate::concern::{Cancel, Configure, RunOutcome, SPACE};
use crate::exec::config::Retry;
use crate::exec::{AfterCrashPolicy, Ended, Exec, ExecConfig, Program};
use crate::human::Span;

/// Writes its number down, and some words when it is asked to end, which it does.
fn orderly(pids: &std::path::Path) -> String {
    format!(
        "trap 'echo cleaned up; exit 0' TERM; echo $$ >> {}; while :; do sleep 0.01; done",
        pids.display()
    )
}

#[tokio::test]
async fn an_orderly_stop_ends_the_program_in_order_and_its_outcome_is_journalled() {
    let bench = Bench::start().await;
    let pids = bench.path("pids");
    let mut config = script(&orderly(&pids));
    // More than the node waits: the program ends at once, and nobody waits for that long.
    config.grace = Span::secs(3_600);
    config.retry = Some(Retry {
        attempts: 5,
        first: Span::secs(0),
        max: Span::secs(0),
    });
    let run = bench.begin(config).await;
    let pid = lines(&pids, 1).await[0].clone();
    let bench = bench.restart().await;
    assert!(!is_alive(&pid));
    let done = bench.end().await;
    check(&done, RunOutcome::Unknown, "the node stopped");
    assert_eq!(done.run, run.id);
    assert!(done.report.node_stopped && !done.report.cancelled);
    assert_eq!(done.report.stdout.head, "cleaned up\n");
    assert_eq!(lines(&pids, 1).await.len(), 1, "it is not repeated");
}

#[tokio::test]
async fn a_run_that_was_cut_by_an_orderly_stop_goes_again_where_that_is_asked_for() {
    let bench = Bench::start().await;
    let pids = bench.path("pids");
    let text = format!(
        "echo $$ >> {0}; test $(wc -l < {0}) -ge 2 || exec sleep 1000",
        pids.display()
    );
    let mut config = script(&text);
    config.after_crash = AfterCrashPolicy::Retry;
    let run = bench.begin(config).await;
    let pid = lines(&pids, 1).await[0].clone();
    let bench = bench.restart().await;
    assert!(!is_alive(&pid));
    let done = bench.end().await;
    check(&done, RunOutcome::Succeeded, "");
    assert_eq!((done.run, done.report.attempt), (run.id, 1));
    assert_eq!(lines(&pids, 2).await.len(), 2);
}

#[tokio::test]
async fn cancelling_reaches_a_run_that_waits_for_its_next_attempt() {
    let bench = Bench::start().await;
    let mut config = script("exit 1");
    config.retry = Some(Retry {
        attempts: 2,
        first: Span::secs(3_600),
        max: Span::secs(3_600),
    });
    bench.begin(config).await;
    let id = ActorId::new(SPACE, "test").unwrap();
    loop {
        let pending = bench.node.inspect().unwrap().pending(&id, 10).unwrap();
        if pending.effects.iter().any(|effect| effect.attempt == 2) {
            break;
        }
        tokio::task::yield_now().await;
    }
    bench.actor().ask(Cancel::default()).await.unwrap();
    let done = bench.end().await;
    check(&done, RunOutcome::Cancelled, "cancelled by");
}

#[tokio::test]
async fn with_every_place_taken_by_programs_runs_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::with(MemoryStorage::new(), dir, |node| {
        node.config(|config| (config.effects, config.long_effects) = (1, 1))
    })
    .await;
    let pids = bench.path("pids");
    let text = format!("echo $$ >> {}; exec sleep 1000", pids.display());
    bench.begin(script(&text)).await;
    lines(&pids, 1).await;
    // It has no place, and does not get one.
    let other = bench.node.actor_in::<Exec>(SPACE, "other");
    other.ask(Configure(script(&text))).await.unwrap();
    other.ask(by_hand()).await.unwrap();
    other.ask(Cancel::default()).await.unwrap();
    loop {
        let view = other.ask(crate::concern::Describe {}).await.unwrap();
        if let (None, Some(run)) = (view.current, view.last_run) {
            assert_eq!(run.outcome, Some(RunOutcome::Cancelled));
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(lines(&pids, 1).await.len(), 1, "it never ran");
    bench.actor().ask(Cancel::default()).await.unwrap();
    check(&bench.end().await, RunOutcome::Cancelled, "cancelled by");
}

#[test]
fn a_program_that_does_not_end_is_not_repeated_beside_itself() {
    let config = ExecConfig {
        retry: Some(Retry {
            attempts: 5,
            first: Span::secs(0),
            max: Span::secs(0),
        }),
        ..script("exit 1")
    };
    let run = crate::concern::RunId::new(steadfast::Timestamp::from_micros(0), [1, 0]);
    let program = Program { run, config };
    let ended = |does_not_end| Ended {
        exit_code: Some(1),
        timed_out: true,
        does_not_end,
        ..Ended::default()
    };
    assert!(program.verdict(ended(false), 1).unwrap_err().is_retryable());
    let last = program.verdict(ended(true), 1).unwrap();
    assert!(last.does_not_end && !last.is_success(&program.config));
}

#[tokio::test]
async fn a_user_without_entry_does_not_run_with_the_groups_of_the_node() {
    let bench = Bench::start().await;
    let mut config = ExecConfig::new(["/bin/true"]);
    config.user = Some("3999999999".to_owned());
    check(
        &bench.run(config).await,
        RunOutcome::Failed,
        "set `group` as well",
    );
}
