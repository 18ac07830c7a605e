//! Removing files from real directories, undisturbed, disturbed, and for the second time after a crash.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use super::sweep;
use crate::cleanup::dirs::Access;
use crate::cleanup::effect::{Sweep, Verdict};
use crate::cleanup::testing::{self, Tree};

const FIRST: bool = false;
const RESUMED: bool = true;

/// Three files and the sweep that would remove them, in the order a, b, sub/c.
fn planned() -> (Tree, Sweep) {
    let tree = Tree::new();
    tree.file("a", 1, 30);
    tree.file("b", 1, 20);
    tree.file("sub/c", 1, 10);
    let sweep = testing::sweep(tree.config(&["**"]));
    assert_eq!(testing::names(&tree, &sweep.files), ["a", "b", "sub/c"]);
    (tree, sweep)
}

#[test]
fn planned_files_go_and_others_and_directories_stay() {
    let (tree, planned) = planned();
    tree.file("new", 1, 0);
    assert_eq!(
        sweep(&planned, FIRST, Access::default()),
        vec![Verdict::Removed; 3]
    );
    assert!(!tree.exists("a") && !tree.exists("b") && !tree.exists("sub/c"));
    assert!(tree.exists("new") && tree.exists("sub"));
}

#[test]
fn an_absent_file_vanished_at_first_and_was_removed_by_us_after_a_crash() {
    let (tree, planned) = planned();
    fs::remove_file(tree.path("b")).unwrap();
    let first = sweep(&planned, FIRST, Access::default());
    assert_eq!(
        first,
        [Verdict::Removed, Verdict::Vanished, Verdict::Removed]
    );
    assert_eq!(
        sweep(&planned, RESUMED, Access::default()),
        vec![Verdict::Removed; 3]
    );
}

#[test]
fn a_sweep_cut_off_anywhere_and_run_again_removes_each_file_once() {
    for done in 0..=3 {
        let (tree, planned) = planned();
        for file in planned.files.iter().take(done) {
            fs::remove_file(&file.path).unwrap();
        }
        assert_eq!(
            sweep(&planned, RESUMED, Access::default()),
            vec![Verdict::Removed; 3]
        );
        assert!(!tree.exists("a") && !tree.exists("sub/c"));
    }
}

#[test]
fn a_directory_that_is_gone_takes_its_files_with_it() {
    let (tree, planned) = planned();
    fs::remove_dir_all(tree.path("sub")).unwrap();
    assert_eq!(
        sweep(&planned, FIRST, Access::default())[2],
        Verdict::Vanished
    );
}

#[test]
fn a_changed_file_stays() {
    for attempt in [FIRST, RESUMED] {
        let (tree, planned) = planned();
        fs::write(tree.path("b"), "written to since").unwrap();
        let verdicts = sweep(&planned, attempt, Access::default());
        assert_eq!(
            verdicts,
            [Verdict::Removed, Verdict::Changed, Verdict::Removed]
        );
        assert!(tree.exists("b"));
    }
}

#[test]
fn a_new_file_in_the_place_of_a_planned_one_stays() {
    for (attempt, verdict) in [(FIRST, Verdict::Changed), (RESUMED, Verdict::Removed)] {
        let (tree, planned) = planned();
        // Made while the old one is there, so that it cannot get its inode.
        tree.file("other", 2, 5);
        fs::rename(tree.path("other"), tree.path("b")).unwrap();
        assert_eq!(sweep(&planned, attempt, Access::default())[1], verdict);
        assert!(tree.exists("b"));
    }
}

#[test]
fn a_file_under_another_inode_alone_is_not_taken_for_a_new_one() {
    let (tree, mut planned) = planned();
    planned.files[1].inode += 1;
    assert_eq!(
        sweep(&planned, RESUMED, Access::default())[1],
        Verdict::Changed
    );
    assert!(tree.exists("b"));
}

#[test]
fn a_directory_swapped_for_a_symlink_is_not_followed() {
    for attempt in [FIRST, RESUMED] {
        let (tree, planned) = planned();
        let outside = Tree::new();
        fs::rename(tree.path("sub"), outside.path("sub")).unwrap();
        symlink(outside.path("sub"), tree.path("sub")).unwrap();
        assert_eq!(
            sweep(&planned, attempt, Access::default())[2],
            Verdict::Changed
        );
        assert!(
            outside.exists("sub/c"),
            "a file outside of the root was removed"
        );
    }
}

#[test]
fn a_file_swapped_for_a_symlink_or_a_directory_stays() {
    let (tree, planned) = planned();
    let outside = Tree::new();
    outside.file("precious", 1, 0);
    fs::remove_file(tree.path("a")).unwrap();
    symlink(outside.path("precious"), tree.path("a")).unwrap();
    fs::remove_file(tree.path("b")).unwrap();
    fs::create_dir(tree.path("b")).unwrap();
    let verdicts = sweep(&planned, FIRST, Access::default());
    assert_eq!(verdicts[..2], [Verdict::Changed, Verdict::Changed]);
    assert!(outside.exists("precious") && tree.exists("a") && tree.exists("b"));
}

#[test]
fn what_the_system_refuses_is_told_for_that_file_alone() {
    let (tree, planned) = planned();
    let access = Access {
        unlink: |dir, name| match name {
            "b" => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => dir.remove_file(name),
        },
        ..Access::default()
    };
    let verdicts = sweep(&planned, FIRST, access);
    let refused = Verdict::Failed("permission denied".to_owned());
    assert_eq!(verdicts, [Verdict::Removed, refused, Verdict::Removed]);
    assert!(tree.exists("b"));
}

#[test]
fn a_root_that_is_missing_after_a_restart_proves_nothing() {
    let (tree, planned) = planned();
    let aside = format!("{}-aside", tree.root().display());
    fs::rename(tree.root(), &aside).unwrap();
    let missing = sweep(&planned, RESUMED, Access::default());
    let vanished = sweep(&planned, FIRST, Access::default());
    fs::create_dir(tree.root()).unwrap();
    let replaced = sweep(&planned, RESUMED, Access::default());
    fs::remove_dir(tree.root()).unwrap();
    fs::rename(&aside, tree.root()).unwrap();
    assert_eq!(vanished, vec![Verdict::Vanished; 3]);
    for verdict in missing.into_iter().chain(replaced) {
        assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    }
    assert!(tree.exists("a") && tree.exists("sub/c"));
}

#[test]
fn a_file_outside_of_the_roots_is_never_touched() {
    let (tree, mut planned) = planned();
    planned.roots[0].path.push_str("/sub");
    let verdicts = sweep(&planned, FIRST, Access::default());
    assert!(matches!(&verdicts[0], Verdict::Failed(why) if why.contains("outside")));
    assert!(tree.exists("a"));
}
