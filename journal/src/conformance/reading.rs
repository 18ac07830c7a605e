//! The contract of reading: look-ups, pages, positions.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Fresh;
use super::driver::{Driver, id, row, sample, start};
use crate::entry::{Entry, StoredEntry};
use crate::error::Error;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, HistoryId, SequenceNumber};
use crate::journal::{Append, Table};

fn numbers(entries: impl Iterator<Item = Result<StoredEntry, Error>>) -> Vec<u64> {
    entries
        .map(|stored| stored.expect("it reads").entry.number.get())
        .collect()
}

pub(super) fn actors(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    // Written in another order than that of their names.
    let mut names: Vec<String> = (0..30).map(|n| format!("n{:02}/x", n * 7 % 30)).collect();
    names.extend(["z".to_owned(), "ä".to_owned(), "n05".to_owned()]);
    for name in &names {
        driver.write(name, 1);
    }
    names.sort();
    let journal = driver.journal();
    let mut paged = Vec::new();
    loop {
        let after = paged.last();
        let page = journal.actors(after, 7).expect("it reads");
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        for row in page {
            assert_eq!(journal.actor(&row.id).expect("it reads"), Some(row.clone()));
            assert_eq!(
                (row.number, row.kind.as_str()),
                (driver.number(row.id.key()), "test")
            );
            paged.push(row.id);
        }
    }
    assert_eq!(paged, names.iter().map(|name| id(name)).collect::<Vec<_>>());
    assert_eq!(journal.actor(&id("nobody")).expect("it reads"), None);
    assert!(journal.actors(None, 0).expect("it reads").is_empty());
}

pub(super) fn entries_from_number(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let appends: Vec<_> = (0..600)
        .map(|n| {
            Append::new(
                &driver.entry(if n % 2 == 0 { "a" } else { "b" }, 1),
                Vec::new(),
            )
        })
        .collect::<Result<_, _>>()
        .expect("they encode");
    driver.submit(appends).expect("they are written");
    let (journal, actor) = (driver.journal(), driver.number("a"));
    for from in [1, 2, 256, 257, 299, 300] {
        let from = EntryNumber::new(from).expect("a number");
        let read = numbers(journal.entries(actor, from));
        assert_eq!(read, (from.get()..=300).collect::<Vec<_>>());
    }
    for (from, last) in [(1, 300), (257, 300), (300, 300), (1, 7), (301, 300)] {
        let from = EntryNumber::new(from).expect("a number");
        let mut visited = Vec::new();
        let visit = journal.visit_entries(actor, from, &mut |commit, entry| {
            let entry = entry.to_entry();
            visited.push(StoredEntry { commit, entry });
            if visited
                .last()
                .is_some_and(|one| one.entry.number.get() == last)
            {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        visit.expect("it reads");
        let read: Vec<_> = journal
            .entries(actor, from)
            .map(|stored| stored.expect("it reads"))
            .take_while(|stored| stored.entry.number.get() <= last)
            .collect();
        assert_eq!(visited, read);
    }
    let behind = EntryNumber::new(301).expect("a number");
    assert!(journal.entries(actor, behind).next().is_none());
    let nobody = ActorNumber::new(u64::MAX).expect("a number");
    assert!(journal.entries(nobody, EntryNumber::FIRST).next().is_none());
    assert_eq!(journal.last_entry(nobody).expect("it reads"), None);
}

pub(super) fn entries_from_event(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let counts = [0, 0, 1, 3, 0, 2, 0, 0, 5, 1, 0];
    for events in counts {
        driver.write("a", events);
        driver.write("b", 1);
    }
    let (journal, actor) = (driver.journal(), driver.number("a"));
    let total: usize = counts.iter().sum();
    for seq in 1..=total as u64 {
        let seq = SequenceNumber::new(seq).expect("a number");
        let holds = |entry: &&Entry| entry.numbered_events().any(|(number, _)| number == seq);
        let holder = driver
            .written("a")
            .iter()
            .find(holds)
            .expect("some entry has it")
            .number;
        let read = numbers(journal.entries_from_event(actor, seq));
        assert_eq!(
            read,
            (holder.get()..=counts.len() as u64).collect::<Vec<_>>(),
            "event {seq}"
        );
    }
    let behind = SequenceNumber::new(total as u64 + 1).expect("a number");
    assert!(journal.entries_from_event(actor, behind).next().is_none());
    let nobody = ActorNumber::new(12_345).expect("a number");
    assert!(
        journal
            .entries_from_event(nobody, SequenceNumber::FIRST)
            .next()
            .is_none()
    );
}

pub(super) fn commits(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    for n in 0..300 {
        driver.write(if n % 3 == 0 { "a" } else { "b" }, 1);
    }
    driver.reopen();
    driver.write("c", 2);
    let journal = driver.journal();
    let all: Vec<_> = journal
        .commits(CommitIndex::FIRST)
        .map(|commit| commit.expect("it reads"))
        .collect();
    let head = journal.head().expect("a head");
    assert_eq!(all.len() as u64, head.index.get());
    assert!(
        (1..)
            .zip(&all)
            .all(|(index, commit)| commit.index.get() == index)
    );
    assert_eq!(all.last().map(|commit| commit.hash), Some(head.hash));
    for name in ["a", "b", "c"] {
        let of = all.iter().flat_map(|commit| &commit.entries);
        let of: Vec<_> = of
            .filter(|entry| entry.actor == driver.number(name))
            .collect();
        assert_eq!(of, driver.written(name).iter().collect::<Vec<_>>());
    }
    for from in [2, 255, 256, 257, head.index.get()] {
        let from = CommitIndex::new(from).expect("a number");
        let first = journal
            .commits(from)
            .next()
            .expect("it is there")
            .expect("it reads");
        assert_eq!(first.index, from);
    }
    let behind = head.index.next().expect("a number");
    assert!(journal.commits(behind).next().is_none());
}

pub(super) fn rows(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    let keys: Vec<String> = (0..25).map(|n| format!("{:02}", n * 11 % 25)).collect();
    for key in &keys {
        let entry = driver.entry("a", 0);
        let append = Append::new(&entry, vec![row(key, Some(key))]).expect("it encodes");
        driver.submit(vec![append]).expect("it is written");
    }
    let journal = driver.journal();
    let mut after: Option<Vec<u8>> = None;
    let mut read = Vec::new();
    loop {
        let page = journal
            .rows(Table::Outbox, after.as_deref(), 4)
            .expect("it reads");
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        read.extend(page.into_iter().map(|(key, _)| key));
    }
    let expected: Vec<_> = (0..25).map(|n| format!("{n:02}").into_bytes()).collect();
    assert_eq!(read, expected);
}

pub(super) fn contains(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    driver.write("a", 1);
    let journal = driver.journal();
    let head = journal.head().expect("a head");
    assert!(journal.contains(head.history, CommitIndex::FIRST));
    assert!(journal.contains(head.history, head.index));
    assert!(!journal.contains(head.history, head.index.next().expect("a number")));
    assert!(!journal.contains(HistoryId::draw(), CommitIndex::FIRST));
}

/// So many commits are made while the journal is verified again and again.
const BESIDE: u64 = 40;

/// A full check beside writers reported that the index had other entries than the commits, and an actor without any:
/// it looked at the commits, the entries and the actors one after the other, each as it was by then.
pub(super) fn verified_beside_writers(fresh: Fresh<'_>) {
    let mut driver = Driver::new(fresh());
    driver.write("before", 1);
    let journal = Arc::clone(driver.journal());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (journal, over) = (&journal, &over);
            std::thread::Builder::new()
                .spawn_scoped(scope, move || {
                    for n in (0..).take_while(|_| !over.load(Ordering::Acquire)) {
                        let name = format!("{writer}-{n}");
                        let actor = journal.next_actor_number().expect("there are numbers");
                        let mut last = None;
                        for _ in 0..3 {
                            let entry = sample(&name, actor, last.as_ref(), 1);
                            let append = Append::new(&entry, Vec::new()).expect("it encodes");
                            let outcome = start(&**journal, vec![append]);
                            let told = outcome.recv().expect("the completion is called");
                            told.expect("it is written");
                            last = Some(entry);
                        }
                    }
                })
                .expect("there is a thread");
        }
        let commits = || journal.head().map_or(0, |head| head.index.get());
        let end = commits() + BESIDE;
        let unsound = std::iter::repeat_with(|| journal.verify())
            .take_while(|_| commits() < end)
            .find(|report| !matches!(report, Ok(report) if report.findings.is_empty()));
        over.store(true, Ordering::Release);
        assert!(unsound.is_none(), "{unsound:?}");
    });
    let report = journal.verify().expect("it can be walked");
    assert_eq!(report.findings, Vec::<String>::new());
}
