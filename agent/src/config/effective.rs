//! The configuration as it takes effect: every key with its value and where that comes from.
//!
//! The values are those of the checked [`Config`], the places those of the tree it was read from. Invariant:
//! what this renders is a configuration that means the same, unless a secret was masked.

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::document::Node;
use super::problem::{Place, Problems, line_of};
use super::secret::masked;
use super::{Config, VERSION};
use crate::kinds;

/// A whole configuration.
#[derive(Debug)]
pub(crate) struct Effective {
    /// What is configured.
    pub(crate) config: Config,
    /// Every key, tables in order.
    pub(crate) lines: Vec<Line>,
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// The names that lead to it.
    pub(crate) path: Vec<String>,
    /// Its value; `None` where it is not set and has no default.
    pub(crate) value: Option<Json>,
    /// Where that comes from.
    pub(crate) origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything else.
    Default,
    /// This line of the file.
    File {
        /// The file, as it was named.
        file: String,
        /// From 1.
        line: usize,
        /// Whether it is the key of `[defaults]`.
        inherited: bool,
    },
    /// This environment variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

/// Reads and checks the file, and says where everything comes from.
///
/// # Errors
/// All problems of the file.
pub(crate) fn trace(
    path: &Path,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Effective, Problems> {
    let read = super::load_tree(path, variables)?;
    let places = Places {
        file: path.display().to_string(),
        text: read.text,
        tree: read.tree,
    };
    let mut lines = Vec::new();
    for (name, value) in values(&read.config) {
        places.collect(vec![name], value, &mut lines);
    }
    Ok(Effective {
        config: read.config,
        lines,
    })
}

/// The sections in their order, and in each its keys.
fn values(config: &Config) -> Vec<(String, Json)> {
    let json = |value: Result<Json, serde_json::Error>| value.unwrap_or_default();
    let mut concerns = Map::new();
    for concern in &config.concerns {
        // Settings are plain data: what was read can be written.
        let (kind, settings) = kinds::configuration(&concern.kind).unwrap_or_default();
        let mut keys = Map::from_iter([("kind".to_owned(), json!(kind))]);
        if let Json::Object(settings) = settings {
            keys.extend(settings);
        }
        concerns.insert(concern.name.clone(), Json::Object(keys));
    }
    [
        ("version", json!(VERSION)),
        ("node", json(serde_json::to_value(&config.node))),
        ("http", json(serde_json::to_value(&config.http))),
        (
            "telemetry",
            json(serde_json::to_value(config.telemetry.clone())),
        ),
        ("concerns", Json::Object(concerns)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

struct Places {
    file: String,
    text: String,
    tree: Node,
}

impl Places {
    /// One line for each value that is no table.
    fn collect(&self, path: Vec<String>, value: Json, lines: &mut Vec<Line>) {
        match value {
            Json::Object(entries) if !entries.is_empty() || is_section(&path) => {
                for (name, value) in entries {
                    let mut path = path.clone();
                    path.push(name);
                    self.collect(path, value, lines);
                }
            }
            value @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_)) => lines.push(Line {
                origin: self.origin(&path),
                value: masked(&path, value),
                path,
            }),
        }
    }

    fn origin(&self, path: &[String]) -> Origin {
        if let Some(place) = place(&self.tree, path) {
            return self.at(place, false);
        }
        // A concern inherits whole keys.
        let inherited = match path {
            [concerns, _, key @ ..] if concerns == "concerns" => self
                .tree
                .entry("defaults")
                .and_then(|defaults| place(&defaults.node, key)),
            _ => None,
        };
        inherited.map_or(Origin::Default, |place| self.at(place, true))
    }

    fn at(&self, place: &Place, inherited: bool) -> Origin {
        match place {
            Place::File => Origin::Default,
            Place::Variable(name) => Origin::Variable(name.clone()),
            Place::Bytes(span) => Origin::File {
                file: self.file.clone(),
                line: line_of(&self.text, span.start),
                inherited,
            },
        }
    }
}

/// Sections are shown key by key also where they have none.
fn is_section(path: &[String]) -> bool {
    path.len() == 1
}

fn place<'a>(tree: &'a Node, path: &[String]) -> Option<&'a Place> {
    let mut reached = tree;
    for name in path {
        reached = &reached.entry(name)?.node;
    }
    Some(&reached.place)
}

impl Origin {
    /// In one word, for scripts.
    pub(crate) const fn source(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                file,
                line,
                inherited,
            } => {
                let from = if *inherited { ", [defaults]" } else { "" };
                write!(f, "{file}:{line}{from}")
            }
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Effective {
    /// Sets a key that something before the file decides.
    pub(crate) fn decide(&mut self, path: &[&str], value: Json, origin: Origin) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.path == path) {
            (line.value, line.origin) = (Some(value), origin);
        }
    }

    /// As TOML, with the places behind the values if wanted.
    pub(crate) fn to_toml(&self, with_origin: bool) -> String {
        let mut text = String::new();
        let mut open: &[String] = &[];
        for line in &self.lines {
            let (table, key) = line.split();
            if table != open {
                text.extend(["\n[", &dotted(table), "]\n"]);
                open = table;
            }
            let assignment = match &line.value {
                Some(value) => format!("{} = {}", dotted(key), inline(value)),
                None => format!("# {} is not set", dotted(key)),
            };
            text.push_str(&assignment);
            if with_origin {
                let gap = 44_usize.saturating_sub(assignment.chars().count()).max(1);
                text.extend([&" ".repeat(gap), "# ", &line.origin.to_string()]);
            }
            text.push('\n');
        }
        text
    }
}

impl Line {
    /// The table it stands in, and its key in there.
    fn split(&self) -> (&[String], &[String]) {
        let depth = match self.path.first().map(String::as_str) {
            Some("concerns") => 2,
            _ => 1,
        };
        self.path
            .split_at_checked(depth.min(self.path.len().saturating_sub(1)))
            .unwrap_or((&[], &self.path))
    }

    /// The dotted key.
    pub(crate) fn key(&self) -> String {
        dotted(&self.path)
    }
}

fn dotted(path: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let names = path.iter().map(|name| {
        if !name.is_empty() && name.chars().all(bare) {
            name.clone()
        } else {
            quoted(name)
        }
    });
    names.collect::<Vec<_>>().join(".")
}

/// A basic string: JSON's escapes are among TOML's, but for DEL, which JSON does not escape.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A value on one line.
fn inline(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(name, value)| {
                    format!("{} = {}", dotted(std::slice::from_ref(name)), inline(value))
                })
                .collect();
            if entries.is_empty() {
                return "{}".to_owned();
            }
            format!("{{ {} }}", entries.join(", "))
        }
        Json::Null => "\"\"".to_owned(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}
