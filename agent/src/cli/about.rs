//! What the program says of itself: `version`, `completions`, `man`.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::args::{Cli, Form};
use super::output::Output;
use crate::failure::is_denied;
use crate::problem::{Code, Exit, Problem};

/// `version`: what was built, from what, by what. The keys are a contract; what is not known is null.
pub(super) fn version(output: Output) -> Result<Exit, Problem> {
    let version = env!("CARGO_PKG_VERSION");
    let known = |value: &'static str| (!value.is_empty()).then_some(value);
    let commit = known(env!("STEADFAST_BUILD_COMMIT"));
    let rocksdb = known(env!("STEADFAST_BUILD_ROCKSDB"));
    if output.form == Form::Table {
        let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
        output.line(&format!("steadfast {version}{commit}"))?;
        output.line(&format!("rustc:   {}", env!("STEADFAST_BUILD_RUSTC")))?;
        output.line(&format!("target:  {}", env!("STEADFAST_BUILD_TARGET")))?;
        output.line(&format!("RocksDB: {}", rocksdb.unwrap_or("of the system")))?;
    } else {
        output.document(&json!({
            "name": "steadfast",
            "version": version,
            "commit": commit,
            "rustc": known(env!("STEADFAST_BUILD_RUSTC")),
            "target": known(env!("STEADFAST_BUILD_TARGET")),
            "profile": known(env!("STEADFAST_BUILD_PROFILE")),
            "rocksdb": rocksdb,
            // Cargo features of the program; it has none yet.
            "features": [],
        }))?;
    }
    Ok(Exit::Ok)
}

/// `completions`: a script for this shell.
pub(super) fn completions(shell: Shell, output: Output) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "steadfast", &mut script);
    output.raw(&script)?;
    Ok(Exit::Ok)
}

/// `man`: a page for the program and for each of its commands.
pub(super) fn man(directory: &Path, output: Output) -> Result<Exit, Problem> {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written.map_err(|error| {
        let code = if is_denied(error.kind()) {
            Code::Permission
        } else {
            Code::Failed
        };
        let detail = format!("{}: {error}", directory.display());
        Problem::new(code, detail).hint("steadfast man ./man")
    })?;
    output.note(&format!(
        "next: man -l {}",
        directory.join("steadfast.1").display()
    ));
    Ok(Exit::Ok)
}
