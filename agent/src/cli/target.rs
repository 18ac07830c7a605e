//! Where the data or the node is: flags, config file, environment, in this order.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::Global;
use crate::client::Endpoint;
use crate::problem::{Code, Problem};

/// What a command works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A running node.
    Node(Endpoint),
    /// A data directory, with or without a node.
    Directory(PathBuf),
}

/// The target that the flags name.
pub(crate) fn target(global: &Global) -> Result<Target, Problem> {
    match (&global.node, &global.data_dir) {
        (Some(_), Some(_)) => Err(Problem::new(
            Code::BadRequest,
            "--node and --data-dir exclude each other",
        )),
        (Some(endpoint), None) => Ok(Target::Node(endpoint.clone())),
        (None, data_dir) => directory(data_dir.as_deref(), None).map(Target::Directory),
    }
}

/// The flags that name the target again, as a shell takes them; empty where none were given.
pub(crate) fn flags(global: &Global) -> String {
    let (flag, value) = match (&global.node, &global.data_dir) {
        (Some(endpoint), _) => ("--node", endpoint.to_string()),
        (None, Some(dir)) => ("--data-dir", dir.display().to_string()),
        (None, None) => return String::new(),
    };
    flag_with(flag, &value)
}

/// The flag that names the data directory `dir`, as a shell takes it.
pub(crate) fn data_dir_flag(dir: &Path) -> String {
    flag_with("--data-dir", &dir.display().to_string())
}

fn flag_with(flag: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+,@%[]".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        format!("{flag} {value}")
    } else {
        format!("{flag} '{}'", value.replace('\'', r"'\''"))
    }
}

/// A command to run next, with the flags by which this one found its target.
pub(crate) fn with_flags(hint: &str, flags: &str) -> String {
    const TARGETED: [&str; 18] = [
        "ps",
        "state",
        "events",
        "trigger",
        "pause",
        "resume",
        "verify",
        "run",
        "status",
        "inspect",
        "ask",
        "tell",
        "plan",
        "reload",
        "snapshot",
        "quarantine",
        "cancel",
        "replay",
    ];
    let verb = hint
        .strip_prefix("steadfast ")
        .and_then(|rest| rest.split(' ').next());
    let takes = verb.is_some_and(|verb| TARGETED.contains(&verb));
    let has = hint.contains("--data-dir") || hint.contains("--node");
    // A node is not reached through `run`, but by it.
    let other = verb == Some("run") && flags.contains("--node");
    if flags.is_empty() || !takes || has || other {
        return hint.to_owned();
    }
    format!("{hint} {flags}")
}

/// The data directory: of the flag, of the config file, of the environment.
pub(crate) fn directory(
    flag: Option<&Path>,
    configured: Option<&Path>,
) -> Result<PathBuf, Problem> {
    decide(flag, configured).map(|(dir, _)| dir)
}

/// What decided where the data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    /// `--data-dir`.
    Flag,
    /// The config file, or a variable over it.
    Config,
    /// This variable.
    Variable(&'static str),
}

/// [`directory`], and why it is that one.
pub(super) fn decide(
    flag: Option<&Path>,
    configured: Option<&Path>,
) -> Result<(PathBuf, Decided), Problem> {
    let flagged = flag.map(|dir| (dir.to_owned(), Decided::Flag));
    flagged
        .or_else(|| configured.map(|dir| (dir.to_owned(), Decided::Config)))
        .or_else(|| {
            let (dir, name) = from_environment(|name| std::env::var_os(name))?;
            Some((dir, Decided::Variable(name)))
        })
        .ok_or_else(|| {
            let detail = "no data directory: none was named, and neither $STATE_DIRECTORY, \
                      $XDG_STATE_HOME nor $HOME is set";
            Problem::new(Code::BadRequest, detail).hint("steadfast ps --data-dir DIR")
        })
}

fn from_environment(get: impl Fn(&str) -> Option<OsString>) -> Option<(PathBuf, &'static str)> {
    let set = |name: &str| {
        get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // systemd separates several directories by colons; the first is ours.
    let of_service = set("STATE_DIRECTORY").map(|list| {
        let text = list.to_string_lossy();
        text.split_once(':')
            .map_or_else(|| list.clone(), |(first, _)| PathBuf::from(first))
    });
    let of_service = of_service.map(|dir| (dir, "STATE_DIRECTORY"));
    of_service
        .or_else(|| {
            let base = set("XDG_STATE_HOME").filter(|base| base.is_absolute());
            base.map(|base| (base.join("steadfast"), "XDG_STATE_HOME"))
        })
        .or_else(|| set("HOME").map(|home| (home.join(".local/state/steadfast"), "HOME")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)], expected: Option<&str>) {
        let found = from_environment(|name| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        });
        assert_eq!(found.map(|(dir, _)| dir), expected.map(PathBuf::from));
    }

    #[test]
    fn the_environment_names_the_directory() {
        check(
            &[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/h")],
            Some("/var/lib/a"),
        );
        check(
            &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")],
            Some("/s/steadfast"),
        );
        check(
            &[("XDG_STATE_HOME", "relative"), ("HOME", "/h")],
            Some("/h/.local/state/steadfast"),
        );
        check(&[("STATE_DIRECTORY", "")], None);
    }
}
