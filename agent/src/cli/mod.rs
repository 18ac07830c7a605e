//! The command line: from arguments to an exit code.

mod args;
mod check;
mod control;
mod events;
mod output;
mod show;
pub(crate) mod target;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

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
    match execute(cli, output) {
        Ok(exit) => exit,
        Err(problem) => {
            output.problem(&problem);
            problem.code.exit()
        }
    }
}

fn execute(cli: Cli, output: Output) -> Result<Exit, Problem> {
    let Cli { command, global } = cli;
    let verbosity = logging::Verbosity::new(global.quiet, global.verbose);
    if let Command::Run { config } = command {
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
        Command::Ps => show::ps(target()?, timeout, output).await,
        Command::State { actor, at } => show::state(target()?, timeout, &actor, at, output).await,
        Command::Verify => show::verify(target()?, timeout, output).await,
        Command::Events { actor, from, follow } => {
            let asked = events::Asked { actor, from, follow };
            events::events(target()?, timeout, asked, output).await
        }
        Command::Trigger { concern, wait, wait_timeout, dry_run } => {
            let asked = control::Asked { wait, wait_timeout, dry_run };
            control::trigger(&target()?, timeout, &concern, asked, output).await
        }
        Command::Pause { concern } => {
            control::switch(&target()?, timeout, &concern, "pause", output).await
        }
        Command::Resume { concern } => {
            control::switch(&target()?, timeout, &concern, "resume", output).await
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "steadfast", &mut script);
            output.raw(&script)?;
            Ok(Exit::Ok)
        }
        Command::Version => show::version(output),
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
        matches!(text.trim_start_matches("--output=").trim_start_matches("-o"), "json" | "jsonl")
    });
    if wants_json {
        let text = error.to_string();
        let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        warn(&Problem::new(Code::BadRequest, detail).hint("steadfast --help").to_json().to_string());
    }
    Exit::Usage
}
