//! Globs: their roots, what they match and enter, and what is refused.

use std::path::Path;

use super::Pattern;

fn pattern(glob: &str) -> Pattern {
    Pattern::new(glob).unwrap()
}

#[track_caller]
fn refused(glob: &str, because: &str) {
    let error = Pattern::new(glob).unwrap_err();
    assert!(error.contains(because), "{glob}: {error}");
}

#[test]
fn the_root_is_the_directory_before_the_first_special_character() {
    for (glob, root) in [
        ("/var/log/app/**/*.log", "/var/log/app"),
        ("/var/log/*.log", "/var/log"),
        ("/var/l*/x.log", "/var"),
        ("/var/{log,tmp}/x", "/var"),
        ("/srv/data/old.bin", "/srv/data"),
    ] {
        assert_eq!(pattern(glob).root(), root, "{glob}");
    }
}

#[test]
fn a_star_stops_at_a_slash_and_two_do_not() {
    let one = pattern("/a/*.log");
    assert!(one.matches(Path::new("/a/x.log")));
    assert!(one.matches(Path::new("/a/.hidden.log")));
    assert!(!one.matches(Path::new("/a/b/x.log")));
    let any = pattern("/a/**/*.log");
    assert!(any.matches(Path::new("/a/x.log")));
    assert!(any.matches(Path::new("/a/b/c/x.log")));
    assert!(!any.matches(Path::new("/a/b/c/x.txt")));
}

#[test]
fn only_directories_that_can_lead_to_a_match_are_entered() {
    let fixed = pattern("/home/*/cache/*.tmp");
    assert!(fixed.may_enter(Path::new("/home/ann")));
    assert!(fixed.may_enter(Path::new("/home/ann/cache")));
    assert!(!fixed.may_enter(Path::new("/home/ann/secret")));
    assert!(!fixed.may_enter(Path::new("/home/ann/cache/deeper")));
    let open = pattern("/home/*/cache/**/x/*.tmp");
    assert!(open.may_enter(Path::new("/home/ann/cache/any/depth/at/all")));
    assert!(!open.may_enter(Path::new("/home/ann/secret")));
    assert!(pattern("/a/**").may_enter(Path::new("/a/b/c")));
    assert!(pattern("/a/{b/c,d}/*.x").may_enter(Path::new("/a/b/c")));
    assert!(pattern("/a/{b/c,d.x}").may_enter(Path::new("/a/b")));
}

#[test]
fn what_is_refused_says_why_and_names_the_glob() {
    refused("logs/*.log", "is relative");
    refused("/*.log", "searches the whole file system");
    refused("/**/*.log", "searches the whole file system");
    refused("/vmlinuz", "searches the whole file system");
    refused("/var/log/../x/*", "component \"..\"");
    refused("/var//log/*", "component \"\"");
    refused("/var/log/", "write \"/var/log/*\"");
    refused("/var/log/[a-", "\"/var/log/[a-\" is no glob");
    refused("/var/log/{a,b", "\"/var/log/{a,b\" is no glob");
    refused("/var/\0/x", "NUL");
}
