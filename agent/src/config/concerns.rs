//! `[concerns.NAME]`: the name, the kind, and the settings that the kind asks for.

use steadfast_actors::cleanup::CleanupConfig;
use steadfast_actors::exec::ExecConfig;
use steadfast_actors::patrol::PatrolConfig;

use super::document::{Entry, Node, Value};
use super::problem::Problem;
use super::report::Report;
use super::{planned, read, suggest};

/// One concern, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Concern {
    /// The actor is `concern/NAME`.
    pub(crate) name: String,
    /// What it does.
    pub(crate) kind: Kind,
}

/// What a concern does, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Removes old files.
    Cleanup(CleanupConfig),
    /// Runs a program.
    Exec(Box<ExecConfig>),
    /// Checks HTTP targets.
    HttpPatrol(Box<PatrolConfig>),
}

/// The kinds that exist, as they are written.
pub(crate) const KINDS: [&str; 3] = ["cleanup", "exec", "http-patrol"];
/// Longest name.
const MAX_NAME_BYTES: usize = 64;

/// Reads all concerns, in the order of their names. `defaults` is the section of that name.
pub(super) fn read_all(
    root: &mut Node,
    defaults: Option<&Node>,
    report: &mut Report,
) -> Vec<Concern> {
    let Some(Entry {
        node: mut concerns, ..
    }) = root.take("concerns")
    else {
        return Vec::new();
    };
    let entries = concerns
        .entries_mut()
        .map(std::mem::take)
        .unwrap_or_default();
    let mut all = Vec::new();
    for entry in entries {
        if report.is_full() {
            break;
        }
        all.extend(read_one(entry, defaults, report));
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn read_one(mut entry: Entry, defaults: Option<&Node>, report: &mut Report) -> Option<Concern> {
    check_name(&entry, report);
    let kind = take_kind(&mut entry, report)?;
    if let Some(settings) = entry.node.entries_mut() {
        inherit(settings, defaults, &kind);
    }
    let kind = match kind {
        KindName::Cleanup => Kind::Cleanup(read::settings(&mut entry.node, report)?),
        KindName::Exec => Kind::Exec(Box::new(read::settings(&mut entry.node, report)?)),
        KindName::HttpPatrol => {
            Kind::HttpPatrol(Box::new(read::settings(&mut entry.node, report)?))
        }
    };
    Some(Concern {
        name: entry.name,
        kind,
    })
}

/// Adds the defaults that a concern does not set itself.
fn inherit(settings: &mut Vec<Entry>, defaults: Option<&Node>, kind: &KindName) {
    for default in defaults.map(Node::entries).unwrap_or_default() {
        // A patrol's own key of that name is the time of one check, not of a run.
        let is_other = matches!(kind, KindName::HttpPatrol) && default.name == "timeout";
        if !is_other && settings.iter().all(|setting| setting.name != default.name) {
            settings.push(default.clone());
        }
    }
}

fn check_name(entry: &Entry, report: &mut Report) {
    let name = &entry.name;
    let valid = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() <= MAX_NAME_BYTES && name.chars().all(valid) && begins_well {
        return;
    }
    let key = &entry.node.key;
    let message = format!("{name:?} is not a concern's name");
    let hint = "write 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or a digit";
    report.add(
        Problem::new(key, entry.place.clone(), message)
            .label("this name")
            .hint(hint),
    );
}

/// The name of a kind that exists.
enum KindName {
    Cleanup,
    Exec,
    HttpPatrol,
}

fn take_kind(entry: &mut Entry, report: &mut Report) -> Option<KindName> {
    let key = entry.node.key.clone();
    if entry.node.entries_mut().is_none() {
        let message = format!("`{key}` is not a table");
        let hint = format!("write `[{key}]` on a line of its own, and its keys below");
        report.add(Problem::new(key, entry.node.place.clone(), message).hint(hint));
        return None;
    }
    let Some(kind) = entry.node.take("kind") else {
        if !report.has_refused(&format!("{key}.kind")) {
            report.add(missing_kind(entry));
        }
        return None;
    };
    let problem =
        |message: String| Problem::new(kind.node.key.as_str(), kind.node.place.clone(), message);
    let Value::Text(name) = &kind.node.value else {
        let available = format!("available: {}", KINDS.join(", "));
        report.add(problem("a kind is a string".to_owned()).hint(available));
        return None;
    };
    let refusal = match name.as_str() {
        "cleanup" => return Some(KindName::Cleanup),
        "exec" => return Some(KindName::Exec),
        "http-patrol" => return Some(KindName::HttpPatrol),
        name if planned::is_kind(name) => {
            let message = format!("kind {name:?} is not available in this version");
            problem(message).hint(format!("available: {}", KINDS.join(", ")))
        }
        name => {
            problem(format!("unknown kind {name:?}")).hint(suggest::instead(name, &KINDS, "kinds"))
        }
    };
    report.add(refusal);
    None
}

fn missing_kind(entry: &Entry) -> Problem {
    let similar = |other: &&Entry| suggest::nearest(&other.name, &["kind"]).is_some();
    match entry.node.entries().iter().find(similar) {
        Some(typo) => {
            let key = &typo.node.key;
            Problem::new(key, typo.place.clone(), format!("unknown key `{key}`"))
                .label(format!("not a key of `{}`", entry.node.key))
                .hint("did you mean `kind`?")
        }
        None => Problem::new(
            format!("{}.kind", entry.node.key),
            entry.node.place.clone(),
            format!("`{}` has no kind", entry.node.key),
        )
        .hint(format!(
            "add `kind = \"…\"`; available: {}",
            KINDS.join(", ")
        )),
    }
}
