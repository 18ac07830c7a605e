//! What a patrol is told to do, and what it refuses to be told.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};
use steadfast::RetryPolicy;

use super::probe::Probe;
use super::status::StatusSet;
use crate::concern::{ConfigError, Missed, Overlap, Schedule, Settings};
use crate::human::Span;

mod check;
#[cfg(test)]
mod tests;

pub(super) use check::pattern;

/// The keys of a concern of kind `http-patrol`.
///
/// What is said about one check (`method` to `ca_file`) holds for all targets that do not say it
/// themselves. All values are journalled as they are written, also those of `headers`;
/// what must not be goes to `headers_env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatrolConfig {
    /// The one target, where there is one.
    #[serde(default)]
    pub url: Option<String>,
    /// The targets: at most 100 URLs, or tables with `url`, `name` and what is particular to them.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// `GET` (the default), `HEAD`, `OPTIONS` or `POST`. A check may be repeated.
    #[serde(default)]
    pub method: Option<Method>,
    /// Headers to send. A redirect to another origin gets none of them.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// Headers whose values are those of variables of the node's environment, by their names: read at each
    /// check, and journalled nowhere.
    #[serde(default)]
    pub headers_env: Option<BTreeMap<String, String>>,
    /// The body to send, at most 16 KiB.
    #[serde(default)]
    pub body: Option<String>,
    /// The status codes that are right. Default 200 to 399.
    #[serde(default)]
    pub status: Option<StatusSet>,
    /// What the first MiB of the body must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
    /// The regular expression that the first MiB of the body must match.
    #[serde(default)]
    pub body_matches: Option<String>,
    /// The longest that an answer may take to its end. Default: `timeout` alone.
    #[serde(default)]
    pub max_latency: Option<Span>,
    /// When a check is given up, with all its redirects. Default 10 s, at most an hour.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// A check fails if a certificate expires within this time.
    #[serde(default)]
    pub tls_expiry: Option<Span>,
    /// How many redirects are followed. Default 5, at most 20. 0 takes a redirect for the answer.
    #[serde(default)]
    pub follow_redirects: Option<u32>,
    /// A PEM file, absolute: only certificates that its authorities vouch for are trusted. Default: those
    /// of the system.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// How many targets are checked at a time. Default 8, at most 64.
    #[serde(default = "default_parallel")]
    pub parallel: u32,
    /// After how many failed checks in a row a target alerts. Default 3.
    #[serde(default = "default_alert_after")]
    pub alert_after: u32,
    /// After how many passed checks in a row an alert is resolved. Default 2.
    #[serde(default = "default_resolve_after")]
    pub resolve_after: u32,
    /// Who is told; without it alerts are events only.
    #[serde(default)]
    pub notify: Option<Notify>,
    /// Time from one run to the next; without it and `cron`, it runs only by hand.
    #[serde(default)]
    pub every: Option<Span>,
    /// When it runs, as a cron expression in `timezone`.
    #[serde(default)]
    pub cron: Option<String>,
    /// The time zone of `cron`, by its IANA name; without it, UTC.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Each tick comes later by a random time up to this one.
    #[serde(default)]
    pub jitter: Option<Span>,
    /// What a tick leads to that comes during a run.
    #[serde(default)]
    pub overlap: Overlap,
    /// What ticks lead to that passed while the node was down.
    #[serde(default)]
    pub missed: Missed,
    /// All runs only show what they find: nothing counts, nobody is told.
    #[serde(default)]
    pub dry_run: bool,
}

const fn default_parallel() -> u32 {
    8
}

const fn default_alert_after() -> u32 {
    3
}

const fn default_resolve_after() -> u32 {
    2
}

/// How a target is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`: no body comes back.
    Head,
    /// `OPTIONS`.
    Options,
    /// `POST`. What it does happens at each check, and may happen twice.
    Post,
}

impl Method {
    /// Whether a body goes along.
    pub(super) const fn sends_body(self) -> bool {
        matches!(self, Self::Options | Self::Post)
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Options => Self::OPTIONS,
            Method::Post => Self::POST,
        }
    }
}

/// One target, in full: what it does not say is as the concern says. In a config file a mere URL stands for
/// the target with that URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// What it is called in events and notifications; unique in its concern. Default: its URL.
    pub name: Option<String>,
    /// `http` or `https`.
    pub url: String,
    /// As in [`PatrolConfig`].
    pub method: Option<Method>,
    /// As in [`PatrolConfig`]; replaces all headers of the concern.
    pub headers: Option<BTreeMap<String, String>>,
    /// As in [`PatrolConfig`]; replaces all of the concern.
    pub headers_env: Option<BTreeMap<String, String>>,
    /// As in [`PatrolConfig`].
    pub body: Option<String>,
    /// As in [`PatrolConfig`].
    pub status: Option<StatusSet>,
    /// As in [`PatrolConfig`].
    pub body_contains: Option<String>,
    /// As in [`PatrolConfig`].
    pub body_matches: Option<String>,
    /// As in [`PatrolConfig`].
    pub max_latency: Option<Span>,
    /// As in [`PatrolConfig`].
    pub timeout: Option<Span>,
    /// As in [`PatrolConfig`].
    pub tls_expiry: Option<Span>,
    /// As in [`PatrolConfig`].
    pub follow_redirects: Option<u32>,
    /// As in [`PatrolConfig`].
    pub ca_file: Option<String>,
}

/// A target as a table.
#[derive(Deserialize)]
#[serde(remote = "Target", deny_unknown_fields)]
struct TargetTable {
    #[serde(default)]
    name: Option<String>,
    url: String,
    #[serde(default)]
    method: Option<Method>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    headers_env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    status: Option<StatusSet>,
    #[serde(default)]
    body_contains: Option<String>,
    #[serde(default)]
    body_matches: Option<String>,
    #[serde(default)]
    max_latency: Option<Span>,
    #[serde(default)]
    timeout: Option<Span>,
    #[serde(default)]
    tls_expiry: Option<Span>,
    #[serde(default)]
    follow_redirects: Option<u32>,
    #[serde(default)]
    ca_file: Option<String>,
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> de::Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a table with `url`")
    }

    fn visit_str<E: de::Error>(self, url: &str) -> Result<Target, E> {
        Ok(Target::new(url))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        TargetTable::deserialize(MapAccessDeserializer::new(map))
    }
}

impl Target {
    /// As the concern says, in everything.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            name: None,
            url: url.into(),
            method: None,
            headers: None,
            headers_env: None,
            body: None,
            status: None,
            body_contains: None,
            body_matches: None,
            max_latency: None,
            timeout: None,
            tls_expiry: None,
            follow_redirects: None,
            ca_file: None,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.url)
    }
}

/// Who is told about alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Where notifications are posted to.
    pub webhook: String,
    /// Headers to send along.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// As in [`PatrolConfig`]: read for each attempt.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers_env: BTreeMap<String, String>,
    /// When an attempt is given up. Default 10 s, at most an hour.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How patiently a notification is repeated that is not answered by 2xx.
    #[serde(default)]
    pub retry: NotifyRetry,
    /// While a target alerts, it is told again after this time. Default: it is told once.
    #[serde(default)]
    pub remind_every: Option<Span>,
    /// As in [`PatrolConfig`], for the webhook.
    #[serde(default)]
    pub ca_file: Option<String>,
}

fn default_timeout() -> Span {
    Span::secs(10)
}

impl Notify {
    /// Whether a notification is sent in the same way by both.
    pub(super) fn sends_like(&self, other: &Self) -> bool {
        let remind_every = self.remind_every;
        *self
            == Self {
                remind_every,
                ..other.clone()
            }
    }

    /// Posts to `webhook`, with the defaults for everything else.
    #[must_use]
    pub fn new(webhook: impl Into<String>) -> Self {
        Self {
            webhook: webhook.into(),
            headers: BTreeMap::new(),
            headers_env: BTreeMap::new(),
            timeout: default_timeout(),
            retry: NotifyRetry::default(),
            remind_every: None,
            ca_file: None,
        }
    }
}

/// Exponential backoff: each wait is twice the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyRetry {
    /// How many attempts are made in all. Default 11, which is about 20 minutes; at most 1,000.
    pub attempts: u32,
    /// Wait before the second attempt. Default 2 s.
    pub first: Span,
    /// Longest wait. Default 5 min.
    pub max: Span,
}

impl Default for NotifyRetry {
    fn default() -> Self {
        Self {
            attempts: 11,
            first: Span::secs(2),
            max: Span::secs(300),
        }
    }
}

impl From<NotifyRetry> for RetryPolicy {
    fn from(retry: NotifyRetry) -> Self {
        Self {
            retries: retry.attempts.saturating_sub(1),
            first: retry.first.duration(),
            max: retry.max.duration(),
            ..Self::default()
        }
    }
}

impl PatrolConfig {
    /// Checks these targets, by hand only, with the defaults for everything else.
    #[must_use]
    pub fn new<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            url: None,
            targets: urls.into_iter().map(Target::new).collect(),
            method: None,
            headers: None,
            headers_env: None,
            body: None,
            status: None,
            body_contains: None,
            body_matches: None,
            max_latency: None,
            timeout: None,
            tls_expiry: None,
            follow_redirects: None,
            ca_file: None,
            parallel: default_parallel(),
            alert_after: default_alert_after(),
            resolve_after: default_resolve_after(),
            notify: None,
            every: None,
            cron: None,
            timezone: None,
            jitter: None,
            overlap: Overlap::default(),
            missed: Missed::default(),
            dry_run: false,
        }
    }

    /// All targets, in the order of the file.
    pub fn all_targets(&self) -> impl Iterator<Item = Target> {
        let one = self.url.as_ref().map(Target::new);
        one.into_iter().chain(self.targets.iter().cloned())
    }

    /// Whether a target of this name is checked.
    #[must_use]
    pub fn has_target(&self, name: &str) -> bool {
        self.url.as_deref() == Some(name) || self.targets.iter().any(|one| one.name() == name)
    }

    /// How long the certificates of this target must be valid.
    pub(super) fn tls_expiry_of(&self, name: &str) -> Option<Duration> {
        let own = self.targets.iter().find(|target| target.name() == name);
        let expiry = own.and_then(|target| target.tls_expiry).or(self.tls_expiry);
        expiry.map(Span::duration)
    }

    /// What is to be done for each target, with nothing left open.
    pub(super) fn probes(&self) -> Vec<Probe> {
        self.all_targets()
            .map(|target| self.probe(target))
            .collect()
    }

    fn probe(&self, target: Target) -> Probe {
        let name = target.name().to_owned();
        Probe {
            target: name,
            url: target.url,
            method: target.method.or(self.method).unwrap_or_default(),
            headers: target
                .headers
                .or_else(|| self.headers.clone())
                .unwrap_or_default(),
            headers_env: target
                .headers_env
                .or_else(|| self.headers_env.clone())
                .unwrap_or_default(),
            body: target.body.or_else(|| self.body.clone()),
            status: target
                .status
                .or_else(|| self.status.clone())
                .unwrap_or_default(),
            body_contains: target.body_contains.or_else(|| self.body_contains.clone()),
            body_matches: target.body_matches.or_else(|| self.body_matches.clone()),
            max_latency: target.max_latency.or(self.max_latency),
            timeout: target
                .timeout
                .or(self.timeout)
                .unwrap_or_else(default_timeout),
            follow_redirects: target
                .follow_redirects
                .or(self.follow_redirects)
                .unwrap_or(check::DEFAULT_REDIRECTS),
            ca_file: target.ca_file.or_else(|| self.ca_file.clone()),
        }
    }
}

impl Settings for PatrolConfig {
    const STOPS: bool = true;

    fn schedule(&self) -> Schedule {
        Schedule {
            every: self.every.map(Span::duration),
            cron: self.cron.clone(),
            timezone: self.timezone.clone(),
            jitter: self.jitter.map(Span::duration).unwrap_or_default(),
            missed: self.missed,
            overlap: self.overlap,
        }
    }

    fn dry_run(&self) -> bool {
        self.dry_run
    }

    fn validate(&self) -> Result<(), ConfigError> {
        check::all(self)
    }
}
