//! One glob: its root, what it matches, and which directories are worth entering for it.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

#[cfg(test)]
mod tests;

/// Characters that make a component of a glob match more than itself.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// A checked glob.
#[derive(Debug)]
pub(crate) struct Pattern {
    root: String,
    whole: GlobMatcher,
    /// One matcher for each directory component, up to the first that may span several.
    directories: Vec<GlobMatcher>,
    /// Whether components beyond `directories` may be any.
    open_ended: bool,
}

impl Pattern {
    /// Checks and compiles `glob`.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub(crate) fn new(glob: &str) -> Result<Self, String> {
        let components = components(glob)?;
        let literal = components
            .iter()
            .take_while(|part| !part.contains(SPECIAL))
            .count();
        // A glob without special characters names one file: its root is the directory of that file.
        let depth = literal.min(components.len().saturating_sub(1));
        let root: String = components
            .iter()
            .take(depth)
            .fold(String::new(), |mut root, part| {
                root.push('/');
                root.push_str(part);
                root
            });
        if root.is_empty() {
            return Err(format!(
                "{glob:?} searches the whole file system: begin with a directory, such as \"/var/log/…\""
            ));
        }
        let whole = compile(glob)?;
        let above_file = components.len().saturating_sub(1);
        let directories: Vec<_> = components
            .iter()
            .take(above_file)
            .take_while(|part| !part.contains("**"))
            // A brace may hold a `/`: its halves do not compile, and all below is worth entering.
            .map_while(|part| compile(part).ok())
            .collect();
        let open_ended = directories.len() < above_file || glob_spans_levels(&components);
        Ok(Self {
            root,
            whole,
            directories,
            open_ended,
        })
    }

    /// The directory before the first special character. Never `/`.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Whether the file with this absolute path is meant.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.whole.is_match(path)
    }

    /// Whether anything below the directory with this absolute path may be meant.
    pub(crate) fn may_enter(&self, directory: &Path) -> bool {
        let mut known = self.directories.iter();
        directory.iter().skip(1).all(|part| match known.next() {
            Some(matcher) => matcher.is_match(Path::new(part)),
            None => self.open_ended,
        })
    }
}

/// Whether the last component can match in more than one level: `/a/**` matches `/a/b/c`.
fn glob_spans_levels(components: &[&str]) -> bool {
    components
        .last()
        .is_some_and(|last| last.contains("**") || compile(last).is_err())
}

fn compile(glob: &str) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    built
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("{glob:?} is no glob: {}", error.kind()))
}

fn components(glob: &str) -> Result<Vec<&str>, String> {
    let Some(rest) = glob.strip_prefix('/') else {
        return Err(format!(
            "{glob:?} is relative: begin with \"/\", as the node may start anywhere"
        ));
    };
    if glob.ends_with('/') {
        return Err(format!(
            "{glob:?} names a directory: write \"{glob}*\" for the files in it"
        ));
    }
    if glob.contains('\0') {
        return Err("it has a NUL character, which no path has".to_owned());
    }
    let parts: Vec<_> = rest.split('/').collect();
    match parts.iter().find(|part| matches!(**part, "" | "." | "..")) {
        Some(part) => Err(format!(
            "{glob:?} has a component {part:?}: write the path in full"
        )),
        None => Ok(parts),
    }
}
