//! One check: what is asked of a target, and what came of it. Plain data; [`web`](super::web) does the
//! asking.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use steadfast::Timestamp;

use super::config::Method;
use super::status::StatusSet;
use crate::human::Span;

/// What is asked of one target, with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The target's name.
    pub target: String,
    /// Where it is.
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// What is sent along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What is sent along whose value is in the node's environment: header by name of the variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers_env: BTreeMap<String, String>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Status codes that are right.
    pub status: StatusSet,
    /// What the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// What the body must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<String>,
    /// The longest that the answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<Span>,
    /// When the check is given up.
    pub timeout: Span,
    /// How many redirects are followed.
    pub follow_redirects: u32,
    /// Whose certificates are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// What one check found. Bounded: texts are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The target's name.
    pub target: String,
    /// The status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the check took, in milliseconds.
    pub latency_ms: u64,
    /// When the first of the certificates on the way expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_expires: Option<Timestamp>,
    /// Why it failed; `None` if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Checked {
    /// Whether all was as expected.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// More about it, for people; at most 200 characters.
    pub detail: String,
}

/// Longest [`Failure::detail`], in characters: failing checks are journalled one by one.
const MAX_DETAIL_CHARS: usize = 200;

impl Failure {
    /// `detail` is cut to its bound.
    #[must_use]
    pub fn new(kind: FailureKind, detail: impl AsRef<str>) -> Self {
        let detail = detail.as_ref().chars().take(MAX_DETAIL_CHARS).collect();
        Self { kind, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// What went wrong with a check, in the order in which a check can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// It could not be asked: its configuration or a file of it does not serve.
    Setup,
    /// Its name could not be resolved.
    Dns,
    /// It could not be connected to.
    Connect,
    /// TLS could not be agreed on, or its certificate is not trusted.
    Tls,
    /// It took longer than the timeout.
    Timeout,
    /// What it sent is no HTTP, or ended early.
    Http,
    /// It redirects where the check does not follow.
    Redirect,
    /// The status is a wrong one.
    Status,
    /// The body is not as expected.
    Body,
    /// The answer was right and late.
    Latency,
    /// A certificate expires soon.
    Certificate,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "setup",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Http => "http",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Body => "body",
            Self::Latency => "latency",
            Self::Certificate => "certificate",
        })
    }
}
