//! The shipped sample: it is valid, does what its comments say, and mentions every key there is.

use std::path::PathBuf;

use steadfast_actors::concern::{Missed, Overlap};
use steadfast_actors::exec::AfterCrashPolicy;
use steadfast_actors::human::{Size, Span};

use super::super::{Kind, Listen, LogFormat};
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

/// The sample with what it shows of an `exec`.
fn with_exec() -> String {
    let (before, exec) = SAMPLE.split_once("# [concerns.nightly]").unwrap();
    let exec = exec.replace("\n# ", "\n");
    format!("{before}[concerns.nightly]{exec}")
}

#[test]
fn the_exec_of_the_sample_means_what_it_says() {
    let config = read(&with_exec()).unwrap();
    let Kind::Exec(exec) = &config.concerns[0].kind else {
        panic!("{:?}", config.concerns);
    };
    assert_eq!(config.concerns[0].name, "nightly");
    assert_eq!(exec.cron.as_deref(), Some("0 2 * * mon-fri"));
    assert_eq!(exec.missed, Missed::Once, "from the defaults");
    assert_eq!(exec.after_crash, AfterCrashPolicy::Hold);
    let broken = with_exec().replace("[concerns.nightly]\n", "[concerns.nightly]\nzzzzzz = 1\n");
    let problem = super::only_problem(&broken, &[]);
    let keys = problem["hint"]
        .as_str()
        .unwrap()
        .strip_prefix("valid keys: ")
        .unwrap();
    for key in keys.split(", ") {
        assert!(SAMPLE.contains(&format!("{key} = ")), "{key}");
    }
}

#[test]
fn defaults_hold_where_a_concern_says_nothing() {
    let text = "version = 1\n[defaults]\ntimezone = \"Europe/Berlin\"\noverlap = \"cancel\"\n\
                timeout = \"9s\"\njitter = \"1s\"\nmissed = \"all\"\n\
                [concerns.a]\nkind = \"exec\"\ncommand = [\"ls\"]\noverlap = \"queue\"\n";
    let config = read(text).unwrap();
    let Kind::Exec(exec) = &config.concerns[0].kind else {
        panic!("{:?}", config.concerns);
    };
    assert_eq!(exec.timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(
        (exec.timeout, exec.jitter),
        (Some(Span::secs(9)), Some(Span::secs(1)))
    );
    assert_eq!((exec.missed, exec.overlap), (Missed::All, Overlap::Queue));
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
