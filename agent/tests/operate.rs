//! Looking after a node: status, inspect, commands by name, snapshots, replays.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use steadfast::{Clock, SystemClock};

use crate::support::{Done, Site, ask};

#[track_caller]
fn check(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{}", done.stderr);
    for word in words {
        let found = done.stderr.contains(word) || done.stdout.contains(word);
        assert!(found, "{word:?}: {} {}", done.stdout, done.stderr);
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn status_is_a_contract() {
    let site = Site::new();
    site.configure(&format!(
        "[node]\nname = \"web-01\"\n{}",
        site.logs("every = \"1h\"")
    ));
    let agent = site.start();
    let status = site.json(&["status"]);
    let sections = [
        "actors",
        "attention",
        "concerns",
        "journal",
        "node",
        "pending",
        "recovery",
    ];
    assert_eq!(keys(&status), sections);
    let node = &status["node"];
    assert_eq!(node["name"], "web-01");
    assert_eq!(node["pid"], agent.child.id());
    assert_eq!(node["data_dir"], site.data().to_str().unwrap());
    assert_eq!(node["config"], site.config().to_str().unwrap());
    assert_eq!(node["config_digest"].as_str().unwrap().len(), 16);
    assert!(node["uptime_seconds"].is_u64() && node["memory_bytes"].as_u64().unwrap() > 0);
    let journal = &status["journal"];
    assert_eq!(
        (&journal["epoch"], &journal["read_only"]),
        (&json!(1), &Value::Null)
    );
    assert!(journal["commit"].as_u64().unwrap() >= 2 && journal["wal_bytes"].as_u64().unwrap() > 0);
    assert_eq!(status["recovery"]["commit"], Value::Null, "a new directory");
    let pending = json!({ "timers": 1, "effects": 0, "messages": 0, "complete": true });
    assert_eq!(status["pending"], pending);
    let counts = json!({
        "total": 1, "idle": 1, "running": 0, "paused": 0, "failing": 0, "alerting": 0, "quarantined": 0, "other": 0,
    });
    assert_eq!(status["concerns"], counts);
    assert_eq!(status["attention"], json!([]));
    assert_eq!(
        status["actors"]["resident"], 2,
        "the concern, and the actor of the configuration"
    );
    agent.kill();
    let agent = site.start();
    let recovered = &site.json(&["status"])["recovery"];
    assert!(recovered["commit"].as_u64().unwrap() >= 2, "{recovered}");
    check(
        &site.cli(&["status"]),
        0,
        &["web-01", "epoch 2", "1: 1 idle", "timers"],
    );
    agent.stop();
    check(
        &site.cli(&["status"]),
        7,
        &["no node runs", "steadfast run"],
    );
}

#[test]
fn the_uptime_is_the_process_own_and_not_the_machines() {
    let site = Site::new();
    let clock = SystemClock::new();
    let before = clock.running();
    let _agent = site.start();
    let uptime = site.json(&["status"])["node"]["uptime_seconds"].as_u64();
    let most = clock.running().saturating_sub(before).as_secs();
    assert!(uptime.unwrap() <= most, "{uptime:?}");
}

#[test]
fn status_names_what_needs_somebody() {
    let site = Site::new();
    site.configure(&site.logs("").replace("100000", "1"));
    site.fill(3);
    let _agent = site.start();
    check(&site.cli(&["trigger", "logs", "--wait"]), 8, &[]);
    let status = site.json(&["status"]);
    let counts = &status["concerns"];
    assert_eq!(
        (&counts["failing"], &counts["idle"]),
        (&json!(0), &json!(1))
    );
    let one = &status["attention"][0];
    assert_eq!(
        (&one["actor"], &one["next"]),
        (&json!("concern/logs"), &json!("steadfast events logs"))
    );
    let why = one["why"].as_str().unwrap();
    assert!(why.starts_with("the newest run ended limited: "), "{why}");
    site.json(&["pause", "logs"]);
    let counts = &site.json(&["status"])["concerns"];
    assert_eq!(
        (&counts["paused"], &counts["failing"]),
        (&json!(1), &json!(0))
    );
}

#[test]
fn inspect_shows_an_actor_in_full_with_and_without_a_node() {
    let site = Site::new();
    site.configure(&site.logs("every = \"1h\""));
    let agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    let live = site.json(&["inspect", "logs", "--events", "2"]);
    let fields = [
        "actor", "concern", "events", "kind", "live", "pending", "problem", "seq", "state",
    ];
    assert_eq!(keys(&live), fields);
    assert_eq!(live["concern"], site.json(&["ps"])[0]);
    assert_eq!(
        live["live"],
        json!({ "status": "resident", "mailbox": 0, "failures": 0 })
    );
    let pending = &live["pending"];
    assert_eq!(
        (&pending["timer_count"], &pending["effect_count"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(pending["timers"][0]["due"], live["concern"]["next_run"]);
    assert_eq!(live["state"]["config"]["every"], "1h");
    let names: Vec<_> = live["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["seq"])
        .collect();
    let seq = live["seq"].as_u64().unwrap();
    assert_eq!(names, [&json!(seq - 1), &json!(seq)]);
    check(
        &site.cli(&["inspect", "logs"]),
        0,
        &["idle", "TIMERS", "tick", "cleanup.finished", "STATE"],
    );
    check(
        &site.cli(&["inspect", "nobody"]),
        5,
        &["concern/nobody", "steadfast ps"],
    );
    agent.stop();

    let mut expected = live;
    expected["live"] = Value::Null;
    expected["concern"]["status"] = json!("stopped");
    let mut stored = site.json(&["inspect", "logs", "--events", "2"]);
    // The stop has stored one.
    expected["pending"]["snapshot"] = stored["pending"]["snapshot"].take();
    stored["pending"]["snapshot"] = expected["pending"]["snapshot"].clone();
    assert_eq!(stored, expected);
}

#[test]
fn ask_prints_the_reply_and_tell_waits_for_the_disk() {
    let site = Site::new();
    let agent = site.start();
    let view = site.json(&["ask", "logs", "describe"]);
    assert_eq!(
        (&view["actor"], &view["paused"]),
        (&json!("concern/logs"), &json!(false))
    );
    let told = site.json(&["tell", "concern/logs", "pause"]);
    assert_eq!(
        told,
        json!({ "actor": "concern/logs", "command": "pause", "done": true })
    );
    agent.kill();
    let _agent = site.start();
    assert_eq!(
        site.json(&["ask", "logs", "describe"])["paused"],
        true,
        "it was durable"
    );
    check(
        &site.cli(&["tell", "logs", "resume"]),
        0,
        &["concern/logs: resume done"],
    );
}

#[test]
fn a_key_makes_a_command_take_effect_once() {
    let site = Site::new();
    let _agent = site.start();
    let body = "{\"by\":\"me\"}";
    let trigger = ["ask", "logs", "trigger", body, "--key", "k1"];
    let first = site.json(&trigger);
    assert_eq!(
        site.json(&trigger),
        first,
        "the same answer, whatever happened since"
    );
    let done = site.cli(&["ask", "logs", "trigger", "{\"by\":\"you\"}", "--key", "k1"]);
    check(&done, 6, &["the key was already used"]);
}

#[test]
fn bodies_come_from_the_line_a_file_or_standard_input() {
    let site = Site::new();
    let _agent = site.start();
    let path = site.path("body.json");
    std::fs::write(&path, "{\"dry_run\": true}").unwrap();
    let from_file = format!("@{}", path.display());
    let run = site.json(&["ask", "logs", "trigger", &from_file]);
    assert_eq!(run["run"]["actor"], "concern/logs");

    let mut command = site.program();
    command
        .args(["ask", "logs", "describe", "-", "--data-dir"])
        .arg(site.data());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{}").unwrap();
    check(
        &Done::from(child.wait_with_output().unwrap()),
        0,
        &["concern/logs"],
    );

    check(
        &site.cli(&["ask", "logs", "describe", "{"]),
        2,
        &["no JSON", "@FILE"],
    );
    check(
        &site.cli(&["ask", "logs", "describe", "@/nowhere"]),
        2,
        &["/nowhere"],
    );
}

#[test]
fn commands_that_cannot_be_are_told_apart() {
    let site = Site::new();
    let _agent = site.start();
    let unknown = site.cli(&["ask", "logs", "triger"]);
    check(
        &unknown,
        5,
        &[
            "\"triger\"",
            "check, configure, describe, pause, resume, retire, tick, trigger",
        ],
    );
    check(
        &site.cli(&["ask", "logs", "trigger", "{\"dry\": 1, \"dry_run\": 7}"]),
        2,
        &["trigger"],
    );
    check(
        &site.cli(&["tell", "nobody", "pause"]),
        5,
        &["concern/nobody"],
    );
    assert_eq!(
        site.json(&["ps"]).as_array().unwrap().len(),
        1,
        "nobody was made"
    );

    site.json(&["pause", "logs"]);
    let done = site.cli(&["ask", "logs", "trigger", "-o", "json"]);
    check(&done, 1, &[]);
    let problem = done.problem();
    assert_eq!(problem["code"], "rejected");
    assert_eq!(problem["errors"], json!(["paused"]));
    let refused = site.cli(&["tell", "logs", "configure", "{\"paths\":[]}"]);
    check(&refused, 1, &["rejects configure", "no paths"]);
}

#[test]
fn a_snapshot_by_hand_and_a_replay_agree() {
    let site = Site::new();
    site.fill(3);
    let agent = site.start();
    site.json(&["trigger", "logs", "--wait"]);
    let seq = site.json(&["ps"])[0]["seq"].clone();
    let taken = site.json(&["snapshot", "logs"]);
    assert_eq!(keys(&taken), ["actor", "bytes", "seq", "taken"]);
    assert_eq!((&taken["seq"], &taken["taken"]), (&seq, &json!(true)));
    assert_eq!(site.json(&["snapshot", "logs"])["taken"], false, "twice");
    assert_eq!(
        site.json(&["inspect", "logs"])["pending"]["snapshot"]["seq"],
        seq
    );
    let replay = site.json(&["replay", "logs"]);
    let expected = json!({
        "actor": "concern/logs", "kind": "cleanup", "seq": seq, "snapshot": seq, "live": seq,
        "divergences": [],
    });
    assert_eq!(replay, expected);
    let early = site.json(&["replay", "logs", "--to", "1"]);
    assert_eq!(
        (&early["seq"], &early["snapshot"], &early["live"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    check(&site.cli(&["replay", "logs", "--to", "999"]), 5, &["999"]);
    let all = site.json(&["snapshot", "--all"]);
    assert_eq!(
        (&all["current"], &all["failed"]),
        (&json!(1), &json!(0)),
        "{all}"
    );
    check(&site.cli(&["snapshot"]), 2, &["<ACTOR>"]);
    agent.kill();
    let mut at_rest = expected;
    at_rest["live"] = Value::Null;
    assert_eq!(site.json(&["replay", "logs"]), at_rest);
    check(&site.cli(&["snapshot", "logs"]), 7, &["steadfast run"]);
}

#[test]
fn a_port_lets_nobody_command_an_actor() {
    let site = Site::new();
    let free = site.listen();
    let _agent = site.start();
    let over_tcp = |arguments: &[&str]| {
        let mut command = site.program();
        command
            .args(arguments)
            .args(["--node", &format!("http://{free}")]);
        Done::from(command.output().unwrap())
    };
    for arguments in [
        &["tell", "logs", "configure", "{\"paths\":[\"/etc/*\"]}"][..],
        &["reload"],
        &["snapshot", "logs"],
        &["quarantine", "skip", "logs"],
        &["inspect", "logs"],
        &["replay", "logs"],
        &["events", "logs"],
        &["state", "logs"],
    ] {
        check(&over_tcp(arguments), 77, &["--data-dir DIR"]);
    }
    check(&over_tcp(&["status"]), 0, &["epoch 1"]);
    assert_eq!(site.json(&["ps"])[0]["seq"], 1);
    let triggered = over_tcp(&["trigger", "logs", "--wait"]);
    check(&triggered, 0, &["succeeded"]);
}

#[test]
fn commands_and_plans_are_http_requests() {
    let site = Site::new();
    let _agent = site.start();
    let post = |path: &str, body: &str| {
        let stream = std::os::unix::net::UnixStream::connect(site.socket()).unwrap();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json");
        ask(stream, &head, body).unwrap()
    };
    let commands = "/v1/actors/concern/logs/commands";
    let (status, answer) = post(commands, r#"{"command":"describe","body":{}}"#);
    assert!(
        status == 200 && answer.contains("\"paused\":false"),
        "{answer}"
    );
    let (status, answer) = post(
        &format!("{commands}?mode=tell"),
        r#"{"command":"pause","body":{}}"#,
    );
    assert!(
        status == 200 && answer.contains("\"done\":true"),
        "{answer}"
    );
    let (status, answer) = post(commands, r#"{"command":"trigger","body":{}}"#);
    assert!(
        status == 409 && answer.contains("urn:steadfast:problem:rejected"),
        "{answer}"
    );
    let (status, answer) = post(commands, r#"{"command":"triger","body":{}}"#);
    assert!(status == 404 && answer.contains("trigger"), "{answer}");
    let (status, answer) = post(commands, r#"{"comand":"trigger"}"#);
    assert!(status == 400 && answer.contains("comand"), "{answer}");
    let (status, _) = post(
        &format!("{commands}?mode=shout"),
        r#"{"command":"describe"}"#,
    );
    assert_eq!(status, 400);
    let (status, answer) = post("/v1/config/plan", "{}");
    assert!(
        status == 200 && answer.contains("\"changes\":false"),
        "{answer}"
    );
    let draft = r#"{"draft":{"name":"x","directory":null,"text":"version = 1\nwrong = 1"}}"#;
    let (status, answer) = post("/v1/config/plan", draft);
    assert!(status == 422 && answer.contains("wrong"), "{answer}");
}
