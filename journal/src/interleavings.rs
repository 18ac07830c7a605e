//! What the threads of a journal promise each other, as functions that `tests/interleavings` runs in every order that
//! their threads can take.
//!
//! A file of its own because it must see what is private, and because nothing else may be compiled with it: there the
//! locks, queues and threads of these sources are others.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is how a check reports"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use serde_bytes::ByteBuf;

use crate::entry::{Birth, Entry};
use crate::error::{CommitError, Error};
use crate::hash::Hash;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber};
use crate::index::{Index, Run, Runs, WATERMARK, fill_value};
use crate::journal::{Append, Journal, JournalReader, Row, Storage, Submission};
use crate::layout::Checked;
use crate::memory::{CommitFault, MemoryStorage};
use crate::record::{Frame, Listed, Place};
use crate::store::{Span, Visit};

/// A store of runs in memory.
#[derive(Default)]
struct Sorted {
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Sorted {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn within(&self, span: Span<'_>) -> Vec<Row> {
        let rows = self.rows();
        let from = rows.range(span.from.to_vec()..);
        let within = from.take_while(|(key, _)| span.to.is_none_or(|to| key.as_slice() < to));
        within
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl Runs for Sorted {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.rows().get(key).cloned())
    }

    fn scan(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        for (key, value) in self.within(span) {
            if visit(&key, &value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn scan_all(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        self.scan(span, visit)
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Row>, Error> {
        Ok(self.within(span).pop())
    }

    fn ingest(&self, run: &Run, upto: Checked) -> Result<(), Error> {
        let mut rows = self.rows();
        rows.insert(WATERMARK.to_vec(), upto.encode());
        run.each(|key, commit, frame| {
            let mut value = Vec::new();
            fill_value(&mut value, commit, frame);
            rows.insert(key.to_vec(), value);
            Ok::<(), Error>(())
        })
    }
}

const ACTOR: ActorNumber = ActorNumber::FIRST;

/// An index whose every commit is a run of its own, with a thread that takes them in.
fn moving_index() -> Arc<Index> {
    let index = Arc::new(Index::new(Arc::new(Sorted::default()), 0));
    index.go_behind().expect("a thread");
    index
}

/// Adds the commit of the actor's entry `number`.
fn add(index: &Index, number: u64) {
    let at = Checked {
        index: CommitIndex::new(number).expect("from 1"),
        hash: Hash::ZERO,
    };
    let listed = Listed {
        actor: ACTOR,
        number: EntryNumber::new(number).expect("from 1"),
        frame: Frame::Here(Place { offset: 0, len: 1 }),
    };
    index
        .add(at, &Arc::new(vec![7]), &[listed])
        .expect("it takes commits");
}

/// How many entries of the actor there are, read from the first on; they have no gap.
fn count(index: &Index) -> u64 {
    let mut count = 0;
    loop {
        let from = EntryNumber::new(count + 1).expect("from 1");
        let limits = (2, usize::MAX);
        let stretch = index.entries(ACTOR, from, limits, |commit, _| Ok(commit.get()));
        for commit in stretch.rows {
            count += 1;
            assert_eq!(commit, count, "an entry is missing or there twice");
        }
        if !stretch.more.expect("it reads") {
            return count;
        }
    }
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let name = "interleavings".to_owned();
    Builder::new().name(name).spawn(run).expect("a thread")
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("it does not panic")
}

/// Runs move from memory into the store while somebody reads: what was there stays there, without a gap.
pub fn entries_stay_while_their_run_moves() {
    let index = moving_index();
    add(&index, 1);
    let reader = {
        let index = Arc::clone(&index);
        spawn(move || {
            let (first, second) = (count(&index), count(&index));
            assert!(1 <= first && first <= second, "{first}, then {second}");
        })
    };
    add(&index, 2);
    add(&index, 3);
    join(reader);
    index.flush().expect("it is taken in");
    assert_eq!(count(&index), 3);
    index.stop();
}

/// The same for the newest entry, and for a walk over all of them.
pub fn the_newest_entry_stays_while_its_run_moves() {
    let index = moving_index();
    add(&index, 1);
    let reader = {
        let index = Arc::clone(&index);
        spawn(move || {
            let last = index.last(ACTOR, |commit, _| Ok(commit.get()));
            let last = last.expect("it reads").expect("one is there");
            let mut walked = 0;
            let mut walk = index.everything();
            let mut more = true;
            while more {
                // In the smallest pieces: between any two of them the run may move.
                let piece = index.each(&mut walk, (1, usize::MAX), &mut |_, commit, _| {
                    walked += 1;
                    assert_eq!(commit.get(), walked, "an entry is missing or there twice");
                    Ok(())
                });
                more = piece.expect("it reads");
            }
            assert!(1 <= last && last <= walked, "{last}, then {walked}");
        })
    };
    add(&index, 2);
    join(reader);
    index.stop();
}

/// What completions were told, by who submitted.
type Told = Arc<Mutex<Vec<(u64, Result<CommitIndex, CommitError>)>>>;

/// Submits the first entry of an actor.
fn submit(journal: &dyn Journal, actor: u64, told: &Told) {
    let entry = Entry {
        actor: ActorNumber::new(actor).expect("from 1"),
        number: EntryNumber::FIRST,
        events_before: 0,
        birth: Some(Birth {
            id: format!("test/{actor}"),
            kind: "test".to_owned(),
        }),
        time_us: 0,
        seed: 0,
        command: None,
        events: Vec::new(),
        operations: ByteBuf::new(),
        cause: None,
        traceparent: None,
    };
    let told = Arc::clone(told);
    journal.submit(Submission {
        appends: vec![Append::new(&entry, Vec::new()).expect("it encodes")],
        done: Box::new(move |outcome| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.push((actor, outcome));
        }),
    });
}

/// Whether the entry of an actor is there.
fn is_there(journal: &dyn JournalReader, actor: u64) -> bool {
    let actor = ActorNumber::new(actor).expect("from 1");
    let mut entries = journal.entries(actor, EntryNumber::FIRST);
    entries.next().is_some_and(|entry| entry.is_ok())
}

/// Every submission is told once, and the truth, whoever submits while another one closes; `fault` is what the
/// first commit meets.
pub fn every_submission_is_told_once(fault: Option<CommitFault>) {
    let storage = MemoryStorage::new();
    let journal = storage.open().expect("it opens");
    let told = Told::default();
    if let Some(fault) = fault {
        storage.fail_next_commit(fault);
    }
    let other = {
        let (journal, told) = (Arc::clone(&journal), Arc::clone(&told));
        spawn(move || submit(&*journal, 1, &told))
    };
    submit(&*journal, 2, &told);
    drop(journal.close());
    join(other);
    drop(journal);
    let journal = storage.open().expect("it opens again");
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    for actor in [1, 2] {
        let mut own = told.iter().filter(|(who, _)| *who == actor);
        let (first, more) = (own.next(), own.next());
        assert!(more.is_none(), "told more than once: {told:?}");
        let (_, outcome) = first.expect("it is told");
        let there = is_there(&*journal, actor);
        let panicked = |cause: &Error| matches!(cause, Error::WriterPanicked);
        match outcome {
            Err(CommitError::NotWritten(cause) | CommitError::Unknown(cause))
                if panicked(cause) =>
            {
                panic!("it is told of a panic that never was: {told:?}")
            }
            Ok(_) => assert!(there, "acknowledged, and lost: {told:?}"),
            Err(CommitError::NotWritten(_)) => assert!(!there, "not written, and there: {told:?}"),
            Err(CommitError::Unknown(_)) => assert!(fault.is_some(), "it is known: {told:?}"),
        }
    }
    drop(told);
    drop(journal.close());
}

/// The head names no commit that readers do not find.
pub fn the_head_names_what_is_there() {
    let storage = MemoryStorage::new();
    let journal = storage.open().expect("it opens");
    let opening = journal.head().map_or(0, |head| head.index.get());
    let reader = {
        let journal = Arc::clone(&journal);
        spawn(move || {
            let head = journal.head().map_or(0, |head| head.index.get());
            // The opening's own commit has no entry; the first with one is that of actor 1.
            for actor in 1..=head - opening {
                assert!(is_there(&*journal, actor), "the head is ahead of entries");
            }
        })
    };
    let told = Told::default();
    submit(&*journal, 1, &told);
    submit(&*journal, 2, &told);
    join(reader);
    drop(journal.close());
}

/// Who reads while a journal is closed reads all that there is, or is told that it is closed.
pub fn a_reader_is_told_of_the_end() {
    let storage = MemoryStorage::new();
    let journal = storage.open().expect("it opens");
    submit(&*journal, 1, &Told::default());
    let reader = {
        let journal = Arc::clone(&journal);
        spawn(move || {
            let head = journal.head().map_or(0, |head| head.index.get());
            let entry = journal.entries(ACTOR, EntryNumber::FIRST).next();
            match entry {
                Some(Ok(_) | Err(Error::Closed)) => {}
                Some(Err(error)) => panic!("a reader fails: {error}"),
                None => assert!(head < 2, "the head is ahead of entries"),
            }
        })
    };
    drop(journal.close());
    join(reader);
}

/// A completion may be the last to let a journal go, on the very thread that ends with it.
pub fn a_completion_may_be_the_last_to_let_go() {
    let storage = MemoryStorage::new();
    let journal = storage.open().expect("it opens");
    let own = Arc::clone(&journal);
    journal.submit(Submission {
        appends: Vec::new(),
        done: Box::new(move |outcome| {
            drop(outcome);
            drop(own);
        }),
    });
    drop(journal);
    // Who opens it next waits for nothing that is gone.
    let journal = storage.open().expect("it opens again");
    drop(journal.close());
}
