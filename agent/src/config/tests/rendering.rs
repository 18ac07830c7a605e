//! What a user sees, to the letter.

use super::super::problem::Problems;
use super::{read, with_variables};

#[track_caller]
fn check(text: &str, expected: &str) {
    let problems = read(text).expect_err("something is wrong with it");
    assert_eq!(
        problems.render(false),
        expected.trim_matches('\n'),
        "\n{problems}\n"
    );
}

#[test]
fn an_unknown_key_shows_its_line_and_what_was_meant() {
    check(
        r#"version = 1

[concerns.stale-logs]
kind = "cleanup"
paths = ["/var/log/app/*.log"]
older-then = "1h"
"#,
        r#"
error: unknown key `concerns.stale-logs.older-then`
 --> steadfast.toml:6:1
  |
6 | older-then = "1h"
  | ^^^^^^^^^^ not a key of `concerns.stale-logs`
  |
  = help: did you mean `older_than`?"#,
    );
}

#[test]
fn an_unknown_kind_and_one_that_is_not_built_yet() {
    check(
        "version = 1\nconcerns.a.kind = \"clean-up\"\nconcerns.b.kind = \"watch\"\n",
        r#"
error: unknown kind "clean-up"
 --> steadfast.toml:2:19
  |
2 | concerns.a.kind = "clean-up"
  |                   ^^^^^^^^^^
  |
  = help: did you mean `cleanup`?

error: kind "watch" is not available in this version
 --> steadfast.toml:3:19
  |
3 | concerns.b.kind = "watch"
  |                   ^^^^^^^
  |
  = help: available: cleanup, exec, http-patrol"#,
    );
}

#[test]
fn a_value_that_its_type_refuses() {
    check(
        "version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\nevery = \"soon\"\n",
        r#"
error: "soon" is no duration: write numbers and units, such as "90s", "1h 30m" or "7d"
 --> steadfast.toml:5:9
  |
5 | every = "soon"
  |         ^^^^^^ `concerns.a.every`"#,
    );
}

#[test]
fn a_value_that_only_the_kind_can_refuse_points_into_the_array() {
    check(
        "version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = [\n  \"/a/*\",\n  \"/b/../c\",\n]\n",
        r#"
error: "/b/../c" has a component "..": write the path in full
 --> steadfast.toml:6:3
  |
6 |   "/b/../c",
  |   ^^^^^^^^^ `concerns.a.paths[1]`"#,
    );
}

#[test]
fn a_planned_key_says_what_to_do_meanwhile() {
    check(
        "version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\nwatch = \"x\"\n",
        r#"
error: `concerns.a.watch` is not available in this version
 --> steadfast.toml:5:1
  |
5 | watch = "x"
  | ^^^^^ leave it out
  |
  = help: use `every` or `cron`, or `steadfast trigger`"#,
    );
}

#[test]
fn an_address_that_others_could_reach() {
    check(
        "version = 1\nhttp.listen = [\"0.0.0.0:7600\"]\n",
        r#"
error: 0.0.0.0:7600 is not a loopback address, and only those are served for now: write "127.0.0.1:7600" and put a proxy in front
 --> steadfast.toml:2:16
  |
2 | http.listen = ["0.0.0.0:7600"]
  |                ^^^^^^^^^^^^^^ `http.listen[0]`"#,
    );
}

#[test]
fn a_missing_version_and_a_newer_one() {
    check(
        "[node]\n",
        r"
error: `version` is missing
 --> steadfast.toml:1:1
  |
1 | [node]
  | ^
  |
  = help: add `version = 1` as the first line: it is the format of the file",
    );
    check(
        "version = 2\nfrom_the_future = true\n",
        r"
error: version 2 of the format is not available in this version
 --> steadfast.toml:1:11
  |
1 | version = 2
  |           ^ this steadfast reads version 1
  |
  = help: use a newer steadfast",
    );
}

#[test]
fn broken_toml_shows_each_line_that_is_broken() {
    check(
        "version = 1\n[node]\nname = sample data\n[http]\nlisten = []\nlisten = []\n",
        r"
error: string values must be quoted, expected literal string
 --> steadfast.toml:3:8
  |
3 | name = sample data
  |        ^^^^^^^^^^^

error: duplicate key
 --> steadfast.toml:6:1
  |
6 | listen = []
  | ^^^^^^",
    );
}

#[test]
fn a_variable_is_named_in_place_of_a_line() {
    let variables = [
        ("STEADFAST__HTTP__LISTN", "127.0.0.1:1"),
        ("STEADFAST__TELEMETRY__LOG", "pretti"),
    ];
    let problems = with_variables("version = 1", &variables).unwrap_err();
    let expected = "
error: STEADFAST__HTTP__LISTN: unknown key `http.listn`
 |
 = help: did you mean STEADFAST__HTTP__LISTEN?

error: STEADFAST__TELEMETRY__LOG: unknown value \"pretti\"
 |
 = help: did you mean `pretty`?";
    assert_eq!(
        problems.to_string(),
        expected.trim_start_matches('\n'),
        "\n{problems}\n"
    );
}

#[test]
fn color_is_only_used_where_it_is_asked_for() {
    let problems = read("").unwrap_err();
    assert!(problems.render(true).contains('\u{1b}'));
    assert!(!problems.render(false).contains('\u{1b}'));
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let problems = read("version = 1\n\"\\u001b[2J\" = 1\n'\u{202e}x' = 2\n").unwrap_err();
    let shown: String = problems.render(false);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
}

#[test]
fn scripts_get_the_same_as_json() {
    let problems = read("version = 1\n# größer\n[node]\nnaem = \"ä\"\n").unwrap_err();
    let expected = serde_json::json!([{
        "file": "steadfast.toml",
        "line": 4,
        "column": 1,
        "variable": null,
        "key": "node.naem",
        "message": "unknown key `node.naem`",
        "hint": "did you mean `name`?",
    }]);
    assert_eq!(problems.to_json(), expected);
}

#[test]
fn a_flood_of_problems_is_cut_short() {
    let keys: Vec<_> = (0..1_000)
        .map(|n| {
            format!(
                "key_{n} = 1
"
            )
        })
        .collect();
    let problems: Problems = read(&keys.concat()).unwrap_err();
    assert_eq!(problems.to_json().as_array().unwrap().len(), 50);
    assert!(
        problems
            .render(false)
            .ends_with("there may be more problems: fix these first")
    );
}
