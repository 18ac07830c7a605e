//! The config file: read, overlaid with the environment, and checked, before anything is touched.
//!
//! ```text
//! file ─ document ─▶ tree ◀─ environment      every value knows its line or its variable
//!                     │ anchor                 paths become absolute
//!                     ▼
//!             read ─▶ sections, concerns       typed; refusals say where, and what was meant
//! ```
//! Invariants: all problems are reported at once, each with its place; nothing is ignored silently, so
//! that a key which is designed but not built ([`planned`]) is an error; only this module knows TOML.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

mod anchor;
mod concerns;
mod document;
mod effective;
mod environment;
mod example;
mod planned;
mod problem;
mod read;
mod refusal;
mod report;
mod schema;
mod secret;
mod sections;
mod suggest;
#[cfg(test)]
mod tests;

pub(crate) use concerns::{Concern, KINDS, Kind};
pub(crate) use effective::{Line, Origin, trace};
pub(crate) use environment::{Variable, describe as describe_variables, variables};
pub(crate) use example::example;
pub(crate) use problem::Problems;
pub(crate) use schema::schema;
pub(crate) use secret::masked;
pub(crate) use sections::{Listen, LogFormat};

use document::{Node, Value};
use problem::{Place, Problem};
use report::Report;
use sections::{HttpSection, NodeSection, Telemetry};

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// `[node]`.
    pub(crate) node: NodeSection,
    /// `[http]`.
    pub(crate) http: HttpSection,
    /// `[telemetry]`.
    pub(crate) telemetry: Telemetry,
    /// `[concerns.*]`, in the order of their names.
    pub(crate) concerns: Vec<Concern>,
}

/// The format that this version reads.
const VERSION: i64 = 1;
/// Longest file that is taken for a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the file, overlays the variables, and checks everything.
///
/// # Errors
/// All problems, not only the first.
pub(crate) fn load(
    path: &Path,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Config, Problems> {
    load_tree(path, variables).map(|read| read.config)
}

/// [`load`], with what the configuration was made of.
fn load_tree(
    path: &Path,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Read, Problems> {
    let name = path.display().to_string();
    let refuse = |message: String, hint: String| {
        Problems::new(
            &name,
            "",
            vec![Problem::new("", Place::File, message).hint(hint)],
        )
    };
    let bytes = read_file(path).map_err(|error| {
        let (message, hint) = explain(&error);
        refuse(message, hint)
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        let hint = "name the configuration with `--config FILE`".to_owned();
        return Err(refuse(
            "is larger than 1 MiB: it is no configuration".to_owned(),
            hint,
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))?;
    let real = path.canonicalize().ok();
    let directory = real
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::to_str);
    parse_tree(&name, directory, text, variables)
}

/// Checks the text of a file. `directory` is the file's, in full: `./` in paths is meant from it.
///
/// # Errors
/// All problems, not only the first.
pub(crate) fn parse(
    file: &str,
    directory: Option<&str>,
    text: &str,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Config, Problems> {
    parse_tree(file, directory, text.to_owned(), variables).map(|read| read.config)
}

/// A configuration with what it was made of.
struct Read {
    config: Config,
    /// File and variables as one tree, paths absolute.
    tree: Node,
    /// The file.
    text: String,
}

fn parse_tree(
    file: &str,
    directory: Option<&str>,
    text: String,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Read, Problems> {
    let mut report = Report::default();
    let tree = merge(directory, &text, variables, &mut report);
    let config = tree
        .clone()
        .and_then(|mut tree| check(&mut tree, &mut report));
    match (config, tree) {
        (Some(config), Some(tree)) if report.is_empty() => Ok(Read { config, tree, text }),
        _ => Err(Problems::new(file, &text, report.into_problems())),
    }
}

/// The file with the variables over it. `None` only if something was reported.
fn merge(
    directory: Option<&str>,
    text: &str,
    variables: impl Iterator<Item = (String, String)>,
    report: &mut Report,
) -> Option<Node> {
    let mut root = document::parse(text, report);
    if !report.is_empty() {
        // What cannot be read would look like missing keys.
        return None;
    }
    environment::overlay(&mut root, variables, report);
    check_version(&mut root, report)?;
    refuse_interpolation(&mut root, report);
    anchor::resolve(&mut root, directory, report);
    Some(root)
}

/// From the tree to types. `None` only if something was reported.
fn check(root: &mut Node, report: &mut Report) -> Option<Config> {
    let sections: Option<sections::File> = read::read(root, report);
    let defaults = root.take("defaults");
    let concerns = concerns::read_all(root, defaults.as_ref().map(|entry| &entry.node), report);
    let sections::File {
        node,
        http,
        telemetry,
        ..
    } = sections?;
    Some(Config {
        node,
        http,
        telemetry,
        concerns,
    })
}

/// `None` if the file is of another format, so that nothing else can be said about it.
fn check_version(root: &mut Node, report: &mut Report) -> Option<()> {
    let Some(entry) = root.entry("version") else {
        report_missing_version(root, report);
        return Some(());
    };
    let place = entry.node.place.clone();
    let number = if let Value::Integer(number) = entry.node.value {
        number
    } else {
        0
    };
    if number == VERSION {
        return Some(());
    }
    if number > VERSION {
        let message = format!("version {number} of the format is not available in this version");
        let label = format!("this steadfast reads version {VERSION}");
        let problem = Problem::new("version", place, message).label(label);
        report.add(problem.hint("use a newer steadfast"));
        return None;
    }
    let refused = Problem::new("version", place, "this is no version of the format");
    report.add(refused.hint(format!("write `version = {VERSION}`")));
    root.cut("version");
    Some(())
}

fn report_missing_version(root: &Node, report: &mut Report) {
    let mut names = root.entries().iter().map(|entry| entry.name.as_str());
    if names.any(|name| suggest::nearest(name, &["version"]).is_some()) {
        // It will be called an unknown key.
        return;
    }
    let hint = format!("add `version = {VERSION}` as the first line: it is the format of the file");
    report.add(Problem::new("version", Place::Bytes(0..0), "`version` is missing").hint(hint));
}

/// `${…}` is reserved: taking it literally now would change its meaning later.
fn refuse_interpolation(root: &mut Node, report: &mut Report) {
    let mut refused = Vec::new();
    root.for_each_text(&mut |key, place, text| {
        if text.contains("${") {
            let message = "`${…}` is not available in this version";
            let hint = "write the value itself, or set it by an environment variable";
            refused.push(
                Problem::new(key, place.clone(), message)
                    .label("not replaced")
                    .hint(hint),
            );
        }
    });
    for problem in refused {
        root.cut(&problem.key);
        report.add(problem);
    }
}

/// One byte more than is allowed, at most.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What went wrong with reading the file, and what to do.
fn explain(error: &io::Error) -> (String, String) {
    let name_another = "name the configuration with `--config FILE`";
    if error.kind() == io::ErrorKind::NotFound {
        ("there is no such file".to_owned(), name_another.to_owned())
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        (
            "it may not be read".to_owned(),
            "run as a user who may, or change its mode".to_owned(),
        )
    } else if error.kind() == io::ErrorKind::IsADirectory {
        ("it is a directory".to_owned(), name_another.to_owned())
    } else {
        (
            format!("it cannot be read: {error}"),
            name_another.to_owned(),
        )
    }
}

/// Points at the first byte that is no UTF-8.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problems {
    let text = String::from_utf8_lossy(error.as_bytes());
    let at = error.utf8_error().valid_up_to();
    let place = Place::Bytes(at..at.saturating_add(1));
    let problem = Problem::new("", place, "this is not UTF-8").hint("save the file as UTF-8");
    Problems::new(name, &text, vec![problem])
}
