//! Paths are absolute, or are meant from the directory of the config file.

use std::path::PathBuf;

use super::super::{Listen, parse};
use super::{cleanup, only_problem, read};

fn globs_from(directory: &str, glob: &str) -> Vec<String> {
    let text = format!("version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = ['{glob}']\n");
    let config = parse("f", Some(directory), &text, std::iter::empty()).unwrap();
    cleanup(&config).paths.clone()
}

#[test]
fn a_dot_stands_for_the_directory_of_the_file() {
    assert_eq!(globs_from("/a/b", "./c/**/*.log"), ["/a/b/c/**/*.log"]);
    assert_eq!(globs_from("/a/b", "../c/*"), ["/a/c/*"]);
    assert_eq!(globs_from("/a/b", "./.././../c/*"), ["/c/*"]);
    assert_eq!(globs_from("/a", "../../../c/*"), ["/c/*"]);
    assert_eq!(globs_from("/", "./c/*"), ["/c/*"]);
    assert_eq!(globs_from("/a/b", "/c/*"), ["/c/*"]);
}

#[test]
fn a_directory_with_special_characters_matches_itself_only() {
    assert_eq!(
        globs_from("/a/[b]{c}*?", "./d/*"),
        [r"/a/\[b\]\{c\}\*\?/d/*"]
    );
    let data = "version = 1\nnode.data_dir = \"./d\"\n";
    let config = parse("f", Some("/a/[b]"), data, std::iter::empty()).unwrap();
    assert_eq!(config.node.data_dir, Some(PathBuf::from("/a/[b]/d")));
}

#[test]
fn data_and_sockets_may_lie_beside_the_file_too() {
    let config = read("version = 1\nnode.data_dir = './d'\nhttp.listen = ['unix:./s']\n").unwrap();
    assert_eq!(
        config.node.data_dir,
        Some(PathBuf::from("/etc/steadfast/d"))
    );
    assert_eq!(
        config.http.listen,
        [Listen::Unix(PathBuf::from("/etc/steadfast/s"))]
    );
}

#[test]
fn other_relative_paths_are_refused() {
    for (key, text) in [
        ("node.data_dir", "node.data_dir = 'd'"),
        ("node.data_dir", "node.data_dir = ''"),
        ("node.data_dir", "node.data_dir = '~/d'"),
        ("http.listen[0]", "http.listen = ['unix:s']"),
        (
            "concerns.a.paths[0]",
            "concerns.a = { kind = 'cleanup', paths = ['*.log'] }",
        ),
    ] {
        let problem = only_problem(&format!("version = 1\n{text}\n"), &[]);
        assert_eq!(problem["key"], key);
        assert!(
            problem["message"]
                .as_str()
                .unwrap()
                .ends_with("is a relative path"),
            "{problem}"
        );
    }
}

#[test]
fn what_follows_the_dots_is_judged_by_the_kind() {
    let text = "version = 1\n[concerns.a]\nkind = 'cleanup'\npaths = ['./a/../b']\n";
    let problem = only_problem(text, &[]);
    let message = "\"/etc/steadfast/a/../b\" has a component \"..\": write the path in full";
    assert_eq!(problem["message"], message);
}

#[test]
fn without_a_directory_nothing_can_be_meant_from_it() {
    let text = "version = 1\nnode.data_dir = './d'\n";
    let problems = parse("f", None, text, std::iter::empty()).unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("the path of the config file is no UTF-8")
    );
}
