//! What is refused, and what survives.

use super::*;

#[track_caller]
fn read(json: &str) -> ExecConfig {
    serde_json::from_str(json).unwrap()
}

#[track_caller]
fn refused(json: &str, key: &str, problem: &str) {
    let error = read(json).check().unwrap_err();
    assert_eq!(error.key(), key, "{error}");
    assert!(error.problem().contains(problem), "{error}");
}

#[test]
fn everything_survives_both_formats() {
    let config = read(
        r#"{"command": ["ls", "-l"], "dir": "/tmp", "env": {"A": "1"}, "env_keep": ["HOME"],
            "stdin": "x", "user": "nobody", "group": "0",
            "limits": {"memory": "1GiB", "cpu_time": "9s", "open_files": 9, "processes": 9, "nice": 9},
            "timeout": "1m", "grace": "0s", "output_limit": "1KiB", "success_codes": [0, 3],
            "after_crash": "retry", "retry": {"attempts": 3}, "cron": "0 3 * * *",
            "timezone": "Europe/Berlin", "jitter": "5s", "missed": "all", "overlap": "cancel"}"#,
    );
    assert_eq!(config.check(), Ok(()));
    let retry = config.retry_policy();
    assert_eq!(
        (retry.retries, retry.first.as_secs(), retry.max.as_secs()),
        (2, 1, 300)
    );
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(read(&json), config);
    let packed = rmp_serde::to_vec_named(&config).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<ExecConfig>(&packed).unwrap(),
        config
    );
    let script = ExecConfig::script("ls | wc");
    let packed = rmp_serde::to_vec_named(&script).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<ExecConfig>(&packed).unwrap(),
        script
    );
    assert_eq!(read(r#"{"command": ["ls"]}"#), ExecConfig::new(["ls"]));
    assert_eq!(ExecConfig::new(["ls"]).retry_policy().retries, 0);
}

/// What is written, the key that is refused, and a part of what is said.
const REFUSED: [(&str, &str, &str); 27] = [
    (r#"{"command": []}"#, "command", "no program"),
    (r#"{"command": [""]}"#, "command", "no program"),
    (r#"{"command": ["./x"]}"#, "command[0]", "relative path"),
    (r#"{"command": ["a\u0000"]}"#, "command", "NUL"),
    (r#"{"command": "ls -l"}"#, "command", "shell = true"),
    (
        r#"{"command": ["ls"], "shell": true}"#,
        "command",
        "one text",
    ),
    (
        r#"{"command": " ", "shell": true}"#,
        "command",
        "nothing to run",
    ),
    (r#"{"command": ["ls"], "dir": "x"}"#, "dir", "relative path"),
    (
        r#"{"command": ["ls"], "env": {"A=B": ""}}"#,
        "env",
        "no name",
    ),
    (
        r#"{"command": ["ls"], "env": {"STEADFAST_RUN": ""}}"#,
        "env",
        "cannot be set",
    ),
    (
        r#"{"command": ["ls"], "env": {"A": "\u0000"}}"#,
        "env",
        "NUL",
    ),
    (
        r#"{"command": ["ls"], "env_keep": [""]}"#,
        "env_keep",
        "no name",
    ),
    (r#"{"command": ["ls"], "user": ""}"#, "user", "neither"),
    (r#"{"command": ["ls"], "group": "a:b"}"#, "group", "neither"),
    (
        r#"{"command": ["ls"], "limits": {"memory": 9}}"#,
        "limits.memory",
        "1MiB",
    ),
    (
        r#"{"command": ["ls"], "limits": {"cpu_time": "5ms"}}"#,
        "limits.cpu_time",
        "1s",
    ),
    (
        r#"{"command": ["ls"], "limits": {"open_files": 2}}"#,
        "limits.open_files",
        "3",
    ),
    (
        r#"{"command": ["ls"], "limits": {"processes": 0}}"#,
        "limits.processes",
        "1",
    ),
    (
        r#"{"command": ["ls"], "limits": {"nice": 20}}"#,
        "limits.nice",
        "0 to 19",
    ),
    (
        r#"{"command": ["ls"], "timeout": "0s"}"#,
        "timeout",
        "every run",
    ),
    (r#"{"command": ["ls"], "grace": "2h"}"#, "grace", "1h"),
    (
        r#"{"command": ["ls"], "output_limit": "1MiB"}"#,
        "output_limit",
        "512KiB",
    ),
    (
        r#"{"command": ["ls"], "success_codes": []}"#,
        "success_codes",
        "no code",
    ),
    (
        r#"{"command": ["ls"], "success_codes": [0, 256]}"#,
        "success_codes[1]",
        "0 to 255",
    ),
    (
        r#"{"command": ["ls"], "retry": {"attempts": 0}}"#,
        "retry.attempts",
        "1 to 100",
    ),
    (r#"{"command": ["ls"], "every": "1ms"}"#, "every", "100ms"),
    (
        r#"{"command": ["ls"], "every": "1m", "cron": "* * * * *"}"#,
        "cron",
        "`every`",
    ),
];

#[test]
fn what_cannot_be_meant_is_refused_with_its_key() {
    for (json, key, problem) in REFUSED {
        refused(json, key, problem);
    }
    let long = "x".repeat(MAX_BYTES + 1);
    let mut config = ExecConfig::new(["cat"]);
    config.stdin = Some(long.clone());
    assert_eq!(config.check().unwrap_err().key(), "stdin");
    assert_eq!(
        ExecConfig::script(long).check().unwrap_err().key(),
        "command"
    );
    assert_eq!(
        ExecConfig::new(vec!["x"; 1_001]).check().unwrap_err().key(),
        "command"
    );
}

#[test]
fn values_of_the_environment_are_not_shown() {
    let mut config = ExecConfig::new(["ls"]);
    config.env = Variables([("TOKEN".to_owned(), "hush".to_owned())].into());
    let shown = format!("{config:?}");
    assert!(
        shown.contains("TOKEN") && !shown.contains("hush"),
        "{shown}"
    );
}
