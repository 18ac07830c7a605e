//! What can go wrong, in the one form that every edge shows: bodies of HTTP answers (RFC 9457), the last
//! line on stderr, exit codes.
//!
//! Invariant: [`Code::row`] is the only table of slugs, HTTP statuses and exit codes.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// How a process of this program ends. Any other code is a failure too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It worked.
    Ok = 0,
    /// It did not, for a reason without a code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The run that was waited for did some of its work.
    Partial = 3,
    /// What is stored is not what was acknowledged.
    Integrity = 4,
    /// There is no such thing.
    NotFound = 5,
    /// It does not fit what is going on.
    Conflict = 6,
    /// No node answers.
    Unreachable = 7,
    /// The run that was waited for did not succeed.
    RunFailed = 8,
    /// Another process holds the directory.
    Locked = 9,
    /// Not now: a port is taken, the node is starting or draining.
    Unavailable = 69,
    /// It may not be done.
    Permission = 77,
    /// The configuration is wrong.
    Config = 78,
    /// It took too long.
    Timeout = 124,
    /// A second signal ended it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Sorts of problems, by what one can do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The request or command line makes no sense.
    BadRequest,
    /// Nothing of that name.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No form of the answer that the client accepts.
    NotAcceptable,
    /// It contradicts what is going on.
    Conflict,
    /// The body is too long.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMedia,
    /// A foreign web page, or a name that is not ours.
    Forbidden,
    /// Too much at once.
    Overloaded,
    /// Starting, draining, or unable to write at the moment.
    Unavailable,
    /// The actor is set aside.
    Quarantined,
    /// It may or may not have taken effect.
    OutcomeUnknown,
    /// A bug, or an error of the system.
    Failed,
    /// The store is damaged or incomplete.
    Integrity,
    /// Another process holds the directory.
    Locked,
    /// The directory or file may not be used.
    Permission,
    /// The configuration is wrong.
    Config,
    /// No node answers.
    Unreachable,
    /// Too slow.
    Timeout,
    /// The run did some of its work.
    RunPartial,
    /// The run did not succeed.
    RunFailed,
}

/// What is fixed about a [`Code`].
struct Row {
    slug: &'static str,
    title: &'static str,
    status: u16,
    exit: Exit,
}

const fn row(slug: &'static str, title: &'static str, status: u16, exit: Exit) -> Row {
    Row { slug, title, status, exit }
}

impl Code {
    const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Forbidden,
        Self::Overloaded,
        Self::Unavailable,
        Self::Quarantined,
        Self::OutcomeUnknown,
        Self::Failed,
        Self::Integrity,
        Self::Locked,
        Self::Permission,
        Self::Config,
        Self::Unreachable,
        Self::Timeout,
        Self::RunPartial,
        Self::RunFailed,
    ];

    const fn row(self) -> Row {
        match self {
            Self::BadRequest => row("bad-request", "Bad request", 400, Exit::Usage),
            Self::NotFound => row("not-found", "Not found", 404, Exit::NotFound),
            Self::MethodNotAllowed => {
                row("method-not-allowed", "Method not allowed", 405, Exit::Usage)
            }
            Self::NotAcceptable => row("not-acceptable", "Not acceptable", 406, Exit::Usage),
            Self::Conflict => row("conflict", "Conflict", 409, Exit::Conflict),
            Self::TooLarge => row("too-large", "Too large", 413, Exit::Usage),
            Self::UnsupportedMedia => {
                row("unsupported-media-type", "Unsupported media type", 415, Exit::Usage)
            }
            Self::Forbidden => row("forbidden", "Forbidden", 403, Exit::Permission),
            Self::Overloaded => row("overloaded", "Overloaded", 429, Exit::Unavailable),
            Self::Unavailable => row("unavailable", "Unavailable", 503, Exit::Unavailable),
            Self::Quarantined => row("quarantined", "Quarantined", 409, Exit::Conflict),
            Self::OutcomeUnknown => row("outcome-unknown", "Outcome unknown", 500, Exit::Failed),
            Self::Failed => row("failed", "Failed", 500, Exit::Failed),
            Self::Integrity => row("integrity", "Integrity failure", 500, Exit::Integrity),
            Self::Locked => row("locked", "Directory held", 409, Exit::Locked),
            Self::Permission => row("permission", "Permission denied", 500, Exit::Permission),
            Self::Config => row("config", "Configuration error", 422, Exit::Config),
            Self::Unreachable => row("unreachable", "Node unreachable", 503, Exit::Unreachable),
            Self::Timeout => row("timeout", "Timeout", 504, Exit::Timeout),
            Self::RunPartial => row("run-partial", "Run partial", 409, Exit::Partial),
            Self::RunFailed => row("run-failed", "Run failed", 409, Exit::RunFailed),
        }
    }

    /// Its short name.
    pub(crate) const fn slug(self) -> &'static str {
        self.row().slug
    }

    /// The HTTP status that stands for it.
    pub(crate) const fn status(self) -> u16 {
        self.row().status
    }

    /// How a command line that meets it ends.
    pub(crate) const fn exit(self) -> Exit {
        self.row().exit
    }

    fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.slug() == slug)
    }
}

/// One thing that went wrong: which sort, what exactly, and the command to run next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// Which sort.
    pub(crate) code: Code,
    /// What exactly, in a sentence for people.
    pub(crate) detail: String,
    /// The command to run next.
    pub(crate) hint: Option<String>,
    /// The single errors, where there are several.
    pub(crate) errors: Option<serde_json::Value>,
}

/// The shape in JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    code: String,
    exit_code: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errors: Option<serde_json::Value>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None, errors: None }
    }

    /// Names the command to run next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As JSON on one line.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let Row { slug, title, status, exit } = self.code.row();
        let wire = Wire {
            kind: format!("urn:steadfast:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: self.detail.clone(),
            code: slug.to_owned(),
            exit_code: exit as u8,
            hint: self.hint.clone(),
            errors: self.errors.clone(),
        };
        // Strings and numbers: this cannot fail.
        serde_json::to_value(wire).unwrap_or_default()
    }

    /// A problem that another process sent.
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        let code = Code::from_slug(&wire.code).unwrap_or(Code::Failed);
        Some(Self { code, detail: wire.detail, hint: wire.hint, errors: wire.errors })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_json() {
        for code in Code::ALL {
            let problem = Problem::new(code, "what happened").hint("steadfast ps");
            let body = problem.to_json().to_string();
            assert_eq!(Problem::from_json(body.as_bytes()), Some(problem));
        }
    }

    #[test]
    fn slugs_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::from_slug(code.slug()), Some(code));
        }
    }
}
