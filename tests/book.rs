//! Goal: what the book says can be followed. Links lead somewhere, every page is in the table of contents, and
//! every block of Rust is compiled: as a test of the documentation, or because it is a part of a file that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Pages outside of the book whose links are checked too.
const OTHERS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];
/// The crates whose documentation includes pages of the book.
const INCLUDERS: [&str; 2] = ["runtime/src/lib.rs", "actors/src/lib.rs"];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").to_owned()
}

/// A page and its text.
fn pages() -> BTreeMap<PathBuf, String> {
    let book = fs::read_dir(root().join("docs")).expect("the book");
    let book = book
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let others = OTHERS.iter().map(|name| root().join(name));
    let pages: BTreeMap<PathBuf, String> = book
        .chain(others)
        .map(|path| (path.clone(), fs::read_to_string(path).expect("a page")))
        .collect();
    assert!(pages.len() > OTHERS.len() + 5, "the book is found");
    pages
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// The lines outside of blocks of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The targets of the links in a line.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // What stands between backticks is no link, though the text of one may stand there: every other part.
    for part in line.split('`').step_by(2) {
        for after in part.split("](").skip(1) {
            found.extend(after.split_once(')').map(|(target, _)| target));
        }
    }
    found
}

/// The anchors of a page, as code hosts make them from headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then_some(heading.trim())
    });
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut checked = 0;
    for (path, text) in &pages {
        for (number, line) in prose(text) {
            for link in links(line) {
                if link.contains("://") {
                    continue;
                }
                checked += 1;
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = match file {
                    "" => path.clone(),
                    file => path.parent().expect("a folder").join(file),
                };
                // Without the `..`, as the pages are named.
                let target = target.canonicalize().unwrap_or(target);
                let there = target.exists()
                    && (anchor.is_empty()
                        || pages
                            .get(&target)
                            .is_some_and(|text| anchors(text).contains(anchor)));
                if !there {
                    broken.push(format!("{}:{number}: {link}", path.display()));
                }
            }
        }
    }
    assert!(checked > 50, "links are found");
    none("links that lead nowhere", &broken);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("the contents");
    let listed: BTreeSet<&str> = contents.lines().flat_map(links).collect();
    let book = root().join("docs");
    let missing: Vec<String> = pages()
        .into_keys()
        .filter(|path| path.starts_with(&book))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name != "SUMMARY.md" && !listed.contains(name.as_str()))
        .collect();
    none("not in docs/SUMMARY.md", &missing);
}

/// A block of code: the line it begins on, what stands behind its fence, the line before it, its lines.
struct Block<'a> {
    number: usize,
    language: &'a str,
    before: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block {
                    number,
                    language,
                    before,
                    lines: Vec::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => block.lines.push(line),
            (None, None) => before = line,
        }
    }
    found
}

/// Whether the lines stand in `source`, one behind the other; depth and blank lines do not count.
fn is_part_of(lines: &[&str], source: &str) -> bool {
    fn kept<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        lines
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect()
    }
    let (part, whole) = (kept(lines.iter().copied()), kept(source.lines()));
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

#[test]
fn every_block_of_rust_is_compiled() {
    let included: String = INCLUDERS
        .iter()
        .map(|file| fs::read_to_string(root().join(file)).expect("a crate"))
        .collect();
    let (mut wrong, mut compiled) = (Vec::new(), 0);
    for (path, text) in pages() {
        let name = path.file_name().expect("a name").to_string_lossy();
        for block in blocks(&text) {
            let source = block.before.strip_prefix("<!-- from ");
            let source = source.and_then(|rest| rest.strip_suffix(" -->"));
            let place = format!("{}:{}", path.display(), block.number);
            match (block.language, source) {
                // The README's is checked by scripts/check-readme.sh.
                ("rust", None) if name == "README.md" => {}
                ("rust", None) if included.contains(&format!("/docs/{name}\")")) => compiled += 1,
                ("rust", _) => wrong.push(format!("{place}: no crate includes the page")),
                ("rs", Some(source)) => {
                    let text = fs::read_to_string(root().join(source)).unwrap_or_default();
                    compiled += 1;
                    if !is_part_of(&block.lines, &text) {
                        wrong.push(format!("{place}: is no part of {source}"));
                    }
                }
                ("", _) if path.starts_with(root().join("docs")) => {
                    wrong.push(format!(
                        "{place}: say the language: a block without is Rust"
                    ));
                }
                // `rs` is Rust for readers, and nothing that rustdoc would run.
                (language, _) if language == "rs" || language.starts_with("rust") => {
                    wrong.push(format!("{place}: where is it from? <!-- from FILE -->"));
                }
                _ => {}
            }
        }
    }
    assert!(compiled > 5, "Rust is found");
    none("Rust that nobody compiles", &wrong);
}
