//! The client against servers of this machine that do exactly what a test says.

mod server;

use std::sync::Arc;

use proptest::prelude::*;
use steadfast::{ActorId, EffectId, SequenceNumber, Timestamp};

use super::Web;
use crate::exec::Environment;
use crate::human::Span;
use crate::patrol::board::{Notice, NoticeState};
use crate::patrol::message::{Message, quoted};
use crate::patrol::{
    Checked, FailureKind, Method, Notify, PatrolConfig, Probe, SendNotice, Target,
};
use server::{Server, authority, nobody};

/// What is asked of this URL by default, with `change`.
fn probe(url: &str, change: impl FnOnce(&mut Target)) -> Probe {
    let mut config = PatrolConfig::new([url]);
    change(&mut config.targets[0]);
    config.probes().remove(0)
}

async fn check(probe: Probe) -> Checked {
    Arc::new(Web::new())
        .check_all(vec![probe], 1, Arc::default())
        .await
        .remove(0)
}

#[track_caller]
fn failed(checked: &Checked, kind: FailureKind, because: &str) {
    let failure = checked.failure.as_ref().expect("it fails");
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.detail.contains(because), "{failure}");
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nall is well";
const DOWN: &str = "HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_good_answer_passes() {
    let server = Server::start(|_| OK.to_owned()).await;
    let target = |target: &mut Target| {
        target.method = Some(Method::Post);
        target.body = Some("ping".to_owned());
        target.headers = Some([("X-Key".to_owned(), "7".to_owned())].into());
        target.body_contains = Some("is well".to_owned());
        target.body_matches = Some("^all.*(well|good)$".to_owned());
    };
    let checked = check(probe(&server.url("/health?x=1"), target)).await;
    assert_eq!((checked.status, &checked.failure), (Some(200), &None));
    assert_eq!(checked.tls_expires, None);
    let asked = server.requests().remove(0);
    assert!(
        asked.starts_with("POST /health?x=1 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("x-key: 7\r\n") && asked.ends_with("\r\n\r\nping"),
        "{asked}"
    );
    assert!(asked.contains("user-agent: steadfast/"), "{asked}");
}

#[tokio::test]
async fn every_check_is_a_connection_of_its_own() {
    let server = Server::start(|_| OK.to_owned()).await;
    let probes = vec![probe(&server.url("/"), |_| {}); 3];
    let checked = Arc::new(Web::new())
        .check_all(probes, 2, Arc::default())
        .await;
    assert!(checked.iter().all(Checked::passed), "{checked:?}");
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_wrong_status_or_body_fails() {
    let server = Server::start(|_| DOWN.to_owned()).await;
    let checked = check(probe(&server.url("/"), |_| {})).await;
    failed(&checked, FailureKind::Status, "503, not 200-399");
    assert_eq!(checked.status, Some(503));
    let wanted = |target: &mut Target| target.status = Some("5xx".parse().map(one).unwrap());
    assert!(check(probe(&server.url("/"), wanted)).await.passed());

    let server = Server::start(|_| OK.to_owned()).await;
    let contains = |target: &mut Target| target.body_contains = Some("ALL".to_owned());
    let checked = check(probe(&server.url("/"), contains)).await;
    failed(
        &checked,
        FailureKind::Body,
        "(11 bytes) does not contain \"ALL\"",
    );
    let matches = |target: &mut Target| target.body_matches = Some("well.$".to_owned());
    let checked = check(probe(&server.url("/"), matches)).await;
    failed(&checked, FailureKind::Body, "does not match \"well.$\"");
}

fn one(range: crate::patrol::StatusRange) -> crate::patrol::StatusSet {
    crate::patrol::StatusSet::new([range])
}

#[tokio::test]
async fn no_more_than_a_mib_is_read() {
    let server = Server::start(|_| {
        let body = "x".repeat(3 << 20) + "end";
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    })
    .await;
    let wanted = |target: &mut Target| target.body_contains = Some("end".to_owned());
    let checked = check(probe(&server.url("/"), wanted)).await;
    failed(
        &checked,
        FailureKind::Body,
        "the first MiB of the body does not contain",
    );
}

#[tokio::test]
async fn slowness_is_told_from_silence() {
    let server = Server::start(|_| OK.to_owned()).await;
    let strict = |target: &mut Target| target.max_latency = Some("1us".parse().unwrap());
    let checked = check(probe(&server.url("/"), strict)).await;
    failed(&checked, FailureKind::Latency, "longer than 1us");
    assert_eq!(checked.status, Some(200));

    let soon = |target: &mut Target| target.timeout = Some("300ms".parse().unwrap());
    let silent = Server::silent().await;
    let checked = check(probe(&silent.url("/"), soon)).await;
    failed(&checked, FailureKind::Timeout, "no answer within 300ms");

    let cut =
        Server::start_open(|_| "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf".to_owned())
            .await;
    let checked = check(probe(&cut.url("/"), soon)).await;
    failed(
        &checked,
        FailureKind::Timeout,
        "the whole answer was not there",
    );
}

#[tokio::test]
async fn ways_not_to_get_an_answer_are_told_apart() {
    let checked = check(probe(&nobody(), |_| {})).await;
    failed(&checked, FailureKind::Connect, "refused");
    assert_eq!(checked.status, None);

    // No resolver asks anybody about a label of more than 63 characters.
    let name = format!("http://{}.invalid/", "x".repeat(64));
    failed(
        &check(probe(&name, |_| {})).await,
        FailureKind::Dns,
        "could not be resolved",
    );

    let gibberish = Server::start(|_| "hello\r\n\r\n".to_owned()).await;
    failed(
        &check(probe(&gibberish.url("/"), |_| {})).await,
        FailureKind::Http,
        "",
    );

    let early =
        Server::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf".to_owned()).await;
    failed(
        &check(probe(&early.url("/"), |_| {})).await,
        FailureKind::Http,
        "",
    );
}

#[tokio::test]
async fn redirects_are_followed_within_bounds() {
    let server = Server::start(|path| match path {
        "/a" => "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/b" => "HTTP/1.1 307 There\r\nlocation: c?x\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/round" => {
            "HTTP/1.1 301 Moved\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "/ftp" => {
            "HTTP/1.1 301 Moved\r\nlocation: ftp://a/\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        _ => OK.to_owned(),
    })
    .await;
    let post = |target: &mut Target| {
        target.method = Some(Method::Post);
        target.body = Some("ping".to_owned());
    };
    assert!(check(probe(&server.url("/a"), post)).await.passed());
    let lines: Vec<String> = server
        .requests()
        .iter()
        .map(|asked| asked.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        lines,
        ["POST /a HTTP/1.1", "GET /b HTTP/1.1", "GET /c?x HTTP/1.1"]
    );

    let none = |target: &mut Target| target.follow_redirects = Some(0);
    assert_eq!(
        check(probe(&server.url("/a"), none)).await.status,
        Some(302)
    );
    let few = |target: &mut Target| target.follow_redirects = Some(2);
    let checked = check(probe(&server.url("/round"), few)).await;
    failed(&checked, FailureKind::Redirect, "more than 2 redirects");
    let checked = check(probe(&server.url("/ftp"), |_| {})).await;
    failed(&checked, FailureKind::Redirect, "it leaves HTTP");
}

#[tokio::test]
async fn another_origin_gets_no_headers_and_no_body() {
    let other = Server::start(|_| OK.to_owned()).await;
    let to = other.url("/there");
    let server = Server::start(move |_| {
        format!("HTTP/1.1 308 There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let headers = |target: &mut Target| {
        target.headers = Some([("authorization".to_owned(), "secret".to_owned())].into());
    };
    assert!(check(probe(&server.url("/"), headers)).await.passed());
    assert!(server.requests()[0].contains("authorization: secret"));
    assert!(
        !other.requests()[0].contains("secret"),
        "{:?}",
        other.requests()
    );
    let post = |target: &mut Target| {
        target.method = Some(Method::Post);
        target.body = Some("secret".to_owned());
    };
    let checked = check(probe(&server.url("/"), post)).await;
    failed(&checked, FailureKind::Redirect, "for the first origin only");
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn certificates_are_trusted_by_file_and_their_end_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let expires = Timestamp::from_micros(4_000_000_000_000_000);
    let certificate = authority(expires);
    let server = Server::start_tls(&certificate, |path| match path {
        "/down" => "HTTP/1.1 302 Found\r\nlocation: http://localhost/\r\ncontent-length: 0\r\n\r\n",
        _ => OK,
    })
    .await;
    let url = server.url("/");
    failed(&check(probe(&url, |_| {})).await, FailureKind::Tls, "");

    let file = dir.path().join("ca.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let trusting = |target: &mut Target| target.ca_file = Some(file.display().to_string());
    let checked = check(probe(&url, trusting)).await;
    assert_eq!(
        (checked.failure, checked.tls_expires),
        (None, Some(expires))
    );
    let checked = check(probe(&server.url("/down"), trusting)).await;
    failed(&checked, FailureKind::Redirect, "it leaves https");
    // The certificate is for another name.
    let elsewhere = url.replace("localhost", "127.0.0.1");
    failed(
        &check(probe(&elsewhere, trusting)).await,
        FailureKind::Tls,
        "",
    );
}

#[tokio::test]
async fn a_file_of_authorities_is_read_again_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let trusting = |target: &mut Target| target.ca_file = Some(file.display().to_string());
    let certificate = authority(Timestamp::from_micros(4_000_000_000_000_000));
    let server = Server::start_tls(&certificate, |_| OK).await;
    let (web, probe) = (Arc::new(Web::new()), probe(&server.url("/"), trusting));
    let check = async |probe: &Probe| {
        Arc::clone(&web)
            .check_all(vec![probe.clone()], 1, Arc::default())
            .await
            .remove(0)
    };
    failed(&check(&probe).await, FailureKind::Setup, "cannot be read");
    std::fs::write(&file, "nothing of use").unwrap();
    failed(
        &check(&probe).await,
        FailureKind::Setup,
        "no PEM block CERTIFICATE",
    );
    std::fs::write(&file, certificate.pem()).unwrap();
    assert!(check(&probe).await.passed());
    std::fs::write(&file, "nothing").unwrap();
    failed(
        &check(&probe).await,
        FailureKind::Setup,
        "no PEM block CERTIFICATE",
    );
}

fn notice(to: Notify) -> SendNotice {
    SendNotice {
        to,
        target: "checkout".to_owned(),
        url: Some("https://shop/".to_owned()),
        notice: Notice {
            seq: 42,
            state: NoticeState::Alerting,
            since: Timestamp::from_micros(0),
            at: Timestamp::from_micros(60_000_000),
            reason: "status: 503".to_owned(),
            reminder: false,
        },
        issue: 0,
    }
}

fn effect_id(key: &str) -> EffectId {
    EffectId {
        history: steadfast::journal::HistoryId::from_bytes([7; 16]),
        actor: ActorId::new("concern", key).unwrap(),
        entry: SequenceNumber::FIRST.get(),
        index: 1,
    }
}

#[tokio::test]
async fn a_notification_is_json_with_a_stable_key() {
    let server = Server::start(|_| "HTTP/1.1 204 Done\r\n\r\n".to_owned()).await;
    let send = notice(Notify {
        headers: [("authorization".to_owned(), "t".to_owned())].into(),
        ..Notify::new(server.url("/hook"))
    });
    let (effect, web) = (effect_id("shop"), Web::new());
    let message = Message::new(&effect, &send);
    let id = message.id.clone();
    assert_eq!(id, format!("{}:concern/shop:42", effect.history));
    assert_eq!(
        web.post(&send.to, message, &Environment::default()).await,
        Ok(204)
    );
    let asked = server.requests().remove(0);
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("idempotency-key: \"{id}\"")),
        "{head}"
    );
    assert!(head.contains("authorization: t") && head.contains("content-type: application/json"));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let wanted = serde_json::json!({
        "id": id, "concern": "concern/shop", "target": "checkout",
        "url": "https://shop/", "state": "alerting", "since": "1970-01-01T00:00:00.000000Z",
        "at": "1970-01-01T00:01:00.000000Z", "reason": "status: 503", "seq": 42, "reminder": false,
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn every_other_answer_is_worth_another_attempt() {
    let post = async |to: Notify| {
        let send = notice(to);
        let error = Web::new()
            .post(
                &send.to,
                Message::new(&effect_id("a"), &send),
                &Environment::default(),
            )
            .await
            .unwrap_err();
        assert!(error.is_retryable());
        error.to_string()
    };
    let server = Server::start(|_| DOWN.to_owned()).await;
    assert!(
        post(Notify::new(server.url("/")))
            .await
            .contains("answered 503")
    );
    let server = Server::start(|_| {
        "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n".to_owned()
    })
    .await;
    assert!(
        post(Notify::new(server.url("/")))
            .await
            .contains("answered 302")
    );
    assert_eq!(server.connections(), 1, "a redirect is not followed");
    assert!(post(Notify::new(nobody())).await.contains("connect: "));
    let silent = Server::silent().await;
    let impatient = Notify {
        timeout: "300ms".parse::<Span>().unwrap(),
        ..Notify::new(silent.url("/"))
    };
    assert!(post(impatient).await.contains("within 300ms"));
}

/// A node's environment with a secret, and a variable that is no header.
fn environment() -> Environment {
    let variables = [("SHOP_TOKEN", "Bearer s3cret"), ("LINES", "s3cret\nx")];
    Environment::new(variables.map(|(name, value)| (name.into(), value.into())))
}

fn by_variable(variable: &str) -> std::collections::BTreeMap<String, String> {
    [("Authorization".to_owned(), variable.to_owned())].into()
}

#[tokio::test]
async fn a_header_by_variable_is_read_when_the_check_runs_and_stored_nowhere() {
    let server = Server::start(|_| "HTTP/1.1 204 Done\r\n\r\n".to_owned()).await;
    let check = async |variable: &str| {
        let probe = probe(&server.url("/"), |target| {
            target.headers_env = Some(by_variable(variable));
        });
        let stored = serde_json::to_string(&probe).unwrap();
        assert!(stored.contains(variable) && !stored.contains("s3cret"));
        let web = Arc::new(Web::new());
        let env = Arc::new(environment());
        web.check_all(vec![probe], 1, env).await.remove(0)
    };
    assert!(check("SHOP_TOKEN").await.passed());
    let asked = server.requests().remove(0).to_ascii_lowercase();
    assert!(asked.contains("authorization: bearer s3cret"), "{asked}");
    let missing = "the node's environment has no NOBODY";
    failed(&check("NOBODY").await, FailureKind::Setup, missing);
    let unfit = check("LINES").await;
    failed(&unfit, FailureKind::Setup, "the value of LINES is none");
    assert!(!unfit.failure.unwrap().to_string().contains("s3cret"));
    assert_eq!(server.connections(), 1, "what is missing is not asked for");
}

#[tokio::test]
async fn a_notification_has_headers_by_variable() {
    let server = Server::start(|_| "HTTP/1.1 204 Done\r\n\r\n".to_owned()).await;
    let post = async |variable: &str| {
        let send = notice(Notify {
            headers_env: by_variable(variable),
            ..Notify::new(server.url("/hook"))
        });
        let effect = effect_id("shop");
        let message = Message::new(&effect, &send);
        Web::new().post(&send.to, message, &environment()).await
    };
    assert_eq!(post("SHOP_TOKEN").await, Ok(204));
    let asked = server.requests().remove(0).to_ascii_lowercase();
    assert!(asked.contains("authorization: bearer s3cret"), "{asked}");
    let error = post("NOBODY").await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("has no NOBODY"));
}

proptest! {
    #[test]
    fn a_key_is_always_a_header_and_never_ambiguous(a in "\\PC{0,40}", b in "\\PC{0,40}") {
        let header = reqwest::header::HeaderValue::from_str(&quoted(&a)).unwrap();
        prop_assert!(header.to_str().is_ok());
        prop_assert_eq!(a == b, quoted(&a) == quoted(&b));
    }
}
