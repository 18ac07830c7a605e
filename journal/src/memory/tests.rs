//! The in-memory journal: the contract, and what its faults do.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use super::{CommitFault, MemoryStorage};
use crate::conformance::{Driver, run_all};
use crate::error::{CommitError, Error};
use crate::ids::ActorNumber;
use crate::journal::Append;

#[test]
fn keeps_the_contract() {
    run_all(&|| Box::new(MemoryStorage::new()));
}

fn append(driver: &mut Driver, name: &str) -> Append {
    Append::new(&driver.entry(name, 1), Vec::new()).unwrap()
}

#[test]
fn a_failed_write_latches_and_its_outcome_is_unknown() {
    for (fault, survives) in [(CommitFault::Lost, false), (CommitFault::Kept, true)] {
        let storage = MemoryStorage::new();
        let mut driver = Driver::new(Box::new(storage.clone()));
        driver.write("a", 1);
        let head = driver.journal().head();
        storage.fail_next_commit(fault);
        let one = append(&mut driver, "a");
        let outcome = driver.submit(vec![one]);
        assert!(
            matches!(outcome, Err(CommitError::Unknown(_))),
            "{outcome:?}"
        );
        for _ in 0..3 {
            let late = append(&mut driver, "b");
            driver.forget("b");
            let outcome = driver.submit(vec![late]);
            assert!(
                matches!(&outcome, Err(CommitError::NotWritten(cause)) if matches!(**cause, Error::Failed(_))),
                "{outcome:?}"
            );
        }
        let journal = Arc::clone(driver.journal());
        assert_eq!(
            journal.head(),
            head,
            "reads go on with what was durable before"
        );
        let entries = journal.last_entry(ActorNumber::FIRST).unwrap();
        assert_eq!(entries.map(|stored| stored.entry.number.get()), Some(1));
        assert!(matches!(journal.close(), Err(Error::Failed(_))));
        if !survives {
            driver.forget("a");
        }
        driver.drop_and_reopen();
        driver.write("c", 1);
        driver.check();
    }
}

#[test]
fn held_commits_are_not_seen_until_resumed() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    driver.write("a", 1);
    let head = driver.journal().head().unwrap();
    storage.pause();
    let outcomes: Vec<_> = (0..50)
        .map(|_| {
            let one = append(&mut driver, "a");
            driver.start(vec![one])
        })
        .collect();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome.try_recv(), Err(TryRecvError::Empty)))
    );
    assert_eq!(driver.journal().head(), Some(head));
    storage.resume();
    let last = outcomes
        .iter()
        .map(|outcome| outcome.recv().unwrap().unwrap())
        .max()
        .unwrap();
    assert!(
        last.get() <= head.index.get() + 2,
        "what waits is written as one group"
    );
    driver.check();
}

#[test]
fn a_crash_loses_what_was_not_acknowledged() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    driver.write("a", 1);
    storage.pause();
    let outcomes: Vec<_> = (0..5)
        .map(|_| {
            let one = append(&mut driver, "a");
            driver.start(vec![one])
        })
        .collect();
    storage.crash();
    for outcome in outcomes {
        assert!(outcome.recv().unwrap().is_err());
        driver.forget("a");
    }
    let old = Arc::clone(driver.journal());
    driver.drop_and_reopen();
    driver.check();
    driver.write("a", 1);
    driver.check();
    drop(old);
}
