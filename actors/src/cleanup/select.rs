//! Which of the files found are removed, and in which order. Pure, and in bounded memory however many
//! files there are.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::effect::{Page, PageEnd};
use super::plan::{Count, Cursor, PlannedFile, Problems};

#[cfg(test)]
mod tests;

/// Most files of one page. Each is about 120 bytes in the entry that plans it, and in the state.
pub(super) const PAGE_FILES: usize = 1_024;
/// Most bytes that the paths of one page have together.
const PAGE_TEXT: usize = 256 << 10;

/// A file in the order of removal.
#[derive(Debug)]
struct Candidate(PlannedFile);

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.place().cmp(&other.0.place())
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// Collects the oldest files that may go.
#[derive(Debug)]
pub(super) struct Selector {
    /// Only files last changed at this time or before.
    pub(super) newest_ns: i64,
    /// Only files after this place.
    pub(super) after: Option<Cursor>,
    /// Files that stay in each directory.
    pub(super) keep_newest: usize,
    /// Length of the largest file that a whole run may remove.
    pub(super) largest: u64,
    found: Count,
    /// Those of them that no run may remove, whatever else it leaves.
    too_large: Count,
    /// The oldest so far, one more than a page holds; the newest of them is on top.
    oldest: BinaryHeap<Candidate>,
}

impl Selector {
    pub(super) fn new(
        newest_ns: i64,
        after: Option<Cursor>,
        keep_newest: usize,
        largest: u64,
    ) -> Self {
        Self {
            newest_ns,
            after,
            keep_newest,
            largest,
            found: Count::default(),
            too_large: Count::default(),
            oldest: BinaryHeap::new(),
        }
    }

    /// A directory is entered: [`Directory::take`] gets its matching files, all of them.
    pub(super) fn directory(&mut self) -> Directory<'_> {
        Directory {
            selector: self,
            newest: BinaryHeap::new(),
        }
    }

    fn offer(&mut self, file: PlannedFile) {
        let seen = self
            .after
            .as_ref()
            .is_some_and(|cursor| !cursor.is_before(&file));
        if file.modified_ns > self.newest_ns || seen {
            return;
        }
        self.found += Count::file(file.bytes);
        // It would be first in the order for ever, and keep all that come after it.
        if file.bytes > self.largest {
            self.too_large += Count::file(file.bytes);
            return;
        }
        self.oldest.push(Candidate(file));
        if self.oldest.len() > PAGE_FILES + 1 {
            self.oldest.pop();
        }
    }

    /// The oldest files, as many as a page holds and `limits` allow.
    pub(super) fn page(self, limits: Count) -> Page {
        let mut page = Page {
            found: self.found,
            too_large: self.too_large,
            ..Page::default()
        };
        let (mut selected, mut text) = (Count::default(), 0);
        for Candidate(file) in self.oldest.into_sorted_vec() {
            let mut with = selected;
            with += Count::file(file.bytes);
            text += file.path.len();
            if with.files > limits.files || with.bytes > limits.bytes {
                page.end = PageEnd::Limited;
                break;
            }
            if page.files.len() == PAGE_FILES || text > PAGE_TEXT {
                page.end = PageEnd::More;
                break;
            }
            selected = with;
            page.files.push(file);
        }
        page.left = self.found.less(selected);
        page
    }
}

/// The files of one directory, of which the newest stay.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    selector: &'a mut Selector,
    /// The newest so far; the oldest of them is on top.
    newest: BinaryHeap<Reverse<Candidate>>,
}

impl Directory<'_> {
    /// One matching file of the directory. It is offered as soon as enough newer ones are known.
    pub(super) fn take(&mut self, file: PlannedFile) {
        if self.selector.keep_newest == 0 {
            return self.selector.offer(file);
        }
        self.newest.push(Reverse(Candidate(file)));
        if self.newest.len() > self.selector.keep_newest
            && let Some(Reverse(Candidate(file))) = self.newest.pop()
        {
            self.selector.offer(file);
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            found: Count::default(),
            left: Count::default(),
            too_large: Count::default(),
            end: PageEnd::Complete,
            roots: Vec::new(),
            missing_roots: Vec::new(),
            unreadable_roots: Problems::default(),
            problems: Problems::default(),
        }
    }
}
