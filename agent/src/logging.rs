//! What a process says about itself: to stderr, for people on a terminal, with priorities where the
//! journal of systemd reads, as JSON lines elsewhere.

mod journal;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// `-q`.
    Quiet,
    /// Neither.
    Usual,
    /// `-v`.
    More,
    /// `-vv`.
    Everything,
}

impl Verbosity {
    /// From the flags.
    pub(crate) const fn new(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Usual,
            (false, 1) => Self::More,
            (false, _) => Self::Everything,
        }
    }

    /// The directives of a node's log; those of the server below it only with `-vv`. What it says of requests that
    /// are none is not for the log: anybody on this host could fill the disk with it.
    const fn of_node(self) -> &'static str {
        match self {
            Self::Quiet => "warn,actix_http=off",
            Self::Usual => "info,actix_server=warn,actix_http=off",
            Self::More => {
                "info,actix_http=off,steadfast=debug,steadfast_agent=debug,steadfast_actors=debug,steadfast_journal=debug"
            }
            Self::Everything => {
                "debug,steadfast=trace,steadfast_agent=trace,steadfast_actors=trace"
            }
        }
    }

    const fn of_client(self) -> &'static str {
        match self {
            Self::Quiet => "error",
            Self::Usual => "warn",
            Self::More => "info,steadfast=debug,steadfast_agent=debug",
            Self::Everything => "debug",
        }
    }
}

/// The log of a node.
pub(crate) fn of_a_node(verbosity: Verbosity, format: LogFormat, color: bool) {
    let format = match format {
        LogFormat::Auto if std::io::stderr().is_terminal() => LogFormat::Pretty,
        LogFormat::Auto if journal::is_stderr() => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Json,
        LogFormat::Pretty | LogFormat::Json | LogFormat::Journald => format,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(verbosity.of_node()))
        .with_ansi(color);
    // A second subscriber in one process would be a bug; the first one then stays.
    match format {
        LogFormat::Auto | LogFormat::Pretty => drop(builder.finish().try_init()),
        LogFormat::Json => drop(builder.json().flatten_event(true).finish().try_init()),
        LogFormat::Journald => {
            let builder = builder.with_ansi(false).without_time();
            drop(builder.with_writer(journal::ToJournal).finish().try_init());
        }
    }
}

/// The log of a command that ends by itself.
pub(crate) fn of_a_client(verbosity: Verbosity, color: bool) {
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(verbosity.of_client()))
        .with_ansi(color)
        .without_time()
        .with_target(false);
    drop(builder.finish().try_init());
}

/// `RUST_LOG`, or what the flags say.
fn filter(directives: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives))
}
