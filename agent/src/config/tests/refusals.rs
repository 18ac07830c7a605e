//! What is refused, at which key and with which words: tables of texts, each with one thing wrong.

use super::{only_problem, read};

/// A file with these lines after its version.
fn file(lines: &str) -> String {
    format!("version = 1\n{lines}\n")
}

/// A file with one concern that has these lines beside its kind and paths.
fn concern(lines: &str) -> String {
    file(&format!(
        "[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n{lines}"
    ))
}

/// Each row: what `text` is made of (`\n` for a new line), the key, and parts of message and hint.
/// Without the last one there is no hint.
#[track_caller]
fn check(text: fn(&str) -> String, table: &str) {
    for row in table.lines().filter(|row| !row.trim().is_empty()) {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let problem = only_problem(&text(&cells[0].replace("\\n", "\n")), &[]);
        assert_eq!(problem["key"], cells[1], "{row}: {problem}");
        let said = problem["message"].as_str().unwrap_or_default();
        assert!(said.contains(cells[2]), "{row}: {said:?}");
        match (problem["hint"].as_str(), cells.get(3)) {
            (Some(said), Some(hint)) => assert!(said.contains(hint), "{row}: {said:?}"),
            (said, hint) => assert_eq!(said, hint.copied(), "{row}"),
        }
    }
}

#[test]
fn every_planned_kind_is_refused_by_name() {
    let kinds = "log-ship git-sync container-heal ssh-batch deploy workflow \
                 pipeline cron watch fsm task";
    for kind in kinds.split_whitespace() {
        let lines = format!("[concerns.a]\nkind = \"{kind}\"\nrun = [\"x\"]");
        let problem = only_problem(&file(&lines), &[]);
        let message = format!("kind \"{kind}\" is not available in this version");
        assert_eq!(problem["message"], message);
        assert_eq!(problem["hint"], "available: cleanup, exec, http-patrol");
    }
}

#[test]
fn every_planned_key_of_a_concern_is_refused_by_name() {
    let defaults = "retry retention";
    for key in defaults.split_whitespace() {
        let problem = only_problem(&file(&format!("[defaults]\n{key} = \"x\"")), &[]);
        let message = format!("`defaults.{key}` is not available in this version");
        assert_eq!(problem["message"], message);
    }
    let keys = format!("{defaults} watch on alert on_failure");
    for key in keys.split_whitespace() {
        let problem = only_problem(&concern(&format!("{key} = \"x\"")), &[]);
        let message = format!("`concerns.a.{key}` is not available in this version");
        assert_eq!(problem["message"], message);
    }
}

#[test]
fn planned_sections_keys_and_values_are_refused_by_name() {
    check(
        file,
        r#"
        [notify.ops]\nwebhook = "x" | notify          | `notify` is not available    | ps
        http.token_file = "/t"      | http.token_file | is not available in this     | need no token
        telemetry.otlp = "x"        | telemetry.otlp  | is not available in this     | /metrics
        node.labels.a = "${env:X}"  | node.labels.a   | `${…}` is not available      | the value
        node.name = "${file:/x}"    | node.name       | `${…}` is not available      | the value
        "#,
    );
}

#[test]
fn what_is_planned_elsewhere_is_unknown_here() {
    check(
        file,
        "node.token_file = 1 | node.token_file | unknown key | valid keys: name, data_dir, labels",
    );
    check(
        concern,
        "limits.timeout = 1 | concerns.a.limits.timeout | unknown key | valid keys: files, bytes",
    );
}

#[test]
fn unknown_names_get_the_nearest_or_all_valid_ones() {
    check(
        file,
        r#"
        [nodes]\nname = "x"            | nodes           | unknown key `nodes` | mean `node`?
        [zzz]                          | zzz             | unknown key `zzz`   | telemetry, defaults
        http.Listen = []               | http.Listen     | unknown key         | mean `listen`?
        [node]\n"a b" = 1              | node."a b"      | unknown key         | valid keys: name
        telemetry.log = "x"            | telemetry.log   | unknown value "x"   | values: auto, pretty
        [concerns.a]\nkind = "zzzzz"   | concerns.a.kind | unknown kind        | kinds: cleanup, exec
        defaults.overlap = "x"         | defaults.overlap | unknown value "x"  | values: skip, queue, cancel
        [concerns.a]\nkind = "cleanpu" | concerns.a.kind | unknown kind        | mean `cleanup`?
        "#,
    );
    check(
        concern,
        "
        olderthan = 1  | concerns.a.olderthan  | unknown key | did you mean `older_than`?
        older-than = 1 | concerns.a.older-than | unknown key | did you mean `older_than`?
        older = 1      | concerns.a.older      | unknown key | did you mean `older_than`?
        limit = 1      | concerns.a.limit      | unknown key | did you mean `limits`?
        ",
    );
}

#[test]
fn a_key_missing_because_of_a_slip_is_one_problem() {
    let whole = str::to_owned;
    check(
        whole,
        "verison = 1 | verison | unknown key | did you mean `version`?",
    );
    check(
        file,
        r#"
        [concerns.a]\nkind = "cleanup"\npath = ["/a/*"] | concerns.a.path | unknown | `paths`?
        [concerns.a]\nknd = "cleanup"\npaths = ["/a/*"] | concerns.a.knd  | unknown | `kind`?
        [concerns.a]\nkind = "${x}"                     | concerns.a.kind | `${…}`  | the value
        "#,
    );
}

#[test]
fn wrong_types_say_what_is_expected_and_what_was_found() {
    check(
        file,
        r#"
        node = 3                 | node            | expected a table, found integer `3`
        node.name = 3            | node.name       | expected a string, found integer `3`
        node.name = 1979-05-27   | node.name       | expected a string, found a date or time
        http.listen = "x"        | http.listen     | expected an array, found string "x"
        http.listen = [{}]       | http.listen[0]  | expected a string, found a table
        telemetry.log = true     | telemetry.log   | expected a string, found boolean `true`
        concerns = []            | concerns        | expected a table, found an array
        concerns.a = 1           | concerns.a      | is not a table     | write `[concerns.a]`
        [[concerns.a]]\nx = 1    | concerns.a      | is not a table     | write `[concerns.a]`
        concerns.a.kind = 1      | concerns.a.kind | a kind is a string | available: cleanup, http-patrol
        "#,
    );
    check(
        concern,
        r#"
        dry_run = "yes"            | concerns.a.dry_run      | expected true or false, found string
        keep_newest = -1           | concerns.a.keep_newest  | number from 0 to 4294967295
        keep_newest = 1.5          | concerns.a.keep_newest  | found floating point `1.5`
        keep_newest = 0xffffffffff | concerns.a.keep_newest  | found integer `1099511627775`
        keep_newest = 1e400        | concerns.a.keep_newest  | found floating point `inf`
        every = 300                | concerns.a.every        | expected a duration with its unit
        limits.bytes = "20 gigs"   | concerns.a.limits.bytes | "20 gigs" is no size
        keep_newest = 99999999999999999999 | concerns.a.keep_newest | is out of range
        "#,
    );
}

#[test]
fn what_only_the_kind_can_know_is_refused_at_its_key() {
    check(
        concern,
        r#"
        every = "1ms"    | concerns.a.every        | shorter than 100ms
        limits.files = 0 | concerns.a.limits.files | 0 would remove nothing
        "#,
    );
    check(
        file,
        r#"
        [concerns.a]\nkind = "cleanup"\npaths = []    | concerns.a.paths    | no paths
        [concerns.a]\nkind = "cleanup"\npaths = ["/"] | concerns.a.paths[0] | "/"
        [concerns.a]\nkind = "cleanup"                | concerns.a.paths    | `paths` is missing
        [concerns.a] | concerns.a.kind | `concerns.a` has no kind | add `kind
        "#,
    );
}

#[test]
fn a_concern_has_one_schedule() {
    check(
        concern,
        r#"
        every = "1m"\ncron = "* * * * *" | concerns.a.cron    | leave one of them out
        overlap = "never"                | concerns.a.overlap | unknown value "never" | values: skip, queue
        missed = "some"                  | concerns.a.missed  | unknown value "some"  | values: once, skip, all
        timeout = "0s"                   | concerns.a.timeout | 0 would end every run
        "#,
    );
}

#[test]
fn what_exec_refuses_is_refused_at_its_key() {
    check(
        |lines| file(&format!("[concerns.a]\nkind = \"exec\"\n{lines}")),
        r#"
        command = []                           | concerns.a.command         | no program
        command = "ls -l"                      | concerns.a.command         | needs `shell = true`
        command = ["ls"]\nshell = true         | concerns.a.command         | takes one text
        command = ["./x"]                      | concerns.a.command[0]      | a relative path
        command = [1]                          | concerns.a.command[0]      | expected a string, found integer
        command = 1                            | concerns.a.command         | expected an array of words
        command = ["ls"]\ndir = "x"            | concerns.a.dir             | is a relative path | begin it with `/`
        command = ["ls"]\nlimits.nice = 20     | concerns.a.limits.nice     | write 0 to 19
        command = ["ls"]\nlimits.swap = 1      | concerns.a.limits.swap     | unknown key | valid keys: memory
        command = ["ls"]\nretry.attempts = 0   | concerns.a.retry.attempts  | write 1 to 100
        command = ["ls"]\nsuccess_codes = [-1] | concerns.a.success_codes[0] | exit codes are 0 to 255
        command = ["ls"]\nafter_crash = "x"    | concerns.a.after_crash     | unknown value "x" | hold, retry
        command = ["ls"]\nenv = ["A"]          | concerns.a.env             | expected a table
        comand = ["ls"]                        | concerns.a.comand          | unknown key | mean `command`?
        "#,
    );
}

#[test]
fn addresses_that_cannot_be_served() {
    let first = |address: &str, expected: &str| {
        let problem = only_problem(&file(&format!("http.listen = [\"{address}\"]")), &[]);
        let said = problem["message"].as_str().unwrap_or_default();
        assert!(said.contains(expected), "{address}: {said:?}");
        assert_eq!(problem["key"], "http.listen[0]");
    };
    for address in "localhost:7600 7600 127.0.0.1 http://127.0.0.1:1 unix:/ [::1] ::1:7".split(' ')
    {
        first(address, "is not an address");
    }
    for address in "0.0.0.0:1 10.0.0.1:1 [::]:1 [fe80::1]:1 1.1.1.1:443".split(' ') {
        first(address, "is not a loopback address");
    }
    let of_length = |length: usize| format!("unix:/{}", "s".repeat(length - 1));
    first(&of_length(108), "a socket path of 108 bytes is too long");
    assert!(read(&file(&format!("http.listen = [\"{}\"]", of_length(107)))).is_ok());
    assert!(read(&file("http.listen = [\"[::1]:7600\", \"127.8.0.1:0\"]")).is_ok());
    check(
        file,
        r#"http.listen = ["[::1]:1", "[::1]:1"] | http.listen | [::1]:1 is listed twice"#,
    );
}

#[test]
fn names_that_are_none() {
    let named = |name: &str| {
        file(&format!(
            "[concerns.{name}]\nkind = \"cleanup\"\npaths = [\"/a/*\"]"
        ))
    };
    let (longest, longer) = ("a".repeat(64), "a".repeat(65));
    for name in [
        "Big", "\"\"", "\"a/b\"", "\"a b\"", "-x", "_x", "\"..\"", "\"ä\"", &longer,
    ] {
        let problem = only_problem(&named(name), &[]);
        let said = problem["message"].as_str().unwrap_or_default();
        assert!(said.ends_with("is not a concern's name"), "{said}");
    }
    for name in ["a", "0", "stale-logs", "\"a.b_c\"", &longest] {
        assert!(read(&named(name)).is_ok(), "{name}");
    }
    check(
        file,
        r#"
        node.name = ""    | node.name | "" is not a node's name
        node.name = "a b" | node.name | "a b" is not a node's name
        "#,
    );
}

#[test]
fn versions_that_are_none() {
    let whole = str::to_owned;
    check(
        whole,
        r#"
        version = 0    | version | no version of the format | write `version = 1`
        version = -1   | version | no version of the format | write `version = 1`
        version = "1"  | version | no version of the format | write `version = 1`
        version = 1.0  | version | no version of the format | write `version = 1`
        version = [1]  | version | no version of the format | write `version = 1`
        "#,
    );
}

#[test]
fn problems_of_all_sections_come_together_in_the_order_of_the_file() {
    let text = "node.nme = 1\nhttp.listen = [1, 2]\n[concerns.a]\nkind = \"deploy\"\n\
                [concerns.b]\nkind = \"cleanup\"\npaths = [\"/\", \"/b/*\", \"x\"]\nevery = \"1ms\"\n";
    let problems = read(text).unwrap_err().to_json();
    let keys = problems.as_array().unwrap().iter();
    let keys: Vec<_> = keys.filter_map(|one| one["key"].as_str()).collect();
    let expected = "version node.nme http.listen[0] http.listen[1] concerns.a.kind \
                    concerns.b.paths[0] concerns.b.paths[2] concerns.b.every";
    assert_eq!(keys.join(" "), expected);
}
