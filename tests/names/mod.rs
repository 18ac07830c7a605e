//! Goal: a name from outside is taken as it is, byte for byte, or refused with words that say what to do. It is never
//! taken for another name, for a path, or for something that a terminal obeys.
//!
//! Method: the same hostile names through every door: the library, HTTP, the command line, the config file, and the
//! file system; and config files that are none.

mod files;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::{
    ActorId, AskError, Command, Event, Handle, Live, Never, Node, NodeBuilder, StatefulActor,
};

use crate::harness::{Place, Site, runtime, steadfast};

/// Keys that are names, though they look like something else, or like each other.
const ODD: [&str; 30] = [
    "..",
    ".",
    "../..",
    "a/../b",
    "a/b",
    "a//b",
    "/a",
    "a/",
    "/",
    "%2e%2e",
    "%00",
    "%",
    "a b",
    " ",
    "a\u{a0}",
    "\u{e9}",
    "e\u{301}",
    "\u{202e}gol",
    "log",
    "l\u{43e}g",
    "LOG",
    "\u{ff4c}og",
    "\u{feff}log",
    "\u{200b}",
    "\u{1f980}",
    "\u{10ffff}",
    "a?b#c",
    "state",
    "x/state",
    "'; DROP TABLE",
];
/// Keys that are none.
const BAD: [&str; 7] = ["", "a\0b", "a\nb", "\r", "\u{1b}[31m", "\u{7f}", "\u{9b}1m"];
const BAD_SPACES: [&str; 8] = ["", "A", "a b", "a\0", "\u{e9}", "a%", "\u{202e}", "..\n"];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    marks: Vec<u64>,
}

#[derive(Debug, Clone, Event)]
#[event(prefix = "mark.")]
enum MarkEvent {
    Made { number: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[command(name = "make", reply = Vec<u64>)]
struct Make {
    number: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[command(name = "marks", reply = Vec<u64>)]
struct Marks {}

impl StatefulActor for Mark {
    const KIND: &'static str = "mark";
    type Event = MarkEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, MarkEvent::Made { number }: &MarkEvent) {
        self.marks.push(*number);
    }
}

impl Handle<Make> for Mark {
    fn handle(live: &mut Live<'_, Self>, make: Make) -> Result<Vec<u64>, Never> {
        live.emit(MarkEvent::Made {
            number: make.number,
        });
        Ok(live.state().marks.clone())
    }
}

impl Handle<Marks> for Mark {
    fn handle(live: &mut Live<'_, Self>, _: Marks) -> Result<Vec<u64>, Never> {
        Ok(live.state().marks.clone())
    }
}

fn marks(place: &Place) -> NodeBuilder {
    Node::open(&place.dir).register::<Mark>(|kind| kind.command::<Make>().command::<Marks>())
}

/// All that are names: the odd ones, and the longest.
fn odd() -> Vec<String> {
    let longest = ["x".repeat(512), "\u{1f980}".repeat(128)];
    ODD.iter().map(ToString::to_string).chain(longest).collect()
}

#[test]
fn odd_names_are_each_their_own_over_a_restart() {
    let place = Place::new();
    let keys = odd();
    for round in 0..2_u64 {
        runtime().block_on(async {
            let node = marks(&place).start().await.expect("the node starts");
            for (number, key) in (0_u64..).zip(&keys) {
                let mark = node.actor::<Mark>(key);
                let mut expected = vec![number; usize::try_from(round).expect("small")];
                assert_eq!(mark.ask(Marks {}).await.as_ref(), Ok(&expected), "{key:?}");
                expected.push(number);
                assert_eq!(mark.ask(Make { number }).await, Ok(expected), "{key:?}");
            }
            node.shutdown().await.expect("an orderly end");
        });
    }
    let inspector = marks(&place).inspect().expect("the directory can be read");
    let actors = inspector.actors(None).expect("the actors");
    let mut found: Vec<String> = actors
        .iter()
        .map(|row| row.actor.key().to_owned())
        .collect();
    let mut expected = keys;
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "byte for byte");
    for row in &actors {
        let text = row.actor.to_string();
        assert_eq!(text.parse::<ActorId>().as_ref(), Ok(&row.actor), "{text:?}");
    }
}

#[test]
fn what_is_no_name_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let refused = |answer: Result<Vec<u64>, AskError<Never>>, name: &str| match answer {
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("actor name"), "{name:?}: {said}");
            assert!(!said.chars().any(char::is_control), "{name:?}: {said:?}");
        }
        Ok(marks) => panic!("{name:?} was taken: {marks:?}"),
    };
    runtime().block_on(async {
        let node = marks(&place).start().await.expect("the node starts");
        let long = ["x".repeat(513), "\u{1f980}".repeat(129)];
        for key in BAD.into_iter().chain(long.iter().map(String::as_str)) {
            refused(node.actor::<Mark>(key).ask(Make { number: 1 }).await, key);
        }
        let long = "x".repeat(65);
        for space in BAD_SPACES.into_iter().chain([&long[..]]) {
            refused(
                node.actor_in::<Mark>(space, "a")
                    .ask(Make { number: 1 })
                    .await,
                space,
            );
        }
        node.shutdown().await.expect("an orderly end");
    });
    let inspector = marks(&place).inspect().expect("the directory can be read");
    assert_eq!(inspector.actors(None).expect("the actors").len(), 0);
}

/// A concern that does nothing, by this name in TOML.
fn concern(name: &str) -> String {
    let quoted = serde_json::to_string(name).expect("JSON");
    // JSON and TOML write texts alike, but for this.
    let quoted = quoted.replace('\u{7f}', "\\u007f");
    format!("[concerns.{quoted}]\nkind = \"cleanup\"\npaths = [\"FILES/*.log\"]\n")
}

fn escaped(name: &str) -> String {
    name.bytes()
        .fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
}

/// How a command ended that must not have broken: its code, and all that it said.
#[track_caller]
fn ended(done: &Output, what: &str) -> (i32, String) {
    let said = [&done.stdout[..], &done.stderr].concat();
    let said = String::from_utf8(said).unwrap_or_else(|error| panic!("{what}: no text: {error}"));
    let code = done
        .status
        .code()
        .unwrap_or_else(|| panic!("{what}: {said}"));
    assert!(code != 101 && !said.contains("panicked"), "{what}: {said}");
    let obeyed = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!said.contains(obeyed), "{what}: for the terminal: {said:?}");
    if code != 0 {
        assert!(said.len() > 20, "{what}: it says why: {said:?}");
    }
    (code, said)
}

#[test]
fn names_of_concerns_mean_the_same_in_the_file_by_http_and_on_the_command_line() {
    let names = odd();
    let mut taken = Vec::new();
    for name in names.iter().map(String::as_str).chain(BAD) {
        let site = Site::new(&concern(name));
        let done = site.check();
        match ended(&done, &format!("{name:?} as a concern")) {
            (0, _) => taken.push(name),
            (78, said) => assert!(said.contains("error"), "{name:?}: {said}"),
            (code, said) => panic!("{name:?}: ended with {code}: {said}"),
        }
    }
    assert!(BAD.iter().all(|name| !taken.contains(name)), "{taken:?}");
    let concerns: String = taken.iter().map(|name| concern(name)).collect();
    let site = Site::new(&format!("{concerns}{}", concern("plain")));
    let agent = site.start();
    let rows = site.json(&["ps"]);
    let rows = rows.as_array().expect("rows");
    for name in &taken {
        let actor = format!("concern/{name}");
        assert!(
            rows.iter().any(|row| row["actor"] == actor.as_str()),
            "{name:?}: {rows:?}"
        );
        let state = site.json(&["state", &actor]);
        assert_eq!(state["actor"], actor.as_str());
        let (status, body) = site
            .get(&format!("/v1/concerns/{}", escaped(name)))
            .expect("an answer");
        let row: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (status, &row["actor"]),
            (200, &Value::from(actor.as_str())),
            "{name:?}"
        );
        ended(&site.cli(&["ps"]), "ps");
    }
    let seen = |name: &str| taken.contains(&name) || name == "plain";
    for name in [
        "plain ",
        "PLAIN",
        "./plain",
        "plain/",
        "plain\u{200b}",
        "pl\u{430}in",
        "../concern/plain",
        "%70lain",
    ] {
        let (status, body) = site
            .get(&format!("/v1/concerns/{}", escaped(name)))
            .expect("an answer");
        assert_eq!(status == 200, seen(name), "{name:?}: {body}");
        let actor = format!("concern/{name}");
        let (code, said) = ended(&site.cli(&["state", &actor]), &actor);
        assert_eq!(code == 0, seen(name), "{name:?}: {said}");
    }
    for name in BAD {
        let (status, body) = site
            .get(&format!("/v1/concerns/{}", escaped(name)))
            .expect("an answer");
        assert!(
            matches!(status, 400 | 404 | 200),
            "{name:?}: {status} {body}"
        );
        assert!(status != 200 || name.is_empty(), "{name:?}: {body}");
    }
    agent.stop();
}

#[test]
fn arguments_that_are_no_names_are_refused_with_a_code() {
    let site = Site::new(&concern("logs"));
    let agent = site.start();
    let long = "x".repeat(100_000);
    let texts = [
        "",
        " ",
        "..",
        "../../etc/passwd",
        "concern/",
        "/logs",
        "//",
        "-",
        "--",
        "-1",
        "a\nb",
        "\u{1b}]0;x\u{7}",
        &long,
    ];
    for command in [
        "state", "events", "trigger", "pause", "inspect", "replay", "cancel",
    ] {
        for text in texts {
            let (code, said) = ended(
                &site.cli(&[command, text]),
                &format!("{command} {text:.20?}"),
            );
            assert!(
                matches!(code, 2 | 5),
                "{command} {text:.20?}: {code}: {said:.300}"
            );
        }
        let mut bytes = steadfast();
        bytes.args([
            OsStr::new(command),
            OsStr::from_bytes(b"lo\xffgs"),
            OsStr::new("--data-dir"),
        ]);
        let done = bytes.arg(site.data()).output().expect("it runs");
        assert_eq!(ended(&done, command).0, 2);
    }
    agent.stop();
}
