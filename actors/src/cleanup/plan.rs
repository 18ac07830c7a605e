//! The data that a plan is made of: files with their identity, counts, places in the order.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Files, and their bytes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// How many files.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
}

impl Count {
    /// One file of this length.
    #[must_use]
    pub const fn file(bytes: u64) -> Self {
        Self { files: 1, bytes }
    }

    /// What is in this and not in `part`.
    #[must_use]
    pub const fn less(self, part: Self) -> Self {
        Self {
            files: self.files.saturating_sub(part.files),
            bytes: self.bytes.saturating_sub(part.bytes),
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, count| {
            sum += count;
            sum
        })
    }
}

/// One file to be removed, and what tells it from any other file under that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Its absolute path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its inode. Not enough alone: file systems give freed numbers away again, and some make them up.
    pub inode: u64,
    /// When it was created, in nanoseconds since 1970, where the file system knows.
    pub created_ns: Option<i64>,
}

impl PlannedFile {
    /// Its place in the order of removal: oldest first, equally old ones by path.
    #[must_use]
    pub fn place(&self) -> (i64, &str) {
        (self.modified_ns, &self.path)
    }
}

/// A place in the order of removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// [`PlannedFile::modified_ns`] of the file there.
    pub modified_ns: i64,
    /// Its path.
    pub path: String,
}

impl Cursor {
    /// The place of `file`.
    #[must_use]
    pub fn at(file: &PlannedFile) -> Self {
        Self {
            modified_ns: file.modified_ns,
            path: file.path.clone(),
        }
    }

    /// Whether `file` comes after it.
    #[must_use]
    pub fn is_before(&self, file: &PlannedFile) -> bool {
        (self.modified_ns, self.path.as_str()) < file.place()
    }
}

/// A directory that was walked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its absolute path.
    pub path: String,
    /// Its inode: an unmounted disk leaves another directory under the same name.
    pub inode: u64,
}

/// What could not be looked at, in number and by a few examples.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Problems {
    /// How many.
    pub count: u64,
    /// The first of them, each with its path.
    pub examples: Vec<String>,
}

/// Most [`Problems::examples`].
const MAX_EXAMPLES: usize = 10;

impl Problems {
    /// Notes one more.
    pub(super) fn note(&mut self, path: &str, problem: &dyn std::fmt::Display) {
        self.count += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{path}: {problem}"));
        }
    }
}
