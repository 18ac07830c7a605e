//! One generation of a journal that is open for writing: a writer, readers, numbers for actors.
//!
//! A file of its own because the `RocksDB` and the in-memory journal are the same from here on up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::committer::{Committer, HeadCell};
use crate::delegate::delegate_reads;
use crate::error::Error;
use crate::ids::ActorNumber;
use crate::index::Index;
use crate::journal::{Head, Journal, OpenReport, Submission};
use crate::layout::Past;
use crate::mark::MarkFile;
use crate::reads::{Reads, load_last_actor};
use crate::store::Store;
use crate::verify::MarkSource;
use crate::writer::{Hand, Limits, Writer};

/// What a generation starts from: a store whose content was verified.
pub(crate) struct Foundation {
    pub(crate) store: Arc<dyn Store>,
    /// With everything up to the head in it.
    pub(crate) index: Arc<Index>,
    pub(crate) past: Past,
    pub(crate) head: Option<Head>,
    /// The mark to keep, and where verification finds it.
    pub(crate) mark: Option<MarkFile>,
    pub(crate) mark_source: MarkSource,
    pub(crate) limits: Limits,
    /// Bytes of commits between two flushes.
    pub(crate) flush_every: u64,
    /// What writes the journal, where no thread does.
    pub(crate) hand: Option<Arc<Hand>>,
}

/// An open journal.
pub(crate) struct Generation {
    /// First, so that the thread is gone before what it uses.
    writer: Writer,
    reads: Reads,
    opened: OpenReport,
    /// The last number given; shared by all workers.
    numbers: AtomicU64,
}

impl Generation {
    /// Commits the next epoch and starts the writer. `report` gets the epoch.
    pub(crate) fn start(from: Foundation, report: OpenReportParts) -> Result<Self, Error> {
        let Foundation {
            store,
            index,
            past,
            head,
            mark,
            mark_source,
            limits,
            flush_every,
            hand,
        } = from;
        let numbers = load_last_actor(&*store)?.map_or(0, ActorNumber::get);
        let head = Arc::new(HeadCell::new(head));
        let stores = (Arc::clone(&store), Arc::clone(&index));
        let reads = Reads::new(stores, Arc::clone(&head), Some(past.clone()), mark_source);
        let recovered = head.get().map(|head| head.index);
        let committer = Committer::begin((store, index), past, head, mark, flush_every)?;
        let epoch = committer.epoch();
        let writer = match hand {
            Some(hand) => Writer::by_hand(committer, limits, hand),
            None => Writer::start(committer, limits)?,
        };
        let OpenReportParts {
            wal_bytes,
            verified_commits,
            started,
        } = report;
        let took = started.elapsed();
        let opened = OpenReport {
            epoch,
            recovered,
            wal_bytes,
            verified_commits,
            took,
        };
        Ok(Self {
            writer,
            reads,
            opened,
            numbers: AtomicU64::new(numbers),
        })
    }
}

/// What only the opening code knows of an [`OpenReport`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenReportParts {
    pub(crate) wal_bytes: u64,
    pub(crate) verified_commits: u64,
    pub(crate) started: std::time::Instant,
}

impl Journal for Generation {
    fn opened(&self) -> &OpenReport {
        &self.opened
    }

    fn next_actor_number(&self) -> Result<ActorNumber, Error> {
        // Relaxed: only the numbers must differ, they order nothing.
        self.numbers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                last.checked_add(1)
            })
            .ok()
            .and_then(|last| ActorNumber::new(last.saturating_add(1)))
            .ok_or(Error::Exhausted { what: "actors" })
    }

    fn submit(&self, submission: Submission) {
        self.writer.submit(submission);
    }

    fn close(&self) -> Result<(), Error> {
        let outcome = self.writer.close();
        self.reads.close();
        outcome
    }
}

delegate_reads!(Generation);
