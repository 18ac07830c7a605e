//! How programs are ended, and that nothing of them is left.

use super::{Bench, by_hand, check, is_alive, lines, script};
use crate::concern::{Cancel, RunOutcome};
use crate::exec::{AfterCrashPolicy, ExecConfig};
use crate::human::Span;

/// Starts processes that try to get away, writes down all their numbers, and waits.
fn wanderers(file: &std::path::Path) -> String {
    let file = file.display();
    format!(
        "trap '' TERM\n\
         setsid sh -c 'trap \"\" TERM; echo $$ >> {file}; setsid sh -c \"echo \\$\\$ >> {file}; sleep 1000; :\"; :' &\n\
         setsid env -i /bin/sh -c 'echo $$ >> {file}; sleep 1000; :' &\n\
         (setsid sh -c 'echo $$ >> {file}; sleep 1000; :' &)\n\
         echo $$ >> {file}\n\
         wait; sleep 1000"
    )
}

#[tokio::test]
async fn a_timeout_ends_all_processes_wherever_they_went() {
    let bench = Bench::start().await;
    let pids = bench.path("pids");
    let mut config = script(&wanderers(&pids));
    config.timeout = Some(Span::secs(3));
    bench.begin(config).await;
    let all = lines(&pids, 5).await;
    assert!(all.iter().all(|pid| is_alive(pid)));
    let done = bench.end().await;
    check(&done, RunOutcome::TimedOut, "timeout");
    assert!(done.report.timed_out && !done.report.cancelled);
    let left: Vec<_> = all.iter().filter(|pid| is_alive(pid)).collect();
    assert!(left.is_empty(), "{left:?} of {all:?}");
}

#[tokio::test]
async fn cancelling_ends_all_processes_and_says_who_asked() {
    let bench = Bench::start().await;
    let pids = bench.path("pids");
    let run = bench.begin(script(&wanderers(&pids))).await;
    let all = lines(&pids, 5).await;
    let cancel = || Cancel {
        by: "somebody".to_owned(),
    };
    assert_eq!(bench.actor().ask(cancel()).await.unwrap(), run);
    let done = bench.end().await;
    check(&done, RunOutcome::Cancelled, "cancelled by somebody");
    assert!(done.report.cancelled && !done.report.timed_out);
    assert!(!all.iter().any(|pid| is_alive(pid)));
    assert!(
        bench.actor().ask(cancel()).await.is_err(),
        "nothing is going any more"
    );
}

#[tokio::test]
async fn a_program_that_ends_when_asked_has_time_to() {
    let bench = Bench::start().await;
    let ready = bench.path("ready");
    let text = format!(
        "trap 'echo cleaned up; exit 0' TERM; echo > {}; while :; do sleep 0.01; done",
        ready.display()
    );
    let mut config = script(&text);
    config.grace = Span::secs(60);
    bench.begin(config).await;
    lines(&ready, 1).await;
    bench.actor().ask(Cancel::default()).await.unwrap();
    let done = bench.end().await;
    check(&done, RunOutcome::Cancelled, "");
    assert_eq!((done.report.exit_code, done.report.signal), (Some(0), None));
    assert_eq!(done.report.stdout.head, "cleaned up\n");
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_ended_with_it() {
    let bench = Bench::start().await;
    let pids = bench.path("pids");
    let text = format!(
        "setsid sh -c 'echo $$ > {0}; sleep 1000; :' & until test -s {0}; do :; done",
        pids.display()
    );
    let done = bench.run(script(&text)).await;
    check(&done, RunOutcome::Succeeded, "");
    assert!(done.report.left_over >= 1, "{done:?}");
    assert!(!is_alive(&lines(&pids, 1).await[0]));
}

#[tokio::test]
async fn a_run_in_flight_at_a_crash_is_unknown_and_not_repeated() {
    let bench = Bench::start().await;
    let count = bench.path("count");
    let text = format!("echo $$ >> {}; exec sleep 1000", count.display());
    let run = bench.begin(script(&text)).await;
    let pid = lines(&count, 1).await[0].clone();
    let bench = bench.crash().await;
    let done = bench.end().await;
    check(&done, RunOutcome::Unknown, "nothing is repeated");
    assert_eq!(done.run, run.id);
    assert!(!is_alive(&pid));
    assert_eq!(lines(&count, 1).await.len(), 1);
    let exec = bench.actor();
    let state = exec.ask(crate::concern::Describe {}).await.unwrap();
    assert_eq!((state.runs, state.current), (1, None));
}

#[tokio::test]
async fn a_run_in_flight_at_a_crash_is_repeated_where_that_is_asked_for() {
    let bench = Bench::start().await;
    let count = bench.path("count");
    let text = format!(
        "echo $$ >> {0}; test $(wc -l < {0}) -ge 2 || exec sleep 1000",
        count.display()
    );
    let mut config = script(&text);
    config.after_crash = AfterCrashPolicy::Retry;
    bench.begin(config).await;
    let first = lines(&count, 1).await[0].clone();
    let bench = bench.crash().await;
    check(&bench.end().await, RunOutcome::Succeeded, "");
    assert!(!is_alive(&first));
    assert_eq!(lines(&count, 2).await.len(), 2);
}

#[tokio::test]
async fn a_cancelled_run_stays_cancelled_over_a_restart() {
    let bench = Bench::start().await;
    let count = bench.path("count");
    let text = format!("echo $$ >> {}; exec sleep 1000", count.display());
    let mut config = script(&text);
    config.after_crash = AfterCrashPolicy::Retry;
    bench.begin(config).await;
    lines(&count, 1).await;
    // Cut off after the wish is journalled, and perhaps before it is fulfilled.
    bench.actor().ask(Cancel::default()).await.unwrap();
    let bench = bench.crash().await;
    check(&bench.end().await, RunOutcome::Cancelled, "cancelled by");
    bench.actor().ask(by_hand()).await.unwrap();
    lines(&count, 2).await;
    bench.actor().ask(Cancel::default()).await.unwrap();
    check(&bench.end().await, RunOutcome::Cancelled, "");
}

#[tokio::test]
async fn other_settings_hold_from_the_next_run_on() {
    let bench = Bench::start().await;
    let go = bench.path("go");
    let text = format!(
        "until test -e {}; do sleep 0.01; done; echo old",
        go.display()
    );
    bench.begin(script(&text)).await;
    let new = ExecConfig::new(["echo", "new"]);
    bench
        .actor()
        .ask(crate::concern::Configure(new))
        .await
        .unwrap();
    std::fs::write(&go, "").unwrap();
    assert_eq!(bench.end().await.report.stdout.head, "old\n");
    bench.actor().ask(by_hand()).await.unwrap();
    assert_eq!(bench.end().await.report.stdout.head, "new\n");
}
