//! The command line: from arguments to an exit code.

mod about;
mod args;
mod ask;
mod check;
mod checks;
mod config;
mod control;
mod end;
mod events;
mod inspect;
mod new;
mod output;
mod plan;
mod preview;
mod quarantine;
mod show;
mod status;
pub(crate) mod target;
mod upkeep;

use std::ffi::OsString;

use clap::Parser;

use args::{Cli, Command, Global};
pub(crate) use check::load;
pub(crate) use output::Output;
use output::warn;

use crate::problem::{Code, Exit, Problem};
use crate::{logging, run};

/// Does what the arguments say.
pub(crate) fn main(arguments: &[OsString]) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, arguments),
    };
    let output = Output::new(&cli.global);
    let flags = target::flags(&cli.global);
    match execute(cli, output) {
        Ok(exit) => exit,
        Err(mut problem) => {
            problem.hint = target::with_flags(&problem.hint, &flags);
            output.problem(&problem);
            problem.code.exit()
        }
    }
}

fn execute(cli: Cli, output: Output) -> Result<Exit, Problem> {
    let Cli { command, global } = cli;
    let verbosity = logging::Verbosity::new(global.quiet, global.verbose);
    if let Command::Run { config } = command {
        if global.node.is_some() {
            let detail =
                "`run` is a node: --node names another one, --data-dir where it keeps its data";
            return Err(Problem::new(Code::BadRequest, detail));
        }
        return run::run(&config, global.data_dir.as_deref(), verbosity, output);
    }
    logging::of_a_client(verbosity, output.color);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Code::Failed, format!("no runtime: {error}")))?;
    runtime.block_on(client(command, &global, output))
}

/// The commands that end by themselves.
async fn client(command: Command, global: &Global, output: Output) -> Result<Exit, Problem> {
    let target = || target::target(global);
    let timeout = global.timeout;
    match command {
        Command::Run { .. } => Ok(Exit::Usage),
        Command::Check { config } => check::check(&config, output),
        Command::Status => status::status(&target()?, timeout, output).await,
        Command::Config { command } => config::config(&command, global.data_dir.as_deref(), output),
        Command::Ps => show::ps(target()?, timeout, output).await,
        Command::Inspect { actor, events } => {
            inspect::inspect(target()?, timeout, &actor, events, output).await
        }
        Command::Ask(command) => ask::ask(&target()?, timeout, command.asked(true), output).await,
        Command::Tell(command) => ask::ask(&target()?, timeout, command.asked(false), output).await,
        Command::Plan { config } => {
            plan::plan(&target()?, timeout, config.as_deref(), output).await
        }
        Command::Quarantine { command } => {
            quarantine::quarantine(&target()?, timeout, command, output).await
        }
        Command::Reload => plan::reload(&target()?, timeout, output).await,
        Command::Snapshot { actor, all: _ } => {
            upkeep::snapshot(&target()?, timeout, actor.as_ref(), output).await
        }
        Command::Replay { actor, to } => {
            upkeep::replay(target()?, timeout, &actor, to, output).await
        }
        Command::State { actor, at } => show::state(target()?, timeout, &actor, at, output).await,
        Command::Verify => show::verify(target()?, timeout, output).await,
        Command::Events {
            actor,
            from,
            follow,
        } => {
            let asked = events::Asked {
                actor,
                from,
                follow,
            };
            events::events(target()?, timeout, asked, output).await
        }
        Command::Trigger {
            concern,
            wait,
            wait_timeout,
            dry_run,
        } => {
            let asked = control::Asked {
                wait,
                wait_timeout,
                dry_run,
            };
            control::trigger(&target()?, timeout, &concern, asked, output).await
        }
        Command::Cancel { concern } => control::cancel(&target()?, timeout, &concern, output).await,
        Command::Pause { concern } => {
            control::switch(&target()?, timeout, &concern, "pause", output).await
        }
        Command::Resume { concern } => {
            control::switch(&target()?, timeout, &concern, "resume", output).await
        }
        Command::Completions { shell } => about::completions(shell, output),
        Command::Man { directory } => about::man(&directory, output),
        Command::New { command } => new::new(&command, output),
        Command::Version => about::version(output),
    }
}

/// Help and version as asked for, or why the arguments make no sense.
fn not_understood(error: &clap::Error, arguments: &[OsString]) -> Exit {
    // Like any other writer: a reader that went away is no failure.
    drop(error.print());
    if error.exit_code() == 0 {
        return Exit::Ok;
    }
    let wants_json = arguments.iter().any(|argument| {
        let text = argument.to_string_lossy();
        matches!(
            text.trim_start_matches("--output=")
                .trim_start_matches("-o"),
            "json" | "jsonl"
        )
    });
    if wants_json {
        let text = error.to_string();
        let detail = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        warn(
            &Problem::new(Code::BadRequest, detail)
                .hint("steadfast --help")
                .to_json()
                .to_string(),
        );
    }
    Exit::Usage
}
