//! `config`: the configuration as it takes effect, what it may say, and what the environment may.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::args::Form;
use super::check::refused;
use super::output::Output;
use super::target;
use crate::config::{self, KINDS, Line, Origin, Variable};
use crate::problem::{Code, Exit, Problem};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the whole configuration as it takes effect, with the defaults
    Show {
        /// The file
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        /// Say of each key where its value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Print an example with a comment for each key
    Example {
        /// Of this kind of concern only
        kind: Option<String>,
    },
    /// List the environment variables that are read
    Env,
}

/// Does it. `data_dir` is the flag.
pub(super) fn config(
    command: &ConfigCommand,
    data_dir: Option<&Path>,
    output: Output,
) -> Result<Exit, Problem> {
    match command {
        ConfigCommand::Show { config, origin } => show(config, *origin, data_dir, output)?,
        ConfigCommand::Schema => output.document(&config::schema())?,
        ConfigCommand::Example { kind } => example(kind.as_deref(), output)?,
        ConfigCommand::Env => environment(output)?,
    }
    Ok(Exit::Ok)
}

fn show(
    file: &Path,
    with_origin: bool,
    data_dir: Option<&Path>,
    output: Output,
) -> Result<(), Problem> {
    let mut effective = config::trace(file, config::variables())
        .map_err(|problems| refused(file, &problems, output))?;
    let configured = effective.config.node.data_dir.clone();
    // Without a home there is none, and the key stays as it is.
    if let Ok((dir, decided)) = target::decide(data_dir, configured.as_deref()) {
        let origin = match decided {
            target::Decided::Flag => Some(Origin::Flag("--data-dir")),
            target::Decided::Config => None,
            target::Decided::Variable(name) => Some(Origin::Variable(name.to_owned())),
        };
        if let Some(origin) = origin {
            let dir = dir.to_string_lossy();
            effective.decide(&["node", "data_dir"], json!(dir), origin);
        }
    }
    if output.form == Form::Table {
        output.raw(effective.to_toml(with_origin).as_bytes())
    } else {
        output.documents(&effective.lines.iter().map(as_json).collect::<Vec<_>>())
    }
}

fn as_json(line: &Line) -> serde_json::Value {
    let (file, number) = match &line.origin {
        Origin::File { file, line, .. } => (Some(file), Some(line)),
        Origin::Default | Origin::Variable(_) | Origin::Flag(_) => (None, None),
    };
    let variable = match &line.origin {
        Origin::Variable(name) => Some(name),
        Origin::Default | Origin::File { .. } | Origin::Flag(_) => None,
    };
    json!({
        "key": line.key(),
        "value": line.value,
        "origin": line.origin.source(),
        "file": file,
        "line": number,
        "variable": variable,
    })
}

fn example(kind: Option<&str>, output: Output) -> Result<(), Problem> {
    let text = config::example(kind).ok_or_else(|| {
        let kinds = KINDS.join(", ");
        let detail = format!("no kind {:?}: there is {kinds}", kind.unwrap_or_default());
        Problem::new(Code::NotFound, detail).hint("steadfast config example")
    })?;
    if output.form == Form::Table {
        output.raw(text.as_bytes())
    } else {
        output.document(&json!({ "kind": kind, "text": text }))
    }
}

fn environment(output: Output) -> Result<(), Problem> {
    let variables = config::describe_variables();
    if output.form != Form::Table {
        let described: Vec<_> = variables
            .iter()
            .map(
                |Variable {
                     name,
                     value,
                     meaning,
                 }| { json!({ "name": name, "value": value, "meaning": meaning }) },
            )
            .collect();
        return output.documents(&described);
    }
    let rows = variables.into_iter().map(|variable| {
        let value = variable.value.unwrap_or_else(|| "-".to_owned());
        vec![variable.name, value, variable.meaning]
    });
    output.table(&["VARIABLE", "VALUE", "MEANING"], rows.collect())
}
