//! Finding files in real directories: what is taken, what is never entered, what is told.

use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

use cap_fs_ext::DirExt;

use super::scan;
use crate::cleanup::config::CleanupConfig;
use crate::cleanup::dirs::Access;
use crate::cleanup::effect::{Page, PageEnd};
use crate::cleanup::plan::Count;
use crate::cleanup::testing::{self, Tree, names};

fn find(config: CleanupConfig) -> Page {
    scan(&testing::scan(config), Access::default()).unwrap()
}

#[test]
fn matching_files_come_oldest_first() {
    let tree = Tree::new();
    tree.file("b.log", 2, 300);
    tree.file("deep/er/a.log", 3, 900);
    tree.file("deep/c.log", 5, 100);
    tree.file("deep/c.txt", 7, 900);
    let page = find(tree.config(&["**/*.log"]));
    assert_eq!(
        names(&tree, &page.files),
        ["deep/er/a.log", "b.log", "deep/c.log"]
    );
    assert_eq!(
        (page.found, page.end),
        (
            Count {
                files: 3,
                bytes: 10
            },
            PageEnd::Complete
        )
    );
}

#[test]
fn age_is_counted_from_the_start_of_the_run() {
    let tree = Tree::new();
    tree.file("old", 1, 60);
    tree.file("young", 1, 59);
    let config = CleanupConfig {
        older_than: Some("1m".parse().unwrap()),
        ..tree.config(&["*"])
    };
    assert_eq!(names(&tree, &find(config).files), ["old"]);
}

#[test]
fn the_newest_stay_in_each_directory() {
    let tree = Tree::new();
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        tree.file(name, 1, 1_000 - u64::from(name.as_bytes()[2]));
    }
    let config = CleanupConfig {
        keep_newest: 1,
        ..tree.config(&["**"])
    };
    assert_eq!(names(&tree, &find(config).files), ["a/1", "a/2"]);
}

#[test]
fn symlinks_below_the_root_are_neither_followed_nor_taken() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.file("x.log", 1, 9);
    tree.file("real.log", 1, 9);
    symlink(outside.root(), tree.root().join("linked")).unwrap();
    symlink(outside.root().join("x.log"), tree.root().join("link.log")).unwrap();
    symlink(tree.root(), tree.root().join("loop")).unwrap();
    assert_eq!(
        names(&tree, &find(tree.config(&["**/*.log"])).files),
        ["real.log"]
    );
    // Also where the glob spells the link out.
    assert!(find(tree.config(&["*nked/*.log"])).files.is_empty());
}

#[test]
fn a_root_that_is_a_symlink_was_named_and_is_followed() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.file("x.log", 1, 9);
    symlink(outside.root(), tree.root().join("linked")).unwrap();
    let page = find(tree.config(&["**/*.log", "linked/*.log"]));
    assert_eq!(names(&tree, &page.files), ["linked/x.log"]);
    assert_eq!(page.roots.len(), 2);
}

/// Who may write the directory of the link could have any other directory cleaned up, and the run succeeded.
#[test]
fn a_link_that_others_can_change_is_not_followed_to_a_root() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.file("db/x.log", 1, 9);
    tree.file("home/notes", 1, 9);
    symlink(outside.root(), tree.root().join("home/uploads")).unwrap();
    let home = tree.root().join("home");
    for (mode, is_followed) in [
        (0o777, false),
        (0o775, false),
        (0o755, true),
        (0o1777, true),
    ] {
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(mode)).unwrap();
        for glob in ["home/uploads/db/*.log", "home/uploads/**/*.log"] {
            let page = find(tree.config(&[glob]));
            assert_eq!(
                page.files.len(),
                usize::from(is_followed),
                "{mode:o} {glob}"
            );
            assert_eq!(page.unreadable_roots.count, u64::from(!is_followed));
            let mut told = page.unreadable_roots.examples.iter();
            assert!(told.all(|told| told.contains("\"uploads\" on the way is a symlink")));
        }
    }
}

#[test]
fn the_way_to_a_root_goes_through_links_as_the_system_would_go() {
    let tree = Tree::new();
    tree.file("real/deep/x.log", 1, 9);
    symlink("real/./deep/../deep", tree.root().join("relative")).unwrap();
    symlink(tree.root().join("relative"), tree.root().join("absolute")).unwrap();
    symlink("loop", tree.root().join("loop")).unwrap();
    symlink("nowhere", tree.root().join("dangling")).unwrap();
    let page = find(tree.config(&["absolute/*", "loop/*", "dangling/*", "real/deep/x.log/*"]));
    assert_eq!(names(&tree, &page.files), ["absolute/x.log"]);
    assert_eq!(page.missing_roots, [tree.path("dangling")]);
    let told = page.unreadable_roots.examples.join("; ");
    assert!(told.contains("loop: too many symlinks"), "{told}");
    assert!(told.contains("x.log: not a directory"), "{told}");
    assert_eq!(page.unreadable_roots.count, 2, "{told}");
}

#[test]
fn roots_within_one_another_find_each_file_once() {
    let tree = Tree::new();
    tree.file("a.log", 1, 9);
    tree.file("app/b.log", 1, 8);
    let page = find(tree.config(&["app/**/*.log", "*.log", "**/*.log", "app/*"]));
    assert_eq!(names(&tree, &page.files), ["a.log", "app/b.log"]);
    assert_eq!((page.found.files, page.roots.len()), (2, 1));
}

#[test]
fn another_file_system_is_not_entered() {
    // `/proc/fs` and others are mounts of their own or lie on procfs; sysfs is never the device of `/dev`.
    let shm = std::path::Path::new("/dev/shm");
    if shm.is_dir() {
        let file = tempfile::Builder::new()
            .suffix(".steadfast")
            .tempfile_in(shm)
            .unwrap();
        let page = find(CleanupConfig::new(["/dev/s*/*.steadfast"]));
        assert!(page.files.is_empty());
        // The run succeeded, and nobody was told that files stay.
        let told = page.problems.examples.iter();
        let told = told.filter(|text| text.starts_with("/dev/shm: another file system"));
        assert_eq!(told.count(), 1, "{:?}", page.problems);
        let page = find(CleanupConfig::new([
            "/dev/s*/*.steadfast",
            "/dev/shm/*.steadfast",
        ]));
        let told = page.problems.examples.iter();
        let told = told.filter(|text| text.starts_with("/dev/shm:"));
        assert_eq!(told.count(), 0, "it is walked: {:?}", page.problems);
        let named = find(CleanupConfig::new(["/dev/shm/*.steadfast"]));
        assert!(
            named
                .files
                .iter()
                .any(|found| file.path() == std::path::Path::new(&found.path))
        );
    }
}

#[test]
fn a_missing_root_is_nothing_to_do_and_an_unreadable_one_is_told() {
    let tree = Tree::new();
    tree.file("file", 1, 9);
    let page = find(tree.config(&["gone/*", "gone/*.log", "file/*"]));
    assert_eq!(page.missing_roots, [tree.path("gone")]);
    assert_eq!(
        page.unreadable_roots.count, 1,
        "{:?}",
        page.unreadable_roots
    );
    assert!(page.unreadable_roots.examples[0].starts_with(&tree.path("file: ")));
    assert!(page.files.is_empty());
}

#[test]
fn a_directory_that_cannot_be_read_is_told_and_the_others_are_walked() {
    let tree = Tree::new();
    tree.file("locked/a", 1, 9);
    tree.file("open/b", 1, 9);
    let access = Access {
        enter: |dir, name| match name {
            "locked" => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => dir.open_dir_nofollow(name),
        },
        ..Access::default()
    };
    let page = scan(&testing::scan(tree.config(&["**"])), access).unwrap();
    assert_eq!(names(&tree, &page.files), ["open/b"]);
    assert_eq!(page.problems.count, 1);
    assert!(page.problems.examples[0].contains("locked: permission denied"));
}

#[test]
fn a_name_that_is_no_text_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.log");
    if std::fs::write(tree.root().join(name), "x").is_ok() {
        let page = find(tree.config(&["*.log"]));
        assert!(page.files.is_empty());
        assert!(
            page.problems.examples[0].contains("not UTF-8"),
            "{:?}",
            page.problems
        );
    }
}

#[test]
fn the_next_page_begins_after_the_last_file() {
    let tree = Tree::new();
    tree.file("a", 1, 9);
    tree.file("b", 1, 9);
    tree.file("c", 1, 8);
    let first = find(tree.config(&["*"]));
    let after = crate::cleanup::plan::Cursor::at(&first.files[0]);
    let request = crate::cleanup::effect::Scan {
        after: Some(after),
        ..testing::scan(tree.config(&["*"]))
    };
    let next = scan(&request, Access::default()).unwrap();
    assert_eq!(names(&tree, &next.files), ["b", "c"]);
}

/// The journal's write-ahead log is called `NUMBER.log`: a careless glob over the node's own data
/// directory would remove it.
#[test]
fn the_data_directory_of_a_node_is_never_entered() {
    let tree = Tree::new();
    for name in [
        "data/mark",
        "data/lock",
        "data/journal/000004.log",
        "old.log",
    ] {
        tree.file(name, 1, 900);
    }
    let page = find(tree.config(&["**/*.log"]));
    assert_eq!(names(&tree, &page.files), ["old.log"]);
    assert_eq!(page.problems.count, 1, "{:?}", page.problems);
    assert!(
        page.problems.examples[0].starts_with(&tree.path("data: the data directory of a node"))
    );
    for glob in ["data/**/*.log", "data/journal/*.log"] {
        let page = find(tree.config(&[glob]));
        assert!(page.files.is_empty(), "{glob}");
        let told = serde_json::to_string(&page.unreadable_roots).unwrap();
        assert!(told.contains("data directory of a node"), "{glob}: {told}");
    }
}
