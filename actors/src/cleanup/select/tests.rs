//! The selection against a plain one that holds all files at once, and its bounds one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{PAGE_FILES, Selector};
use crate::cleanup::effect::{Page, PageEnd};
use crate::cleanup::plan::{Count, Cursor, PlannedFile};

const NO_LIMIT: Count = Count {
    files: u64::MAX,
    bytes: u64::MAX,
};

fn file(path: impl Into<String>, modified_ns: i64, bytes: u64) -> PlannedFile {
    PlannedFile {
        path: path.into(),
        bytes,
        modified_ns,
        inode: 0,
        created_ns: None,
    }
}

/// Files of several directories, by directory.
type Tree = BTreeMap<u8, Vec<PlannedFile>>;

fn page(tree: &Tree, rules: Rules, after: Option<Cursor>, limits: Count) -> Page {
    let mut selector = Selector::new(rules.newest_ns, after, rules.keep_newest, rules.largest);
    for files in tree.values() {
        let mut directory = selector.directory();
        files.iter().cloned().for_each(|file| directory.take(file));
    }
    selector.page(limits)
}

#[derive(Debug, Clone, Copy)]
struct Rules {
    newest_ns: i64,
    keep_newest: usize,
    largest: u64,
}

const ALL: Rules = Rules {
    newest_ns: i64::MAX,
    keep_newest: 0,
    largest: u64::MAX,
};

/// All pages one after the other, each file removed from the tree as a sweep would.
fn run(mut tree: Tree, rules: Rules, limits: Count) -> (Vec<PlannedFile>, PageEnd) {
    let (mut all, mut used, mut after) = (Vec::new(), Count::default(), None);
    loop {
        let page = page(&tree, rules, after, limits.less(used));
        used += page.files.iter().map(|file| Count::file(file.bytes)).sum();
        after = page.files.last().map(Cursor::at);
        for files in tree.values_mut() {
            files.retain(|file| !page.files.contains(file));
        }
        all.extend(page.files);
        if page.end != PageEnd::More {
            return (all, page.end);
        }
    }
}

fn plain(tree: &Tree, rules: Rules, limits: Count) -> (Vec<PlannedFile>, PageEnd) {
    let mut files = Vec::new();
    for directory in tree.values() {
        let mut directory = directory.clone();
        directory.sort_by(|a, b| a.place().cmp(&b.place()));
        directory.truncate(directory.len().saturating_sub(rules.keep_newest));
        directory.retain(|file| file.modified_ns <= rules.newest_ns && file.bytes <= rules.largest);
        files.extend(directory);
    }
    files.sort_by(|a, b| a.place().cmp(&b.place()));
    let mut used = Count::default();
    let within = files.iter().take_while(|file| {
        used += Count::file(file.bytes);
        used.files <= limits.files && used.bytes <= limits.bytes
    });
    let within = within.count();
    let end = if within == files.len() {
        PageEnd::Complete
    } else {
        PageEnd::Limited
    };
    files.truncate(within);
    (files, end)
}

fn trees() -> impl Strategy<Value = Tree> {
    let files = prop::collection::btree_map("[a-z]{1,3}", (0_i64..20, 0_u64..50), 0..12);
    prop::collection::btree_map(0_u8..6, files, 0..5).prop_map(|tree| {
        let directory = |(dir, files): (u8, BTreeMap<String, (i64, u64)>)| {
            let named = files
                .into_iter()
                .map(|(name, (modified, bytes))| file(format!("/{dir}/{name}"), modified, bytes));
            (dir, named.collect())
        };
        tree.into_iter().map(directory).collect()
    })
}

proptest! {
    #[test]
    fn it_selects_what_the_plain_one_selects(
        tree in trees(),
        newest_ns in 0_i64..22,
        keep_newest in 0_usize..4,
        files in 0_u64..40,
        bytes in 0_u64..900,
        largest in 0_u64..60,
    ) {
        let limits = Count { files, bytes };
        let rules = Rules { newest_ns, keep_newest, largest };
        prop_assert_eq!(run(tree.clone(), rules, limits), plain(&tree, rules, limits));
    }
}

#[test]
fn more_than_a_page_comes_in_pages() {
    let count = PAGE_FILES * 2 + 10;
    let files = (0..count).map(|n| file(format!("/d/{n:05}"), i64::try_from(n % 7).unwrap(), 1));
    let tree = Tree::from([(0, files.collect())]);
    let first = page(&tree, ALL, None, NO_LIMIT);
    assert_eq!((first.files.len(), first.end), (PAGE_FILES, PageEnd::More));
    assert_eq!(first.found.files, count as u64);
    assert_eq!(
        run(tree.clone(), ALL, NO_LIMIT),
        plain(&tree, ALL, NO_LIMIT)
    );
}

#[test]
fn the_text_of_a_page_is_bounded_too() {
    let long = "x".repeat(4_000);
    let files = (0..100).map(|n| file(format!("/d/{long}{n:03}"), 0, 1));
    let tree = Tree::from([(0, files.collect())]);
    let first = page(&tree, ALL, None, NO_LIMIT);
    assert_eq!(first.end, PageEnd::More);
    assert!(
        first
            .files
            .iter()
            .map(|file| file.path.len())
            .sum::<usize>()
            <= super::PAGE_TEXT
    );
    assert_eq!(run(tree.clone(), ALL, NO_LIMIT).0.len(), 100);
}

#[test]
fn the_limits_stop_it_and_what_is_left_is_counted() {
    let files = vec![
        file("/d/b", 2, 10),
        file("/d/a", 1, 10),
        file("/d/c", 3, 10),
    ];
    let tree = Tree::from([(0, files)]);
    let by_files = page(
        &tree,
        ALL,
        None,
        Count {
            files: 2,
            bytes: 100,
        },
    );
    assert_eq!(
        by_files
            .files
            .iter()
            .map(|file| &*file.path)
            .collect::<Vec<_>>(),
        ["/d/a", "/d/b"]
    );
    assert_eq!(
        (by_files.end, by_files.left),
        (
            PageEnd::Limited,
            Count {
                files: 1,
                bytes: 10
            }
        )
    );
    let by_bytes = page(
        &tree,
        ALL,
        None,
        Count {
            files: 9,
            bytes: 19,
        },
    );
    assert_eq!((by_bytes.files.len(), by_bytes.end), (1, PageEnd::Limited));
    let exact = page(
        &tree,
        ALL,
        None,
        Count {
            files: 3,
            bytes: 30,
        },
    );
    assert_eq!((exact.files.len(), exact.end), (3, PageEnd::Complete));
}

#[test]
fn the_newest_stay_even_if_they_are_old() {
    let files = vec![file("/d/a", 1, 1), file("/d/b", 2, 1), file("/d/c", 3, 1)];
    let tree = Tree::from([(0, files)]);
    let kept = page(
        &tree,
        Rules {
            newest_ns: 2,
            keep_newest: 2,
            ..ALL
        },
        None,
        NO_LIMIT,
    );
    assert_eq!(
        kept.files
            .iter()
            .map(|file| &*file.path)
            .collect::<Vec<_>>(),
        ["/d/a"]
    );
    let all = page(
        &tree,
        Rules {
            newest_ns: 9,
            keep_newest: 5,
            ..ALL
        },
        None,
        NO_LIMIT,
    );
    assert_eq!((all.files.len(), all.end), (0, PageEnd::Complete));
}

/// One that was larger than the whole limit was the first in each run, and each run ended there.
#[test]
fn a_file_that_is_too_large_does_not_keep_those_after_it() {
    let files = vec![
        file("/d/core", 1, 31),
        file("/d/a", 2, 10),
        file("/d/b", 3, 10),
    ];
    let tree = Tree::from([(0, files)]);
    let limits = Count {
        files: 9,
        bytes: 30,
    };
    let rules = Rules { largest: 30, ..ALL };
    let page = page(&tree, rules, None, limits);
    let names: Vec<_> = page.files.iter().map(|file| &*file.path).collect();
    assert_eq!(names, ["/d/a", "/d/b"]);
    assert_eq!(
        (page.end, page.left, page.too_large),
        (PageEnd::Complete, Count::file(31), Count::file(31))
    );
}
