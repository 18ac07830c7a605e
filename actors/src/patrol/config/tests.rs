//! The configuration: defaults, both formats, and errors that name the key.

use super::{Method, Notify, PatrolConfig, Target};
use crate::concern::Settings;
use crate::human::Span;
use crate::patrol::status::{StatusRange, StatusSet};

fn from_json(text: &str) -> Result<PatrolConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn valid() -> PatrolConfig {
    PatrolConfig::new(["https://example.com/"])
}

/// `json` are the keys beside one valid target.
#[track_caller]
fn refused(json: &str, key: &str, because: &str) {
    let config = from_json(&format!(r#"{{"url": "http://a/", {json}}}"#)).unwrap();
    refused_whole(&config, key, because);
}

#[track_caller]
fn refused_whole(config: &PatrolConfig, key: &str, because: &str) {
    let error = config.check().unwrap_err();
    assert_eq!(error.key(), key, "{error}");
    assert!(error.problem().contains(because), "{error}");
}

#[test]
fn only_a_url_is_needed() {
    let config = from_json(r#"{"url": "https://example.com/"}"#).unwrap();
    assert_eq!(config.check(), Ok(()));
    let probes = config.probes();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].target, "https://example.com/");
    assert_eq!(
        (probes[0].method, probes[0].follow_redirects),
        (Method::Get, 5)
    );
    assert_eq!(probes[0].timeout, Span::secs(10));
    let right: Vec<u16> = (100..600)
        .filter(|code| probes[0].status.contains(*code))
        .collect();
    assert_eq!(right, (200..400).collect::<Vec<_>>());
    assert_eq!((config.alert_after, config.resolve_after), (3, 2));
}

#[test]
fn a_target_says_what_is_particular_to_it() {
    let config = from_json(
        r#"{"targets": ["http://a/", {"name": "b", "url": "http://b/", "status": [204, "3xx"],
            "timeout": "2s", "tls_expiry": "7d"}],
            "status": 200, "timeout": "5s", "tls_expiry": "14d", "body_contains": "ok"}"#,
    )
    .unwrap();
    assert_eq!(config.check(), Ok(()));
    let probes = config.probes();
    assert_eq!(
        (probes[0].target.as_str(), probes[1].target.as_str()),
        ("http://a/", "b")
    );
    assert_eq!(
        (probes[0].timeout, probes[1].timeout),
        (Span::secs(5), Span::secs(2))
    );
    assert!(probes[0].status.contains(200) && !probes[0].status.contains(204));
    assert!(probes[1].status.contains(204) && probes[1].status.contains(399));
    assert!(!probes[1].status.contains(200));
    assert_eq!(probes[1].body_contains.as_deref(), Some("ok"));
    let days = |name| config.tls_expiry_of(name).unwrap().as_secs() / 86_400;
    assert_eq!((days("http://a/"), days("b")), (14, 7));
}

#[test]
fn everything_survives_both_formats() {
    let mut config = valid();
    config.targets.push(Target {
        name: Some("b".to_owned()),
        headers: Some([("x-a".to_owned(), "1".to_owned())].into()),
        ..Target::new("http://b/")
    });
    config.status = Some(StatusSet::new([
        StatusRange::new(200, 200).unwrap(),
        StatusRange::new(300, 308).unwrap(),
    ]));
    config.notify = Some(Notify::new("https://hooks.example.com/x"));
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""status":[200,"300-308"]"#), "{json}");
    assert_eq!(from_json(&json).as_ref(), Ok(&config));
    let packed = rmp_serde::to_vec_named(&config).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<PatrolConfig>(&packed).unwrap(),
        config
    );
    let probes = config.probes();
    let packed = rmp_serde::to_vec_named(&probes).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<Vec<crate::patrol::Probe>>(&packed).unwrap(),
        probes
    );
}

#[test]
fn unknown_keys_and_wrong_types_are_errors() {
    let said = |text: &str| from_json(text).unwrap_err();
    assert!(said(r#"{"url": "x", "metod": "GET"}"#).contains("unknown field `metod`"));
    assert!(said(r#"{"targets": [{"url": "x", "stat": 1}]}"#).contains("unknown field `stat`"));
    assert!(said(r#"{"targets": [{"name": "x"}]}"#).contains("missing field `url`"));
    assert!(said(r#"{"targets": [7]}"#).contains("a URL, or a table with `url`"));
    assert!(said(r#"{"url": "x", "status": "okay"}"#).contains("\"okay\" is no status"));
    assert!(said(r#"{"url": "x", "status": 99}"#).contains("between 100 and 599"));
    assert!(said(r#"{"url": "x", "status": "400-300"}"#).contains("is no status"));
    assert!(said(r#"{"url": "x", "method": "PATCH"}"#).contains("unknown variant `PATCH`"));
    assert!(said(r#"{"url": "x", "notify": {"hook": "y"}}"#).contains("unknown field `hook`"));
    assert!(said(r#"{"url": "x", "notify": {}}"#).contains("missing field `webhook`"));
}

#[test]
fn targets_that_cannot_be_meant_are_refused_with_their_key() {
    refused_whole(&PatrolConfig::new::<String>([]), "targets", "no target");
    let mut both = valid();
    both.url = Some("http://b/".to_owned());
    refused_whole(&both, "url", "beside `targets`");
    let twice = PatrolConfig::new(["http://a/", "http://a/"]);
    refused_whole(&twice, "targets[1]", "give each its own `name`");
    let many = PatrolConfig::new((0..101).map(|n| format!("http://a/{n}")));
    refused_whole(&many, "targets", "split the concern");
    for (url, because) in [
        ("example.com", "is no URL"),
        ("ftp://a/", "ftp: is not supported"),
        ("http://me:secret@a/", "`Authorization` header"),
        ("http://", "is no URL"),
    ] {
        refused_whole(&PatrolConfig::new([url]), "targets[0].url", because);
    }
    let long = format!("http://a/{}", "x".repeat(1_024));
    refused_whole(&PatrolConfig::new([long]), "targets[0].url", "1024");
    let nameless = Target {
        name: Some(String::new()),
        ..Target::new("http://a/")
    };
    let mut config = valid();
    config.targets.push(nameless);
    refused_whole(&config, "targets[1].name", "1 to 1024");
    config.targets[1].name = None;
    config.targets[1].timeout = Some(Span::secs(0));
    refused_whole(&config, "targets[1].timeout", "more than 0");
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_their_key() {
    refused(r#""status": []"#, "status", "1 to 32");
    refused(r#""body_contains": """#, "body_contains", "1 to 1024");
    refused(
        r#""body_matches": "(""#,
        "body_matches",
        "is no regular expression",
    );
    refused(
        r#""body_matches": "(a{1000}){1000}""#,
        "body_matches",
        "size limit",
    );
    refused(r#""max_latency": "0s""#, "max_latency", "fail every check");
    refused(r#""timeout": "2h""#, "timeout", "at most \"1h\"");
    refused(r#""follow_redirects": 21"#, "follow_redirects", "0 to 20");
    refused(r#""ca_file": "ca.pem""#, "ca_file", "relative");
    refused(r#""body": "x""#, "body", "set `method`");
    refused(r#""parallel": 0"#, "parallel", "1 to 64");
    refused(r#""alert_after": 0"#, "alert_after", "1 to 1000");
    refused(r#""resolve_after": 0"#, "resolve_after", "1 to 1000");
    refused(r#""every": "1ms""#, "every", "100ms");
    refused(
        r#""headers": {"a b": "x"}"#,
        "headers.a b",
        "no name of a header",
    );
    refused(r#""headers": {"a": "x\ny"}"#, "headers.a", "visible ASCII");
    refused(
        r#""headers": {"Host": "b"}"#,
        "headers.Host",
        "set by the client",
    );
    let body = format!(
        r#""method": "POST", "body": "{}""#,
        "x".repeat(16 * 1_024 + 1)
    );
    refused(&body, "body", "16 KiB");
}

#[test]
fn notifications_that_cannot_be_meant_are_refused_with_their_key() {
    let refused_in = |keys: &str, key: &str, because: &str| {
        let hook = r#""webhook": "http://h/""#;
        refused(&format!(r#""notify": {{{hook}{keys}}}"#), key, because);
    };
    refused(
        r#""notify": {"webhook": "h"}"#,
        "notify.webhook",
        "is no URL",
    );
    refused_in(r#", "headers": {"é": "x"}"#, "notify.headers.é", "no name");
    refused_in(
        r#", "headers": {"Idempotency-Key": "x"}"#,
        "notify.headers.Idempotency-Key",
        "set for each notification",
    );
    refused_in(
        r#", "headers_env": {"Idempotency-Key": "X"}"#,
        "notify.headers_env.Idempotency-Key",
        "set for each notification",
    );
    refused_in(
        r#", "headers_env": {"Authorization": "Bearer x"}"#,
        "notify.headers_env.Authorization",
        "the name of a variable",
    );
    refused_in(r#", "timeout": "0s""#, "notify.timeout", "more than 0");
    refused_in(
        r#", "retry": {"attempts": 0}"#,
        "notify.retry.attempts",
        "1 to 1000",
    );
    refused_in(
        r#", "retry": {"first": "0s"}"#,
        "notify.retry.first",
        "longer than 0",
    );
    refused_in(
        r#", "retry": {"max": "1s"}"#,
        "notify.retry.max",
        "shorter than `first`",
    );
    refused_in(
        r#", "remind_every": "1s""#,
        "notify.remind_every",
        "shorter than 1m",
    );
    refused_in(r#", "ca_file": "x""#, "notify.ca_file", "relative");
}

#[test]
fn a_body_needs_a_method_that_sends_it() {
    let mut config = valid();
    config.body = Some("ping".to_owned());
    assert_eq!(
        config.check().map_err(|error| error.key().to_owned()),
        Err("targets[0].body".to_owned())
    );
    config.targets[0].method = Some(Method::Post);
    assert_eq!(config.check(), Ok(()));
}
