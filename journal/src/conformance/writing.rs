//! The contract of writing: order, atomicity, outcomes, generations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_bytes::ByteBuf;

use super::Fresh;
use super::driver::{Driver, Outcome, row, sample, start};
use crate::error::{CommitError, Error};
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, Epoch};
use crate::journal::{Append, Submission, Table};

fn append(driver: &mut Driver, name: &str, events: usize) -> Append {
    Append::new(&driver.entry(name, events), Vec::new()).expect("it encodes")
}

fn wait(outcome: &Outcome) -> CommitIndex {
    outcome
        .recv()
        .expect("the completion is called")
        .expect("it is written")
}

pub(super) fn new_journal(fresh: Fresh<'_>) {
    let driver = Driver::new(fresh());
    let journal = driver.journal();
    let head = journal.head().expect("the epoch is committed");
    assert_eq!((head.index, head.epoch), (CommitIndex::FIRST, Epoch::FIRST));
    let opened = journal.opened();
    assert_eq!((opened.epoch, opened.recovered), (Epoch::FIRST, None));
    assert!(journal.actors(None, 10).expect("it reads").is_empty());
    driver.check();
}

pub(super) fn order_and_density(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let names = ["a", "b", "c"];
    let mut outcomes = Vec::new();
    for round in 0..200 {
        let name = names.get(round % names.len()).expect("one of three");
        let one = append(&mut driver, name, round % 4);
        outcomes.push(driver.start(vec![one]));
    }
    let indexes: Vec<_> = outcomes.iter().map(wait).collect();
    assert!(
        indexes.is_sorted(),
        "later submissions are in later commits: {indexes:?}"
    );
    driver.check();
    driver.reopen();
    driver.check();
}

pub(super) fn submissions_are_whole(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let mut submitted = Vec::new();
    for round in 0..50_u32 {
        let appends: Vec<_> = (0..=round % 5)
            .map(|n| append(&mut driver, &format!("m{n}"), 1))
            .collect();
        let keys: Vec<_> = appends.iter().map(|one| (one.actor, one.number)).collect();
        submitted.push((keys, driver.start(appends)));
    }
    for (keys, outcome) in submitted {
        let index = wait(&outcome);
        for (actor, number) in keys {
            let stored = driver.journal().entries(actor, number).next();
            let stored = stored.expect("it is there").expect("it reads");
            assert_eq!(
                stored.commit, index,
                "all of a submission is in the commit that it was told"
            );
        }
    }
    let commits = driver.journal().head().expect("a head").index.get();
    assert!(
        commits <= 51,
        "one commit for each submission at most, and one for the opening"
    );
}

pub(super) fn completion_is_durable(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    for _ in 0..20 {
        let index = driver.write("a", 1);
        let head = driver.journal().head().expect("a head").index;
        assert!(index <= head, "what a completion was told is readable");
        let last = driver
            .journal()
            .last_entry(driver.number("a"))
            .expect("it reads");
        assert_eq!(last.map(|stored| stored.commit), Some(index));
    }
}

pub(super) fn empty_submission(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let before = driver.write("a", 1);
    assert_eq!(driver.submit(Vec::new()).expect("it completes"), before);
    assert_eq!(driver.journal().head().map(|head| head.index), Some(before));
}

pub(super) fn rows_change_with_entries(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let with = |driver: &mut Driver, rows| {
        let entry = driver.entry("a", 0);
        driver
            .submit(vec![Append::new(&entry, rows).expect("it encodes")])
            .expect("it is written")
    };
    with(
        &mut driver,
        vec![row("k1", Some("1")), row("k2", Some("2"))],
    );
    with(
        &mut driver,
        vec![row("k1", None), row("k3", Some("3")), row("absent", None)],
    );
    with(
        &mut driver,
        vec![row("k3", Some("3a")), row("k4", Some("4")), row("k4", None)],
    );
    let expected: Vec<(Vec<u8>, Vec<u8>)> = [("k2", "2"), ("k3", "3a")]
        .map(|(key, value)| (key.into(), value.into()))
        .to_vec();
    assert_eq!(
        driver
            .journal()
            .rows(Table::Outbox, None, 10)
            .expect("it reads"),
        expected
    );
    assert!(
        driver
            .journal()
            .rows(Table::Timers, None, 10)
            .expect("it reads")
            .is_empty()
    );
    driver.reopen();
    assert_eq!(
        driver
            .journal()
            .rows(Table::Outbox, None, 10)
            .expect("it reads"),
        expected
    );
}

pub(super) fn wrong_numbers_are_refused(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    driver.write("a", 1);
    driver.write("a", 1);
    let first = driver.written("a").first().cloned().expect("written");
    let second = driver.written("a").last().cloned().expect("written");
    let mut gap = second.clone();
    gap.number = EntryNumber::new(4).expect("a number");
    let mut unnamed = sample("b", ActorNumber::new(999).expect("a number"), None, 1);
    unnamed.birth = None;
    for wrong in [&first, &second, &gap, &unnamed] {
        let good = append(&mut driver, "c", 1);
        driver.forget("c");
        let wrong = Append::new(wrong, Vec::new()).expect("it encodes");
        let refused = driver.submit(vec![good, wrong]);
        assert!(
            matches!(&refused, Err(CommitError::NotWritten(cause))
                if matches!(**cause, Error::BadAppend { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        driver
            .journal()
            .last_entry(driver.number("c"))
            .expect("it reads"),
        None
    );
    driver.write("a", 1);
    driver.write("c", 1);
    driver.check();
}

pub(super) fn large_entries(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let mut outcomes = Vec::new();
    for bytes in [0, 1, 100_000, 9 << 20, 3 << 20] {
        let mut entry = driver.entry("big", 1);
        driver.forget("big");
        for event in &mut entry.events {
            event.data = ByteBuf::from(vec![0xa5; bytes]);
        }
        driver.remember("big", &entry);
        let append = Append::new(&entry, Vec::new()).expect("it encodes");
        outcomes.push(driver.start(vec![append]));
    }
    for outcome in &outcomes {
        wait(outcome);
    }
    driver.check();
    driver.reopen();
    driver.check();
}

pub(super) fn many_threads(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let names: Vec<String> = (0..4).map(|n| format!("t{n}")).collect();
    let mut work = Vec::new();
    for name in &names {
        let appends: Vec<_> = (0..100).map(|_| append(&mut driver, name, 1)).collect();
        work.push(appends);
    }
    std::thread::scope(|scope| {
        for appends in work {
            let journal = Arc::clone(driver.journal());
            scope.spawn(move || {
                let outcomes: Vec<_> = appends
                    .into_iter()
                    .map(|one| start(&*journal, vec![one]))
                    .collect();
                assert!(outcomes.iter().map(wait).is_sorted());
            });
        }
    });
    driver.check();
}

pub(super) fn epochs(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let history = driver.journal().head().expect("a head").history;
    for epoch in 2..5 {
        driver.write("a", 1);
        let before = driver.journal().head().expect("a head");
        if epoch % 2 == 0 {
            driver.reopen();
        } else {
            driver.drop_and_reopen();
        }
        let opened = driver.journal().opened().clone();
        let head = driver.journal().head().expect("a head");
        assert_eq!(opened.epoch.get(), epoch);
        assert_eq!(opened.recovered, Some(before.index));
        assert_eq!((head.epoch.get(), head.history), (epoch, history));
        assert_eq!(
            Some(head.index),
            before.index.next(),
            "an opening is one commit"
        );
        driver.check();
    }
}

pub(super) fn numbers_are_never_reused(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let mut last = None;
    for round in 0..3 {
        for n in 0..5 {
            let name = format!("r{round}n{n}");
            driver.write(&name, 1);
            let number = Some(driver.number(&name));
            assert!(number > last, "{number:?} after {last:?}");
            last = number;
        }
        driver.reopen();
    }
}

pub(super) fn closing(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let called = Arc::new(AtomicU32::new(0));
    for _ in 0..100 {
        let (one, called) = (append(&mut driver, "a", 1), Arc::clone(&called));
        let done = Box::new(move |outcome: Result<CommitIndex, CommitError>| {
            outcome.expect("all before the closing is written");
            called.fetch_add(1, Ordering::SeqCst);
        });
        driver.journal().submit(Submission {
            appends: vec![one],
            done,
        });
    }
    let journal = Arc::clone(driver.journal());
    journal.close().expect("it closes");
    assert_eq!(
        called.load(Ordering::SeqCst),
        100,
        "each completion was called once"
    );
    let head = journal.head();
    let late = append(&mut driver, "a", 1);
    driver.forget("a");
    let refused = start(&*journal, vec![late])
        .recv()
        .expect("the completion is called");
    assert!(
        matches!(refused, Err(CommitError::NotWritten(_))),
        "{refused:?}"
    );
    assert_eq!(journal.head(), head, "the head stays known");
    let read = journal.last_entry(driver.number("a"));
    assert!(matches!(read, Err(Error::Closed)), "{read:?}");
    journal.close().expect("closing twice is no error");
    driver.reopen();
    driver.check();
    assert!(matches!(
        journal.last_entry(driver.number("a")),
        Err(Error::Closed)
    ));
}

pub(super) fn dropping(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let outcomes: Vec<_> = (0..100)
        .map(|_| {
            let one = append(&mut driver, "a", 1);
            driver.start(vec![one])
        })
        .collect();
    driver.drop_and_reopen();
    for outcome in &outcomes {
        wait(outcome);
    }
    driver.check();
}
