//! Another configuration while the node runs: plan, reload, SIGHUP.

use serde_json::{Value, json};

use crate::support::{Done, Site, until};

/// What happened to the configuration so far.
fn changes(site: &Site) -> Vec<Value> {
    site.jsonl(&["events", "agent/config"])
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["name"].as_str().unwrap())
        .collect()
}

fn config_of(site: &Site, concern: &str) -> Value {
    site.json(&["state", concern])["state"]["config"].clone()
}

fn status_of(site: &Site, concern: &str) -> Value {
    site.json(&["inspect", concern])["concern"]["status"].clone()
}

/// A second concern over the same files.
fn other(site: &Site, name: &str) -> String {
    site.logs("older_than = \"9h\"")
        .replace("concerns.logs", &format!("concerns.{name}"))
}

#[track_caller]
fn plan(site: &Site, code: i32) -> Value {
    let done = site.cli(&["plan", "-o", "json"]);
    assert_eq!(done.code, Some(code), "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

fn concern(plan: &Value, name: &str) -> Value {
    let all = plan["concerns"].as_array().unwrap();
    all.iter()
        .find(|one| one["concern"] == name)
        .unwrap()
        .clone()
}

#[test]
fn a_plan_without_changes_is_0_and_one_with_changes_10() {
    let site = Site::new();
    let _agent = site.start();
    let unchanged = plan(&site, 0);
    assert_eq!(unchanged["changes"], false);
    assert_eq!(concern(&unchanged, "logs")["action"], "unchanged");
    let digest = unchanged["digest"].clone();
    assert_eq!(site.json(&["status"])["node"]["config_digest"], digest);

    site.configure(&format!(
        "{}{}",
        site.logs("older_than = \"1h\"\nevery = \"2h\""),
        other(&site, "more")
    ));
    let changed = plan(&site, 10);
    assert_ne!(changed["digest"], digest);
    let expected = json!({
        "concern": "logs", "kind": "cleanup", "action": "change",
        "keys": [
            { "key": "every", "old": null, "new": "2h" },
            { "key": "older_than", "old": null, "new": "1h" },
        ],
    });
    assert_eq!(concern(&changed, "logs"), expected);
    assert_eq!(concern(&changed, "more")["action"], "add");
    let done = site.cli(&["plan"]);
    for line in [
        "~ logs (cleanup)",
        "+ more (cleanup)",
        "older_than = \"1h\"",
        "2 concern(s) to change",
    ] {
        assert!(done.stdout.contains(line), "{line}: {}", done.stdout);
    }
    assert_eq!(
        config_of(&site, "logs")["every"],
        Value::Null,
        "nothing has changed"
    );
    assert_eq!(changes(&site).len(), 1);
}

#[test]
fn a_plan_of_another_file_and_of_a_directory_at_rest() {
    let site = Site::new();
    let agent = site.start();
    let draft = site.path("draft.toml");
    std::fs::write(&draft, format!("version = 1\n{}", other(&site, "more"))).unwrap();
    let arguments = ["plan", "-o", "json", "--config", draft.to_str().unwrap()];
    let planned = |done: Done| -> Value {
        assert_eq!(done.code, Some(10), "{}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    };
    let live = planned(site.cli(&arguments));
    assert_eq!(concern(&live, "logs")["action"], "pause");
    assert_eq!(concern(&live, "more")["action"], "add");
    agent.stop();
    assert_eq!(planned(site.cli(&arguments)), live);
    let done = site.cli(&["plan"]);
    assert_eq!(done.code, Some(7), "{}", done.stderr);
    assert!(
        done.stderr.contains("steadfast plan --config FILE"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_reload_changes_all_of_it_and_journals_what() {
    let site = Site::new();
    let _agent = site.start();
    assert_eq!(names(&changes(&site)), ["config.applied"]);
    site.configure(&format!(
        "{}{}",
        site.logs("older_than = \"1h\""),
        other(&site, "more")
    ));
    let reloaded = site.json(&["reload"]);
    assert_eq!(reloaded["changes"], true);
    assert_eq!(config_of(&site, "logs")["older_than"], "1h");
    assert_eq!(status_of(&site, "more"), "idle");
    assert_eq!(plan(&site, 0)["digest"], reloaded["digest"]);
    let events = changes(&site);
    assert_eq!(
        names(&events),
        ["config.applied", "config.begun", "config.applied"]
    );
    let change = &events[1]["data"];
    assert_eq!(
        (&change["by"], &change["via"]),
        (&json!("cli:tester"), &json!("command"))
    );
    assert_eq!(change["digest"], reloaded["digest"]);
    let touched: Vec<_> = change["concerns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["concern"])
        .collect();
    assert_eq!(touched, [&json!("logs"), &json!("more")]);

    site.configure(&other(&site, "more"));
    site.json(&["reload"]);
    assert_eq!(status_of(&site, "logs"), "paused");
    site.configure(&site.logs("older_than = \"2h\""));
    assert_eq!(concern(&plan(&site, 10), "logs")["action"], "resume");
    site.json(&["reload"]);
    assert_eq!(
        (status_of(&site, "logs"), status_of(&site, "more")),
        (json!("idle"), json!("paused"))
    );
    assert_eq!(config_of(&site, "logs")["older_than"], "2h");
    // And away again within the same life of the node.
    site.configure("");
    site.json(&["reload"]);
    assert_eq!(status_of(&site, "logs"), "paused");
    let before = changes(&site).len();
    assert_eq!(site.json(&["reload"])["changes"], false);
    assert_eq!(changes(&site).len(), before, "nothing to journal");
}

#[test]
fn what_an_operator_paused_stays_paused_over_a_reload() {
    let site = Site::new();
    let _agent = site.start();
    site.json(&["pause", "logs"]);
    site.configure("");
    assert_eq!(plan(&site, 0)["concerns"], json!([]), "it is held already");
    site.configure(&site.logs("older_than = \"1h\""));
    site.json(&["reload"]);
    assert_eq!(status_of(&site, "logs"), "paused");
    assert_eq!(config_of(&site, "logs")["older_than"], "1h");
}

#[test]
fn what_only_a_restart_changes_refuses_the_whole_reload() {
    let site = Site::new();
    let agent = site.start();
    site.configure(&format!(
        "[node]\nname = \"other\"\ndata_dir = \"/elsewhere\"\n{}",
        site.logs("older_than = \"1h\"")
    ));
    let planned = plan(&site, 10);
    let keys: Vec<_> = planned["restart"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["key"])
        .collect();
    assert_eq!(
        keys,
        [&json!("node.name")],
        "the directory is named on the command line"
    );
    let done = site.cli(&["reload"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(
        done.stderr.contains("node.name") && done.stderr.contains("steadfast plan"),
        "{}",
        done.stderr
    );
    assert_eq!(config_of(&site, "logs")["older_than"], Value::Null);
    assert_eq!(changes(&site).len(), 1);
    agent.stop();
    let _agent = site.start();
    let events = changes(&site);
    let settings = &events[1]["data"]["change"]["settings"];
    assert_eq!(
        (&settings[0]["key"], &settings[0]["new"]),
        (&json!("node.name"), &json!("other"))
    );
    assert_eq!(events[1]["data"]["change"]["via"], "start");
    assert_eq!(plan(&site, 0)["changes"], false);
}

#[test]
fn a_wrong_file_changes_nothing_and_says_why() {
    let site = Site::new();
    let agent = site.start();
    site.configure(&format!(
        "{}{}",
        site.logs("older_then = \"1h\""),
        other(&site, "more")
    ));
    for verb in ["plan", "reload"] {
        let done = site.cli(&[verb, "-o", "json"]);
        assert_eq!(done.code, Some(78), "{verb}: {}", done.stderr);
        assert_eq!(done.problem()["errors"][0]["line"], 6);
        // People were told that the file is not valid, and no more.
        let told = site.cli(&[verb]).stderr;
        let place = format!(
            "{}:6:1: concerns.logs.older_then: ",
            site.config().display()
        );
        assert!(
            told.contains(&place) && told.contains("older_than"),
            "{told}"
        );
    }
    agent.signal("HUP");
    until("it is in the log", || {
        let log = agent.log();
        (log.contains("not reloaded") && log.contains("older_then")).then_some(())
    });
    assert_eq!(site.json(&["ps"]).as_array().unwrap().len(), 1);
    assert_eq!(changes(&site).len(), 1);

    site.configure(&site.logs("older_than = \"1h\""));
    agent.signal("HUP");
    until("it is taken over", || {
        (config_of(&site, "logs")["older_than"] == "1h").then_some(())
    });
    until("it is journalled", || {
        (changes(&site).len() == 3).then_some(())
    });
    let last = &changes(&site)[2]["data"]["change"];
    assert_eq!(
        (&last["by"], &last["via"]),
        (&json!("SIGHUP"), &json!("signal"))
    );
    agent.stop();
}

#[test]
fn a_name_of_another_kind_refuses_the_whole_plan() {
    let site = Site::new();
    let agent = site.start();
    agent.stop();
    // As a directory that another program left.
    let node = steadfast::Node::open(site.data())
        .register::<Foreign>(steadfast::KindBuilder::command::<Make>)
        .start_blocking()
        .unwrap();
    node.block_on(async {
        node.actor_in::<Foreign>("concern", "more")
            .ask(Make {})
            .await
    })
    .unwrap();
    node.block_on(node.shutdown()).unwrap();
    drop(node);
    let agent = site.start();
    site.configure(&format!(
        "{}{}",
        site.logs("older_than = \"1h\""),
        other(&site, "more")
    ));
    for verb in ["plan", "reload"] {
        let done = site.cli(&[verb]);
        assert_eq!(done.code, Some(78), "{}", done.stderr);
        assert!(done.stderr.contains("\"foreign\""), "{}", done.stderr);
    }
    assert_eq!(config_of(&site, "logs")["older_than"], Value::Null);
    agent.stop();
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Foreign {}

#[derive(Debug, steadfast::Event)]
#[event(prefix = "foreign.")]
enum ForeignEvent {
    Made,
}

impl steadfast::StatefulActor for Foreign {
    const KIND: &'static str = "foreign";
    type Event = ForeignEvent;

    fn new(_: &steadfast::ActorId) -> Self {
        Self {}
    }

    fn apply(&mut self, _: &ForeignEvent) {}
}

#[derive(Debug, serde::Serialize, serde::Deserialize, steadfast::Command)]
#[command(name = "make")]
struct Make {}

impl steadfast::Handle<Make> for Foreign {
    fn handle(live: &mut steadfast::Live<'_, Self>, _: Make) -> Result<(), steadfast::Never> {
        live.emit(ForeignEvent::Made);
        Ok(())
    }
}

#[test]
fn concurrent_reloads_take_turns() {
    let site = Site::new();
    let _agent = site.start();
    site.configure(&format!(
        "{}{}",
        site.logs("older_than = \"1h\""),
        other(&site, "more")
    ));
    let done: Vec<Done> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| site.cli(&["reload", "-o", "json"])))
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut changed = 0;
    for one in &done {
        assert_eq!(one.code, Some(0), "{}", one.stderr);
        let plan: Value = serde_json::from_str(&one.stdout).unwrap();
        changed += u32::from(plan["changes"] == true);
    }
    assert_eq!(changed, 1);
    assert_eq!(
        names(&changes(&site)),
        ["config.applied", "config.begun", "config.applied"]
    );
}

#[test]
fn a_change_by_hand_shows_in_the_plan_and_is_taken_back() {
    let site = Site::new();
    let _agent = site.start();
    let mut config = config_of(&site, "logs");
    config["older_than"] = json!("7h");
    site.json(&["tell", "logs", "configure", &config.to_string()]);
    let keys = &concern(&plan(&site, 10), "logs")["keys"];
    assert_eq!(
        *keys,
        json!([{ "key": "older_than", "old": "7h", "new": null }])
    );
    site.json(&["reload"]);
    assert_eq!(config_of(&site, "logs")["older_than"], Value::Null);
}
