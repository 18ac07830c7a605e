//! Actors that are set aside, by the command line: seen, tried, skipped past, released.

use serde_json::{Value, json};
use steadfast::{Handle, Live, Never, Node, StatefulActor};

use crate::support::{Done, Site, until};

/// A program of before, with an event that the cleanup of now does not know.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct OldCleanup {}

#[derive(Debug, steadfast::Event)]
#[event(prefix = "cleanup.")]
enum OldEvent {
    Riddle,
}

impl StatefulActor for OldCleanup {
    const KIND: &'static str = "cleanup";
    type Event = OldEvent;

    fn new(_: &steadfast::ActorId) -> Self {
        Self {}
    }

    fn apply(&mut self, _: &OldEvent) {}
}

#[derive(Debug, serde::Serialize, serde::Deserialize, steadfast::Command)]
#[command(name = "riddle")]
struct Ask {}

impl Handle<Ask> for OldCleanup {
    fn handle(live: &mut Live<'_, Self>, _: Ask) -> Result<(), Never> {
        live.emit(OldEvent::Riddle);
        Ok(())
    }
}

/// Two concerns in the file, one of which has an event that nobody can read.
fn site() -> Site {
    let site = Site::new();
    let node = Node::open(site.data())
        .register::<OldCleanup>(steadfast::KindBuilder::command::<Ask>)
        .start_blocking()
        .unwrap();
    let broken = node.actor_in::<OldCleanup>("concern", "broken");
    node.block_on(async { broken.ask(Ask {}).await }).unwrap();
    node.block_on(node.shutdown()).unwrap();
    let broken = site.logs("").replace("concerns.logs", "concerns.broken");
    site.configure(&format!("{}{broken}", site.logs("")));
    site
}

#[track_caller]
fn check(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{} {}", done.stdout, done.stderr);
    for word in words {
        let found = done.stderr.contains(word) || done.stdout.contains(word);
        assert!(found, "{word:?}: {} {}", done.stdout, done.stderr);
    }
}

#[test]
fn one_that_is_set_aside_is_listed_and_holds_up_nobody() {
    let site = site();
    let _agent = site.start();
    assert_eq!(
        site.json(&["trigger", "logs", "--wait"])["outcome"],
        "succeeded"
    );
    let all = site.json(&["quarantine", "ls"]);
    let one = &all[0];
    assert_eq!(
        (all.as_array().unwrap().len(), &one["actor"]),
        (1, &json!("concern/broken"))
    );
    let mut fields: Vec<_> = one
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "actor", "failures", "item", "kind", "reason", "seq", "since", "waiting"
        ]
    );
    assert!(
        one["reason"].as_str().unwrap().contains("cleanup.riddle"),
        "{one}"
    );
    assert_eq!(site.json(&["quarantine", "show", "broken"]), *one);
    let shown = site.cli(&["quarantine", "show", "broken"]);
    check(
        &shown,
        0,
        &["cleanup.riddle", "quarantine retry|skip|release"],
    );
}

#[test]
fn one_that_is_set_aside_shows_wherever_one_looks() {
    let site = site();
    let _agent = site.start();
    let status = site.json(&["status"]);
    assert_eq!(
        (
            &status["concerns"]["quarantined"],
            &status["actors"]["quarantined"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        status["attention"][0]["next"],
        "steadfast quarantine show broken"
    );
    let detail = site.json(&["inspect", "broken"]);
    assert_eq!(
        (&detail["live"]["status"], &detail["state"]),
        (&json!("quarantined"), &Value::Null)
    );
    assert!(
        detail["problem"]
            .as_str()
            .unwrap()
            .contains("cleanup.riddle")
    );
    assert_eq!(detail["events"][0]["name"], "cleanup.riddle");
    check(
        &site.cli(&["ask", "broken", "describe"]),
        6,
        &["quarantine", "steadfast quarantine show"],
    );
    check(&site.cli(&["replay", "broken"]), 4, &["cleanup.riddle"]);
    // It kept every other concern from its new configuration, though not from a start.
    let all = site.logs("older_than = \"9h\"");
    let broken = all.replace("concerns.logs", "concerns.broken");
    site.configure(&format!("{all}{broken}"));
    check(
        &site.cli(&["reload"]),
        3,
        &[
            "! broken: left as it is",
            "steadfast quarantine show broken",
            "~ logs (cleanup) changes",
        ],
    );
    let logs = &site.json(&["state", "logs"])["state"]["config"];
    assert_eq!(logs["older_than"], "9h");
    check(&site.cli(&["snapshot", "--all"]), 3, &["concern/broken"]);

    check(
        &site.cli(&["quarantine", "release", "logs"]),
        5,
        &["concern/logs is not in quarantine", "quarantine ls"],
    );
}

#[test]
fn a_try_is_set_aside_again_and_a_skip_lets_it_go_on() {
    let site = site();
    let agent = site.start();
    for action in ["retry", "release"] {
        let done = site.json(&["quarantine", action, "broken"]);
        assert_eq!(
            done,
            json!({ "actor": "concern/broken", "action": action, "skipped": null })
        );
        until("it is set aside again", || {
            // Only what is used is rebuilt.
            let asked = site.cli(&["ask", "broken", "describe"]);
            (asked.code == Some(6) && site.cli(&["quarantine", "show", "broken"]).code == Some(0))
                .then_some(())
        });
    }
    check(
        &site.cli(&["quarantine", "skip", "broken"]),
        0,
        &["skipped for good", "cleanup.riddle"],
    );
    assert_eq!(site.json(&["quarantine", "ls"]), json!([]));
    let plan = site.cli(&["plan"]);
    check(&plan, 10, &["~ broken (cleanup)"]);
    site.json(&["reload"]);
    assert_eq!(
        site.json(&["trigger", "broken", "--wait"])["outcome"],
        "succeeded"
    );
    assert_eq!(site.json(&["replay", "broken"])["divergences"], json!([]));
    agent.stop();
    check(&site.cli(&["quarantine", "ls"]), 7, &["steadfast run"]);
}
