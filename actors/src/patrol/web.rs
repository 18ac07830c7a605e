//! The one place that speaks HTTP.
//!
//! Every request is a connection of its own, so that a check sees what a new visitor sees: name, address,
//! certificate. Proxies of the environment are not used. What is read of an answer is bounded.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, redirect};
use steadfast::EffectError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::config::Notify;
use super::message::{Message, quoted};
use super::probe::{Checked, Failure, FailureKind, Probe};
use crate::exec::Environment;

mod fault;
mod look;
#[cfg(test)]
mod tests;
mod tls;

use look::Seen;

/// Most clients that are kept: one for each file of authorities.
const MOST_CLIENTS: usize = 64;
/// What we say we are.
const USER_AGENT: &str = concat!("steadfast/", env!("CARGO_PKG_VERSION"));

/// The HTTP client of a node's patrols: a resource of the node. Nothing is read or connected to before it is
/// needed.
#[derive(Default)]
pub struct Web {
    /// By the file of authorities, with what that file was when it was read.
    clients: Mutex<Clients>,
}

type Clients = HashMap<Option<String>, (Stamp, Client)>;

/// When and how long a file was; another stamp means that it has to be read again.
type Stamp = Option<(SystemTime, u64)>;

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// A client that has not read any certificates yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks all, `parallel` at a time. The answers come in the order of the probes.
    pub(super) async fn check_all(
        self: Arc<Self>,
        probes: Vec<Probe>,
        parallel: u32,
        env: Arc<Environment>,
    ) -> Vec<Checked> {
        let parallel = usize::try_from(parallel.max(1)).unwrap_or(1);
        let checks = probes.into_iter().map(|probe| {
            let (web, env) = (Arc::clone(&self), Arc::clone(&env));
            async move { web.check(&probe, &env).await }
        });
        stream::iter(checks).buffered(parallel).collect().await
    }

    async fn check(&self, probe: &Probe, env: &Environment) -> Checked {
        let begun = Instant::now();
        let mut seen = Seen::default();
        let looking = self.look(probe, env, begun, &mut seen);
        let failure = match tokio::time::timeout(probe.timeout.duration(), looking).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(seen.timed_out(probe)),
        };
        Checked {
            target: probe.target.clone(),
            status: seen.status,
            latency_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            tls_expires: seen.tls_expires,
            failure,
        }
    }

    async fn look(
        &self,
        probe: &Probe,
        env: &Environment,
        begun: Instant,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let headers = all_headers(&probe.headers, &probe.headers_env, env)?;
        let client = self.client(probe.ca_file.as_deref()).await?;
        look::look(&client, probe, headers, seen).await?;
        late(probe, begun.elapsed())
    }

    /// Posts a notification. Every answer but 2xx is tried again: it may come from something on the way.
    pub(super) async fn post(
        &self,
        to: &Notify,
        message: Message<'_>,
        env: &Environment,
    ) -> Result<u16, EffectError> {
        let posting = async {
            let headers = all_headers(&to.headers, &to.headers_env, env)?;
            let client = self.client(to.ca_file.as_deref()).await?;
            let request = client
                .post(&to.webhook)
                .headers(headers)
                .header("idempotency-key", quoted(&message.id))
                .json(&message);
            let response = request.send().await.map_err(|error| fault::of(&error))?;
            Ok::<_, Failure>(response.status())
        };
        let answered = tokio::time::timeout(to.timeout.duration(), posting).await;
        match answered {
            Ok(Ok(status)) if status.is_success() => Ok(status.as_u16()),
            Ok(Ok(status)) => Err(EffectError::retryable(format!(
                "the webhook answered {status}"
            ))),
            Ok(Err(failure)) => Err(EffectError::retryable(failure.to_string())),
            Err(_) => Err(EffectError::retryable(format!(
                "the webhook did not answer within {}",
                to.timeout
            ))),
        }
    }

    /// The client that trusts what this file says, or what the system does. The file is read again once
    /// it has changed.
    async fn client(&self, ca_file: Option<&str>) -> Result<Client, Failure> {
        let key = ca_file.map(str::to_owned);
        // Held to the end: whoever else needs this file waits for one reading of it.
        let mut clients = self.clients.lock().await;
        let name = key.clone();
        let stamp = blocking(move || tls::stamp(name.as_deref())).await??;
        if let Some((known, client)) = clients.get(&key)
            && *known == stamp
        {
            return Ok(client.clone());
        }
        let name = key.clone();
        let tls = blocking(move || tls::config(name.as_deref())).await??;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .tls_info(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .dns_resolver(fault::Resolver)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|error| fault::of(&error))?;
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        clients.insert(key, (stamp, client.clone()));
        Ok(client)
    }
}

fn late(probe: &Probe, took: Duration) -> Result<(), Failure> {
    match probe.max_latency {
        Some(most) if took > most.duration() => {
            let detail = format!("took {} ms, longer than {most}", took.as_millis());
            Err(Failure::new(FailureKind::Latency, detail))
        }
        Some(_) | None => Ok(()),
    }
}

/// The headers that are written down, and those whose values are in the environment, which is read now.
fn all_headers(
    written: &BTreeMap<String, String>,
    by_variable: &BTreeMap<String, String>,
    env: &Environment,
) -> Result<HeaderMap, Failure> {
    let mut headers = header_map(written);
    for (name, variable) in by_variable {
        let setup = |problem: &str| {
            let detail = format!("headers_env.{name}: {problem}");
            Failure::new(FailureKind::Setup, detail)
        };
        let value = env.get(variable).ok_or_else(|| {
            setup(&format!(
                "the node's environment has no {variable}: start it with one"
            ))
        })?;
        // The reason is no part of the secret.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            setup(&format!(
                "the value of {variable} is none that a header can have"
            ))
        })?;
        value.set_sensitive(true);
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|error| setup(&error.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Headers as the configuration has checked them.
fn header_map<'a>(headers: impl IntoIterator<Item = (&'a String, &'a String)>) -> HeaderMap {
    let pair = |(name, value): (&String, &String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    headers.into_iter().filter_map(pair).collect()
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(FailureKind::Setup, error.to_string()))
}
