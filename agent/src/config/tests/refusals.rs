//! What is refused, by key: a table of texts, each with one thing wrong.

use super::{only_problem, read};

/// A whole file with these lines at its end.
fn file(lines: &str) -> String {
    format!("version = 1\n{lines}\n")
}

/// A whole file with one concern that has these further lines.
fn concern(lines: &str) -> String {
    file(&format!(
        "[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n{lines}"
    ))
}

#[track_caller]
fn check(text: &str, key: &str, message: &str, hint: &str) {
    let problem = only_problem(text, &[]);
    assert_eq!(problem["key"], key, "{problem}");
    let said = problem["message"].as_str().unwrap_or_default();
    assert!(said.contains(message), "{said:?} does not say {message:?}");
    let hinted = problem["hint"].as_str().unwrap_or_default();
    assert!(hinted.contains(hint), "{hinted:?} does not say {hint:?}");
    assert_eq!(hinted.is_empty(), hint.is_empty(), "{hinted:?}");
}

#[test]
fn every_planned_kind_is_refused_by_name() {
    let kinds = "log-ship git-sync container-heal http-patrol ssh-batch deploy exec workflow pipeline \
                 cron watch fsm task";
    for kind in kinds.split_whitespace() {
        let text = file(&format!("[concerns.a]\nkind = \"{kind}\"\nrun = [\"x\"]"));
        let message = format!("kind \"{kind}\" is not available in this version");
        check(&text, "concerns.a.kind", &message, "available: cleanup");
    }
}

#[test]
fn every_planned_key_of_a_concern_is_refused_by_name() {
    let keys = "timezone overlap timeout jitter retry retention cron watch on alert on_failure";
    for key in keys.split_whitespace() {
        let problem = only_problem(&concern(&format!("{key} = \"x\"")), &[]);
        let message = format!("`concerns.a.{key}` is not available in this version");
        assert_eq!(problem["message"], message);
    }
    for key in "timezone overlap timeout jitter retry retention".split_whitespace() {
        let problem = only_problem(&file(&format!("[defaults]\n{key} = \"x\"")), &[]);
        let message = format!("`defaults.{key}` is not available in this version");
        assert_eq!(problem["message"], message);
    }
}

#[test]
fn planned_sections_keys_and_values_are_refused_by_name() {
    let planned = "is not available in this version";
    check(
        &file("[notify.ops]\nwebhook = \"x\""),
        "notify",
        planned,
        "steadfast ps",
    );
    check(
        &file("http.token_file = \"/t\""),
        "http.token_file",
        planned,
        "need no token",
    );
    check(
        &file("telemetry.otlp = \"x\""),
        "telemetry.otlp",
        planned,
        "/metrics",
    );
    check(
        &file("telemetry.log = \"journald\""),
        "telemetry.log",
        planned,
        "auto, pretty, json",
    );
    check(
        &file("defaults.missed = \"all\""),
        "defaults.missed",
        planned,
        "once, skip",
    );
    check(
        &concern("missed = \"all\""),
        "concerns.a.missed",
        planned,
        "once, skip",
    );
    check(
        &file("node.labels.a = \"${env:X}\""),
        "node.labels.a",
        planned,
        "the value itself",
    );
}

#[test]
fn what_is_planned_elsewhere_is_unknown_here() {
    check(
        &file("node.token_file = 1"),
        "node.token_file",
        "unknown key",
        "name, data_dir, labels",
    );
    let nested = concern("limits.timeout = 1");
    check(
        &nested,
        "concerns.a.limits.timeout",
        "unknown key",
        "valid keys: files, bytes",
    );
}

#[test]
fn unknown_names_get_the_nearest_or_all_valid_ones() {
    let unknown = "unknown key";
    check(
        &file("[nodes]\nname = \"x\""),
        "nodes",
        unknown,
        "did you mean `node`?",
    );
    check(
        &file("[zzz]"),
        "zzz",
        unknown,
        "version, node, http, telemetry, defaults, concerns",
    );
    check(
        &file("http.Listen = []"),
        "http.Listen",
        unknown,
        "did you mean `listen`?",
    );
    check(
        &file("[node]\n\"a b\" = 1"),
        "node.\"a b\"",
        unknown,
        "valid keys: name",
    );
    check(
        &concern("olderthan = 1"),
        "concerns.a.olderthan",
        unknown,
        "`older_than`?",
    );
    check(
        &concern("older = 1"),
        "concerns.a.older",
        unknown,
        "`older_than`?",
    );
    check(
        &file("telemetry.log = \"x\""),
        "telemetry.log",
        "unknown value \"x\"",
        "auto, pretty",
    );
    check(
        &file("[concerns.a]\nkind = \"zzzzz\""),
        "concerns.a.kind",
        "unknown kind",
        "kinds: cleanup",
    );
}

#[test]
fn a_key_missing_because_of_a_slip_is_one_problem() {
    check(
        "verison = 1",
        "verison",
        "unknown key",
        "did you mean `version`?",
    );
    let paths = file("[concerns.a]\nkind = \"cleanup\"\npath = [\"/a/*\"]");
    check(
        &paths,
        "concerns.a.path",
        "unknown key",
        "did you mean `paths`?",
    );
    let kind = file("[concerns.a]\nknd = \"cleanup\"\npaths = [\"/a/*\"]");
    check(
        &kind,
        "concerns.a.knd",
        "unknown key",
        "did you mean `kind`?",
    );
}

#[test]
fn wrong_types_say_what_is_expected_and_what_was_found() {
    check(
        &file("node = 3"),
        "node",
        "expected a table, found integer `3`",
        "",
    );
    check(
        &file("node.name = 3"),
        "node.name",
        "expected a string, found integer `3`",
        "",
    );
    check(
        &file("node.name = 1979-05-27"),
        "node.name",
        "found a date or time",
        "",
    );
    check(
        &file("http.listen = \"x\""),
        "http.listen",
        "expected an array, found string",
        "",
    );
    check(
        &file("http.listen = [{}]"),
        "http.listen[0]",
        "expected a string, found a table",
        "",
    );
    check(
        &file("telemetry.log = true"),
        "telemetry.log",
        "found boolean `true`",
        "",
    );
    check(
        &file("concerns = []"),
        "concerns",
        "expected a table, found an array",
        "",
    );
    check(
        &file("concerns.a = 1"),
        "concerns.a",
        "is not a table",
        "write `[concerns.a]`",
    );
    check(
        &file("[[concerns.a]]\nx = 1"),
        "concerns.a",
        "is not a table",
        "write `[concerns.a]`",
    );
    check(
        &file("concerns.a.kind = 1"),
        "concerns.a.kind",
        "a kind is a string",
        "cleanup",
    );
    check(
        &concern("dry_run = \"yes\""),
        "concerns.a.dry_run",
        "expected true or false",
        "",
    );
    check(
        &concern("keep_newest = -1"),
        "concerns.a.keep_newest",
        "0 to 4294967295",
        "",
    );
    check(
        &concern("keep_newest = 1.5"),
        "concerns.a.keep_newest",
        "floating point `1.5`",
        "",
    );
    check(
        &concern("every = 300"),
        "concerns.a.every",
        "a duration with its unit",
        "",
    );
    check(
        &concern("limits.bytes = \"20 gigs\""),
        "concerns.a.limits.bytes",
        "is no size",
        "",
    );
    check(
        &concern("keep_newest = 99999999999999999999"),
        "concerns.a.keep_newest",
        "64 bits",
        "",
    );
}

#[test]
fn what_only_the_kind_can_know_is_refused_at_its_key() {
    check(
        &concern("every = \"1ms\""),
        "concerns.a.every",
        "shorter than 100ms",
        "",
    );
    check(
        &concern("limits.files = 0"),
        "concerns.a.limits.files",
        "would remove nothing",
        "",
    );
    let empty = file("[concerns.a]\nkind = \"cleanup\"\npaths = []");
    check(&empty, "concerns.a.paths", "no paths", "");
    let missing = file("[concerns.a]\nkind = \"cleanup\"");
    check(&missing, "concerns.a.paths", "`paths` is missing", "");
    check(
        &file("[concerns.a]"),
        "concerns.a.kind",
        "`concerns.a` has no kind",
        "kind = \"cleanup\"",
    );
}

#[test]
fn addresses_that_cannot_be_served() {
    let listen = |address: &str| file(&format!("http.listen = [\"{address}\"]"));
    for address in [
        "localhost:7600",
        "7600",
        "127.0.0.1",
        "",
        "http://127.0.0.1:1",
        "unix:/",
        "[::1]",
    ] {
        check(&listen(address), "http.listen[0]", "is not an address", "");
    }
    for address in [
        "0.0.0.0:1",
        "10.0.0.1:1",
        "[::]:1",
        "[fe80::1]:1",
        "1.1.1.1:443",
    ] {
        check(
            &listen(address),
            "http.listen[0]",
            "is not a loopback address",
            "",
        );
    }
    let long = format!("unix:/{}", "s".repeat(107));
    check(
        &listen(&long),
        "http.listen[0]",
        "a socket path of 108 bytes is too long",
        "",
    );
    let longest = format!("unix:/{}", "s".repeat(106));
    assert!(read(&listen(&longest)).is_ok());
    let twice = file("http.listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]");
    check(&twice, "http.listen", "127.0.0.1:1 is listed twice", "");
}

#[test]
fn names_that_are_none() {
    let named = |name: &str| {
        file(&format!(
            "[concerns.{name}]\nkind = \"cleanup\"\npaths = [\"/a/*\"]"
        ))
    };
    let long = "a".repeat(65);
    for name in [
        "Big", "\"\"", "\"a/b\"", "\"a b\"", "-x", "_x", "\".\"", "\"..\"", "\"ä\"", &long,
    ] {
        let problem = only_problem(&named(name), &[]);
        let message = problem["message"].as_str().unwrap();
        assert!(message.ends_with("is not a concern's name"), "{message}");
    }
    for name in ["a", "0", "stale-logs", "\"a.b_c\"", &"a".repeat(64)] {
        assert!(read(&named(name)).is_ok(), "{name}");
    }
    for name in ["", "a b", "ä"] {
        let text = file(&format!("node.name = \"{name}\""));
        check(&text, "node.name", "is not a node's name", "");
    }
}

#[test]
fn versions_that_are_none() {
    for version in ["0", "-1", "\"1\"", "1.0", "true", "[1]"] {
        check(
            &format!("version = {version}"),
            "version",
            "no version",
            "write `version = 1`",
        );
    }
}

#[test]
fn problems_of_all_sections_come_together_in_the_order_of_the_file() {
    let text = "node.nme = 1\nhttp.listen = [1, 2]\n[concerns.a]\nkind = \"exec\"\n\
                [concerns.b]\nkind = \"cleanup\"\npaths = [\"/\", \"/b/*\", \"x\"]\nevery = \"1ms\"\n";
    let problems = read(text).unwrap_err().to_json();
    let keys: Vec<_> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["key"])
        .collect();
    let expected = [
        "version",
        "node.nme",
        "http.listen[0]",
        "http.listen[1]",
        "concerns.a.kind",
        "concerns.b.paths[0]",
        "concerns.b.paths[2]",
        "concerns.b.every",
    ];
    assert_eq!(keys, expected);
}
