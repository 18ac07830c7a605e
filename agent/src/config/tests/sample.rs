//! The shipped sample: it is valid, does what its comments say, and mentions every key there is.

use std::path::PathBuf;

use steadfast_actors::concern::Missed;
use steadfast_actors::human::{Size, Span};

use super::super::{Listen, LogFormat};
use super::{cleanup, read};

const SAMPLE: &str = include_str!("../../../config/sample.toml");

#[test]
fn the_sample_means_what_it_says() {
    let config = read(SAMPLE).unwrap();
    assert_eq!(config.node.name, "sample");
    assert_eq!(config.node.data_dir, None);
    assert_eq!(
        config.node.labels.get("env").map(String::as_str),
        Some("sample")
    );
    assert_eq!(
        config.http.listen,
        [Listen::Tcp("127.0.0.1:7600".parse().unwrap())]
    );
    assert_eq!(config.telemetry.log, LogFormat::Auto);
    assert_eq!(config.concerns[0].name, "tidy-sample");
    let settings = cleanup(&config);
    assert_eq!(settings.paths, ["/etc/steadfast/sample/**/*.log"]);
    assert_eq!(settings.every, Some(Span::secs(10)));
    assert_eq!(settings.older_than, Some(Span::secs(60)));
    assert_eq!(settings.keep_newest, 1);
    assert_eq!(settings.limits.files, 1000);
    assert_eq!(settings.limits.bytes, Size::gib(1));
    assert_eq!(settings.missed, Missed::Once);
    assert!(!settings.dry_run);
}

#[test]
fn what_the_sample_comments_out_is_valid_too() {
    let uncommented = SAMPLE.replace("# data_dir", "data_dir");
    let config = read(&uncommented).unwrap();
    assert_eq!(
        config.node.data_dir,
        Some(PathBuf::from("/var/lib/steadfast"))
    );
}

#[test]
fn the_sample_mentions_every_key() {
    for section in [
        "node",
        "http",
        "telemetry",
        "defaults",
        "concerns.tidy-sample",
    ] {
        let header = format!("[{section}]\n");
        let broken = SAMPLE.replace(&header, &format!("{header}zzzzzz = 1\n"));
        let problem = super::only_problem(&broken, &[]);
        let hint = problem["hint"].as_str().unwrap();
        let keys = hint.strip_prefix("valid keys: ").unwrap();
        for key in keys.split(", ") {
            assert!(SAMPLE.contains(&format!("{key} = ")), "[{section}] {key}");
        }
    }
}

#[test]
fn a_file_may_say_nothing_but_its_version() {
    let config = read("version = 1").unwrap();
    assert!(!config.node.name.is_empty());
    assert!(config.http.listen.is_empty());
    assert!(config.concerns.is_empty());
}
