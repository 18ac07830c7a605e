//! What a program is given, and what is made of what it does.

use std::os::unix::fs::PermissionsExt;

use super::{Bench, check, script};
use crate::concern::{RunOutcome, Trigger};
use crate::exec::{ExecConfig, Limits, Retry, Variables};
use crate::human::{Size, Span};

#[tokio::test]
async fn words_reach_the_program_as_they_are() {
    let bench = Bench::start().await;
    let odd = ["a b", "$HOME", "'; exit 9", "*", "ä\n"];
    let words = ["/usr/bin/printf", "%s|"].into_iter().chain(odd);
    let done = bench.run(ExecConfig::new(words)).await;
    check(&done, RunOutcome::Succeeded, "");
    assert_eq!(done.report.stdout.head, "a b|$HOME|'; exit 9|*|ä\n|");
    assert_eq!((done.report.exit_code, done.report.attempt), (Some(0), 1));
    // A shell is used where it is asked for.
    let done = bench.run(script("printf '%s' a   b | wc -c")).await;
    assert_eq!(done.report.stdout.head.trim(), "2");
}

#[tokio::test]
async fn its_environment_is_empty_but_for_what_is_given() {
    let bench = Bench::start().await;
    let bare = bench.run(ExecConfig::new(["/usr/bin/env"])).await;
    let names = |text: &str| {
        let mut names: Vec<_> = text
            .lines()
            .map(|line| line.split('=').next().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    let ours = "STEADFAST_RUN STEADFAST_RUN_ID STEADFAST_RUN_NODE";
    assert_eq!(names(&bare.report.stdout.head), format!("PATH {ours}"));
    assert!(bare.report.stdout.head.contains(bare.run.as_str()));
    let mut config = ExecConfig::new(["env"]);
    config.env = Variables([("A".to_owned(), "b=c".to_owned())].into());
    config.env_keep = vec!["KEPT".to_owned(), "ABSENT".to_owned()];
    let given = bench.run(config).await.report.stdout.head;
    assert_eq!(names(&given), format!("A KEPT PATH {ours}"));
    assert!(
        given.contains("A=b=c\n") && given.contains("KEPT=yes\n"),
        "{given}"
    );
}

#[tokio::test]
async fn it_runs_where_and_reads_what_it_is_told() {
    let bench = Bench::start().await;
    let dir = bench.dir.path().canonicalize().unwrap();
    let mut config = script("pwd; cat; echo problem >&2");
    config.dir = Some(dir.to_str().unwrap().to_owned());
    config.stdin = Some("input".to_owned());
    let report = bench.run(config).await.report;
    assert_eq!(report.stdout.head, format!("{}\ninput", dir.display()));
    assert_eq!(report.stderr.head, "problem\n");
    // Without an input there is none to wait for, and an input that is not read does no harm.
    assert_eq!(
        bench.run(script("pwd; cat")).await.report.stdout.head,
        "/\n"
    );
    let mut unread = ExecConfig::new(["/bin/true"]);
    unread.stdin = Some("x".repeat(100_000));
    check(&bench.run(unread).await, RunOutcome::Succeeded, "");
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let bench = Bench::start().await;
    let done = bench.run(script("exit 3")).await;
    check(&done, RunOutcome::Failed, "exit code 3");
    assert_eq!(done.report.exit_code, Some(3));
    let mut lenient = script("exit 3");
    lenient.success_codes = vec![0, 3];
    check(&bench.run(lenient).await, RunOutcome::Succeeded, "");
    let done = bench.run(script("kill -9 $$")).await;
    check(&done, RunOutcome::Failed, "signal 9");
    assert_eq!((done.report.exit_code, done.report.signal), (None, Some(9)));
}

#[tokio::test]
async fn what_cannot_be_started_is_said_by_name() {
    let bench = Bench::start().await;
    let file = bench.path("program");
    std::fs::write(&file, "no program").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let of = |program: &str| ExecConfig::new([program]);
    let absent = format!("{file}-absent");
    check(
        &bench.run(of("no-such-program")).await,
        RunOutcome::Failed,
        "in the PATH, which is /usr",
    );
    check(
        &bench.run(of(&absent)).await,
        RunOutcome::Failed,
        "does not exist",
    );
    check(
        &bench.run(of("/tmp")).await,
        RunOutcome::Failed,
        "is no file",
    );
    check(&bench.run(of(&file)).await, RunOutcome::Failed, "chmod +x");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    check(
        &bench.run(of(&file)).await,
        RunOutcome::Failed,
        "could not be started",
    );
    let mut config = of("/bin/true");
    config.dir = Some(absent);
    check(
        &bench.run(config.clone()).await,
        RunOutcome::Failed,
        "dir: ",
    );
    config.dir = Some(file);
    check(
        &bench.run(config).await,
        RunOutcome::Failed,
        "is no directory",
    );
    let mut config = of("/bin/true");
    config.user = Some("no-such-user".to_owned());
    let done = bench.run(config).await;
    check(
        &done,
        RunOutcome::Failed,
        "user: \"no-such-user\" is not in /etc/passwd",
    );
    assert_eq!(done.report.attempt, 1);
}

#[tokio::test]
async fn output_beyond_the_limit_keeps_its_ends() {
    let bench = Bench::start().await;
    let mut config = script("echo begin; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end");
    config.output_limit = Size::bytes(20);
    let stdout = bench.run(config).await.report.stdout;
    assert_eq!(stdout.head, "begin\nxxxx");
    assert_eq!(stdout.tail, "xxxxx\nend\n");
    assert_eq!(stdout.dropped, 6 + 1_000_000 + 1 + 4 - 20);
    let done = bench.run(script("printf 'a\\377b'")).await;
    assert_eq!(done.report.stdout.head, "a\u{FFFD}b");
}

#[tokio::test]
async fn limits_hold_for_the_program() {
    let bench = Bench::start().await;
    let mut config = ExecConfig::new(["cat", "/proc/self/limits", "/proc/self/stat"]);
    config.limits = Limits {
        memory: Some(Size::bytes(1 << 30)),
        cpu_time: Some(Span::secs(77)),
        open_files: Some(64),
        processes: Some(4_000),
        nice: Some(7),
    };
    let text = bench.run(config).await.report.stdout.head;
    for (name, values) in [
        ("Max address space", "1073741824 1073741824 bytes"),
        ("Max cpu time", "77 78 seconds"),
        ("Max open files", "64 64 files"),
        ("Max processes", "4000 4000 processes"),
    ] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<_> = line[name.len()..].split_whitespace().collect();
        assert_eq!(words.join(" "), values, "{line}");
    }
    let niceness = |stat: &str| -> i32 {
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse().unwrap()
    };
    let own = niceness(&std::fs::read_to_string("/proc/self/stat").unwrap());
    assert_eq!(niceness(&text), (own + 7).min(19));
}

#[tokio::test]
async fn it_is_tried_again_only_where_that_is_asked_for() {
    let bench = Bench::start().await;
    let count = bench.path("count");
    let text = format!("echo x >> {0}; test $(wc -l < {0}) -ge 3", count.display());
    let attempts = || std::fs::read_to_string(&count).unwrap().lines().count();
    check(
        &bench.run(script(&text)).await,
        RunOutcome::Failed,
        "exit code 1",
    );
    assert_eq!(attempts(), 1);
    let mut patient = script(&text);
    let first = "1ms".parse().unwrap();
    patient.retry = Some(Retry {
        attempts: 5,
        first,
        max: first,
    });
    let done = bench.run(patient).await;
    check(&done, RunOutcome::Succeeded, "");
    assert_eq!((done.report.attempt, attempts()), (2, 3));
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_run() {
    let bench = Bench::start().await;
    let file = bench.path("made");
    let config = ExecConfig::new(["touch", file.to_str().unwrap(), "a b"]);
    bench
        .actor()
        .ask(crate::concern::Configure(config))
        .await
        .unwrap();
    let dry = Trigger {
        dry_run: true,
        by: "test".to_owned(),
    };
    bench.actor().ask(dry).await.unwrap();
    let done = bench.end().await;
    let would = format!("would run: touch {} \"a b\"", file.display());
    check(&done, RunOutcome::Succeeded, &would);
    assert!(!file.exists());
}
