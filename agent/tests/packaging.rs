//! What is packaged fits the program: the configuration is one it takes, and the unit leaves it the time that
//! it takes. What systemd and dpkg say of them is `scripts/deb.sh`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::Site;

fn packaged(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(file);
    fs::read_to_string(path).unwrap()
}

fn check(site: &Site, config: &str) -> (Option<i32>, String) {
    fs::write(site.config(), config).unwrap();
    let mut command = site.program();
    command.args(["check", "--config"]).arg(site.config());
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn the_packaged_configuration_is_accepted_with_and_without_its_concern() {
    let site = Site::new();
    let config = packaged("steadfast.toml");
    let (code, said) = check(&site, &config);
    assert_eq!(code, Some(0), "{said}");
    let (before, concern) = config.split_once("# [concerns").unwrap();
    let uncommented = format!("{before}# [concerns{concern}").replace("\n# [", "\n[");
    let uncommented: Vec<_> = uncommented
        .lines()
        .map(|line| {
            if line.contains(" = ") {
                line.trim_start_matches("# ")
            } else {
                line
            }
        })
        .collect();
    let uncommented = uncommented.join("\n");
    assert!(uncommented.contains("\n[concerns.") && uncommented.contains("\nkind = "));
    let (code, said) = check(&site, &uncommented);
    assert_eq!(code, Some(0), "{said}\n{uncommented}");
}

#[test]
fn the_unit_leaves_the_node_its_time_and_knows_its_exit_codes() {
    let unit = packaged("systemd/steadfast.service");
    let value = |key: &str| {
        let mut values = unit
            .lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let found = values.next().unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(values.next(), None, "{key} twice");
        found
    };
    let seconds: u64 = value("TimeoutStopSec")
        .trim_end_matches('s')
        .parse()
        .unwrap();
    let drain = steadfast::Config::default().drain_timeout;
    assert!(Duration::from_secs(seconds) >= drain + Duration::from_secs(10));
    assert_eq!(value("Type"), "notify");
    assert_eq!(value("Restart"), "on-failure");
    // Systemd learns whether the file was taken over, and from the directory that the file names.
    let reload = value("ExecReload").strip_prefix("/usr/bin/steadfast reload --data-dir ");
    let named = format!("data_dir = {:?}", reload.expect("the command"));
    assert!(packaged("steadfast.toml").contains(&named), "{named}");
    // Whatever a start waits for may take hours: systemd must not give the unit up.
    assert_eq!(value("StartLimitIntervalSec"), "0");
    let prevented: Vec<_> = value("RestartPreventExitStatus").split(' ').collect();
    for code in ["2", "4", "77", "78"] {
        assert!(prevented.contains(&code), "{code}");
    }
}
