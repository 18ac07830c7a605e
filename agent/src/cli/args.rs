//! The command line as it is written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use steadfast::ActorId;
use steadfast_actors::human::Span;

use super::ask::Asked;
use super::config::ConfigCommand;
use super::new::NewCommand;
use super::quarantine::QuarantineCommand;
use crate::client::Endpoint;

/// Stateful actors on one node: what was acknowledged survives every crash.
#[derive(Debug, Parser)]
#[command(
    name = "steadfast",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What holds for all commands.
    #[command(flatten)]
    pub(crate) global: Global,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 ok                 1 failed, rejected    2 usage            3 partly done
  4 integrity failure, divergence            5 not found        6 conflict
  7 node unreachable   8 run did not succeed 9 directory held by another process
  10 the plan has changes
  69 unavailable (port in use, draining)     77 permission      78 configuration
  124 timeout          130 interrupted";

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Data directory of the node. Default: for `run` that of the config file, else
    /// `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/steadfast`
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "node")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of a running node: unix:PATH or http://HOST:PORT
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) node: Option<Endpoint>,
    /// Form of the output
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        default_value = "table"
    )]
    pub(crate) output: Form,
    /// How long to wait for a node that is starting, and for each of its answers
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// No colours, as with `NO_COLOR`
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One JSON document a line
    Jsonl,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node in the foreground
    Run {
        /// Its configuration
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a config file and run nothing
    Check {
        /// The file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show the node on one screen; exit 7 if there is none
    Status,
    /// Show, describe and explain the configuration
    Config {
        /// What to do
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// List the concerns, what they do and how their newest run went
    Ps,
    /// Show one actor in full: state, pending work, mailbox, newest events
    Inspect {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
        /// How many of its newest events to show
        #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1000))]
        events: u64,
    },
    /// Show the state of an actor, now or after one of its events
    State {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
        /// The state after this event; 0 is before the first
        #[arg(long, value_name = "SEQ")]
        at: Option<u64>,
    },
    /// Show the events of an actor
    Events {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
        /// The first event to show
        #[arg(long, value_name = "SEQ", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        from: u64,
        /// Go on with new events as they happen
        #[arg(short, long)]
        follow: bool,
    },
    /// Start a run of a concern, or join the one that is going
    Trigger {
        /// NAME or concern/NAME
        #[arg(value_parser = concern)]
        concern: ActorId,
        /// Wait for the end of the run; exit 0 only if it succeeded
        #[arg(long)]
        wait: bool,
        /// Give up waiting after this time (exit 124); the run goes on. Default: wait as long as it takes
        #[arg(long, value_name = "TIME", requires = "wait", value_parser = duration)]
        wait_timeout: Option<Duration>,
        /// Only show what the run would do
        #[arg(long)]
        dry_run: bool,
    },
    /// Have the run of a concern that is going end before its work is done
    Cancel {
        /// NAME or concern/NAME
        #[arg(value_parser = concern)]
        concern: ActorId,
    },
    /// Start no more runs of a concern; the one that is going completes
    Pause {
        /// NAME or concern/NAME
        #[arg(value_parser = concern)]
        concern: ActorId,
    },
    /// Undo `pause`; the schedule starts anew
    Resume {
        /// NAME or concern/NAME
        #[arg(value_parser = concern)]
        concern: ActorId,
    },
    /// Send a command by name and print the reply
    ///
    /// Answered when the command was handled and everything that it wrote is durable. A rejection ends with
    /// exit 1; with `-o json` it is the first of the problem's `errors`.
    Ask(CommandArgs),
    /// Send a command by name; done when it was handled and everything that it wrote is durable
    Tell(CommandArgs),
    /// Show what the config file would change in the running node; exit 10 if anything
    Plan {
        /// Another file instead of the one that the node was started with
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Take the config file over: all of it or nothing, as with SIGHUP
    Reload,
    /// Store the state of an actor, or of all, so that its next recovery replays less
    Snapshot {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor, required_unless_present = "all")]
        actor: Option<ActorId>,
        /// All actors that have events since their newest snapshot
        #[arg(long, conflicts_with = "actor")]
        all: bool,
    },
    /// Rebuild an actor from its first event and compare; exit 4 if its state is another
    Replay {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
        /// Only up to this event, and not with the state in memory
        #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
    /// Look after actors that are set aside after failures
    Quarantine {
        /// What to do
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Check everything that is stored: chain, entries, mark
    Verify,
    /// Make a project to begin with
    New {
        /// What to make
        #[command(subcommand)]
        command: NewCommand,
    },
    /// Print a completion script
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Write the manual pages
    Man {
        /// Into this directory, which is made if missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print the version, and what it was built from
    Version,
}

/// A command by name.
#[derive(Debug, Args)]
pub(crate) struct CommandArgs {
    /// SPACE/KEY, or the name of a concern
    #[arg(value_parser = actor)]
    actor: ActorId,
    /// Name of the command
    command: String,
    /// JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    body: String,
    /// Makes it take effect once, however often it is sent with this key
    #[arg(long)]
    key: Option<String>,
}

impl CommandArgs {
    pub(crate) fn asked(self, wants_reply: bool) -> Asked {
        let Self {
            actor,
            command,
            body,
            key,
        } = self;
        Asked {
            actor,
            command,
            body,
            key,
            wants_reply,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Span>()
        .map(Span::duration)
        .map_err(|error| error.to_string())
}

/// `SPACE/KEY`; a bare name is a concern's.
pub(super) fn actor(text: &str) -> Result<ActorId, String> {
    let id = if text.contains('/') {
        text.parse()
    } else {
        ActorId::new(steadfast_actors::concern::SPACE, text)
    };
    id.map_err(|error| error.to_string())
}

fn concern(text: &str) -> Result<ActorId, String> {
    let id = actor(text)?;
    if id.space() == steadfast_actors::concern::SPACE {
        return Ok(id);
    }
    Err(format!("{id} is no concern: write NAME or concern/NAME"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_name_is_a_concern() {
        assert_eq!(actor("logs").unwrap().to_string(), "concern/logs");
        assert_eq!(actor("counter/a/b").unwrap().to_string(), "counter/a/b");
        assert!(concern("counter/a").is_err());
    }
}
