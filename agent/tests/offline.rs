//! A directory that no node holds: it can be read, byte for byte as through a node, and is not touched.

use std::fs;

use serde_json::json;

use crate::support::{Site, fingerprint};

const READING: [&[&str]; 4] = [
    &["ps"],
    &["state", "logs"],
    &["events", "logs"],
    &["state", "logs", "--at", "2"],
];

/// A directory with one finished run, left by a clean stop or by a kill.
fn left(killed: bool) -> Site {
    let site = Site::new();
    site.fill(3);
    let agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    if killed {
        agent.kill();
    } else {
        agent.stop();
    }
    site
}

#[test]
fn reading_shows_what_the_node_showed() {
    let site = Site::new();
    site.fill(3);
    let agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    let live: Vec<_> = READING
        .iter()
        .map(|arguments| site.json(arguments))
        .collect();
    agent.kill();
    for (arguments, mut live) in READING.iter().zip(live) {
        if *arguments == ["ps"] {
            live[0]["status"] = json!("stopped");
        }
        assert_eq!(site.json(arguments), live, "{arguments:?}");
    }
}

#[test]
fn reading_leaves_the_directory_untouched() {
    for killed in [false, true] {
        let site = left(killed);
        let before = fingerprint(&site.data());
        for arguments in READING {
            site.json(arguments);
        }
        assert_eq!(site.json(&["verify"])["ok"], true);
        let after = fingerprint(&site.data());
        let names = |prints: &[(std::path::PathBuf, _, _)]| -> Vec<_> {
            prints
                .iter()
                .map(|(path, _, _)| path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&before), names(&after), "killed: {killed}");
        assert!(
            before == after,
            "killed: {killed}: times or contents changed"
        );
    }
}

#[test]
fn changing_needs_a_node_and_writes_nothing() {
    let site = left(false);
    let before = fingerprint(&site.data());
    for verb in ["trigger", "pause", "resume"] {
        let done = site.cli(&[verb, "logs", "-o", "json"]);
        assert_eq!(done.code, Some(7), "{verb}: {}", done.stderr);
        let problem = done.problem();
        assert_eq!(problem["code"], "unreachable");
        assert!(
            problem["hint"]
                .as_str()
                .unwrap()
                .starts_with("steadfast run ")
        );
    }
    assert!(before == fingerprint(&site.data()));
}

#[test]
fn following_needs_a_node() {
    let site = left(false);
    let done = site.cli(&["events", "logs", "--follow", "-o", "jsonl"]);
    assert_eq!(done.code, Some(7), "{}", done.stderr);
    assert!(
        done.stdout.lines().count() > 3,
        "what is stored comes first"
    );
}

#[test]
fn a_missing_directory_is_not_created() {
    let site = Site::new();
    for arguments in [
        &["ps"][..],
        &["state", "logs"],
        &["events", "logs"],
        &["verify"],
        &["trigger", "logs"],
    ] {
        let done = site.cli(arguments);
        assert_eq!(done.code, Some(5), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains("steadfast run "), "{}", done.stderr);
    }
    assert!(!site.data().exists());
}

#[test]
fn losing_snapshots_costs_nothing_but_time() {
    let site = left(false);
    let before = site.json(&["state", "logs"]);
    fs::remove_dir_all(site.data().join("snapshots")).unwrap();
    assert_eq!(site.json(&["state", "logs"]), before);
    let _agent = site.start();
    assert_eq!(site.json(&["state", "logs"]), before);
}

#[test]
fn config_env_shows_no_secrets() {
    let site = Site::new();
    let mut command = site.program();
    command
        .args(["config", "env"])
        .env("STEADFAST__CONCERNS__JOB__ENV__DB", "hush")
        .env("STEADFAST__CONCERNS__JOB__ENV", "{ A = \"hush\" }")
        .env("STEADFAST__CONCERNS__JOB__STDIN", "hush")
        .env("STEADFAST__NODE__LABELS__API_TOKEN", "hush")
        .env("STEADFAST__NODE__NAME", "shown");
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(shown.contains("shown") && shown.contains("***"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
