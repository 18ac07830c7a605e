//! A random run of submissions and reopenings, compared with a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Fresh;
use super::driver::{Driver, row};
use crate::journal::{Append, Row, Table};

/// One append: an actor, its events, and a row to set or delete.
type Part = (u8, usize, Option<(u8, bool)>);

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A submission with these appends.
    Submit(Vec<Part>),
    /// Wait for all that was submitted, close, open.
    Reopen,
    /// Wait for all that was submitted, drop, open.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let append = (
        0..12_u8,
        0..4_usize,
        proptest::option::of((0..8_u8, any::<bool>())),
    );
    prop_oneof![
        20 => proptest::collection::vec(append, 1..6).prop_map(Step::Submit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Drop),
    ]
}

pub(super) fn random_runs(fresh: Fresh<'_>) {
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = proptest::collection::vec(step(), 1..60);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        run(Driver::new(fresh()), steps);
        Ok(())
    });
    outcome.expect("every run equals its model");
}

fn run(mut driver: Driver, steps: Vec<Step>) {
    let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for step in steps {
        match step {
            Step::Submit(parts) => {
                let appends = parts
                    .into_iter()
                    .map(|part| append(&mut driver, &mut rows, part));
                let appends = appends.collect();
                waiting.push(driver.start(appends));
            }
            Step::Reopen => driver.reopen(),
            Step::Drop => driver.drop_and_reopen(),
        }
    }
    for outcome in waiting {
        outcome
            .recv()
            .expect("the completion is called")
            .expect("it is written");
    }
    driver.check();
    let expected: Vec<Row> = rows.into_iter().collect();
    let read = driver
        .journal()
        .rows(Table::Outbox, None, usize::MAX)
        .expect("it reads");
    assert_eq!(read, expected);
}

fn append(
    driver: &mut Driver,
    rows: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    (actor, events, change): Part,
) -> Append {
    let entry = driver.entry(&format!("m{actor}"), events);
    let value = format!("{actor} {}", entry.number);
    let change = change.map(|(key, set)| row(&format!("k{key}"), set.then_some(value.as_str())));
    if let Some(change) = &change {
        match &change.value {
            Some(value) => drop(rows.insert(change.key.clone(), value.clone())),
            None => drop(rows.remove(&change.key)),
        }
    }
    Append::new(&entry, change.into_iter().collect()).expect("it encodes")
}
