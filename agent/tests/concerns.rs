//! The config file against the store: what changes from start to start, and what does not.

use serde_json::{Value, json};

use crate::support::Site;

fn names(site: &Site) -> Vec<String> {
    let events = site.jsonl(&["events", "logs"]);
    events
        .iter()
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect()
}

fn status(site: &Site) -> Value {
    site.json(&["ps"])[0]["status"].clone()
}

#[test]
fn only_a_difference_is_journalled() {
    let site = Site::new();
    for _ in 0..2 {
        site.start().stop();
        assert_eq!(names(&site), ["cleanup.configured"]);
    }
    site.configure(&site.logs("older_than = \"1h\""));
    site.start().stop();
    assert_eq!(names(&site), ["cleanup.configured", "cleanup.configured"]);
}

#[test]
fn a_concern_that_left_the_file_is_held_until_it_comes_back() {
    let site = Site::new();
    site.start().stop();
    site.configure("");
    let agent = site.start();
    assert_eq!(status(&site), json!("paused"));
    assert!(
        agent.log().contains("not in the config file"),
        "{}",
        agent.log()
    );
    agent.stop();
    site.start().stop();
    assert_eq!(
        names(&site),
        ["cleanup.configured", "cleanup.paused"],
        "paused once"
    );

    site.configure(&site.logs(""));
    let _agent = site.start();
    assert_eq!(status(&site), json!("idle"));
}

#[test]
fn what_an_operator_paused_stays_paused() {
    let site = Site::new();
    let agent = site.start();
    assert_eq!(site.json(&["pause", "logs"])["status"], "paused");
    agent.stop();
    for concerns in [site.logs(""), String::new(), site.logs("")] {
        site.configure(&concerns);
        let agent = site.start();
        assert_eq!(status(&site), json!("paused"));
        agent.stop();
    }
    let _agent = site.start();
    assert_eq!(site.json(&["resume", "logs"])["status"], "idle");
}

#[test]
fn an_overdue_tick_waits_until_the_file_is_read() {
    let site = Site::new();
    site.configure(&site.logs("every = \"100ms\""));
    site.start().stop();
    let before = names(&site).len();
    // Ticks are overdue by now, or will be when the journal is open.
    site.configure(&site.logs("every = \"100ms\"\nolder_than = \"1h\""));
    site.fill(3);
    site.start().stop();
    assert_eq!(names(&site)[before], "cleanup.configured");
    assert_eq!(
        site.count(".log"),
        3,
        "the rules that are gone remove nothing"
    );

    let before = names(&site).len();
    site.configure("");
    site.start().stop();
    let after = names(&site).split_off(before);
    assert_eq!(after[0], "cleanup.paused");
    // What was cut off by the stop completes; nothing else begins.
    assert!(
        !after.iter().any(|name| name == "cleanup.started"),
        "{after:?}"
    );
}

#[test]
fn a_trigger_of_a_concern_that_left_the_file_advises_no_resume() {
    let site = Site::new();
    site.start().stop();
    site.configure("");
    let _agent = site.start();
    let done = site.cli(&["trigger", "logs"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(
        done.stderr.contains("not in the config file"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("resume"), "{}", done.stderr);
}
