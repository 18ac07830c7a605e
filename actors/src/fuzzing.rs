//! Doors to the parsers of this crate, for fuzzing and for the tests that replay what it found. Not part of the API.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cleanup::{CleanupConfig, Pattern};
use crate::concern::{Cancel, Configure, Pause, Settings, Trigger};
use crate::exec::ExecConfig;
use crate::human::{Size, Span};

/// A name, and what takes any bytes.
pub type Door = (&'static str, fn(&[u8]));

/// The doors.
pub const TARGETS: [Door; 4] = [
    ("glob", glob),
    ("size", size),
    ("span", span),
    ("commands", commands),
];

/// A glob of a cleanup; behind a line's end, a path to judge by it.
fn glob(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (glob, path) = text.split_once('\n').unwrap_or((text, text));
    let Ok(pattern) = Pattern::new(glob) else {
        return;
    };
    let root = Path::new(pattern.root());
    assert!(root.is_absolute() && root.parent().is_some(), "{glob:?}");
    let strange = |part: &str| matches!(part, "" | "." | "..");
    assert!(!pattern.root().split('/').skip(1).any(strange), "{glob:?}");
    let path = Path::new(path);
    if pattern.matches(path) && path.components().count() == path.iter().count() {
        assert!(path.starts_with(root), "{glob:?} matches {text:?}");
        if let Some(directory) = path.parent() {
            assert!(pattern.may_enter(directory), "{glob:?} misses {text:?}");
        }
    }
}

/// What is written of a quantity reads as the same.
fn quantity<T>(bytes: &[u8])
where
    T: FromStr + Display + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(
            value.to_string().parse().ok().as_ref(),
            Some(&value),
            "{text:?}"
        );
        let json = serde_json::to_string(&value).ok();
        let read = json.and_then(|json| serde_json::from_str::<T>(&json).ok());
        assert_eq!(read, Some(value), "{text:?}");
    }
}

/// A size in bytes.
fn size(bytes: &[u8]) {
    quantity::<Size>(bytes);
}

/// A length of time.
fn span(bytes: &[u8]) {
    quantity::<Span>(bytes);
}

/// The JSON of commands to concerns, their configurations first.
fn commands(bytes: &[u8]) {
    settings::<CleanupConfig>(bytes);
    settings::<ExecConfig>(bytes);
    #[cfg(feature = "http")]
    settings::<crate::patrol::PatrolConfig>(bytes);
    same::<Trigger>(bytes);
    same::<Cancel>(bytes);
    same::<Pause>(bytes);
}

/// What was taken is written as what is taken as the same.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let value = serde_json::from_slice::<T>(bytes).ok()?;
    let json = serde_json::to_vec(&value).ok();
    let read = json.and_then(|json| serde_json::from_slice::<T>(&json).ok());
    assert_eq!(read.as_ref(), Some(&value));
    Some(value)
}

fn settings<C: Settings>(bytes: &[u8]) {
    // One that is refused is still described to whoever wrote it.
    let Some(Configure(settings)) = same::<Configure<C>>(bytes) else {
        return;
    };
    match settings.check() {
        Ok(()) => assert!(settings.schedule().validate().is_ok()),
        Err(error) => assert!(!error.key().is_empty()),
    }
}

/// Real texts to begin with, by the name of their door.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for text in [
        "/var/log/**/*.log\n/var/log/a/b.log",
        "/a/{b,c}/[d-f]?/x*.txt\n/a/b/e1/x2.txt",
        "/a/{b,c/d}/e\n/a/c/d/e",
        "/a/\\*\n/a/*",
        "/a/**\n/a/b/c",
        "relative/*",
        "/**",
        "/a/../b",
    ] {
        seeds.push(("glob", text.into()));
    }
    for text in ["20GiB", "1.5MB", "4096", "0", "16EiB", "1 kb", "-1"] {
        seeds.push(("size", text.into()));
    }
    for text in [
        "90s", "1h 30m", "7d", "36500d", "1us", "P1DT2H", "1 year", "-1s",
    ] {
        seeds.push(("span", text.into()));
    }
    let bodies = [
        json!({ "dry_run": true, "by": "me" }),
        json!({}),
        json!({
            "paths": ["/var/log/*.log"], "older_than": "7d", "keep_newest": 3, "every": "1h",
            "limits": { "files": 10, "bytes": "1GiB" }, "missed": "all", "overlap": "queue",
        }),
        json!({
            "command": ["/bin/true", "a"], "cron": "0 2 * * mon-fri", "timezone": "Europe/Berlin",
            "env": { "A": "b" }, "timeout": "30m", "success_codes": [0, 3], "output_limit": "64KiB",
            "limits": { "memory": "1GiB", "nice": 10 }, "retry": { "attempts": 3, "first": "1s" },
        }),
        json!({ "command": "echo $HOME", "shell": true, "user": "nobody", "jitter": "5s" }),
        json!({
            "every": "1m", "targets": { "site": { "url": "https://example.org/", "expect_status": "200-299" } },
        }),
    ];
    for body in bodies {
        seeds.push(("commands", body.to_string().into_bytes()));
    }
    seeds
}
