//! Variables over the file: which key they mean, what their values are, and what is refused.

use std::path::PathBuf;

use steadfast_actors::concern::Missed;

use super::super::{Listen, LogFormat};
use super::{cleanup, only_problem, read, with_variables};

const FILE: &str = "version = 1
[node]
name = \"file\"
labels = { Zone = \"a\", kept = \"yes\" }
[concerns.stale-logs]
kind = \"cleanup\"
paths = [\"/a/*\"]
";

#[test]
fn a_variable_sets_a_key_that_the_file_has_or_leaves_out() {
    let variables = [
        ("STEADFAST__NODE__NAME", "env"),
        ("STEADFAST__NODE__DATA_DIR", "./data"),
        ("STEADFAST__HTTP__LISTEN", "127.0.0.1:1"),
        ("STEADFAST__TELEMETRY__LOG", "json"),
        ("STEADFAST__DEFAULTS__MISSED", "skip"),
    ];
    let config = with_variables(FILE, &variables).unwrap();
    assert_eq!(config.node.name, "env");
    assert_eq!(
        config.node.data_dir,
        Some(PathBuf::from("/etc/steadfast/data"))
    );
    assert_eq!(
        config.http.listen,
        [Listen::Tcp("127.0.0.1:1".parse().unwrap())]
    );
    assert_eq!(config.telemetry.log, LogFormat::Json);
    assert_eq!(cleanup(&config).missed, Missed::Skip);
}

#[test]
fn case_does_not_matter_and_underscores_stand_for_dashes_of_a_concern() {
    for concern in ["STALE-LOGS", "STALE_LOGS", "stale-logs", "Stale_Logs"] {
        let variable = format!("STEADFAST__CONCERNS__{concern}__KEEP_NEWEST");
        let config = with_variables(FILE, &[(&variable, "7")]).unwrap();
        assert_eq!(cleanup(&config).keep_newest, 7, "{variable}");
    }
    let config = with_variables(FILE, &[("STEADFAST__NODE__LABELS__ZONE", "b")]).unwrap();
    let labels: Vec<_> = config.node.labels.iter().collect();
    let expected = [("Zone", "b"), ("kept", "yes")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(
        labels,
        expected.iter().map(|(k, v)| (k, v)).collect::<Vec<_>>()
    );
}

#[test]
fn a_value_is_toml_where_it_reads_as_such_and_text_where_text_is_wanted() {
    let variables = [
        ("STEADFAST__NODE__NAME", "42"),
        ("STEADFAST__NODE__LABELS", "{ a = \"b\" }"),
        (
            "STEADFAST__HTTP__LISTEN",
            " [\"127.0.0.1:1\", \"unix:/s\"] ",
        ),
        ("STEADFAST__CONCERNS__STALE_LOGS__PATHS", "/b/{x,y}/*"),
        (
            "STEADFAST__CONCERNS__STALE_LOGS__LIMITS",
            "{ files = 1, bytes = 1 }",
        ),
        ("STEADFAST__CONCERNS__STALE_LOGS__LIMITS__FILES", "2"),
        ("STEADFAST__CONCERNS__STALE_LOGS__EVERY", "1h 30m"),
        ("STEADFAST__CONCERNS__STALE_LOGS__DRY_RUN", "true"),
    ];
    let config = with_variables(FILE, &variables).unwrap();
    assert_eq!(config.node.name, "42");
    assert_eq!(config.node.labels.len(), 1);
    assert_eq!(config.http.listen.len(), 2);
    let settings = cleanup(&config);
    assert_eq!(settings.paths, ["/b/{x,y}/*"]);
    assert_eq!(
        (settings.limits.files, settings.limits.bytes.as_bytes()),
        (2, 1)
    );
    assert_eq!(settings.every.unwrap().duration().as_secs(), 5_400);
    assert!(settings.dry_run);
}

#[test]
fn other_variables_are_left_alone() {
    let variables = [
        ("STEADFAST_HTTP_LISTEN", "x"),
        ("PATH", "x"),
        ("steadfast__x", "x"),
    ];
    assert_eq!(
        with_variables(FILE, &variables).unwrap(),
        read(FILE).unwrap()
    );
}

#[track_caller]
fn check(variable: &str, value: &str, message: &str, hint: &str) {
    let problem = only_problem(FILE, &[(variable, value)]);
    assert_eq!(problem["variable"], variable, "{problem}");
    assert!(
        problem["line"].is_null() && problem["file"].is_null(),
        "{problem}"
    );
    let said = problem["message"].as_str().unwrap_or_default();
    assert!(said.contains(message), "{said:?} does not say {message:?}");
    let hinted = problem["hint"].as_str().unwrap_or_default();
    assert!(hinted.contains(hint), "{hinted:?} does not say {hint:?}");
}

#[test]
fn refusals_name_the_variable() {
    let concern = "STEADFAST__CONCERNS__STALE_LOGS";
    check(
        "STEADFAST__NOED__NAME",
        "x",
        "unknown key `noed`",
        "did you mean",
    );
    check(
        "STEADFAST__NODE__NAM",
        "x",
        "unknown key `node.nam`",
        "STEADFAST__NODE__NAME?",
    );
    check(
        "STEADFAST__NODE__ZZZ",
        "x",
        "unknown key",
        "valid keys: name, data_dir, labels",
    );
    check(
        "STEADFAST__HTTP__LISTEN",
        "0.0.0.0:1",
        "not a loopback address",
        "",
    );
    check(
        "STEADFAST__HTTP__LISTEN",
        "7",
        "expected an array, found integer `7`",
        "",
    );
    check(
        "STEADFAST__HTTP__TOKEN_FILE",
        "/x",
        "not available in this version",
        "",
    );
    check(
        "STEADFAST__VERSION",
        "2",
        "version 2 of the format is not available",
        "",
    );
    check(
        "STEADFAST__NODE__DATA_DIR",
        "data",
        "is a relative path",
        "./",
    );
    check(
        "STEADFAST__NODE__LABELS__A",
        "${env:B}",
        "`${…}` is not available",
        "",
    );
    check(
        &format!("{concern}__EVERY"),
        "soon",
        "\"soon\" is no duration",
        "",
    );
    check(
        &format!("{concern}__PATHS"),
        "/a/../b",
        "component \"..\"",
        "",
    );
    check(
        &format!("{concern}__PATHS"),
        "a/*",
        "is a relative path",
        "./",
    );
    check(
        &format!("{concern}__LIMITS__FILES"),
        "0",
        "would remove nothing",
        "",
    );
    check(
        &format!("{concern}__KIND"),
        "watch",
        "kind \"watch\" is not available",
        "cleanup",
    );
    check(
        &format!("{concern}__KEEP_NEWEST"),
        "99999999999999999999",
        "64 bits",
        "",
    );
}

#[test]
fn variables_that_mean_nothing_are_refused() {
    check(
        "STEADFAST__",
        "x",
        "an empty name",
        "STEADFAST__HTTP__LISTEN",
    );
    check(
        "STEADFAST__NODE____NAME",
        "x",
        "an empty name",
        "STEADFAST__HTTP__LISTEN",
    );
    check(
        "STEADFAST__NODE__NAME__X",
        "x",
        "`node.name` is not a table",
        "",
    );
    let near = "did you mean STEADFAST__CONCERNS__STALE_LOGS?";
    check(
        "STEADFAST__CONCERNS__STALE_LOG__EVERY",
        "1h",
        "no concern \"STALE_LOG\"",
        near,
    );
    check(
        "STEADFAST__CONCERNS__OTHER__KIND",
        "cleanup",
        "no concern \"OTHER\"",
        "add it to the file",
    );
}

#[test]
fn two_variables_or_two_names_for_one_key_are_refused() {
    let twice = [
        ("STEADFAST__NODE__NAME", "a"),
        ("STEADFAST__NODE__Name", "b"),
    ];
    let problem = only_problem(FILE, &twice);
    assert_eq!(
        problem["message"],
        "sets `node.name`, as STEADFAST__NODE__NAME does"
    );
    let both = format!("{FILE}[concerns.stale_logs]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n");
    assert!(with_variables(&both, &[("STEADFAST__CONCERNS__STALE_LOGS__EVERY", "1h")]).is_ok());
    let dotted =
        format!("{FILE}[concerns.\"stale.logs\"]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n");
    let problem = only_problem(&dotted, &[("STEADFAST__CONCERNS__STALE_LOGS__EVERY", "1h")]);
    assert_eq!(
        problem["message"],
        "STALE_LOGS may mean several names in `concerns`"
    );
}
