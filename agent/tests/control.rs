//! Steering a node: pause, resume, dry run, follow, and how it is reached.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Done, Site, until};

#[test]
fn a_paused_concern_is_not_triggered() {
    let site = Site::new();
    let _agent = site.start();
    assert_eq!(site.json(&["pause", "logs"])["status"], "paused");
    for arguments in [&["trigger", "logs"][..], &["trigger", "logs", "--wait"]] {
        let done = site.cli(arguments);
        assert_eq!(done.code, Some(6), "{}", done.stderr);
        assert!(
            done.stderr.contains("steadfast resume concern/logs"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(site.json(&["resume", "concern/logs"])["status"], "idle");
    assert_eq!(site.cli(&["trigger", "logs", "--wait"]).code, Some(0));
}

#[test]
fn a_dry_run_removes_nothing() {
    let site = Site::new();
    site.fill(3);
    let _agent = site.start();
    assert_eq!(
        site.json(&["trigger", "logs", "--wait", "--dry-run"])["outcome"],
        "succeeded"
    );
    let done = site.cli(&["trigger", "logs", "--wait", "--dry-run"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(
        done.stdout.matches("would remove /").count(),
        3,
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("would remove 3 files"),
        "{}",
        done.stdout
    );
    assert_eq!(site.count(".log"), 3);
    assert_eq!(site.json(&["state", "logs"])["state"]["totals"]["files"], 0);
}

#[test]
fn following_shows_events_as_they_happen_and_ends_with_the_node() {
    let site = Site::new();
    let agent = site.start();
    let mut command = site.program();
    command
        .args(["events", "logs", "--follow", "-o", "jsonl", "--data-dir"])
        .arg(site.data());
    let mut follower = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["name"], "cleanup.configured");
    site.json(&["pause", "logs"]);
    assert_eq!(next()["name"], "cleanup.paused");
    site.json(&["resume", "logs"]);
    let resumed = next();
    assert_eq!(
        (&resumed["seq"], &resumed["name"]),
        (&json!(3), &json!("cleanup.resumed"))
    );
    agent.stop();
    let done = Done::from(follower.wait_with_output().unwrap());
    assert_eq!(done.code, Some(7), "{}", done.stderr);
    assert!(done.stderr.contains("--from 4 --follow"), "{}", done.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::new();
    site.fill(3_000);
    let agent = site.start();
    assert_eq!(site.cli(&["trigger", "logs", "--wait"]).code, Some(0));
    agent.stop();
    let mut command = site.program();
    command
        .args(["events", "logs", "-o", "jsonl", "--data-dir"])
        .arg(site.data());
    let mut reader = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(reader.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let done = Done::from(reader.wait_with_output().unwrap());
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_node_is_reached_by_socket_and_by_port() {
    let site = Site::new();
    let free = site.listen();
    let _agent = site.start();
    let direct = site.json(&["ps"]);
    for address in [
        format!("http://{free}"),
        format!("unix:{}", site.socket().display()),
    ] {
        let mut command = site.program();
        command.args(["ps", "-o", "json", "--node", &address]);
        let done = Done::from(command.output().unwrap());
        assert_eq!(
            serde_json::from_str::<Value>(&done.stdout).unwrap(),
            direct,
            "{address}"
        );
    }
}

#[test]
fn the_command_line_waits_for_a_node_that_starts() {
    let site = Site::new();
    let _agent = site.spawn();
    // Until the lock is taken there is no directory, then there is no socket, then the node is starting.
    until("the node answers", || {
        let done = site.cli(&["ps", "-o", "json"]);
        let stopped = done.stdout.contains("stopped");
        assert!(
            matches!(done.code, Some(0 | 5 | 69)),
            "{:?}: {}",
            done.code,
            done.stderr
        );
        (done.code == Some(0) && !stopped && done.stdout.contains("concern/logs")).then_some(())
    });
}

#[test]
fn tables_have_no_colours_without_a_terminal() {
    let site = Site::new();
    let _agent = site.start();
    let done = site.cli(&["ps"]);
    assert!(done.stdout.starts_with("CONCERN") || done.stdout.starts_with(" CONCERN"));
    assert!(
        done.stdout.contains("logs") && !done.stdout.contains('\u{1b}'),
        "{}",
        done.stdout
    );
    assert!(!site.cli(&["state", "nobody"]).stderr.contains('\u{1b}'));
}

#[test]
fn completions_and_version_are_printed() {
    let site = Site::new();
    let done = site.cli(&["completions", "bash"]);
    assert!(done.code == Some(0) && done.stdout.contains("_steadfast"));
    assert_eq!(site.json(&["version"])["name"], "steadfast");
}

#[test]
fn a_run_is_cancelled_where_its_kind_can_stop() {
    let site = Site::new();
    let sleeper = "[concerns.sleeper]\nkind = \"exec\"\ncommand = [\"/bin/sleep\", \"600\"]\n";
    site.configure(&format!("{}{sleeper}", site.logs("")));
    let _agent = site.start();
    for concern in ["logs", "sleeper"] {
        let done = site.cli(&["cancel", concern]);
        assert_eq!(done.code, Some(6), "{}", done.stderr);
        assert!(done.stderr.contains("no run is going"), "{}", done.stderr);
    }
    let run = site.json(&["trigger", "sleeper"]);
    assert_eq!(site.json(&["cancel", "sleeper"])["id"], run["id"]);
    let ended = until("the run ends", || {
        let row = site.json(&["inspect", "sleeper"])["concern"].clone();
        (row["status"] == "idle").then(|| row["last_run"].clone())
    });
    assert_eq!(
        (&ended["id"], &ended["outcome"]),
        (&run["id"], &json!("cancelled"))
    );
    let events = site.jsonl(&["events", "sleeper"]);
    assert!(
        events
            .iter()
            .any(|event| event["data"].to_string().contains("cli:tester"))
    );
}
