//! Examples with a comment for every key: what `config example` prints, and where the schema and the
//! list of variables take their words from, so that each key is described in one place.
//!
//! The rule of these files: text has a space after its `#`; a line without one is a key that may be set.
//! The text right above a key, or above a table's header, describes it.

use std::collections::BTreeMap;

use super::document::Node;
use super::problem::Place;

const NODE: &str = include_str!("../../config/example/node.toml");
/// Each kind with its example. Their concerns have different names.
const KINDS: [(&str, &str); 3] = [
    ("cleanup", include_str!("../../config/example/cleanup.toml")),
    ("exec", include_str!("../../config/example/exec.toml")),
    (
        "http-patrol",
        include_str!("../../config/example/http-patrol.toml"),
    ),
];
/// Keys that are for another case than the one that is shown: another schedule, several targets, a method
/// that sends a body, a secret (which cannot be read back from where it is masked).
const OTHER_CASES: [&str; 4] = ["cron", "targets", "body", "notify"];

/// The example of one kind, or of all; `None` if there is no such kind.
pub(crate) fn example(kind: Option<&str>) -> Option<String> {
    let wanted: Vec<_> = KINDS
        .iter()
        .filter(|(name, _)| kind.is_none_or(|kind| kind == *name))
        .map(|(_, text)| *text)
        .collect();
    let parts: Vec<_> = std::iter::once(NODE)
        .chain(wanted.iter().copied())
        .collect();
    (!wanted.is_empty()).then(|| parts.join("\n"))
}

/// All of them with every key that may be set together.
pub(super) fn everything() -> String {
    uncommented(&OTHER_CASES)
}

/// All of them with every key there is: more than the reader takes at once.
pub(super) fn every_key() -> String {
    uncommented(&[])
}

fn uncommented(but: &[&str]) -> String {
    let all = example(None).unwrap_or_default();
    all.lines().fold(String::new(), |mut text, line| {
        let key = line.strip_prefix('#').filter(|rest| {
            let name = rest.split(' ').next().unwrap_or_default();
            !name.is_empty() && !but.contains(&name)
        });
        text.push_str(key.unwrap_or(line));
        text.push('\n');
        text
    })
}

/// What the text of the examples says of each key, by its dotted name.
pub(super) fn descriptions(tree: &Node, text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(tree, text, &mut found);
    found
}

fn collect(table: &Node, text: &str, found: &mut BTreeMap<String, String>) {
    for entry in table.entries() {
        if let Place::Bytes(span) = &entry.place
            && let Some(words) = above(text, span.start)
        {
            found.insert(entry.node.key.clone(), words);
        }
        collect(&entry.node, text, found);
    }
}

/// The lines of text right above the line that this byte is in.
fn above(text: &str, at: usize) -> Option<String> {
    let before = text.get(..at)?;
    let mut lines = before.lines().rev();
    if !before.ends_with('\n') {
        // What stands before the key in its own line: nothing, or the `[` of a header. In the middle of
        // a line it is a key that was described with the whole.
        let own = lines.next()?;
        if !own
            .trim_start_matches('[')
            .trim_end_matches("concerns.")
            .is_empty()
        {
            return None;
        }
    }
    let mut words: Vec<_> = lines.map_while(|line| line.strip_prefix("# ")).collect();
    words.reverse();
    (!words.is_empty()).then(|| words.join(" "))
}
