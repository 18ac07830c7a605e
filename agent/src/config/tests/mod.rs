//! What a configuration may say, and what it is told when it says something else.
//!
//! Method: texts in, [`Config`] or rendered problems out; the modules by what is asked.

mod describing;
mod environment;
mod files;
mod paths;
mod patrol;
mod random;
mod refusals;
mod rendering;
mod sample;

use super::{Config, Kind, Problems, parse};
use steadfast_actors::cleanup::CleanupConfig;

/// Where the tests' config file lies, though there is none.
const DIRECTORY: &str = "/etc/steadfast";

fn with_variables(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    parse(
        "steadfast.toml",
        Some(DIRECTORY),
        text,
        variables.iter().map(owned),
    )
}

fn read(text: &str) -> Result<Config, Problems> {
    with_variables(text, &[])
}

/// The one problem of this text, as JSON.
#[track_caller]
fn only_problem(text: &str, variables: &[(&str, &str)]) -> serde_json::Value {
    let problems = with_variables(text, variables).expect_err("something is wrong with it");
    let json = problems.to_json();
    let all = json.as_array().expect("an array");
    assert_eq!(all.len(), 1, "{problems}");
    all[0].clone()
}

/// The settings of the only concern.
#[track_caller]
fn cleanup(config: &Config) -> &CleanupConfig {
    assert_eq!(config.concerns.len(), 1);
    let Kind::Cleanup(settings) = &config.concerns[0].kind else {
        panic!("another kind: {:?}", config.concerns[0]);
    };
    settings
}
