//! Files that cannot be read at all, and the directory that `./` is meant from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::{Config, Problems, load};
use super::cleanup;

fn open(path: &Path) -> Result<Config, Problems> {
    load(path, std::iter::empty())
}

#[track_caller]
fn check(path: &Path, expected: &str) {
    let shown = open(path).unwrap_err().render(false);
    assert_eq!(
        shown.replace(&path.display().to_string(), "FILE"),
        expected.trim_matches('\n')
    );
}

#[test]
fn files_that_are_none() {
    let directory = tempfile::tempdir().unwrap();
    check(
        &directory.path().join("missing.toml"),
        "
error: FILE: there is no such file
 |
 = help: name the configuration with `--config FILE`",
    );
    check(
        directory.path(),
        "
error: FILE: it is a directory
 |
 = help: name the configuration with `--config FILE`",
    );
}

#[test]
fn bytes_that_are_no_text_are_pointed_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("steadfast.toml");
    fs::write(&path, b"version = 1\nnode.name = \"\xe4\"\n").unwrap();
    check(
        &path,
        "
error: this is not UTF-8
 --> FILE:2:14
  |
2 | node.name = \"\u{fffd}\"
  |              ^
  |
  = help: save the file as UTF-8",
    );
}

#[test]
fn a_huge_file_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("steadfast.toml");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(
        open(&path)
            .unwrap_err()
            .to_string()
            .contains("larger than 1 MiB")
    );
}

#[test]
fn the_real_directory_of_the_file_counts() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir(root.join("real")).unwrap();
    let text = "version = 1\n[concerns.a]\nkind = 'cleanup'\npaths = ['./x/*']\n";
    fs::write(root.join("real/steadfast.toml"), text).unwrap();
    symlink(root.join("real"), root.join("link")).unwrap();
    let expected = root.join("real/x/*").to_str().unwrap().to_owned();
    for path in [
        "real/steadfast.toml",
        "link/steadfast.toml",
        "real/../link/./steadfast.toml",
    ] {
        assert_eq!(
            cleanup(&open(&root.join(path)).unwrap()).paths,
            [expected.as_str()],
            "{path}"
        );
    }
}
