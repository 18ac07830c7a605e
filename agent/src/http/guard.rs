//! Who may ask: names by which a page in a browser could reach a local node are refused.
//!
//! Over TCP the `Host` must be loopback (else a foreign name was made to point here: DNS rebinding). An
//! `Origin` must be the very host that was asked (else a foreign page is asking). A POST must be JSON (else a form of
//! such a page could send it without asking first).
//!
//! Over TCP one can look, and trigger, pause and resume concerns. Everything else that changes something is for
//! whoever may open the socket, and that is its owner: any user of this host reaches a port, and a command
//! by name could have a node that runs with more rights do what that user may not.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::middleware::Next;

use crate::problem::{Code, Problem};

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Anybody on this host, browsers too.
    Tcp,
    /// Whoever may open the socket.
    Unix,
}

/// Lets a request through, or refuses it.
pub(super) async fn guard(
    transport: Transport,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    check(transport, request.method(), request.headers())?;
    check_path(transport, request.method(), request.path())?;
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

/// What all users of this host may ask for.
fn check_path(transport: Transport, method: &Method, path: &str) -> Result<(), Problem> {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if transport == Transport::Unix || looks || path.starts_with("/v1/concerns/") {
        return Ok(());
    }
    let detail = format!(
        "{path} is for the node's owner: ask over its socket, with --data-dir DIR or --node unix:PATH"
    );
    Err(Problem::new(Code::Forbidden, detail))
}

/// A header as text; one that is no text is as good as foreign.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_loopback(host: &str) -> bool {
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
    fn a_port_is_for_looking_and_for_triggers() {
        let refused = |transport, method: &Method, path: &str| {
            let verdict = check_path(transport, method, path);
            verdict.err().map(|problem| problem.code)
        };
        for path in [
            "/v1/actors/concern/logs/commands",
            "/v1/reload",
            "/v1/snapshots",
            "/v1/",
        ] {
            assert_eq!(refused(Transport::Unix, &Method::POST, path), None);
            assert_eq!(refused(Transport::Tcp, &Method::GET, path), None);
            let found = refused(Transport::Tcp, &Method::POST, path);
            assert_eq!(found, Some(Code::Forbidden), "{path}");
        }
        let trigger = "/v1/concerns/logs/trigger";
        assert_eq!(refused(Transport::Tcp, &Method::POST, trigger), None);
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
