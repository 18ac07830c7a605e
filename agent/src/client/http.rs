//! One node over HTTP: requests, answers, and problems as the node states them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast::ActorId;
use tokio::time::{Instant, sleep};

use super::Endpoint;
use crate::problem::{Code, Problem, chain};

/// Wait before a node that is starting is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// A node that is reached over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    endpoint: Endpoint,
    timeout: Duration,
}

/// How long to wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as `--timeout` says.
    Usual,
    /// As long as it takes.
    Endless,
    /// This long.
    For(Duration),
}

/// A node is spoken to without TLS. Saying so spares every command the reading of the system's
/// certificates, which may not even be there.
fn trust_nobody() -> Result<rustls::ClientConfig, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(Code::Failed, chain(&error)))?;
    let roots = rustls::RootCertStore::empty();
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Client {
    /// A client of the node at `endpoint`. Connects when something is asked.
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> Result<Self, Problem> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust_nobody()?)
            .no_proxy()
            .connect_timeout(timeout);
        let (builder, base) = match &endpoint {
            Endpoint::Unix(path) => {
                crate::socket::check_length(path)?;
                (
                    builder.unix_socket(path.as_path()),
                    "http://localhost".to_owned(),
                )
            }
            Endpoint::Http(url) => (builder, url.clone()),
        };
        let http = builder
            .build()
            .map_err(|error| Problem::new(Code::Failed, chain(&error)))?;
        Ok(Self {
            http,
            base,
            endpoint,
            timeout,
        })
    }

    /// GET, answered with JSON.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        patience: Patience,
    ) -> Result<T, Problem> {
        let request = self.request(Method::GET, path, patience).query(query);
        self.json(self.send(request).await?).await
    }

    /// POST of JSON, answered with JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Patience,
    ) -> Result<T, Problem> {
        let request = self.request(Method::POST, path, patience).json(body);
        self.json(self.send(request).await?).await
    }

    /// Hands over the events of `actor` from `from` on, one by one, until the node ends the stream.
    pub(crate) async fn follow(
        &self,
        actor: &ActorId,
        from: u64,
        mut each: impl FnMut(Value) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let path = format!("{}/events", actor_path(actor));
        let request = self
            .request(Method::GET, &path, Patience::Endless)
            .query(&[("from", from.to_string()), ("follow", "true".to_owned())])
            .header(header::ACCEPT, "application/jsonl");
        let mut body = self.send(request).await?.bytes_stream();
        let mut lines = Lines::default();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| self.broken(&error))?;
            for line in lines.feed(&chunk) {
                let event = serde_json::from_slice(&line).map_err(|error| self.garbled(&error))?;
                each(event)?;
            }
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str, patience: Patience) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match patience {
            Patience::Usual => request.timeout(self.timeout),
            Patience::Endless => request,
            Patience::For(time) => request.timeout(time),
        }
    }

    /// Sends a request. A node that is starting is asked again, as long as `--timeout` allows.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let deadline = Instant::now() + self.timeout;
        loop {
            // Every body of ours is in memory, so there is always a copy.
            let Some(attempt) = request.try_clone() else {
                return self.send_once(request).await;
            };
            match self.send_once(attempt).await {
                Err(problem) if problem.code == Code::Starting && Instant::now() < deadline => {
                    sleep(AGAIN).await;
                }
                answered => return answered,
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Response, Problem> {
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        Err(Problem::from_json(&body).unwrap_or_else(|| {
            let detail = format!(
                "{} answered {status}: is it a steadfast node?",
                self.endpoint
            );
            Problem::new(Code::Failed, detail)
        }))
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Problem> {
        let body = response
            .bytes()
            .await
            .map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&body).map_err(|error| self.garbled(&error))
    }

    /// A request that got no answer, or only a part of one.
    fn broken(&self, error: &reqwest::Error) -> Problem {
        let endpoint = &self.endpoint;
        let (code, what) = if error.is_connect() {
            (Code::Unreachable, format!("no node answers at {endpoint}"))
        } else if error.is_timeout() {
            (
                Code::Timeout,
                format!("the node at {endpoint} did not answer in time"),
            )
        } else {
            let what = format!("the node at {endpoint} went away before it had answered");
            (Code::Unreachable, what)
        };
        tracing::debug!(error = chain(error), "request failed");
        Problem::new(code, what).hint("steadfast run --config FILE")
    }

    fn garbled(&self, error: &serde_json::Error) -> Problem {
        let detail = format!(
            "{} answered what this program does not understand ({error}): is it a node of this version?",
            self.endpoint
        );
        Problem::new(Code::Failed, detail).hint("steadfast version")
    }
}

/// The path of an actor, with everything escaped that a path gives a meaning to.
pub(crate) fn actor_path(actor: &ActorId) -> String {
    format!(
        "/v1/actors/{}/{}",
        escape(actor.space()),
        escape(actor.key())
    )
}

/// The path of an actor that is set aside.
pub(crate) fn quarantine_path(actor: &ActorId) -> String {
    format!(
        "/v1/quarantine/{}/{}",
        escape(actor.space()),
        escape(actor.key())
    )
}

/// The path of a concern.
pub(crate) fn concern_path(concern: &ActorId) -> String {
    format!("/v1/concerns/{}", escape(concern.key()))
}

fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    escaped
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

/// Puts lines together that arrive in pieces. Empty ones only say that the node is alive.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for byte in chunk {
            if *byte != b'\n' {
                self.rest.push(*byte);
            } else if !self.rest.is_empty() {
                whole.push(std::mem::take(&mut self.rest));
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        let id = ActorId::new("counter", "a/b c%").unwrap();
        assert_eq!(actor_path(&id), "/v1/actors/counter/a%2Fb%20c%25");
    }

    #[test]
    fn lines_are_put_together() {
        let mut lines = Lines::default();
        assert!(lines.feed(b"{\"a\"").is_empty());
        assert_eq!(
            lines.feed(b":1}\n\n{}\n{"),
            [b"{\"a\":1}".to_vec(), b"{}".to_vec()]
        );
    }
}
