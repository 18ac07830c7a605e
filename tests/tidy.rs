//! Goal: the shape of the tree that no compiler checks: short files that say what they are for, crates
//! that point one way, and no loose ends.

use std::path::{Path, PathBuf};

/// Lines that a file may have.
const LONGEST: usize = 500;
/// A crate may use those to its right, never those to its left.
const ORDER: [(&str, &str); 5] = [
    ("agent", "steadfast-agent"),
    ("actors", "steadfast-actors"),
    ("runtime", "steadfast"),
    ("snapshots", "steadfast-snapshots"),
    ("journal", "steadfast-journal"),
];

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").to_owned()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                waiting.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 50, "the tree is found");
    found
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let (mut long, mut silent) = (Vec::new(), Vec::new());
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LONGEST {
            long.push(format!("{} has {lines} lines", path.display()));
        }
        if !text.starts_with("//!") {
            silent.push(path.display().to_string());
        }
    }
    none("over 500 lines", &long);
    none("without `//!` on the first line", &silent);
}

#[test]
fn every_fixme_has_a_link() {
    let word = concat!("FIX", "ME");
    let mut loose = Vec::new();
    for (path, text) in sources() {
        for (number, line) in (1..).zip(text.lines()) {
            if line.contains(word) && !line.contains("http") && !line.contains('#') {
                loose.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    none("without a link to its issue", &loose);
}

/// The packages that a manifest depends on, in any of its tables of dependencies.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies");
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push(name.to_owned());
            }
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            found.push(name.trim().to_owned());
        }
    }
    found
}

#[test]
fn crates_point_one_way() {
    let mut wrong = Vec::new();
    for (place, (folder, _)) in ORDER.iter().enumerate() {
        let path = root().join(folder).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path).expect("a manifest");
        let used = dependencies(&manifest);
        assert!(
            used.len() > 2,
            "{}: its dependencies are found",
            path.display()
        );
        for (_, forbidden) in &ORDER[..place] {
            if used.iter().any(|name| name == forbidden) {
                wrong.push(format!("{folder} uses {forbidden}"));
            }
        }
        for outside in ["steadfast-tests", "steadfast-benches"] {
            if used.iter().any(|name| name == outside) {
                wrong.push(format!("{folder} uses {outside}"));
            }
        }
    }
    none("arrows that point the wrong way", &wrong);
}
