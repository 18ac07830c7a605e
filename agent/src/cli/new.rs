//! `new`: projects to begin with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::args::Form;
use super::output::Output;
use crate::new::{Name, Source, service};
use crate::problem::{Exit, Problem};

/// What to make.
#[derive(Debug, Subcommand)]
pub(crate) enum NewCommand {
    /// A service that embeds an actor, with its tests
    Service {
        /// The name of its package
        name: Name,
        /// The directory to make. Default: ./NAME
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
        /// A checkout of steadfast to depend on. Default: `$STEADFAST_SOURCE`, else the checkout that this
        /// program lies in
        #[arg(long, value_name = "DIR")]
        steadfast_path: Option<PathBuf>,
    },
}

/// Makes it.
pub(super) fn new(command: &NewCommand, output: Output) -> Result<Exit, Problem> {
    let NewCommand::Service {
        name,
        path,
        steadfast_path,
    } = command;
    let dir = path.as_deref().unwrap_or(Path::new(name.as_str()));
    let source = Source::choose(steadfast_path.as_deref())?;
    let made = service(name, dir, &source)?;
    let from = source.0.display();
    let place = made.dir.display();
    if output.form == Form::Table {
        output.line(&format!(
            "{place}: {} files, steadfast from {from}",
            made.files.len()
        ))?;
        output.note(&format!("next: cd {place} && cargo test"));
    } else {
        output.document(&json!({
            "path": place.to_string(),
            "files": made.files,
            "steadfast": from.to_string(),
        }))?;
    }
    Ok(Exit::Ok)
}
