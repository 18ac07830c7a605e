//! Paths: those that begin with `./` or `../` are meant from the directory of the config file.
//!
//! The node may be started from anywhere, so a path never depends on where that was. Any other relative
//! path is refused. Leading `.` and `..` are resolved against the real directory, without symlinks; what
//! comes after is left as it is written.

use super::document::{Node, Value};
use super::problem::{Place, Problem};
use super::report::Report;

/// Characters that mean something in a glob.
const SPECIAL: [char; 7] = ['\\', '*', '?', '[', ']', '{', '}'];
/// What a unix socket's address begins with.
const UNIX: &str = "unix:";

/// Makes all paths in the tree absolute. `directory` is that of the config file, in full; without one
/// (it is no UTF-8) nothing can be meant from it.
pub(super) fn resolve(root: &mut Node, directory: Option<&str>, report: &mut Report) {
    let mut paths = Paths { directory, report };
    if let Some(data_dir) = root
        .child_mut("node")
        .and_then(|node| node.child_mut("data_dir"))
    {
        paths.anchor(data_dir, "", false);
    }
    if let Some(listen) = root
        .child_mut("http")
        .and_then(|http| http.child_mut("listen"))
    {
        paths.anchor(listen, UNIX, false);
    }
    let concerns = root.child_mut("concerns").and_then(Node::entries_mut);
    for concern in concerns.into_iter().flatten() {
        if let Some(globs) = concern.node.child_mut("paths") {
            paths.anchor(globs, "", true);
        }
        if let Some(dir) = concern.node.child_mut("dir") {
            paths.anchor(dir, "", false);
        }
        anchor_ca_files(&mut concern.node, &mut paths);
    }
}

/// `ca_file` of the concern, of `notify`, and of each target.
fn anchor_ca_files(concern: &mut Node, paths: &mut Paths<'_>) {
    if let Some(Value::Array(targets)) = concern.child_mut("targets").map(|all| &mut all.value) {
        for target in targets {
            anchor_ca_file(target, paths);
        }
    }
    if let Some(notify) = concern.child_mut("notify") {
        anchor_ca_file(notify, paths);
    }
    anchor_ca_file(concern, paths);
}

fn anchor_ca_file(table: &mut Node, paths: &mut Paths<'_>) {
    if let Some(file) = table.child_mut("ca_file") {
        paths.anchor(file, "", false);
    }
}

struct Paths<'a> {
    directory: Option<&'a str>,
    report: &'a mut Report,
}

impl Paths<'_> {
    /// Makes each text in this tree absolute that begins with `prefix`; cuts out what cannot be.
    fn anchor(&mut self, tree: &mut Node, prefix: &str, is_glob: bool) {
        let mut refused = Vec::new();
        tree.for_each_text(&mut |key, place, text| {
            let Some(path) = text
                .strip_prefix(prefix)
                .filter(|path| !path.starts_with('/'))
            else {
                return;
            };
            match self.absolute(path, is_glob) {
                Some(absolute) => *text = format!("{prefix}{absolute}"),
                None => refused.push((key.to_owned(), place.clone(), text.clone())),
            }
        });
        for (key, place, text) in refused {
            if !tree.cut(&key) {
                // It is the tree itself: an absolute path in its place says nothing more.
                tree.value = Value::Text(format!("{prefix}/"));
            }
            self.refuse(&key, place, &text);
        }
    }

    fn absolute(&self, path: &str, is_glob: bool) -> Option<String> {
        let is_anchored = ["./", "../"].iter().any(|start| path.starts_with(start));
        let directory = self.directory.filter(|_| is_anchored)?;
        let mut above: Vec<_> = directory
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let mut rest = path;
        loop {
            if let Some(after) = rest.strip_prefix("./") {
                rest = after;
            } else if let Some(after) = rest.strip_prefix("../") {
                above.pop();
                rest = after;
            } else {
                break;
            }
        }
        let mut absolute = String::new();
        for part in above {
            absolute.push('/');
            absolute.push_str(&if is_glob {
                escape(part)
            } else {
                part.to_owned()
            });
        }
        Some(absolute + "/" + rest)
    }

    fn refuse(&mut self, key: &str, place: Place, text: &str) {
        let hint = match self.directory {
            Some(_) => {
                "begin it with `/`, or with `./` to start at the directory of the config file"
            }
            None => "begin it with `/`: the path of the config file is no UTF-8",
        };
        let problem = Problem::new(key, place, format!("{text:?} is a relative path"));
        self.report
            .add(problem.label(format!("`{key}`")).hint(hint));
    }
}

/// The glob that matches this name only.
fn escape(name: &str) -> String {
    name.chars().fold(String::new(), |mut glob, c| {
        if SPECIAL.contains(&c) {
            glob.push('\\');
        }
        glob.push(c);
        glob
    })
}
