//! What the program tells of itself and of its configuration, as scripts and packages use it.

use std::fs;

use serde_json::Value;

use crate::support::{Done, Site};

/// Runs a command that is about no node.
fn run(site: &Site, arguments: &[&str]) -> Done {
    Done::from(site.program().args(arguments).output().unwrap())
}

#[test]
fn the_version_tells_what_was_built() {
    let site = Site::new();
    let version = site.json(&["version"]);
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for key in ["rustc", "target", "profile", "rocksdb"] {
        assert!(version[key].is_string(), "{key} in {version}");
    }
    assert!(version["rustc"].as_str().unwrap().starts_with("rustc "));
    assert!(version["features"].is_array() && version.get("commit").is_some());
    let shown = run(&site, &["version"]).stdout;
    assert!(
        shown.starts_with(concat!("steadfast ", env!("CARGO_PKG_VERSION"))),
        "{shown}"
    );
}

#[test]
fn every_command_has_a_manual_page() {
    let site = Site::new();
    let directory = site.path("man");
    let done = run(&site, &["man", directory.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let help = run(&site, &["--help"]).stdout;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help");
    let mut count = 0;
    for name in commands {
        let page = fs::read_to_string(directory.join(format!("steadfast-{name}.1"))).unwrap();
        assert!(page.contains(&format!("steadfast\\-{name}")), "{name}");
        count += 1;
    }
    assert!(count > 10, "{help}");
    assert!(directory.join("steadfast.1").exists());
    assert!(directory.join("steadfast-config-show.1").exists());
    let blocked = run(&site, &["man", site.config().to_str().unwrap()]);
    assert_eq!(blocked.code, Some(1), "{}", blocked.stderr);
}

#[test]
fn every_example_is_accepted_by_check() {
    let site = Site::new();
    let schema: Value = serde_json::from_str(&run(&site, &["config", "schema"]).stdout).unwrap();
    let kinds = schema["$defs"].as_object().unwrap().keys();
    for kind in kinds {
        let example = run(&site, &["config", "example", kind]);
        assert_eq!(example.code, Some(0), "{kind}: {}", example.stderr);
        fs::write(site.config(), example.stdout).unwrap();
        let done = run(
            &site,
            &["check", "--config", site.config().to_str().unwrap()],
        );
        assert_eq!(done.code, Some(0), "{kind}: {}", done.stderr);
    }
    let done = run(&site, &["config", "example", "cleanap"]);
    assert_eq!(done.code, Some(5));
    assert!(done.stderr.contains("cleanup"), "{}", done.stderr);
}

#[test]
fn config_show_tells_the_flag_and_the_environment() {
    let site = Site::new();
    let config = site.config();
    let arguments = [
        "config",
        "show",
        "--origin",
        "--config",
        config.to_str().unwrap(),
    ];
    let done = run(&site, &arguments);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("# $HOME"), "{}", done.stdout);
    let done = site.cli(&arguments);
    assert!(done.stdout.contains("# --data-dir"), "{}", done.stdout);
    let mut command = site.program();
    command.args(arguments).args(["-o", "json"]);
    command.env("STEADFAST__NODE__NAME", "elsewhere");
    let all: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let name = all
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["key"] == "node.name")
        .unwrap();
    assert_eq!(name["value"], "elsewhere");
    assert_eq!(name["variable"], "STEADFAST__NODE__NAME");
    fs::write(&config, "version = 1\n[nod]\n").unwrap();
    let done = run(&site, &arguments);
    assert_eq!(done.code, Some(78), "{}", done.stderr);
    assert!(
        done.stderr.contains("did you mean `node`?"),
        "{}",
        done.stderr
    );
}
