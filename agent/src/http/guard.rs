//! Who may ask: names by which a page in a browser could reach a local node are refused.
//!
//! Over TCP the `Host` must be loopback (else a foreign name was made to point here: DNS rebinding). An
//! `Origin` must be the very host that was asked (else a foreign page is asking). A POST must be JSON (else a form of
//! such a page could send it without asking first).
//!
//! Over TCP one can see how the node and its concerns are doing, and trigger, pause, resume and cancel concerns.
//! Everything else is for whoever may open the socket, and that is its owner: any user of this host reaches a
//! port, states and events hold what is in the configuration, secrets too, and a command by name could have a
//! node that runs with more rights do what that user may not.

use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;

use super::App;
use crate::problem::{Code, Problem};

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Anybody on this host, browsers too.
    Tcp,
    /// Whoever may open the socket.
    Unix,
}

/// Lets a request through, which knows then how it came in, or refuses it.
pub(super) async fn guard(
    transport: Transport,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    check(transport, request.method(), request.headers())?;
    if !is_text(request.path()) {
        let detail = "the path is not UTF-8: encode names as UTF-8, then percent-encode its bytes";
        return Err(Problem::new(Code::BadRequest, detail).into());
    }
    if !is_open(transport, request.method(), request.path()) {
        return Err(for_the_owner(&request).into());
    }
    request.extensions_mut().insert(transport);
    next.call(request).await
}

fn check(transport: Transport, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, &HOST).unwrap_or_default();
    if transport == Transport::Tcp && !is_loopback(host) {
        let detail = format!("host {host:?} is not this node: use localhost, 127.0.0.1 or [::1]");
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if let Some(origin) = text(headers, &ORIGIN)
        && origin.split_once("://").map(|(_, authority)| authority) != Some(host)
    {
        let detail = format!("origin {origin:?} is foreign: only pages of this node may ask it");
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let is_json =
        |value: &str| value.split(';').next().unwrap_or_default().trim() == "application/json";
    if *method == Method::POST && !text(headers, &CONTENT_TYPE).is_some_and(is_json) {
        let detail = "the body must be JSON: send Content-Type: application/json";
        return Err(Problem::new(Code::UnsupportedMedia, detail));
    }
    Ok(())
}

/// Whether all who reach this transport may ask for it. The list says what is open, because paths can be
/// written in several ways: what is not on it letter by letter is not.
fn is_open(transport: Transport, method: &Method, path: &str) -> bool {
    const OPEN: [&str; 7] = [
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/status",
        "/v1/concerns",
        "/v1/actors",
        "/v1/quarantine",
    ];
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    transport == Transport::Unix
        || path.starts_with("/v1/concerns/")
        || (looks && OPEN.contains(&path))
}

fn for_the_owner(request: &ServiceRequest) -> Problem {
    let socket = request.app_data::<Data<App>>().map_or_else(
        || "DATA/steadfast.sock".to_owned(),
        |app| app.socket().display().to_string(),
    );
    let path = request.path();
    let detail = format!(
        "{path} is for the node's owner: ask over its socket, with --data-dir DIR or --node unix:{socket}"
    );
    Problem::new(Code::Forbidden, detail)
}

/// Whether a path with its escapes undone is UTF-8. Further down what is not is replaced by U+FFFD, and would be
/// taken for a name that has one.
pub(super) fn is_text(path: &str) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| byte == b'%');
        let digits = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// A header as text; one that is no text is as good as foreign.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(
        transport: Transport,
        method: &Method,
        pairs: &[(HeaderName, &str)],
    ) -> Option<Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name.clone(), value.parse().unwrap());
        }
        check(transport, method, &headers)
            .err()
            .map(|problem| problem.code)
    }

    #[test]
    fn only_loopback_names_are_served_over_tcp() {
        for host in [
            "localhost:7600",
            "127.0.0.1:7600",
            "[::1]:7600",
            "LOCALHOST",
            "127.0.0.1",
        ] {
            assert_eq!(
                verdict(Transport::Tcp, &Method::GET, &[(HOST, host)]),
                None,
                "{host}"
            );
        }
        for host in ["evil.example:7600", "127.0.0.1.evil.example", ""] {
            let found = verdict(Transport::Tcp, &Method::GET, &[(HOST, host)]);
            assert_eq!(found, Some(Code::Forbidden), "{host}");
        }
        assert_eq!(
            verdict(Transport::Unix, &Method::GET, &[(HOST, "evil.example")]),
            None
        );
    }

    #[test]
    fn foreign_pages_are_refused() {
        let host = (HOST, "127.0.0.1:7600");
        let ours = [host.clone(), (ORIGIN, "http://127.0.0.1:7600")];
        assert_eq!(verdict(Transport::Tcp, &Method::GET, &ours), None);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9999"] {
            let foreign = [host.clone(), (ORIGIN, origin)];
            assert_eq!(
                verdict(Transport::Tcp, &Method::GET, &foreign),
                Some(Code::Forbidden)
            );
        }
    }

    #[test]
    fn a_port_is_for_looking_at_concerns_and_for_triggers() {
        let open = |transport, method: &Method, path: &str| is_open(transport, method, path);
        for path in [
            "/v1/actors/concern/logs/commands",
            "/v1/reload",
            "/v1/snapshots",
            "/v1/status",
        ] {
            assert!(open(Transport::Unix, &Method::POST, path));
            assert!(!open(Transport::Tcp, &Method::POST, path), "{path}");
        }
        for path in ["/livez", "/metrics", "/v1/status", "/v1/concerns/logs"] {
            assert!(open(Transport::Tcp, &Method::GET, path), "{path}");
        }
        let trigger = "/v1/concerns/logs/trigger";
        assert!(open(Transport::Tcp, &Method::POST, trigger));
    }

    #[test]
    fn states_and_events_are_not_read_over_a_port() {
        for path in [
            "/v1/actors/concern/logs",
            "/v1/actors/concern/logs/state",
            "/v1/actors/concern/logs/events",
            "/v1/actors/concern/logs/inspect",
            "/v1/actors/concern/logs/replay",
            "/v1/%61ctors/concern/logs/state",
            "/v1/quarantine/concern/logs",
            "/v1/verify",
        ] {
            assert!(is_open(Transport::Unix, &Method::GET, path));
            for method in [&Method::GET, &Method::HEAD] {
                assert!(!is_open(Transport::Tcp, method, path), "{path}");
            }
        }
    }

    #[test]
    fn paths_that_are_no_text_are_not_taken_for_others() {
        for path in [
            "/v1/concerns/logs",
            "/v1/concerns/%C3%A9",
            "/%zz/%",
            "/%2",
            "/%25ff",
        ] {
            assert!(is_text(path), "{path}");
        }
        for path in [
            "/v1/concerns/%ff",
            "/%C3",
            "/%c3/%a9",
            "/%ed%a0%80",
            "/%c0%ae",
        ] {
            assert!(!is_text(path), "{path}");
        }
    }

    #[test]
    fn only_json_is_posted() {
        let post = |kind: &str| {
            verdict(
                Transport::Unix,
                &Method::POST,
                &[(HOST, "localhost"), (CONTENT_TYPE, kind)],
            )
        };
        assert_eq!(post("application/json; charset=utf-8"), None);
        assert_eq!(post("text/plain"), Some(Code::UnsupportedMedia));
        assert_eq!(
            verdict(Transport::Unix, &Method::POST, &[(HOST, "localhost")]),
            Some(Code::UnsupportedMedia)
        );
    }
}
