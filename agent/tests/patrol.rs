//! A patrol against a flapping server, by a node that is killed at random moments: a receiver that drops the
//! keys it knows has exactly the alerts and resolves that the rule gives for the checks in the journal.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{Site, until};

const ALERT_AFTER: usize = 2;
const RESOLVE_AFTER: usize = 2;

/// One request, as far as it is needed: head and body.
fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some((head.to_owned(), body.to_owned()));
            }
        }
        let mut chunk = [0; 1_024];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("server".to_owned());
    thread.spawn(work).unwrap();
}

/// Serves for ever; `answer` makes a status of what was asked.
fn serve(answer: impl Fn(&str, &str) -> u16 + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            spawn(move || {
                if let Some((head, body)) = read_request(&mut stream) {
                    let status = answer(&head, &body);
                    let text = format!(
                        "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    // The node may be dead by now.
                    drop(stream.write_all(text.as_bytes()));
                }
            });
        }
    });
    format!("http://{address}/")
}

/// The same numbers each time, without a crate for it.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What the world does: the target flaps until it is told to be well, the webhook loses answers.
#[derive(Debug)]
struct World {
    dice: Dice,
    /// Checks until the target changes its mind.
    left: u64,
    up: bool,
    flaps: bool,
    checks: u64,
    posts: Vec<(String, Value)>,
}

impl World {
    fn check(&mut self) -> u16 {
        self.checks += 1;
        if self.flaps {
            if self.left == 0 {
                self.left = 1 + self.dice.below(4);
                self.up = !self.up;
            }
            self.left -= 1;
        }
        if self.up { 200 } else { 503 }
    }

    /// Every third notification arrives without the node knowing it.
    fn notified(&mut self, head: &str, body: &str) -> u16 {
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        let body = serde_json::from_str(body).unwrap();
        self.posts.push((key.unwrap().to_owned(), body));
        if self.dice.below(3) == 0 { 500 } else { 204 }
    }

    /// What a receiver has that drops what it knows; a repetition must say the same.
    fn received(&self) -> Vec<Value> {
        let mut known: Vec<&(String, Value)> = Vec::new();
        for post in &self.posts {
            match known.iter().find(|(key, _)| *key == post.0) {
                Some(first) => assert_eq!(first.1, post.1),
                None => known.push(post),
            }
        }
        known.into_iter().map(|(_, body)| body.clone()).collect()
    }
}

/// The transitions that the rule gives for these checks.
fn expected(checks: &[bool]) -> Vec<&'static str> {
    let mut transitions = Vec::new();
    for end in 1..=checks.len() {
        let alerting = transitions.last() == Some(&"alerting");
        let (count, wanted) = if alerting {
            (RESOLVE_AFTER, true)
        } else {
            (ALERT_AFTER, false)
        };
        let last = end
            .checked_sub(count)
            .map_or(&[][..], |start| &checks[start..end]);
        if !last.is_empty() && last.iter().all(|passed| *passed == wanted) {
            transitions.push(if alerting { "resolved" } else { "alerting" });
        }
    }
    transitions
}

/// A site with one patrol of this target and webhook.
fn site(target: &str, webhook: &str) -> Site {
    let site = Site::new();
    site.configure(&format!(
        r#"
[concerns.shop]
kind = "http-patrol"
every = "100ms"
targets = [{{ name = "front", url = "{target}" }}]
timeout = "5s"
alert_after = {ALERT_AFTER}
resolve_after = {RESOLVE_AFTER}
notify = {{ webhook = "{webhook}", retry = {{ attempts = 100, first = "20ms", max = "100ms" }} }}
"#
    ));
    site
}

fn kills() -> u64 {
    match std::env::var("STEADFAST_TEST_SCALE").as_deref() {
        Ok("long") => 50,
        _ => 5,
    }
}

#[test]
fn killed_again_and_again_a_patrol_tells_each_transition_once() {
    let world = Arc::new(Mutex::new(World {
        dice: Dice(0x9e37_79b9_7f4a_7c15),
        left: 3,
        up: true,
        flaps: true,
        checks: 0,
        posts: Vec::new(),
    }));
    let (checking, hooking) = (Arc::clone(&world), Arc::clone(&world));
    let target = serve(move |_, _| checking.lock().unwrap().check());
    let webhook = serve(move |head, body| hooking.lock().unwrap().notified(head, body));
    let site = site(&target, &webhook);
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..kills() {
        let agent = site.start();
        let before = world.lock().unwrap().posts.len();
        until("a notification more", || {
            (world.lock().unwrap().posts.len() > before).then_some(())
        });
        // Somewhere between a check and what follows from it.
        let last = world.lock().unwrap().checks + dice.below(6);
        until("some checks more", || {
            (world.lock().unwrap().checks > last).then_some(())
        });
        agent.kill();
    }
    world.lock().unwrap().flaps = false;
    world.lock().unwrap().up = true;
    let agent = site.start();
    until("all is well and told", || {
        let front = &site.json(&["state", "shop"])["state"]["totals"]["targets"]["front"];
        let told = front["queue"].as_array().is_some_and(Vec::is_empty);
        let passes = front["passes"].as_u64().unwrap_or_default();
        (told && passes > RESOLVE_AFTER as u64).then_some(())
    });
    site.json(&["pause", "shop"]);
    until("the last run has ended", || {
        (site.json(&["ps"])[0]["status"] == "paused").then_some(())
    });
    agent.stop();
    assert_eq!(site.json(&["verify"])["ok"], true);
    check_books(
        &site.jsonl(&["events", "shop"]),
        &world.lock().unwrap().received(),
    );
}

#[track_caller]
fn check_books(events: &[Value], received: &[Value]) {
    let checks: Vec<bool> = events
        .iter()
        .filter(|event| event["name"] == "patrol.finished")
        .flat_map(|event| event["data"]["report"]["targets"].as_array().unwrap())
        .map(|check| check["failure"].is_null())
        .collect();
    let expected = expected(&checks);
    assert!(expected.len() >= 2, "nothing happened: {checks:?}");
    let journalled: Vec<&str> = events
        .iter()
        .filter_map(|event| match event["name"].as_str().unwrap() {
            "patrol.alerted" => Some("alerting"),
            "patrol.resolved" => Some("resolved"),
            "patrol.notification_given_up" => panic!("{event}"),
            _ => None,
        })
        .collect();
    assert_eq!(
        journalled, expected,
        "the journal is not what the rule says"
    );
    let told: Vec<&str> = received
        .iter()
        .map(|body| body["state"].as_str().unwrap())
        .collect();
    assert_eq!(told, expected, "the receiver has not what the journal says");
    for body in received {
        let seq = body["seq"].as_u64().unwrap();
        let event = &events[usize::try_from(seq).unwrap() - 1];
        assert_eq!(
            (&event["seq"], &event["data"]["target"]),
            (&body["seq"], &body["target"])
        );
        assert_eq!(event["data"]["since"], body["since"]);
        assert_eq!(body["concern"], "concern/shop");
    }
}

#[test]
fn a_trigger_shows_what_the_checks_found() {
    let target = serve(|_, _| 418);
    let site = Site::new();
    site.configure(&format!(
        "[concerns.tea]\nkind = \"http-patrol\"\nurl = \"{target}\"\n"
    ));
    let _agent = site.start();
    let run = site.json(&["trigger", "tea", "--wait", "--dry-run"]);
    assert_eq!(run["outcome"], "succeeded", "{run}");
    let events = site.jsonl(&["events", "tea"]);
    let report = &events.last().unwrap()["data"]["report"];
    assert_eq!(report["targets"][0]["status"], 418);
    assert_eq!(report["targets"][0]["failure"]["kind"], "status");
    let shown = site.cli(&["trigger", "tea", "--wait", "--dry-run"]);
    assert!(
        shown.stdout.contains("418, not 200-399"),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_site_that_is_down_is_seen_by_whoever_looks() {
    let target = serve(|_, _| 503);
    let webhook = serve(|_, _| 500);
    let site = Site::new();
    site.configure(&format!(
        r#"
[concerns.shop]
kind = "http-patrol"
url = "{target}"
alert_after = 1
notify = {{ webhook = "{webhook}", retry = {{ attempts = 100, first = "1h", max = "1h" }} }}
"#
    ));
    let _agent = site.start();
    let before = site.cli(&["ps"]).stdout;
    assert!(!before.contains("ATTENTION"), "{before}");
    let (why, next) = (
        "1 target alerts, 1 notice unsent",
        "steadfast ask shop targets",
    );
    let triggered = site.cli(&["trigger", "shop", "--wait"]);
    assert_eq!(triggered.code, Some(0), "the run did what it is for");
    for part in [why, next] {
        assert!(triggered.stdout.contains(part), "{}", triggered.stdout);
    }
    for verb in [&["ps"][..], &["inspect", "shop"], &["status"]] {
        let shown = site.cli(verb).stdout;
        assert!(shown.contains(why), "{verb:?}: {shown}");
    }
    let expected = serde_json::json!({ "why": why, "query": "targets" });
    assert_eq!(site.json(&["ps"])[0]["attention"], expected);
    let status = site.json(&["status"]);
    let counts = &status["concerns"];
    assert_eq!(
        (&counts["alerting"], &counts["idle"]),
        (&1.into(), &0.into())
    );
    let why = format!("{why}: 1 of 1 targets failed");
    let expected = serde_json::json!([{ "actor": "concern/shop", "why": why, "next": next }]);
    assert_eq!(status["attention"], expected);
}
