//! The configuration: defaults, both formats, and errors that name the key.

use super::{CleanupConfig, Limits};
use crate::concern::{Missed, Settings};
use crate::human::{Size, Span};

fn from_json(text: &str) -> Result<CleanupConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(config: &CleanupConfig, key: &str, because: &str) {
    let error = config.check().unwrap_err();
    assert_eq!(error.key(), key);
    assert!(error.problem().contains(because), "{error}");
}

#[test]
fn only_paths_are_needed() {
    let config = from_json(r#"{"paths": ["/var/log/app/*.log"]}"#).unwrap();
    assert_eq!(config, CleanupConfig::new(["/var/log/app/*.log"]));
    assert_eq!(
        config.limits,
        Limits {
            files: 5_000,
            bytes: Size::gib(20)
        }
    );
    assert_eq!(config.check(), Ok(()));
}

#[test]
fn everything_survives_both_formats() {
    let config = from_json(
        r#"{"paths": ["/a/*"], "older_than": "1h", "keep_newest": 3, "every": "5m",
            "limits": {"files": 7, "bytes": "1536B"}, "missed": "skip", "dry_run": true}"#,
    )
    .unwrap();
    assert_eq!(config.older_than, Some(Span::secs(3_600)));
    assert_eq!((config.missed, config.limits.files), (Missed::Skip, 7));
    let json = serde_json::to_string(&config).unwrap();
    assert!(
        json.contains(r#""older_than":"1h""#) && json.contains(r#""bytes":"1536B""#),
        "{json}"
    );
    assert_eq!(from_json(&json).as_ref(), Ok(&config));
    let packed = rmp_serde::to_vec_named(&config).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<CleanupConfig>(&packed).unwrap(),
        config
    );
}

#[test]
fn unknown_keys_and_wrong_types_are_errors() {
    let unknown = from_json(r#"{"paths": [], "older": "1h"}"#).unwrap_err();
    assert!(unknown.contains("unknown field `older`"), "{unknown}");
    let limit = from_json(r#"{"paths": [], "limits": {"size": 1}}"#).unwrap_err();
    assert!(limit.contains("unknown field `size`"), "{limit}");
    let unit = from_json(r#"{"paths": [], "older_than": "1 fortnight"}"#).unwrap_err();
    assert!(unit.contains("\"1 fortnight\" is no duration"), "{unit}");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_key() {
    refused(&CleanupConfig::new::<String>([]), "paths", "no paths");
    refused(
        &CleanupConfig::new(["/a/*", "b/*"]),
        "paths[1]",
        "is relative",
    );
    refused(
        &CleanupConfig::new(["/a/[", "/a/*"]),
        "paths[0]",
        "\"/a/[\" is no glob",
    );
    refused(
        &CleanupConfig::new(["/a/*".to_owned(), "/a".repeat(3_000)]),
        "paths[1]",
        "longer",
    );
    refused(
        &CleanupConfig::new(vec!["/a/*"; 101]),
        "paths",
        "split the concern",
    );
    let config = CleanupConfig::new(["/a/*"]);
    refused(
        &CleanupConfig {
            every: Some(Span::secs(0)),
            ..config.clone()
        },
        "every",
        "100ms",
    );
    let none = Limits {
        files: 0,
        ..Limits::default()
    };
    refused(
        &CleanupConfig {
            limits: none,
            ..config.clone()
        },
        "limits.files",
        "nothing",
    );
    let none = Limits {
        bytes: Size::bytes(0),
        ..Limits::default()
    };
    refused(
        &CleanupConfig {
            limits: none,
            ..config
        },
        "limits.bytes",
        "nothing",
    );
}

#[test]
fn another_schedule_is_not_another_selection() {
    let config = CleanupConfig::new(["/a/*"]);
    assert!(config.selects_like(&CleanupConfig {
        every: Some(Span::secs(9)),
        ..config.clone()
    }));
    assert!(!config.selects_like(&CleanupConfig {
        dry_run: true,
        ..config.clone()
    }));
    assert!(!config.selects_like(&CleanupConfig::new(["/b/*"])));
}
