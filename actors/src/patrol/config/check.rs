//! What the types of a patrol's configuration cannot refuse. Each refusal names the key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::{Method, Notify, PatrolConfig, StatusSet, Target};
use crate::concern::ConfigError;
use crate::human::Span;

/// Most targets of one concern; state and journal carry them.
const MAX_TARGETS: usize = 100;
/// Longest name of a target, and longest URL, in bytes.
const MAX_URL_BYTES: usize = 1_024;
/// Longest body to send, in bytes: it is journalled with each run.
const MAX_BODY_BYTES: usize = 16 << 10;
/// Longest text or pattern to look for, in bytes.
const MAX_WANTED_BYTES: usize = 1_024;
/// The most that a compiled pattern takes, in bytes.
const MAX_PATTERN_MEMORY: usize = 1 << 20;
/// Most headers of one request.
const MAX_HEADERS: usize = 32;
/// Longest value of a header, in bytes.
const MAX_HEADER_BYTES: usize = 4_096;
/// Most ranges of a status.
const MAX_STATUS_RANGES: usize = 32;
/// Longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How many redirects are followed where nothing is said.
pub(super) const DEFAULT_REDIRECTS: u32 = 5;
const MAX_REDIRECTS: u32 = 20;
const MAX_PARALLEL: u32 = 64;
/// Most checks in a row that an alert or its end waits for.
const MAX_STREAK: u32 = 1_000;
const MAX_ATTEMPTS: u32 = 1_000;
/// Shortest time between two reminders.
const MIN_REMIND: Duration = Duration::from_secs(60);

type Checked = Result<(), ConfigError>;

fn refuse(key: impl Into<String>, problem: impl Into<String>) -> Checked {
    Err(ConfigError::new(key, problem))
}

/// Checks everything; the first problem is the answer.
pub(super) fn all(config: &PatrolConfig) -> Checked {
    targets(config)?;
    rules(&Rules::of_concern(config))?;
    body_fits("body", config.method, config.body.as_deref(), config)?;
    within("parallel", config.parallel, 1, MAX_PARALLEL)?;
    within("alert_after", config.alert_after, 1, MAX_STREAK)?;
    within("resolve_after", config.resolve_after, 1, MAX_STREAK)?;
    config.notify.as_ref().map_or(Ok(()), notify)
}

fn targets(config: &PatrolConfig) -> Checked {
    if let Some(address) = &config.url {
        if !config.targets.is_empty() {
            return refuse(
                "url",
                "beside `targets`: move it there, so that there is one list",
            );
        }
        url("url", address)?;
    } else if config.targets.is_empty() {
        return refuse(
            "targets",
            "no target: write `url = \"https://…\"`, or `targets` with several",
        );
    }
    if config.targets.len() > MAX_TARGETS {
        return refuse("targets", "more than 100 targets: split the concern");
    }
    let mut names = BTreeSet::new();
    for (at, target) in config.targets.iter().enumerate() {
        let key = format!("targets[{at}]");
        one_target(&key, target, config)?;
        if !names.insert(target.name()) {
            let name = target.name();
            let problem = format!("a second target is called {name:?}: give each its own `name`");
            return refuse(key, problem);
        }
    }
    Ok(())
}

fn one_target(key: &str, target: &Target, config: &PatrolConfig) -> Checked {
    url(&format!("{key}.url"), &target.url)?;
    if let Some(name) = &target.name {
        let length = 1..=MAX_URL_BYTES;
        if !length.contains(&name.len()) || name.chars().any(char::is_control) {
            let problem = "a name has 1 to 1024 bytes and no control characters";
            return refuse(format!("{key}.name"), problem);
        }
    }
    rules(&Rules::of_target(key, target))?;
    let method = target.method.or(config.method);
    let body = target.body.as_deref().or(config.body.as_deref());
    body_fits(&format!("{key}.body"), method, body, config)
}

/// What can be said of the concern and of a target alike.
struct Rules<'a> {
    /// What the keys begin with.
    prefix: String,
    headers: Option<&'a BTreeMap<String, String>>,
    headers_env: Option<&'a BTreeMap<String, String>>,
    status: Option<&'a StatusSet>,
    wanted: Option<&'a str>,
    pattern: Option<&'a str>,
    max_latency: Option<Span>,
    timeout: Option<Span>,
    follow_redirects: Option<u32>,
    ca_file: Option<&'a str>,
}

impl<'a> Rules<'a> {
    fn of_concern(config: &'a PatrolConfig) -> Self {
        Self {
            prefix: String::new(),
            headers: config.headers.as_ref(),
            headers_env: config.headers_env.as_ref(),
            status: config.status.as_ref(),
            wanted: config.body_contains.as_deref(),
            pattern: config.body_matches.as_deref(),
            max_latency: config.max_latency,
            timeout: config.timeout,
            follow_redirects: config.follow_redirects,
            ca_file: config.ca_file.as_deref(),
        }
    }

    fn of_target(key: &str, target: &'a Target) -> Self {
        Self {
            prefix: format!("{key}."),
            headers: target.headers.as_ref(),
            headers_env: target.headers_env.as_ref(),
            status: target.status.as_ref(),
            wanted: target.body_contains.as_deref(),
            pattern: target.body_matches.as_deref(),
            max_latency: target.max_latency,
            timeout: target.timeout,
            follow_redirects: target.follow_redirects,
            ca_file: target.ca_file.as_deref(),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn rules(rules: &Rules<'_>) -> Checked {
    if let Some(all) = rules.headers {
        headers(&rules.key("headers"), all)?;
    }
    if let Some(all) = rules.headers_env {
        headers_env(&rules.key("headers_env"), all)?;
    }
    if let Some(status) = rules.status
        && !(1..=MAX_STATUS_RANGES).contains(&status.len())
    {
        let problem = "name 1 to 32 codes or ranges, such as [200, \"300-399\"]";
        return refuse(rules.key("status"), problem);
    }
    if let Some(wanted) = rules.wanted
        && !(1..=MAX_WANTED_BYTES).contains(&wanted.len())
    {
        let problem = "a text to look for has 1 to 1024 bytes";
        return refuse(rules.key("body_contains"), problem);
    }
    if let Some(text) = rules.pattern {
        pattern(text).map_err(|problem| ConfigError::new(rules.key("body_matches"), problem))?;
    }
    if rules
        .max_latency
        .is_some_and(|latency| latency.duration().is_zero())
    {
        let problem = "0 would fail every check: leave it out, or write such as \"800ms\"";
        return refuse(rules.key("max_latency"), problem);
    }
    if let Some(span) = rules.timeout {
        timeout(&rules.key("timeout"), span)?;
    }
    if let Some(count) = rules.follow_redirects {
        within(&rules.key("follow_redirects"), count, 0, MAX_REDIRECTS)?;
    }
    ca_file(&rules.key("ca_file"), rules.ca_file)
}

/// `GET` and `HEAD` carry no body: many servers refuse it.
fn body_fits(
    key: &str,
    method: Option<Method>,
    body: Option<&str>,
    config: &PatrolConfig,
) -> Checked {
    let Some(body) = body else { return Ok(()) };
    if body.len() > MAX_BODY_BYTES {
        return refuse(key, "longer than 16 KiB: it is journalled with each run");
    }
    // A body that all targets share may be there for some of them.
    let is_shared = key == "body" && !config.targets.is_empty();
    if method.unwrap_or_default().sends_body() || is_shared {
        return Ok(());
    }
    refuse(
        key,
        "only `POST` and `OPTIONS` send a body: set `method` or leave it out",
    )
}

fn notify(notify: &Notify) -> Checked {
    url("notify.webhook", &notify.webhook)?;
    headers("notify.headers", &notify.headers)?;
    headers_env("notify.headers_env", &notify.headers_env)?;
    let reserved = |name: &&String| name.eq_ignore_ascii_case("idempotency-key");
    let both = [
        ("headers", &notify.headers),
        ("headers_env", &notify.headers_env),
    ];
    for (key, headers) in both {
        if let Some(name) = headers.keys().find(reserved) {
            let problem =
                "is what the receiver drops repetitions by, and is set for each notification";
            return refuse(format!("notify.{key}.{name}"), problem);
        }
    }
    timeout("notify.timeout", notify.timeout)?;
    within(
        "notify.retry.attempts",
        notify.retry.attempts,
        1,
        MAX_ATTEMPTS,
    )?;
    if notify.retry.first.duration().is_zero() {
        return refuse("notify.retry.first", "must be longer than 0");
    }
    if notify.retry.max < notify.retry.first {
        return refuse("notify.retry.max", "shorter than `first`");
    }
    if notify
        .remind_every
        .is_some_and(|every| every.duration() < MIN_REMIND)
    {
        let problem = "shorter than 1m: leave it out to be told once";
        return refuse("notify.remind_every", problem);
    }
    ca_file("notify.ca_file", notify.ca_file.as_deref())
}

fn within(key: &str, value: u32, least: u32, most: u32) -> Checked {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    refuse(
        key,
        format!("{value} is out of range: write {least} to {most}"),
    )
}

fn timeout(key: &str, span: Span) -> Checked {
    if span.duration().is_zero() || span.duration() > MAX_TIMEOUT {
        return refuse(
            key,
            format!("{span} is out of range: write more than 0 and at most \"1h\""),
        );
    }
    Ok(())
}

fn ca_file(key: &str, file: Option<&str>) -> Checked {
    match file {
        Some(file) if !file.starts_with('/') => {
            refuse(key, format!("{file:?} is relative: begin it with `/`"))
        }
        Some(_) | None => Ok(()),
    }
}

fn url(key: &str, text: &str) -> Checked {
    if text.len() > MAX_URL_BYTES {
        return refuse(key, "longer than 1024 bytes");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let problem =
                format!("{text:?} is no URL ({error}): write such as \"https://example.com/\"");
            return refuse(key, problem);
        }
    };
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return refuse(
            key,
            format!("{scheme}: is not supported: write http: or https:"),
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        let problem = "holds a user or password, which would show in every event: write an \
                       `Authorization` header";
        return refuse(key, problem);
    }
    Ok(())
}

fn headers(key: &str, headers: &BTreeMap<String, String>) -> Checked {
    if headers.len() > MAX_HEADERS {
        return refuse(key, "more than 32 headers");
    }
    for (name, value) in headers {
        let at = format!("{key}.{name}");
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return refuse(at, format!("{name:?} is no name of a header"));
        }
        if value.len() > MAX_HEADER_BYTES || HeaderValue::from_str(value).is_err() {
            let problem =
                "a value has at most 4096 bytes, all of them visible ASCII, spaces or tabs";
            return refuse(at, problem);
        }
        let ours = ["content-length", "transfer-encoding", "connection", "host"];
        if ours
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved))
        {
            return refuse(at, "is set by the client itself: leave it out");
        }
    }
    Ok(())
}

/// Headers by the names of variables: that these are set is seen when they are read.
fn headers_env(key: &str, all: &BTreeMap<String, String>) -> Checked {
    headers(key, all)?;
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !name.is_empty()
    };
    match all.iter().find(|(_, variable)| !is_name(variable)) {
        None => Ok(()),
        // Not shown: who mistakes the key writes the secret itself.
        Some((name, _)) => refuse(
            format!("{key}.{name}"),
            "must be the name of a variable of the node's environment, such as \"SHOP_TOKEN\"; its value is \
             the header's",
        ),
    }
}

/// The compiled pattern; takes bounded time and memory on any body.
pub(in crate::patrol) fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > MAX_WANTED_BYTES {
        return Err("longer than 1024 bytes: look for less".to_owned());
    }
    RegexBuilder::new(text)
        .size_limit(MAX_PATTERN_MEMORY)
        .dfa_size_limit(MAX_PATTERN_MEMORY)
        .build()
        .map_err(|error| {
            // The last line says it; those before show the pattern with a mark.
            let error = error.to_string();
            let said = error.lines().last().unwrap_or_default();
            format!("{text:?} is no regular expression: {said}")
        })
}
