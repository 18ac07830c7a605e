//! The in-memory journal: the contract, and what its faults do.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use super::{CommitFault, MemoryStorage, RowsOf};
use crate::conformance::{Driver, run_all};
use crate::error::{CommitError, Error};
use crate::ids::{ActorNumber, EntryNumber};
use crate::journal::{Append, Storage};

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

#[test]
fn planned_faults_meet_the_write_they_were_planned_for() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    assert_eq!(storage.writes(), 1, "the opening");
    storage.fail_write(3, CommitFault::Lost);
    driver.write("a", 1);
    let one = append(&mut driver, "a");
    assert!(driver.submit(vec![one]).is_err());
    assert_eq!(storage.writes(), 3);
    driver.forget("a");
    driver.drop_and_reopen();
    driver.write("a", 1);
    driver.check();
    storage.fail_write(storage.writes() + 1, CommitFault::Lost);
    storage.forget_planned_faults();
    driver.write("a", 1);
    driver.check();
}

#[test]
fn without_power_nothing_is_written_or_opened() {
    for (fault, survives) in [(CommitFault::Lost, false), (CommitFault::Kept, true)] {
        let storage = MemoryStorage::new();
        let mut driver = Driver::new(Box::new(storage.clone()));
        driver.write("a", 1);
        storage.cut_power_at(storage.writes() + 1, fault);
        let one = append(&mut driver, "a");
        let outcome = driver.submit(vec![one]);
        assert!(matches!(outcome, Err(CommitError::Unknown(_))));
        assert!(!storage.has_power());
        let writes = storage.writes();
        assert!(storage.open().is_err());
        assert_eq!(storage.writes(), writes, "what cannot begin is not counted");
        storage.restore_power();
        if !survives {
            driver.forget("a");
        }
        driver.drop_and_reopen();
        driver.check();
    }
}

#[test]
fn cutting_the_power_ends_the_open_journal() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    driver.write("a", 1);
    storage.cut_power();
    let late = append(&mut driver, "a");
    assert!(driver.submit(vec![late]).is_err());
    driver.forget("a");
    storage.restore_power();
    let late = append(&mut driver, "a");
    assert!(
        driver.submit(vec![late]).is_err(),
        "the old journal is dead"
    );
    driver.forget("a");
    driver.drop_and_reopen();
    driver.check();
}

#[test]
fn a_full_disk_has_space_again_after_so_many_writes() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    storage.no_space(storage.writes() + 1, 3, CommitFault::Lost);
    let one = append(&mut driver, "a");
    assert!(driver.submit(vec![one]).is_err());
    driver.forget("a");
    assert!(storage.open().is_err());
    assert!(storage.open().is_err());
    driver.drop_and_reopen();
    driver.write("a", 1);
    driver.check();
}

#[test]
fn held_commits_are_let_go_by_number() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    let (holds, held) = std::sync::mpsc::channel();
    storage.on_hold(move || holds.send(()).unwrap());
    storage.pause();
    for name in ["a", "b"] {
        let one = append(&mut driver, name);
        let outcome = driver.start(vec![one]);
        held.recv().unwrap();
        assert!(matches!(outcome.try_recv(), Err(TryRecvError::Empty)));
        storage.let_go(1);
        assert!(!storage.is_holding());
        outcome.recv().unwrap().unwrap();
    }
    storage.let_go(2);
    driver.write("a", 1);
    driver.write("b", 1);
    storage.resume();
    driver.check();
}

#[test]
fn failing_reads_end() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    driver.write("a", 1);
    storage.fail_reads(1, 0, RowsOf::Entries);
    let first = driver.journal().last_entry(ActorNumber::FIRST);
    assert!(matches!(first, Err(Error::Store { corrupt: false, .. })));
    assert!(driver.journal().last_entry(ActorNumber::FIRST).is_ok());
    assert_eq!(storage.met().failed_reads, 1);
}

#[test]
fn a_scan_breaks_behind_so_many_rows_and_no_shorter_one_does() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    driver.write("a", 2);
    storage.fail_reads(1, 2, RowsOf::Entries);
    let read = |driver: &Driver| {
        let journal = driver.journal();
        let entries = journal.entries(ActorNumber::FIRST, EntryNumber::FIRST);
        entries.map(|entry| entry.is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(read(&driver), [true]);
    driver.write("a", 1);
    driver.write("a", 1);
    assert_eq!(storage.met().broken_scans, 0);
    assert_eq!(read(&driver), [true, true, false]);
    assert_eq!(storage.met().broken_scans, 1);
    assert_eq!(read(&driver), [true, true, true]);
}

#[test]
fn what_finds_no_space_may_be_there_all_the_same() {
    let storage = MemoryStorage::new();
    let mut driver = Driver::new(Box::new(storage.clone()));
    storage.no_space(storage.writes() + 1, 1, CommitFault::Kept);
    let one = append(&mut driver, "a");
    let outcome = driver.submit(vec![one]);
    assert!(
        matches!(outcome, Err(CommitError::Unknown(_))),
        "{outcome:?}"
    );
    assert_eq!(storage.met().full, 1);
    driver.drop_and_reopen();
    driver.check();
}

/// A node that was crashed while a commit was held waited for ever in its next life, now and then: the old writer
/// woke late and took back that a commit of the new one was being held.
#[test]
fn an_old_generation_that_wakes_late_does_not_end_the_wait_of_a_new_one() {
    let mut state = super::State {
        generation: 1,
        paused: true,
        waiting: 1,
        ..super::State::default()
    };
    assert!(state.is_holding());
    state.generation = 2;
    assert!(!state.is_holding());
    state.waiting = 2;
    state.end_wait(1);
    assert!(state.is_holding());
    state.end_wait(2);
    assert!(!state.is_holding());
}
