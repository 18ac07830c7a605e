//! Killed at any moment: the sweep goes on, totals are exact, no event is missing. And the orderly end.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Done, Site, until};

const FILES: usize = 3_000;

/// A site whose sweep has begun and is not finished.
fn in_the_middle_of_a_sweep() -> (Site, crate::support::Agent, Value) {
    let site = Site::new();
    site.fill(FILES);
    let agent = site.start();
    let run = site.json(&["trigger", "logs"]);
    until("the first file goes", || {
        (site.count(".log") < FILES).then_some(())
    });
    (site, agent, run)
}

/// Everything matching is gone, nothing else, and the books agree.
#[track_caller]
fn check_books(site: &Site, run: &Value) {
    assert_eq!((site.count(".log"), site.count(".txt")), (0, FILES));
    let totals = &site.json(&["state", "logs"])["state"]["totals"];
    assert_eq!(*totals, json!({ "files": FILES, "bytes": FILES * 5 }));
    let events = site.jsonl(&["events", "logs"]);
    for (event, seq) in events.iter().zip(1_u64..) {
        assert_eq!(event["seq"], seq);
    }
    let mut paths: Vec<&str> = events
        .iter()
        .filter(|event| event["name"] == "cleanup.removed")
        .flat_map(|event| event["data"]["files"].as_array().unwrap())
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths.len(), FILES);
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), FILES, "each file is named once");
    let end = events
        .iter()
        .find(|event| event["name"] == "cleanup.finished")
        .unwrap();
    assert_eq!(
        end["data"]["run"], run["id"],
        "the run that was cut off is the one that ended first"
    );
    assert_eq!(site.json(&["verify"])["ok"], true);
}

#[test]
fn a_sweep_that_was_killed_goes_on_and_a_trigger_joins_it() {
    let (site, agent, run) = in_the_middle_of_a_sweep();
    agent.kill();
    let stored = site.json(&["ps"]);
    assert_eq!(
        (&stored[0]["status"], &stored[0]["last_run"]["id"]),
        (&json!("stopped"), &run["id"])
    );
    let _agent = site.start();
    let joined = site.json(&["trigger", "logs", "--wait"]);
    assert_eq!(joined["outcome"], "succeeded");
    check_books(&site, &run);
    assert_eq!(
        site.json(&["ps"])[0]["status"],
        "idle",
        "no run stays running"
    );
}

#[test]
fn killed_again_and_again_the_sweep_completes() {
    let (site, agent, run) = in_the_middle_of_a_sweep();
    agent.kill();
    for _ in 0..4 {
        let before = site.count(".log");
        let agent = site.start();
        until("it goes on", || {
            (before == 0 || site.count(".log") < before).then_some(())
        });
        agent.kill();
    }
    let _agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    check_books(&site, &run);
}

#[test]
fn waiting_survives_the_death_of_the_node() {
    let site = Site::new();
    site.fill(FILES);
    let agent = site.start();
    let mut command = site.program();
    command
        .args(["trigger", "logs", "--wait", "-o", "json", "--data-dir"])
        .arg(site.data());
    let waiting = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the first file goes", || {
        (site.count(".log") < FILES).then_some(())
    });
    agent.kill();
    let done = Done::from(waiting.wait_with_output().unwrap());
    assert_eq!(done.code, Some(7), "{}", done.stderr);
    let problem = done.problem();
    let hint = problem["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("steadfast events logs --data-dir /"),
        "{hint}"
    );
}

#[test]
fn sigterm_drains_in_the_middle_of_a_sweep() {
    let (site, agent, run) = in_the_middle_of_a_sweep();
    let socket = site.socket();
    agent.stop();
    assert!(!socket.exists(), "the socket goes with the node");
    assert_eq!(site.json(&["verify"])["ok"], true);
    let _agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    check_books(&site, &run);
}

#[test]
fn the_first_sigint_drains() {
    let site = Site::new();
    let mut agent = site.start();
    agent.signal("INT");
    assert_eq!(agent.ended().code(), Some(0), "{}", agent.log());
}

#[test]
fn an_interrupt_while_draining_leaves_at_once() {
    let site = Site::new();
    let mut agent = site.start();
    // Both wait for the process while it is stopped, so that it finds them together.
    agent.signal("STOP");
    agent.signal("TERM");
    agent.signal("INT");
    agent.signal("CONT");
    assert_eq!(agent.ended().code(), Some(130), "{}", agent.log());
    assert_eq!(site.json(&["verify"])["ok"], true);
    site.start().stop();
}

#[test]
fn a_stale_socket_is_replaced() {
    let site = Site::new();
    site.start().kill();
    assert!(site.socket().exists());
    assert_eq!(
        site.json(&["ps"])[0]["status"],
        "stopped",
        "a socket alone is no node"
    );
    site.start().stop();
}
