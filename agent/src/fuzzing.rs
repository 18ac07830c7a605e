//! Doors to the parsers of this crate, for fuzzing and for the tests that replay what it found. Not part of the API.

use crate::config;
use crate::{client, http};

/// A name, and what takes any bytes.
pub type Door = (&'static str, fn(&[u8]));

/// The doors.
pub const TARGETS: [Door; 3] = [
    ("config", config),
    ("requests", http::fuzzing::request),
    ("endpoint", endpoint),
];

/// The text of a config file; behind a NUL, that of a variable that is laid over it.
fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (text, variable) = text.split_once('\0').unwrap_or((text, ""));
    let set = ("STEADFAST__CONCERNS__LOGS__PATHS", variable);
    let variables = Some(set).filter(|_| !variable.is_empty()).into_iter();
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Err(problems) = config::parse("steadfast.toml", Some("/etc"), text, variables) else {
        return;
    };
    let shown = problems.render(false);
    assert!(shown.contains("error"), "{shown:?}");
    let obeyed = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(obeyed), "{shown:?}");
    assert!(
        problems
            .to_json()
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
}

/// An address of a node, as the command line takes it.
fn endpoint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(endpoint) = text.parse::<client::Endpoint>() {
        let again = endpoint.to_string().parse();
        assert_eq!(again.as_ref(), Ok(&endpoint), "{text:?}");
    }
}

/// Real texts to begin with, by the name of their door.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let sample = include_str!("../config/sample.toml");
    let small = "version = 1\n[concerns.logs]\nkind = \"cleanup\"\npaths = [\"./*.log\"]\n";
    for text in [
        sample,
        include_str!("../config/example/exec.toml"),
        include_str!("../config/example/http-patrol.toml"),
        include_str!("../config/example/node.toml"),
        small,
        "version = 1\0[\"/a/*\"]",
        "x = [1, {a = 1979-05-27}]\n[[y]]\n",
    ] {
        seeds.push(("config", text.into()));
    }
    for text in [
        "unix:/run/s.sock",
        "unix:///a",
        "http://127.0.0.1:7600/",
        "http://[::1]:1",
        "https://a",
    ] {
        seeds.push(("endpoint", text.into()));
    }
    seeds.extend(http::fuzzing::seeds().map(|text| ("requests", text.into())));
    seeds
}
