//! Sorts of problems and how a process ends with each.
//!
//! Invariant: [`Code::row`] is the only table of names, HTTP statuses, exit codes and next commands.

use std::process::ExitCode;

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
    /// Some of the work was done.
    Partial = 3,
    /// What is stored is not what was acknowledged, or does not lead to the state that there is.
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
    /// There is something to change: what `plan` found.
    Changes = 10,
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
    /// Not yet: ask again.
    Starting,
    /// Draining, unable to write at the moment, or a port is taken.
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
    /// The actor refuses the command.
    Rejected,
    /// Replaying an actor's events does not give its state.
    Divergence,
    /// Some of the work was done.
    Partial,
}

/// What is fixed about a [`Code`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its short name.
    pub(crate) slug: &'static str,
    /// The name for people.
    pub(crate) title: &'static str,
    /// The HTTP status that stands for it.
    pub(crate) status: u16,
    /// How a command line that meets it ends.
    pub(crate) exit: Exit,
    /// What to run next where the problem names nothing better.
    pub(crate) next: &'static str,
}

impl Code {
    /// All of them.
    pub(crate) const ALL: [Self; 25] = [
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMedia,
        Self::Forbidden,
        Self::Overloaded,
        Self::Starting,
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
        Self::Rejected,
        Self::Divergence,
        Self::Partial,
    ];

    /// What is fixed about it.
    #[rustfmt::skip]
    pub(crate) const fn row(self) -> Row {
        let (slug, title, status, exit, next) = match self {
            Self::BadRequest => ("bad-request", "Bad request", 400, Exit::Usage, "steadfast --help"),
            Self::NotFound => ("not-found", "Not found", 404, Exit::NotFound, "steadfast ps"),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed", 405, Exit::Usage, "steadfast --help"),
            Self::NotAcceptable => ("not-acceptable", "Not acceptable", 406, Exit::Usage, "steadfast --help"),
            Self::Conflict => ("conflict", "Conflict", 409, Exit::Conflict, "steadfast ps"),
            Self::TooLarge => ("too-large", "Too large", 413, Exit::Usage, "steadfast --help"),
            Self::UnsupportedMedia => ("unsupported-media-type", "Unsupported media type", 415, Exit::Usage, "steadfast --help"),
            Self::Forbidden => ("forbidden", "Forbidden", 403, Exit::Permission, "steadfast ps"),
            Self::Overloaded => ("overloaded", "Overloaded", 429, Exit::Unavailable, "steadfast ps"),
            Self::Starting => ("starting", "Starting", 503, Exit::Unavailable, "steadfast ps"),
            Self::Unavailable => ("unavailable", "Unavailable", 503, Exit::Unavailable, "steadfast ps"),
            Self::Quarantined => ("quarantined", "Quarantined", 409, Exit::Conflict, "steadfast quarantine ls"),
            Self::OutcomeUnknown => ("outcome-unknown", "Outcome unknown", 500, Exit::Failed, "steadfast ps"),
            Self::Failed => ("failed", "Failed", 500, Exit::Failed, "steadfast verify"),
            Self::Integrity => ("integrity", "Integrity failure", 500, Exit::Integrity, "steadfast verify"),
            Self::Locked => ("locked", "Directory held", 409, Exit::Locked, "steadfast ps"),
            Self::Permission => ("permission", "Permission denied", 500, Exit::Permission, "id"),
            Self::Config => ("config", "Configuration error", 422, Exit::Config, "steadfast check --config FILE"),
            Self::Unreachable => ("unreachable", "Node unreachable", 503, Exit::Unreachable, "steadfast run --config FILE"),
            Self::Timeout => ("timeout", "Timeout", 504, Exit::Timeout, "steadfast ps"),
            Self::RunPartial => ("run-partial", "Run partial", 409, Exit::Partial, "steadfast ps"),
            Self::RunFailed => ("run-failed", "Run failed", 409, Exit::RunFailed, "steadfast ps"),
            Self::Rejected => ("rejected", "Rejected", 409, Exit::Failed, "steadfast ps"),
            Self::Divergence => ("divergence", "Divergence", 409, Exit::Integrity, "steadfast verify"),
            Self::Partial => ("partial", "Partly done", 409, Exit::Partial, "steadfast status"),
        };
        Row { slug, title, status, exit, next }
    }

    /// How a command line that meets it ends.
    pub(crate) const fn exit(self) -> Exit {
        self.row().exit
    }

    /// The sort of that short name.
    pub(crate) fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.row().slug == slug)
    }
}
