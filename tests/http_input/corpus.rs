//! A valid request for every route, and what of the program says which routes there are.

use std::fmt::Write;
use std::path::Path;

/// One request, in the parts that mutations change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// `None` is no body, and no word of one.
    pub(super) body: Option<Vec<u8>>,
}

impl Request {
    fn new(method: &str, target: &str, body: Option<&str>) -> Self {
        let mut headers = vec![(b"Host".to_vec(), b"localhost".to_vec())];
        if body.is_some() {
            headers.push((b"Content-Type".to_vec(), b"application/json".to_vec()));
        }
        Self {
            method: method.into(),
            target: target.into(),
            headers,
            body: body.map(Into::into),
        }
    }

    /// Its bytes, with a length that is true.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if let Some(body) = &self.body {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend_from_slice(body);
        } else {
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// All but the length, the empty line and the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut bytes = [&self.method[..], b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend([&name[..], b": ", value, b"\r\n"].concat());
        }
        bytes
    }
}

/// Method, the route as the table has it, the request's target, its body, and how often it is taken.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    u32,
);

/// Requests over all routes. Nothing here changes `concern/spare`, and what reads everything is rare.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("GET", "/livez", "/livez", None, 2),
    ("GET", "/readyz", "/readyz", None, 2),
    ("GET", "/metrics", "/metrics", None, 1),
    ("GET", "/v1/concerns", "/v1/concerns", None, 2),
    ("GET", "/v1/concerns/{name}", "/v1/concerns/logs", None, 4),
    ("GET", "/v1/concerns/{name}", "/v1/concerns/spare", None, 4),
    ("POST", "/v1/concerns/{name}/trigger", "/v1/concerns/logs/trigger", Some(r#"{"dry_run":true,"wait":false,"by":"me"}"#), 4),
    ("POST", "/v1/concerns/{name}/trigger", "/v1/concerns/logs/trigger", Some(r#"{"dry_run":false,"wait":true}"#), 2),
    ("POST", "/v1/concerns/{name}/pause", "/v1/concerns/logs/pause", Some("{}"), 2),
    ("POST", "/v1/concerns/{name}/cancel", "/v1/concerns/logs/cancel", Some(r#"{"by":"me"}"#), 4),
    ("POST", "/v1/concerns/{name}/resume", "/v1/concerns/logs/resume", Some("{}"), 4),
    ("GET", "/v1/status", "/v1/status", None, 2),
    ("POST", "/v1/config/plan", "/v1/config/plan", Some(r#"{"draft":{"name":"x.toml","directory":"/proc","text":"version = 1\n[concerns.logs]\nkind = \"cleanup\"\npaths = [\"/proc/none/*.log\"]\nevery = \"1h\"\n"}}"#), 8),
    ("POST", "/v1/config/plan", "/v1/config/plan", Some("{}"), 2),
    ("POST", "/v1/reload", "/v1/reload", Some(r#"{"by":"me"}"#), 2),
    ("POST", "/v1/snapshots", "/v1/snapshots", Some("{}"), 1),
    ("GET", "/v1/actors", "/v1/actors", None, 2),
    ("GET", "/v1/actors/{space}/{key:.*}/state", "/v1/actors/concern/spare/state?at=1", None, 8),
    ("GET", "/v1/actors/{space}/{key:.*}/state", "/v1/actors/agent/config/state", None, 2),
    ("GET", "/v1/actors/{space}/{key:.*}/events", "/v1/actors/concern/logs/events?from=1&limit=3", None, 8),
    ("GET", "/v1/actors/{space}/{key:.*}/events", "/v1/actors/concern/spare/events?follow=false", None, 4),
    ("GET", "/v1/actors/{space}/{key:.*}/inspect", "/v1/actors/concern/spare/inspect?events=2", None, 4),
    ("GET", "/v1/actors/{space}/{key:.*}/replay", "/v1/actors/concern/spare/replay?to=1", None, 4),
    ("POST", "/v1/actors/{space}/{key:.*}/snapshot", "/v1/actors/concern/logs/snapshot", Some("{}"), 2),
    ("POST", "/v1/actors/{space}/{key:.*}/commands", "/v1/actors/concern/logs/commands?mode=ask", Some(r#"{"command":"describe","body":{},"timeout_ms":5000}"#), 8),
    ("POST", "/v1/actors/{space}/{key:.*}/commands", "/v1/actors/concern/logs/commands?mode=tell", Some(r#"{"command":"trigger","body":{"dry_run":true,"by":"me"},"key":"k-1"}"#), 8),
    ("POST", "/v1/actors/{space}/{key:.*}/commands", "/v1/actors/concern/logs/commands", Some(r#"{"command":"configure","body":{"paths":["/proc/none/*.log"],"older_than":"7d","limits":{"files":5,"bytes":"1GiB"},"cron":"30 3 * * mon-fri","timezone":"Europe/Berlin"}}"#), 8),
    ("POST", "/v1/actors/{space}/{key:.*}/commands", "/v1/actors/concern/job/commands", Some(r#"{"command":"describe","body":{}}"#), 4),
    ("GET", "/v1/actors/{space}/{key:.*}", "/v1/actors/concern/job", None, 4),
    ("GET", "/v1/quarantine", "/v1/quarantine", None, 2),
    ("POST", "/v1/quarantine/{space}/{key:.*}/retry", "/v1/quarantine/concern/logs/retry", Some("{}"), 2),
    ("POST", "/v1/quarantine/{space}/{key:.*}/skip", "/v1/quarantine/concern/logs/skip", Some("{}"), 2),
    ("POST", "/v1/quarantine/{space}/{key:.*}/release", "/v1/quarantine/concern/logs/release", Some("{}"), 2),
    ("GET", "/v1/quarantine/{space}/{key:.*}", "/v1/quarantine/concern/logs", None, 2),
    ("GET", "/v1/verify", "/v1/verify", None, 1),
];

/// Each request as often as it is to be taken.
pub(super) fn requests() -> Vec<Request> {
    ROWS.iter()
        .flat_map(|(method, _, target, body, often)| {
            (0..*often).map(|_| Request::new(method, target, *body))
        })
        .collect()
}

/// `METHOD ROUTE` of every row of the program's table, read from its source.
fn table() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src/http/routes.rs");
    let text = std::fs::read_to_string(source).expect("the routes");
    let mut rows = Vec::new();
    for part in text.split("at(\"").skip(1) {
        let (route, rest) = part.split_once('"').expect("the route ends");
        let rest = rest.split(".service(").next().expect("one at least");
        let methods = ["get", "post", "put", "delete", "patch"];
        for method in methods
            .iter()
            .filter(|method| rest.contains(&format!(".{method}(")))
        {
            rows.push(format!("{} {route}", method.to_uppercase()));
        }
    }
    rows
}

#[test]
fn every_route_is_asked() {
    let mut missing = String::new();
    let asked = |row: &String| {
        ROWS.iter()
            .any(|(method, route, ..)| *row == format!("{method} {route}"))
    };
    let table = table();
    assert!(table.len() >= 27, "the table is found: {table:?}");
    for row in table.iter().filter(|row| !asked(row)) {
        writeln!(missing, "{row}").expect("room");
    }
    assert!(
        missing.is_empty(),
        "routes without a request in ROWS:\n{missing}"
    );
}
