//! One look at a target: request, redirects, answer, and whether it is as expected.

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use steadfast::Timestamp;

use super::{fault, tls};
use crate::patrol::config::pattern;
use crate::patrol::probe::{Failure, FailureKind, Probe};

/// The most that is read of a body.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What was seen until now: it stays when the rest takes too long.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    pub(super) tls_expires: Option<Timestamp>,
}

impl Seen {
    pub(super) fn timed_out(&self, probe: &Probe) -> Failure {
        let missing = if self.status.is_some() {
            "the whole answer was not there"
        } else {
            "there was no answer"
        };
        let detail = format!("{missing} within {}", probe.timeout);
        Failure::new(FailureKind::Timeout, detail)
    }

    fn take(&mut self, response: &Response) {
        self.status = Some(response.status().as_u16());
        let expires = tls::expires(response);
        self.tls_expires = match (self.tls_expires, expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Asks, and judges the answer.
pub(super) async fn look(
    client: &Client,
    probe: &Probe,
    headers: HeaderMap,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let response = answer(client, probe, headers, seen).await?;
    let status = response.status().as_u16();
    if !probe.status.contains(status) {
        let detail = format!("{status}, not {}", probe.status);
        return Err(Failure::new(FailureKind::Status, detail));
    }
    let body = read(response).await?;
    judge_body(probe, &body)
}

/// A request as the next redirect leaves it.
struct Request {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<String>,
}

/// The answer behind all redirects that are followed.
async fn answer(
    client: &Client,
    probe: &Probe,
    headers: HeaderMap,
    seen: &mut Seen,
) -> Result<Response, Failure> {
    let url = Url::parse(&probe.url)
        .map_err(|error| Failure::new(FailureKind::Setup, error.to_string()))?;
    let mut request = Request {
        url,
        method: probe.method.into(),
        headers,
        body: probe.body.clone().filter(|_| probe.method.sends_body()),
    };
    for _ in 0..=probe.follow_redirects {
        let response = send(client, &request).await?;
        seen.take(&response);
        if probe.follow_redirects == 0 || !is_redirect(response.status()) {
            return Ok(response);
        }
        let Some(location) = location(&response)? else {
            return Ok(response);
        };
        request = request.redirected(response.status(), &location)?;
    }
    let detail = format!("more than {} redirects", probe.follow_redirects);
    Err(Failure::new(FailureKind::Redirect, detail))
}

async fn send(client: &Client, request: &Request) -> Result<Response, Failure> {
    let mut building = client
        .request(request.method.clone(), request.url.clone())
        .headers(request.headers.clone());
    if let Some(body) = &request.body {
        building = building.body(body.clone());
    }
    building.send().await.map_err(|error| fault::of(&error))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(response: &Response) -> Result<Option<Url>, Failure> {
    let Some(header) = response.headers().get(LOCATION) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(header.as_bytes());
    let url = response.url().join(&text);
    url.map(Some)
        .map_err(|error| Failure::new(FailureKind::Redirect, format!("to {text:?}: {error}")))
}

impl Request {
    /// The request that a redirect asks for, if it is one that may be followed: never from https to anything
    /// else, and never out of HTTP. Another origin gets none of the headers, and no body.
    fn redirected(mut self, status: StatusCode, to: &Url) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            let detail = format!("to {to}: {why}");
            Err(Failure::new(FailureKind::Redirect, detail))
        };
        match (self.url.scheme(), to.scheme()) {
            ("http", "http" | "https") | ("https", "https") => {}
            ("https", "http") => return refuse("it leaves https"),
            _ => return refuse("it leaves HTTP"),
        }
        // As browsers do: a POST becomes a GET, unless the redirect says that it must not.
        let keeps = matches!(status.as_u16(), 307 | 308);
        if status == StatusCode::SEE_OTHER || (self.method == Method::POST && !keeps) {
            self.body = None;
            if self.method != Method::HEAD {
                self.method = Method::GET;
            }
        }
        if self.url.origin() != to.origin() {
            if self.body.is_some() {
                return refuse("the body is for the first origin only");
            }
            self.headers.clear();
        }
        self.url = to.clone();
        Ok(self)
    }
}

/// The body, up to its bound.
async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while body.len() < MAX_BODY_BYTES {
        let chunk = response.chunk().await.map_err(|error| fault::of(&error))?;
        let Some(chunk) = chunk else { break };
        let room = MAX_BODY_BYTES.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
    }
    Ok(body)
}

fn judge_body(probe: &Probe, body: &[u8]) -> Result<(), Failure> {
    let refuse = |detail: String| Err(Failure::new(FailureKind::Body, detail));
    let seen = || match body.len() {
        MAX_BODY_BYTES.. => "the first MiB of the body".to_owned(),
        length => format!("the body ({length} bytes)"),
    };
    if let Some(wanted) = &probe.body_contains
        && !contains(body, wanted.as_bytes())
    {
        return refuse(format!("{} does not contain {wanted:?}", seen()));
    }
    if let Some(wanted) = &probe.body_matches {
        let pattern =
            pattern(wanted).map_err(|problem| Failure::new(FailureKind::Setup, problem))?;
        if !pattern.is_match(body) {
            return refuse(format!("{} does not match {wanted:?}", seen()));
        }
    }
    Ok(())
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}
