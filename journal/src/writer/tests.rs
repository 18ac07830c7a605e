//! The writer over a store that counts, panics or refuses on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};

use serde_bytes::ByteBuf;

use super::{Limits, Writer};
use crate::committer::{Committer, HeadCell};
use crate::entry::{Birth, Entry};
use crate::error::{CommitError, Error};
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, HistoryId};
use crate::index::{Index, Run, Runs};
use crate::journal::{Append, Row, Submission};
use crate::layout::{Checked, Past};
use crate::store::{Batch, Keyspace, Span, Store, Visit};

/// Forgets everything; panics at the write with this number.
struct Stub {
    writes: AtomicU32,
    panic_at: u32,
}

impl Store for Stub {
    fn get(&self, _: Keyspace, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn scan(&self, _: Keyspace, _: Span<'_>, _: &mut Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn last(&self, _: Keyspace, _: Span<'_>) -> Result<Option<Row>, Error> {
        Ok(None)
    }

    fn write(&self, _: &mut dyn FnMut(&mut dyn Batch)) -> Result<(), Error> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        assert_ne!(write, self.panic_at, "asked for");
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Runs for Stub {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn scan(&self, _: Span<'_>, _: &mut Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn scan_all(&self, _: Span<'_>, _: &mut Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn last(&self, _: Span<'_>) -> Result<Option<Row>, Error> {
        Ok(None)
    }

    fn ingest(&self, _: &Run, _: Checked) -> Result<(), Error> {
        Ok(())
    }
}

fn writer(panic_at: u32, limits: Limits) -> (Writer, Arc<Stub>) {
    let stub = Arc::new(Stub {
        writes: AtomicU32::new(0),
        panic_at,
    });
    let past = Past::beginning(HistoryId::draw());
    let head = Arc::new(HeadCell::new(None));
    let store: Arc<dyn Store> = Arc::clone(&stub) as Arc<dyn Store>;
    let index = Arc::new(Index::new(Arc::clone(&stub) as Arc<dyn Runs>, usize::MAX));
    let committer = Committer::begin((store, index), past, head, None, u64::MAX).unwrap();
    (Writer::start(committer, limits).unwrap(), stub)
}

const LIMITS: Limits = Limits {
    group_bytes: 1 << 20,
    group_appends: 10,
    queue: 64,
};

fn append(actor: u64, bytes: usize) -> Append {
    let entry = Entry {
        actor: ActorNumber::new(actor).unwrap(),
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
        operations: ByteBuf::from(vec![0; bytes]),
        cause: None,
        traceparent: None,
    };
    Append::new(&entry, Vec::new()).unwrap()
}

type Outcome = Receiver<Result<CommitIndex, CommitError>>;

fn submit(writer: &Writer, appends: Vec<Append>) -> Outcome {
    let (told, outcome) = channel();
    let done = Box::new(move |result| told.send(result).unwrap());
    writer.submit(Submission { appends, done });
    outcome
}

/// A completion that holds the writer until told to go on.
fn hold(writer: &Writer) -> std::sync::mpsc::Sender<()> {
    let ((go, wait), (told, began)) = (channel::<()>(), channel());
    let done = Box::new(move |_| {
        told.send(()).unwrap();
        // Hanging up is as good as a word.
        wait.recv().unwrap_or_default();
    });
    writer.submit(Submission {
        appends: Vec::new(),
        done,
    });
    began.recv().unwrap();
    go
}

#[test]
fn groups_within_the_limits() {
    let (writer, stub) = writer(0, LIMITS);
    let go = hold(&writer);
    let by_count = (1..=25).map(|actor| submit(&writer, vec![append(actor, 10)]));
    let mut outcomes: Vec<_> = by_count.collect();
    // Over both limits in itself, so alone.
    outcomes.push(submit(
        &writer,
        (100..120).map(|actor| append(actor, 100_000)).collect(),
    ));
    outcomes.push(submit(&writer, vec![append(200, 600_000)]));
    outcomes.push(submit(&writer, vec![append(201, 600_000)]));
    drop(go);
    let commits: Vec<u64> = outcomes
        .iter()
        .map(|outcome| outcome.recv().unwrap().unwrap().get())
        .collect();
    let mut expected = vec![2; 10];
    expected.extend([3; 10]);
    expected.extend([4; 5]);
    expected.extend([5, 6, 7]);
    assert_eq!(commits, expected);
    writer.close().unwrap();
    // The opening, six groups, the closing.
    assert_eq!(stub.writes.load(Ordering::SeqCst), 8);
}

#[test]
fn a_panic_of_the_writer_leaves_no_completion_uncalled() {
    let (writer, _) = writer(3, LIMITS);
    submit(&writer, vec![append(1, 1)]).recv().unwrap().unwrap();
    let go = hold(&writer);
    let group = submit(&writer, (2..=11).map(|actor| append(actor, 1)).collect());
    let queued: Vec<_> = (20..40)
        .map(|actor| submit(&writer, vec![append(actor, 1)]))
        .collect();
    drop(go);
    let panicked = |cause: &Arc<Error>| matches!(**cause, Error::WriterPanicked);
    let outcome = group.recv().unwrap();
    assert!(
        matches!(&outcome, Err(CommitError::Unknown(cause)) if panicked(cause)),
        "{outcome:?}"
    );
    for outcome in queued {
        let outcome = outcome.recv().unwrap();
        assert!(
            matches!(&outcome, Err(CommitError::NotWritten(cause)) if panicked(cause)),
            "{outcome:?}"
        );
    }
    let late = submit(&writer, vec![append(50, 1)]).recv().unwrap();
    assert!(
        matches!(&late, Err(CommitError::NotWritten(cause)) if panicked(cause)),
        "{late:?}"
    );
    assert!(matches!(writer.close(), Err(Error::WriterPanicked)));
}

#[test]
fn a_completion_may_drop_the_writer() {
    let (writer, stub) = writer(0, LIMITS);
    let writer = Arc::new(writer);
    let (told, outcome) = channel();
    let go = hold(&writer);
    let last = Arc::clone(&writer);
    let done = Box::new(move |result: Result<CommitIndex, CommitError>| {
        drop(last);
        told.send(result).unwrap();
    });
    writer.submit(Submission {
        appends: vec![append(1, 1)],
        done,
    });
    drop(writer);
    drop(go);
    outcome.recv().unwrap().unwrap();
    assert_eq!(
        stub.writes.load(Ordering::SeqCst),
        2,
        "the opening and one commit"
    );
}
