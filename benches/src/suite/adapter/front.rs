//! The journal in front of a plain store: one writer thread with a bounded queue, groups without linger.
//!
//! Invariants:
//! * Each completion is called exactly once, in the order of submission.
//! * After a failed write nothing is written again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast::SequenceNumber;
use steadfast::journal::{
    ActorId, ActorNumber, ActorRow, CommitError, CommitIndex, Commits, Entries, EntryNumber, Epoch,
    Error, Hash, Head, HistoryId, Journal, JournalReader, OpenReport, Row, StoredEntry, Submission,
    Table, VerifyReport,
};

use super::Sink;

/// Submissions that may wait; as many as the real journal's.
const QUEUE: usize = 1_024;

/// An open plain store.
pub(super) struct Front {
    report: OpenReport,
    history: HistoryId,
    actors: AtomicU64,
    newest: Arc<AtomicU64>,
    /// `None` once closed.
    queue: Mutex<Option<SyncSender<Submission>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Front {
    pub(super) fn start(sink: impl Sink, history: HistoryId) -> Result<Self, Error> {
        let (queue, waiting) = sync_channel(QUEUE);
        let newest = Arc::new(AtomicU64::new(1));
        let head = Arc::clone(&newest);
        let thread = std::thread::Builder::new()
            .name("plain-journal".to_owned())
            .spawn(move || work(sink, &waiting, &head))
            .map_err(Error::NoThread)?;
        Ok(Self {
            report: OpenReport {
                epoch: Epoch::FIRST,
                recovered: None,
                wal_bytes: 0,
                verified_commits: 0,
                took: Duration::ZERO,
            },
            history,
            actors: AtomicU64::new(0),
            newest,
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn end(&self) {
        // Hanging up is what ends the thread.
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            thread.join().expect("the writer does not panic");
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes all that waits, writes it, tells the outcome.
fn work(mut sink: impl Sink, waiting: &Receiver<Submission>, newest: &AtomicU64) {
    let mut index = CommitIndex::FIRST;
    let mut failed: Option<Arc<Error>> = None;
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(QUEUE));
        if let Some(cause) = &failed {
            for submission in group {
                let cause = Error::Failed(Arc::clone(cause));
                (submission.done)(Err(CommitError::NotWritten(Arc::new(cause))));
            }
            continue;
        }
        index = index.next().expect("2^64 commits are never reached");
        let outcome = match sink.write(index, &group) {
            Ok(()) => {
                newest.store(index.get(), Ordering::Release);
                Ok(index)
            }
            Err(error) => {
                let cause = Arc::new(error);
                failed = Some(Arc::clone(&cause));
                Err(CommitError::Unknown(cause))
            }
        };
        for submission in group {
            (submission.done)(outcome.clone());
        }
    }
}

impl JournalReader for Front {
    fn head(&self) -> Option<Head> {
        let index = CommitIndex::new(self.newest.load(Ordering::Acquire))?;
        Some(Head {
            index,
            hash: Hash::ZERO,
            epoch: Epoch::FIRST,
            history: self.history,
        })
    }

    fn contains(&self, _: HistoryId, _: CommitIndex) -> bool {
        false
    }

    fn actor(&self, _: &ActorId) -> Result<Option<ActorRow>, Error> {
        Ok(None)
    }

    fn actors(&self, _: Option<&ActorId>, _: usize) -> Result<Vec<ActorRow>, Error> {
        Ok(Vec::new())
    }

    fn last_entry(&self, _: ActorNumber) -> Result<Option<StoredEntry>, Error> {
        Ok(None)
    }

    fn entries(&self, _: ActorNumber, _: EntryNumber) -> Entries<'_> {
        Box::new(std::iter::empty())
    }

    fn entries_from_event(&self, _: ActorNumber, _: SequenceNumber) -> Entries<'_> {
        Box::new(std::iter::empty())
    }

    fn commits(&self, _: CommitIndex) -> Commits<'_> {
        Box::new(std::iter::empty())
    }

    fn rows(&self, _: Table, _: Option<&[u8]>, _: usize) -> Result<Vec<Row>, Error> {
        Ok(Vec::new())
    }

    fn verify(&self) -> Result<VerifyReport, Error> {
        Ok(VerifyReport::default())
    }
}

impl Journal for Front {
    fn opened(&self) -> &OpenReport {
        &self.report
    }

    fn next_actor_number(&self) -> Result<ActorNumber, Error> {
        let number = self.actors.fetch_add(1, Ordering::Relaxed) + 1;
        ActorNumber::new(number).ok_or(Error::Exhausted { what: "actors" })
    }

    fn submit(&self, submission: Submission) {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let refused = match queue {
            Some(queue) => queue.send(submission).err().map(|error| error.0),
            None => Some(submission),
        };
        if let Some(submission) = refused {
            (submission.done)(Err(CommitError::NotWritten(Arc::new(Error::Closed))));
        }
    }

    fn close(&self) -> Result<(), Error> {
        self.end();
        Ok(())
    }
}
