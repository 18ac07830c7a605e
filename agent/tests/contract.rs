//! The JSON that scripts rely on: fields, their order of magnitude, and what they mean. A change here breaks users.

use serde_json::{Value, json};

use crate::support::Site;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

#[track_caller]
fn check_run(run: &Value, outcome: &Value) {
    assert_eq!(keys(run), ["actor", "finished", "id", "outcome", "started"]);
    assert_eq!(run["actor"], "concern/logs");
    assert!(run["id"].as_str().unwrap().starts_with("run_"));
    assert!(is_time(&run["started"]));
    assert_eq!(run["outcome"], *outcome);
    assert_eq!(is_time(&run["finished"]), !outcome.is_null());
}

#[test]
fn ps_before_any_run() {
    let site = Site::new();
    let _agent = site.start();
    let expected = json!([{
        "actor": "concern/logs", "kind": "cleanup", "seq": 1, "status": "idle",
        "last_run": null, "next_run": null,
    }]);
    assert_eq!(site.json(&["ps"]), expected);
    assert_eq!(site.jsonl(&["ps"]), *expected.as_array().unwrap());
}

#[test]
fn ps_names_the_next_run_of_a_schedule() {
    let site = Site::new();
    site.configure(&site.logs("every = \"1h\""));
    let _agent = site.start();
    assert!(is_time(&site.json(&["ps"])[0]["next_run"]));
}

#[test]
fn trigger_prints_the_run() {
    let site = Site::new();
    site.fill(3);
    let _agent = site.start();
    let run = site.json(&["trigger", "logs", "--wait"]);
    check_run(&run, &json!("succeeded"));
    let ps = site.json(&["ps"]);
    assert_eq!(ps[0]["last_run"], run);
    assert_eq!(ps[0]["status"], "idle");
    assert_eq!((site.count(".log"), site.count(".txt")), (0, 3));
}

#[test]
fn trigger_without_waiting_prints_the_run_as_started() {
    let site = Site::new();
    let _agent = site.start();
    check_run(&site.json(&["trigger", "concern/logs"]), &Value::Null);
}

#[test]
fn state_counts_what_the_events_say() {
    let site = Site::new();
    site.fill(3);
    let _agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    let state = site.json(&["state", "logs"]);
    assert_eq!(keys(&state), ["actor", "seq", "state"]);
    assert_eq!(state["actor"], "concern/logs");
    assert_eq!(state["state"]["totals"], json!({ "files": 3, "bytes": 15 }));
    let seq = state["seq"].as_u64().unwrap();
    assert_eq!(site.json(&["ps"])[0]["seq"], seq);

    let at = site.json(&["state", "logs", "--at", "1"]);
    assert_eq!(
        (&at["seq"], &at["state"]["totals"]["files"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        site.json(&["state", "logs", "--at", &seq.to_string()]),
        state
    );
}

#[test]
fn events_are_gapless_and_complete() {
    let site = Site::new();
    site.fill(3);
    let _agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    let events = site.jsonl(&["events", "logs"]);
    for (event, seq) in events.iter().zip(1..) {
        assert_eq!(
            keys(event),
            [
                "actor", "cause", "command", "data", "name", "seq", "time", "version"
            ]
        );
        assert_eq!(
            (&event["actor"], &event["seq"]),
            (&json!("concern/logs"), &json!(seq))
        );
        assert!(is_time(&event["time"]));
        assert_eq!(event["version"], 1);
        assert_eq!(keys(&event["command"]), ["id", "key", "name"]);
    }
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.first(), Some(&"cleanup.configured"));
    assert_eq!(names.last(), Some(&"cleanup.finished"));
    let removed: Vec<&Value> = events
        .iter()
        .filter(|event| event["name"] == "cleanup.removed")
        .collect();
    let files: Vec<&Value> = removed
        .iter()
        .flat_map(|event| event["data"]["files"].as_array().unwrap())
        .collect();
    assert_eq!(files.len(), 3);
    assert!(
        files
            .iter()
            .all(|file| keys(file) == ["bytes", "path"] && file["bytes"] == 5)
    );

    assert_eq!(site.json(&["events", "logs"]), Value::Array(events.clone()));
    assert_eq!(site.jsonl(&["events", "logs", "--from", "3"]), events[2..]);
    let beyond = (events.len() + 1).to_string();
    assert_eq!(site.json(&["events", "logs", "--from", &beyond]), json!([]));
}

#[test]
fn verify_reports_what_it_checked() {
    let site = Site::new();
    let _agent = site.start();
    let report = site.json(&["verify"]);
    assert_eq!(
        keys(&report),
        ["actors", "commits", "entries", "events", "findings", "ok"]
    );
    assert_eq!(
        (&report["ok"], &report["findings"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        (&report["actors"], &report["events"]),
        (&json!(2), &json!(2)),
        "the concern, and the actor of the configuration"
    );
}

#[test]
fn problems_are_json_on_the_last_line_of_stderr() {
    let site = Site::new();
    let _agent = site.start();
    let done = site.cli(&["state", "nobody", "-o", "json"]);
    let problem = done.problem();
    assert_eq!(problem["type"], "urn:steadfast:problem:not-found");
    assert_eq!(
        (&problem["status"], &problem["exit_code"]),
        (&json!(404), &json!(5))
    );
    let hint = format!("steadfast ps --data-dir {}", site.data().display());
    assert_eq!(problem["hint"], hint.as_str());
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""));
}
