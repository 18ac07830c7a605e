//! Goal: whatever is sent to a node over HTTP, it lives, answers in HTTP, keeps its memory, and does nothing that was
//! not validly asked for.
//!
//! Method: the real agent with its port and its socket. Valid requests for every route are changed by a seed, in their
//! parts and in their bytes; every answer is judged, and after each batch a well-formed request must be answered. At
//! the end no actor is there that was not there before, one that nobody commanded is as it was, and the
//! journal verifies.

mod corpus;
mod mutate;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use steadfast_tests::Dice;

use crate::harness::{Agent, Site, proved, say, seed, tries};
use corpus::{Request, requests};
use mutate::{Sent, mutated};
use wire::{Answer, Connection, Door, Nothing, header};

const CONCERNS: &str = "
[concerns.logs]
kind = \"cleanup\"
paths = [\"FILES/*.log\"]
[concerns.spare]
kind = \"cleanup\"
paths = [\"FILES/*.spare\"]
[concerns.job]
kind = \"exec\"
command = [\"/bin/true\"]
";
/// Half of them over the port, half over the socket.
const THREADS: u64 = 8;
/// Requests after which a thread asks whether the node lives.
const BATCH: u64 = 250;
/// More resident memory than this is a leak: RocksDB's buffers and the runs of the index are some 300 MiB.
const MOST_KIB: u64 = 768 << 10;
/// More warnings than this would let strangers fill the log.
const MOST_WARNINGS: usize = 20;

/// What came of all requests.
#[derive(Debug, Default)]
struct Figures {
    answered: AtomicU64,
    accepted: AtomicU64,
    unanswered: AtomicU64,
    /// Commands to `spare` that a splice made valid, and that were taken.
    spare_changed: AtomicU64,
}

#[test]
fn mutated_http_neither_breaks_the_node_nor_changes_what_nobody_changed() {
    let seed = seed("mutated_http");
    let wanted = tries(20_000, 200_000);
    let site = Site::new(CONCERNS);
    for n in 0..5 {
        std::fs::write(site.files().join(format!("{n}.log")), "x").expect("a file");
    }
    let mut agent = site.start();
    let before = (actors(&site), spare(&site));
    let figures = Figures::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let door = if thread % 2 == 0 {
                Door::Port(site.port)
            } else {
                Door::Socket(site.socket())
            };
            let count = wanted / THREADS + u64::from(thread < wanted % THREADS);
            let dice = Dice::new(seed.wrapping_mul(THREADS).wrapping_add(thread));
            let figures = &figures;
            scope.spawn(move || attack(&door, count, dice, figures));
        }
    });
    agent.assert_alive();
    let resident = agent.status("VmRSS");
    say(&format!(
        "mutated_http: {figures:?}, {resident} KiB resident"
    ));
    assert_eq!(actors(&site), before.0, "no actor came or went");
    if figures.spare_changed.into_inner() == 0 {
        assert_eq!(spare(&site), before.1, "nobody commanded it");
    }
    assert!(resident < MOST_KIB, "{resident} KiB are resident");
    check_log(&agent);
    agent.stop();
    assert_eq!(site.json(&["verify"])["ok"], true);
    if wanted > 1_000 {
        assert!(
            figures.accepted.into_inner() > wanted / 100,
            "some stay valid"
        );
    }
    proved("http_requests", wanted);
}

fn actors(site: &Site) -> Vec<String> {
    let (_, body) = site.get("/v1/actors").expect("the actors");
    let rows: Vec<Value> = serde_json::from_str(&body).expect("JSON");
    rows.iter().map(|row| row["actor"].to_string()).collect()
}

fn spare(site: &Site) -> String {
    site.get("/v1/actors/concern/spare/state")
        .expect("a state")
        .1
}

fn check_log(agent: &Agent) {
    let log = agent.log();
    let panics = log.lines().filter(|line| line.contains("panicked at"));
    // actix-http 3.20 unwraps a name of more than 64 KiB: that connection ends, and nothing else does.
    let ours = panics.filter(|line| !line.contains("/actix-http-3.20.0/src/h1/decoder.rs"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
    let of_level = |level: &str| {
        let level = format!("\"level\":\"{level}\"");
        // A reload, which is valid, says that of each concern that was paused.
        let of_reload = "paused by an operator";
        let is_meant = |line: &&str| line.contains(&level) && !line.contains(of_reload);
        let lines = log.lines().filter(is_meant);
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (errors, warnings) = (of_level("ERROR"), of_level("WARN"));
    let shown = |lines: &[String]| lines.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        errors.is_empty(),
        "{} errors: {}",
        errors.len(),
        shown(&errors)
    );
    assert!(
        warnings.len() <= MOST_WARNINGS,
        "{} warnings: {}",
        warnings.len(),
        shown(&warnings)
    );
}

fn attack(door: &Door, count: u64, mut dice: Dice, figures: &Figures) {
    let requests = requests();
    let mut connection = Connection::to(door.clone());
    for done in 1..=count {
        let sent = mutated(&requests, &mut dice);
        one(&mut connection, &sent, figures);
        if done % BATCH == 0 || done == count {
            let live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let answer = Connection::to(door.clone()).ask(live, b"GET");
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.status == 200),
                "{answer:?}"
            );
        }
    }
}

fn one(connection: &mut Connection, sent: &Sent, figures: &Figures) {
    let (answers, rest) = if sent.framed {
        match connection.ask(&sent.bytes, &sent.method) {
            Ok(answer) => (vec![answer], None),
            Err(nothing) => panic!("{nothing:?} instead of an answer to {}", shown(sent)),
        }
    } else {
        let (answers, rest) = connection.throw(&sent.bytes, &sent.method);
        (answers, Some(rest))
    };
    // A node that was told that no more comes may end in the middle of an answer.
    let wrong = match rest {
        Some(Nothing::Silence) => Some("the node does not end the connection".to_owned()),
        Some(Nothing::Garbage(what)) if !what.contains("cut off") => Some(what),
        Some(Nothing::Garbage(_) | Nothing::End) | None => None,
    };
    let wrong = wrong.or_else(|| {
        answers
            .iter()
            .find_map(|answer| fault(answer, &sent.method))
    });
    if let Some(wrong) = wrong {
        panic!("{wrong}\n{answers:?}\nto {}", shown(sent));
    }
    let accepted = answers.iter().filter(|answer| answer.status < 300).count() as u64;
    figures
        .answered
        .fetch_add(answers.len() as u64, Ordering::Relaxed);
    figures.accepted.fetch_add(accepted, Ordering::Relaxed);
    figures
        .unanswered
        .fetch_add(u64::from(answers.is_empty()), Ordering::Relaxed);
    if accepted > 0 && commands_spare(&sent.bytes) {
        figures.spare_changed.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is wrong with an answer, whatever it answers.
fn fault(answer: &Answer, method: &[u8]) -> Option<String> {
    let kind = header(&answer.head, "content-type").unwrap_or_default();
    if answer.status >= 500 && answer.status != 504 {
        return Some(format!("status {}", answer.status));
    }
    if method == b"HEAD" || answer.endless {
        return None;
    }
    let json = || serde_json::from_slice::<Value>(&answer.body);
    if answer.status >= 400 {
        // The server below answers so to what is no request at all.
        if answer.body.is_empty() && matches!(answer.status, 400 | 408 | 417 | 431) {
            return None;
        }
        let told = json().ok().and_then(|problem| problem["status"].as_u64());
        let is_problem = kind == "application/problem+json" && told == Some(answer.status.into());
        return (!is_problem).then(|| "an error that is no problem in JSON".to_owned());
    }
    let claims_json = kind == "application/json";
    (claims_json && json().is_err()).then(|| "JSON that is none".to_owned())
}

/// Whether a command to `spare` may be in there: in one line, however it is written.
fn commands_spare(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split('\n')
        .filter(|line| line.contains("POST"))
        .any(|line| {
            let mut plain = line.to_lowercase();
            for byte in b"spare" {
                plain = plain.replace(&format!("%{byte:02x}"), &char::from(*byte).to_string());
            }
            plain.contains("spare")
        })
}

fn shown(sent: &Sent) -> String {
    let text = String::from_utf8_lossy(&sent.bytes);
    let start: String = text.chars().take(600).collect();
    format!("{} bytes: {start:?}", sent.bytes.len())
}

/// Requests stand for themselves: what is judged here is that none of them is refused.
#[test]
fn every_request_of_the_corpus_is_valid() {
    let site = Site::new(CONCERNS);
    let agent = site.start();
    let mut connection = Connection::to(Door::Socket(site.socket()));
    let mut seen: Vec<Request> = Vec::new();
    for request in requests() {
        if seen.contains(&request) {
            continue;
        }
        let answer = connection
            .ask(&request.encode(), &request.method)
            .expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        // What is asked of the quarantine and of runs is well said, and there is none.
        let fits = answer.status < 300
            || matches!(answer.status, 404 | 409) && {
                let target = String::from_utf8_lossy(&request.target);
                target.contains("/quarantine/")
                    || target.ends_with("/cancel")
                    || target.ends_with("/trigger")
                    || target.contains("commands")
            };
        assert!(
            fits,
            "{:?}: {} {text}",
            String::from_utf8_lossy(&request.target),
            answer.status
        );
        seen.push(request);
    }
    agent.stop();
}
