//! The HTTP side: probes, metrics, streams, and who is refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::support::{Agent, Site, ask, get, until};

fn with_port() -> (Site, Agent, SocketAddr) {
    let site = Site::new();
    let free = site.listen();
    let agent = site.start();
    (site, agent, free)
}

#[test]
fn probes_and_metrics_answer() {
    let site = Site::new();
    let _agent = site.start();
    assert_eq!(get(&site.socket(), "/livez").unwrap().0, 200);
    assert_eq!(get(&site.socket(), "/readyz").unwrap().0, 200);
    let (status, metrics) = get(&site.socket(), "/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(
        metrics.contains("content-type: application/openmetrics-text"),
        "{metrics}"
    );
    assert!(metrics.contains("steadfast_build_info{"), "{metrics}");
    let counted = "steadfast_http_requests_total{route=\"/livez\",method=\"GET\",code=\"200\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(metrics.matches("# EOF").count(), 1);
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let site = Site::new();
    let _agent = site.start();
    let mode = std::fs::metadata(site.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn errors_are_problems() {
    let site = Site::new();
    let _agent = site.start();
    let check = |head: &str, body: &str, status: u16, words: &[&str]| {
        let stream = UnixStream::connect(site.socket()).unwrap();
        let (found, answer) = ask(
            stream,
            &format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"),
            body,
        )
        .unwrap();
        assert_eq!(found, status, "{head}: {answer}");
        assert!(
            answer.contains("content-type: application/problem+json"),
            "{answer}"
        );
        for word in words {
            assert!(answer.contains(word), "{word:?} is missing in {answer}");
        }
    };
    check(
        "GET /nowhere",
        "",
        404,
        &["urn:steadfast:problem:not-found"],
    );
    check(
        "GET /v1/concerns/nobody",
        "",
        404,
        &["concern/nobody", "\"hint\":\"steadfast ps\""],
    );
    check("DELETE /v1/concerns/logs", "", 405, &["DELETE"]);
    check("GET /v1/actors/concern/logs/state?at=x", "", 400, &["at"]);
    check("GET /v1/actors/concern/logs/state?now=1", "", 400, &["now"]);
    check(
        "POST /v1/concerns/logs/trigger",
        "{\"wet_run\":true}",
        400,
        &["wet_run"],
    );
    check("POST /v1/concerns/logs/trigger", "no json", 400, &[]);
    check(
        "GET /v1/actors/concern/logs/events?follow=true",
        "",
        406,
        &["jsonl"],
    );
}

#[test]
fn pages_of_others_are_refused() {
    let (_site, _agent, port) = with_port();
    let check = |head: &str, status: u16| {
        let stream = TcpStream::connect(port).unwrap();
        let (found, answer) = ask(stream, head, "").unwrap();
        assert_eq!(found, status, "{head}: {answer}");
    };
    check(&format!("GET /v1/concerns HTTP/1.1\r\nHost: {port}"), 200);
    check("GET /v1/concerns HTTP/1.1\r\nHost: evil.example", 403);
    check(
        &format!("GET /livez HTTP/1.1\r\nHost: {port}\r\nOrigin: http://evil.example"),
        403,
    );
    let head = format!("POST /v1/concerns/logs/pause HTTP/1.1\r\nHost: {port}");
    check(&head, 415);
    check(&format!("{head}\r\nContent-Type: text/plain"), 415);
    check(&format!("{head}\r\nContent-Type: application/json"), 200);
}

#[test]
fn a_port_shows_no_states_and_events() {
    let (site, _agent, port) = with_port();
    for path in [
        "/v1/actors/concern/logs/state",
        "/v1/actors/concern/logs/events",
        "/v1/actors/concern/logs/inspect",
        "/v1/actors/concern/logs/replay",
        "/v1/%61ctors/concern/logs/state",
        "/v1/verify",
    ] {
        let stream = TcpStream::connect(port).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {port}");
        let (found, answer) = ask(stream, &head, "").unwrap();
        assert_eq!(found, 403, "{path}: {answer}");
        let socket = site.socket();
        assert!(answer.contains(socket.to_str().unwrap()), "{answer}");
        if !path.contains('%') {
            assert_eq!(get(&socket, path).unwrap().0, 200, "{path}");
        }
    }
    let stream = TcpStream::connect(port).unwrap();
    let head = format!("GET /v1/status HTTP/1.1\r\nHost: {port}");
    assert_eq!(ask(stream, &head, "").unwrap().0, 200);
}

#[test]
fn the_state_carries_its_sequence_number() {
    let site = Site::new();
    let _agent = site.start();
    let (_, answer) = get(&site.socket(), "/v1/actors/concern/logs/state").unwrap();
    assert!(answer.contains("etag: \"1\""), "{answer}");
}

#[test]
fn streams_resume_after_the_last_event_and_end_with_the_node() {
    let site = Site::new();
    let agent = site.start();
    site.json(&["pause", "logs"]);
    site.json(&["resume", "logs"]);
    let mut stream = UnixStream::connect(site.socket()).unwrap();
    write!(
        stream,
        "GET /v1/actors/concern/logs/events HTTP/1.1\r\nHost: localhost\r\n\
         Accept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n"
    )
    .unwrap();
    let mut seen = String::new();
    let mut read = |what: &str| {
        let mut buffer = [0; 4096];
        while !seen.contains(what) {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "ended before {what:?}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        seen.clone()
    };
    let answer = read("id: 3\n");
    assert!(
        answer.contains("content-type: text/event-stream"),
        "{answer}"
    );
    assert!(answer.contains("id: 2\nevent: event\ndata: {") && !answer.contains("id: 1\n"));
    site.json(&["pause", "logs"]);
    read("id: 4\n");
    // An open stream does not hold up the end.
    agent.stop();
    read("\r\n0\r\n");
}

#[test]
fn readiness_is_told_while_the_node_drains_or_is_gone() {
    let (_site, agent, port) = with_port();
    let ready = || {
        let stream = TcpStream::connect(port).ok()?;
        ask(stream, &format!("GET /readyz HTTP/1.1\r\nHost: {port}"), "")
            .ok()
            .map(|(code, _)| code)
    };
    assert_eq!(ready(), Some(200));
    agent.signal("TERM");
    until("not ready any more", || {
        (ready() != Some(200)).then_some(())
    });
}
