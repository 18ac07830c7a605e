//! Finds the files: walks the roots and hands what matches to the selection. Read-only.
//!
//! Invariant: a directory is walked once, by the patterns of one group. Roots that lie in one another
//! are one group where one can be reached from the other; else no walk can meet the other.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, ReadDir};

use super::dirs::{Access, Miss, RootDir, is_below};
use super::effect::{Page, Scan};
use super::pattern::Pattern;
use super::plan::{Problems, Root};
use super::select::Selector;
use crate::concern::ConfigError;

#[cfg(test)]
mod tests;

/// Deepest directory below a root; each level holds a handle open.
const MAX_DEPTH: usize = 128;

/// The next page of files to remove.
///
/// # Errors
/// A glob that does not compile: `Configure` lets none in.
pub(super) fn scan(request: &Scan, access: Access) -> Result<Page, ConfigError> {
    let patterns = request.config.patterns()?;
    let groups = Groups::new(&patterns, access);
    let keep = usize::try_from(request.config.keep_newest).unwrap_or(usize::MAX);
    let largest = request.config.limits.bytes.as_bytes();
    let mut selector = Selector::new(newest_ns(request), request.after.clone(), keep, largest);
    let mut problems = Problems::default();
    for group in &groups.found {
        let mut walk = Walk {
            groups: &groups.found,
            group,
            access,
            selector: &mut selector,
            problems: &mut problems,
        };
        walk.directory(group.root.dir(), &group.root.path, 0);
    }
    let mut page = selector.page(request.left);
    page.problems = problems;
    page.missing_roots = groups.missing;
    page.unreadable_roots = groups.unreadable;
    page.roots = groups
        .found
        .into_iter()
        .map(|group| Root {
            path: group.root.path,
            inode: group.root.inode,
        })
        .collect();
    Ok(page)
}

/// When a file must have been changed last, at the latest.
fn newest_ns(request: &Scan) -> i64 {
    let Some(older_than) = request.config.older_than else {
        return i64::MAX;
    };
    let nanos = i64::try_from(older_than.duration().as_nanos()).unwrap_or(i64::MAX);
    request
        .as_of
        .as_micros()
        .saturating_mul(1_000)
        .saturating_sub(nanos)
}

/// Patterns that are looked for in one walk.
struct Group<'p> {
    root: RootDir,
    patterns: Vec<&'p Pattern>,
}

impl Group<'_> {
    fn matches(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }

    fn may_enter(&self, directory: &Path) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.may_enter(directory))
    }
}

#[derive(Default)]
struct Groups<'p> {
    found: Vec<Group<'p>>,
    missing: Vec<String>,
    unreadable: Problems,
}

impl<'p> Groups<'p> {
    fn new(patterns: &'p [Pattern], access: Access) -> Self {
        let mut sorted: Vec<_> = patterns.iter().collect();
        // A directory sorts before those below it.
        sorted.sort_by_key(|pattern| pattern.root());
        let mut groups = Self::default();
        for pattern in sorted {
            groups.add(pattern, access);
        }
        groups.missing.dedup();
        groups
    }

    fn add(&mut self, pattern: &'p Pattern, access: Access) {
        let path = pattern.root();
        let reachable = |group: &&mut Group<'_>| {
            is_below(path, &group.root.path) && group.root.descend(access, path).is_ok()
        };
        if let Some(group) = self.found.iter_mut().find(reachable) {
            group.patterns.push(pattern);
            return;
        }
        match RootDir::open(path) {
            Ok(root) => self.found.push(Group {
                root,
                patterns: vec![pattern],
            }),
            Err(Miss::Absent) => self.missing.push(path.to_owned()),
            Err(miss) => self.unreadable.note(path, &miss),
        }
    }
}

/// One group's walk.
struct Walk<'a, 'p> {
    /// All groups, this one too.
    groups: &'a [Group<'p>],
    group: &'a Group<'p>,
    access: Access,
    selector: &'a mut Selector,
    problems: &'a mut Problems,
}

impl Walk<'_, '_> {
    /// Takes the files of `dir` and goes on below it. `path` is its absolute path.
    fn directory(&mut self, dir: &Dir, path: &str, depth: usize) {
        let below = match dir.entries() {
            Ok(entries) => self.files(dir, path, entries),
            Err(error) => return self.problems.note(path, &error),
        };
        for name in below {
            let path = format!("{path}/{name}");
            if depth == MAX_DEPTH {
                self.problems.note(&path, &"too deep below the root");
                continue;
            }
            match self.group.root.enter(self.access, dir, &name) {
                Ok(dir) => self.directory(&dir, &path, depth + 1),
                // Removed or replaced since it was listed: not ours.
                Err(Miss::Absent | Miss::Elsewhere) => {}
                Err(Miss::OtherFileSystem) if self.is_root(&path) => {}
                Err(miss) => self.problems.note(&path, &miss),
            }
        }
    }

    /// Whether a walk of its own begins at the directory `path`.
    fn is_root(&self, path: &str) -> bool {
        self.groups.iter().any(|group| group.root.path == path)
    }

    /// Takes the matching files of `dir`; gives back the names of the directories worth entering.
    fn files(&mut self, dir: &Dir, path: &str, entries: ReadDir) -> Vec<String> {
        let (group, mut files) = (self.group, self.selector.directory());
        let mut below = Vec::new();
        for entry in entries {
            let listed = entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)));
            let (name, kind) = match listed {
                Ok(listed) => listed,
                // A file system without types in its listings, and a file that is gone by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.problems.note(path, &error);
                    break;
                }
            };
            let full = Path::new(path).join(&name);
            let enter = kind.is_dir() && group.may_enter(&full);
            let take = kind.is_file() && group.matches(&full);
            if !enter && !take {
                continue;
            }
            let (Some(name), Some(full)) = (name.to_str(), full.to_str()) else {
                self.problems
                    .note(&full.to_string_lossy(), &"its name is not UTF-8");
                continue;
            };
            if enter {
                below.push(name.to_owned());
                continue;
            }
            match group.root.look(dir, full, name) {
                Ok(file) => files.take(file),
                Err(Miss::Absent | Miss::Elsewhere) => {}
                Err(miss) => self.problems.note(full, &miss),
            }
        }
        below
    }
}
