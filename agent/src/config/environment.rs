//! Lays environment variables over the file: `STEADFAST__HTTP__LISTEN` sets `http.listen`.
//!
//! `__` separates names, whose case does not matter; `_` also stands for the `-` and `.` of a concern's
//! name. A value that reads as TOML is that, anything else is text; text stands for an array of one. A
//! variable changes concerns that the file has, and cannot add one: a slip in the name would.

use std::ffi::OsString;

use super::document::{Entry, Node, join, parse_variable};
use super::problem::{Place, Problem};
use super::report::Report;
use super::suggest;

/// What the names of our variables begin with.
const PREFIX: &str = "STEADFAST__";
const SEPARATOR: &str = "__";

/// The variables of this process that [`overlay`] reads. Bytes that are no UTF-8 become U+FFFD: unlike
/// [`std::env::vars`] this does not panic because of somebody else's variable.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let ours = |(name, _): &(String, String)| name.starts_with(PREFIX);
    std::env::vars_os()
        .map(move |(name, value)| (text(name), text(value)))
        .filter(ours)
}

/// Sets in `root` what the variables say, whole tables before what is in them.
pub(super) fn overlay(
    root: &mut Node,
    variables: impl Iterator<Item = (String, String)>,
    report: &mut Report,
) {
    let mut ours: Vec<_> = variables
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    ours.sort_by_cached_key(|(name, _)| (name.matches(SEPARATOR).count(), name.clone()));
    for (variable, value) in &ours {
        let path: Vec<_> = variable.split(SEPARATOR).skip(1).collect();
        let mut override_ = Override {
            variable,
            value,
            report,
        };
        if path.contains(&"") {
            override_.refuse("", "an empty name between underscores", EXAMPLE);
        } else {
            override_.set(root, &path);
        }
    }
}

const EXAMPLE: &str = "write it like STEADFAST__HTTP__LISTEN";

/// The variable that sets the key `near` where `variable` sets `name`.
pub(super) fn sibling(variable: &str, name: &str, near: &str) -> String {
    // A name inside a variable's value has no variable of its own.
    let stem = variable
        .len()
        .checked_sub(name.len())
        .and_then(|at| variable.split_at_checked(at));
    match stem {
        Some((stem, last)) if last.eq_ignore_ascii_case(name) => {
            format!("{stem}{}", near.to_ascii_uppercase())
        }
        _ => format!("`{near}`"),
    }
}

/// One variable that means something to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its name; `<NAME>` stands for a concern's.
    pub(crate) name: String,
    /// What it is set to, unless that is a secret.
    pub(crate) value: Option<String>,
    /// What it is for.
    pub(crate) meaning: String,
}

/// Variables that are not about a key of the file.
const OTHERS: [(&str, &str); 12] = [
    (
        "STEADFAST_SOURCE",
        "A checkout of steadfast, for `new`: what is made depends on it by path.",
    ),
    (
        "STATE_DIRECTORY",
        "The data directory where neither flag nor file name one; systemd sets it.",
    ),
    (
        "XDG_STATE_HOME",
        "Else the data directory is `steadfast` in here.",
    ),
    ("HOME", "Else it is `.local/state/steadfast` in here."),
    (
        "NOTIFY_SOCKET",
        "Where readiness, reload, end and life are told; systemd sets it.",
    ),
    (
        "WATCHDOG_USEC",
        "How often life has to be told, in microseconds; systemd sets it.",
    ),
    (
        "WATCHDOG_PID",
        "The process that WATCHDOG_USEC is meant for; systemd sets it.",
    ),
    (
        "JOURNAL_STREAM",
        "Device and inode of the journal's end of stderr; systemd sets it.",
    ),
    (
        "RUST_LOG",
        "What is logged, before -q and -v: `info,steadfast=debug`.",
    ),
    ("NO_COLOR", "No colours, if it is not empty."),
    (
        "CLICOLOR_FORCE",
        "Colours also where stderr is no terminal, unless it is 0.",
    ),
    (
        "USER",
        "Who is named in the events of a run that is triggered by hand.",
    ),
];

/// All variables that this program reads, those of the file first.
pub(crate) fn describe() -> Vec<Variable> {
    let set: Vec<_> = variables().collect();
    let mut all = Vec::new();
    for (path, meaning) in super::schema::leaves() {
        let names: Vec<_> = path.iter().map(|name| variable_name(name)).collect();
        let pattern = format!("{PREFIX}{}", names.join(SEPARATOR));
        let matching: Vec<_> = set
            .iter()
            .filter(|(name, _)| matches(&pattern, name))
            .collect();
        if matching.is_empty() {
            all.push(Variable {
                name: pattern,
                value: None,
                meaning,
            });
            continue;
        }
        for (name, value) in matching {
            let path: Vec<String> = name
                .split(SEPARATOR)
                .skip(1)
                .map(str::to_ascii_lowercase)
                .collect();
            let value = Some(super::secret::masked_text(&path, value));
            all.push(Variable {
                name: name.clone(),
                value,
                meaning: meaning.clone(),
            });
        }
    }
    for (name, meaning) in OTHERS {
        let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        all.push(Variable {
            name: name.to_owned(),
            value,
            meaning: meaning.to_owned(),
        });
    }
    all
}

/// Whether a variable sets what the pattern stands for, or a part of it.
fn matches(pattern: &str, variable: &str) -> bool {
    let mut given = variable.split(SEPARATOR);
    pattern.split(SEPARATOR).all(|wanted| {
        given
            .next()
            .is_some_and(|name| wanted == ANY || wanted.eq_ignore_ascii_case(name))
    })
}

/// What stands for the name of a concern.
pub(super) const ANY: &str = "<NAME>";

/// One variable on its way into the tree.
struct Override<'a> {
    variable: &'a str,
    value: &'a str,
    report: &'a mut Report,
}

impl Override<'_> {
    fn refuse(&mut self, key: &str, message: &str, hint: &str) {
        let place = Place::Variable(self.variable.to_owned());
        self.report
            .add(Problem::new(key, place, message).hint(hint));
    }

    /// Sets what `path` names below `table`.
    fn set(&mut self, table: &mut Node, path: &[&str]) {
        let Some((name, rest)) = path.split_first() else {
            return;
        };
        let key = table.key.clone();
        let Some(entries) = table.entries_mut() else {
            return self.refuse(
                &key,
                &format!("`{key}` is not a table"),
                "set it as a whole",
            );
        };
        let Ok(found) = find(entries, name) else {
            let message = format!("{name} may mean several names in `{key}`");
            return self.refuse(&key, &message, "change them in the file");
        };
        if found.is_none() && key == "concerns" {
            return self.refuse_concern(entries, name);
        }
        let at = found.unwrap_or_else(|| self.add(entries, &key, &name.to_ascii_lowercase()));
        let Some(Entry { node, place, .. }) = entries.get_mut(at) else {
            return;
        };
        if rest.is_empty() {
            self.replace(node);
            *place = node.place.clone();
        } else {
            self.set(node, rest);
        }
    }

    fn replace(&mut self, node: &mut Node) {
        match &node.place {
            Place::Variable(other) if node.raw.is_some() => {
                let message = format!("sets `{}`, as {other} does", node.key);
                self.refuse(&node.key, &message, "unset one of them");
            }
            Place::File | Place::Bytes(_) | Place::Variable(_) => {
                *node = parse_variable(self.variable, self.value, node.key.clone(), self.report);
            }
        }
    }

    /// Adds an empty table, to be filled or replaced.
    fn add(&self, entries: &mut Vec<Entry>, table: &str, name: &str) -> usize {
        let place = Place::Variable(self.variable.to_owned());
        let node = Node::table(join(table, name), place.clone());
        entries.push(Entry {
            name: name.to_owned(),
            place,
            node,
        });
        entries.len().saturating_sub(1)
    }

    fn refuse_concern(&mut self, entries: &[Entry], name: &str) {
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let near = suggest::nearest(name, &names);
        let hint = match near {
            Some(near) => format!("did you mean {PREFIX}CONCERNS__{}?", variable_name(near)),
            None => "add it to the file: a variable changes concerns that the file has".to_owned(),
        };
        self.refuse(
            "concerns",
            &format!("the file has no concern {name:?}"),
            &hint,
        );
    }
}

/// How a name is written in a variable that a shell can set.
fn variable_name(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// The entry that `name` of a variable means, if there is one; an error if there are several.
fn find(entries: &[Entry], name: &str) -> Result<Option<usize>, ()> {
    let positions = |is_meant: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let entries = entries.iter().enumerate();
        entries
            .filter(|(_, entry)| is_meant(&entry.name))
            .map(|(at, _)| at)
            .collect()
    };
    let mut found = positions(&|written| written.eq_ignore_ascii_case(name));
    if found.is_empty() {
        found = positions(&|written| variable_name(written) == variable_name(name));
    }
    if found.len() > 1 {
        Err(())
    } else {
        Ok(found.pop())
    }
}
