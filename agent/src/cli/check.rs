//! `check`: whether a config file is right, without running anything.

use std::path::Path;

use serde_json::json;

use super::args::Form;
use super::output::{Output, warn};
use crate::config::{self, Config, Problems};
use crate::problem::{Exit, Problem};
use crate::reload::invalid;

/// Checks the file.
pub(super) fn check(file: &Path, output: Output) -> Result<Exit, Problem> {
    // The usual advice would be this very command.
    let config = load(file, output).map_err(|problem| problem.hint("steadfast config example"))?;
    let concerns: Vec<&str> = config
        .concerns
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    if output.form == Form::Table {
        output.line(&format!(
            "{}: ok, {} concern(s)",
            file.display(),
            concerns.len()
        ))?;
        output.next(&format!("steadfast run --config {}", file.display()));
    } else {
        output.document(&json!({ "ok": true, "concerns": concerns }))?;
    }
    Ok(Exit::Ok)
}

/// Reads and checks a configuration. What is wrong with it is shown to people at once.
pub(crate) fn load(file: &Path, output: Output) -> Result<Config, Problem> {
    config::load(file, config::variables()).map_err(|problems| refused(file, &problems, output))
}

pub(super) fn refused(file: &Path, problems: &Problems, output: Output) -> Problem {
    let mut problem = invalid(file, problems);
    if output.form == Form::Table {
        warn(&problems.render(output.color));
        problem.errors.clear();
    }
    problem
}
