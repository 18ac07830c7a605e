//! A journal in memory: the same layout, chain, writer and readers over a map instead of `RocksDB`.
//!
//! For tests of everything above the journal. Its content outlives each generation, and it can be
//! told to fail, to hold commits back and to crash.

mod faults;
mod steps;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::catch_up::catch_up;
use crate::clock;
use crate::error::Error;
use crate::generation::{Foundation, Generation, OpenReportParts};
use crate::ids::HistoryId;
use crate::index::{Index, Run, Runs, WATERMARK, fill_value};
use crate::journal::{Journal, Row, Storage};
use crate::layout::{Checked, Past};
use crate::reads::load_past;
use crate::store::{Batch, Keyspace, Span, Store, Visit};
use crate::verify::{MarkSource, Tail, verify_tail};
use crate::writer::{Hand, Limits};
use faults::Disk;
pub use faults::{Met, RowsOf};

/// What becomes of a commit whose write fails. The caller is told "unknown" either way. There is no third: a commit is
/// one batch with a checksum, so that one that was torn is as good as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It is not there after the next opening.
    Lost,
    /// It is there after the next opening, not before.
    Kept,
}

/// Journals in memory. Clones share one content.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// A lock, because the writer's thread writes while any other one reads.
    state: Mutex<State>,
    /// Wakes a held commit.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    spaces: BTreeMap<Keyspace, Rows>,
    /// Batches that failed but will be there after the next opening.
    kept: Vec<Change>,
    fault: Option<CommitFault>,
    disk: Disk,
    paused: bool,
    /// Held commits that may go on all the same.
    let_go: u64,
    /// The generation whose commit is being held back; 0 where none is.
    waiting: u64,
    refuses: bool,
    /// Whether each submission is a commit of its own.
    alone: bool,
    /// Raised by each opening and crash: an older generation writes no more.
    generation: u64,
    /// What the newest generation is written with, where no thread writes.
    hand: Option<Arc<Hand>>,
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Change = (Keyspace, Vec<u8>, Option<Vec<u8>>);

impl State {
    /// Whether a commit of the open generation is held back, and stays so.
    const fn is_holding(&self) -> bool {
        self.waiting == self.generation && self.paused && self.let_go == 0
    }

    /// A commit of that generation is held back no more. An older generation, which may notice its end late, says
    /// nothing about the commits of a newer one.
    const fn end_wait(&mut self, generation: u64) {
        if self.waiting == generation {
            self.waiting = 0;
        }
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for (space, key, value) in changes {
            let rows = self.spaces.entry(space).or_default();
            match value {
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
    }
}

impl MemoryStorage {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next commit fail as a disk would: its outcome is unknown, and the journal that wrote
    /// it writes no more.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.state().fault = Some(fault);
    }

    /// Holds commits back from now on. What is submitted waits, and so does closing.
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// Lets held commits go on.
    pub fn resume(&self) {
        let mut state = self.state();
        state.paused = false;
        state.let_go = 0;
        drop(state);
        self.shared.changed();
    }

    /// Lets openings fail from now on, as those of a disk that is full do, or succeed again.
    pub fn refuse_to_open(&self, refuse: bool) {
        self.state().refuses = refuse;
    }

    /// Lets each submission be a commit of its own from the next opening on.
    pub fn commit_alone(&self) {
        self.state().alone = true;
    }

    /// Ends the open journal as a power cut would: what was not acknowledged is lost, held commits
    /// fail, nothing is written any more. The storage can be opened again at once.
    pub fn crash(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.paused = false;
        state.let_go = 0;
        drop(state);
        self.shared.changed();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    /// A held commit may be able to go on.
    fn changed(&self) {
        self.changed.notify_all();
        let hand = self.state().hand.clone();
        if let Some(hand) = hand {
            hand.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").finish_non_exhaustive()
    }
}

impl Storage for MemoryStorage {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        let started = clock::now();
        let (generation, alone, hand) = {
            let mut state = self.state();
            if state.refuses {
                return Err(Error::Store {
                    dir: PathBuf::new(),
                    detail: "it was told to refuse".to_owned(),
                    corrupt: false,
                });
            }
            state.disk.check_power()?;
            let kept = std::mem::take(&mut state.kept);
            state.apply(kept);
            state.fault = None;
            state.generation += 1;
            state.hand = state.disk.hand();
            (state.generation, state.alone, state.hand.clone())
        };
        let store = Arc::new(MemoryStore {
            shared: Arc::clone(&self.shared),
            generation,
        });
        let past = load_past(&*store)?;
        let runs: Arc<dyn Runs> = Arc::clone(&store) as Arc<dyn Runs>;
        // Each commit is a run: whoever reads entries reads the pretended disk.
        let index = Arc::new(Index::new(runs, 0));
        let (past, tail) = match past {
            Some(past) => {
                let tail = verify_tail(&*store, &past)?;
                catch_up(&*store, &index, &past)?;
                (past, tail)
            }
            None => (
                Past::beginning(HistoryId::draw()),
                Tail {
                    head: None,
                    verified: 0,
                },
            ),
        };
        let foundation = Foundation {
            store,
            index,
            past,
            head: tail.head,
            mark: None,
            mark_source: MarkSource::None,
            limits: Limits {
                group_bytes: 8 << 20,
                group_appends: if alone { 1 } else { 8192 },
                queue: 1024,
            },
            flush_every: u64::MAX,
            hand,
        };
        let parts = OpenReportParts {
            wal_bytes: 0,
            verified_commits: tail.verified,
            started,
        };
        Ok(Arc::new(Generation::start(foundation, parts)?))
    }
}

fn failure(detail: &str) -> Error {
    Error::Store {
        dir: "memory".into(),
        detail: detail.to_owned(),
        corrupt: false,
    }
}

/// What one generation sees of the content.
struct MemoryStore {
    shared: Arc<Shared>,
    generation: u64,
}

struct MemoryBatch(Vec<Change>);

impl Batch for MemoryBatch {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) {
        self.0.push((space, key.to_vec(), Some(value.to_vec())));
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) {
        self.0.push((space, key.to_vec(), None));
    }
}

impl MemoryStore {
    /// Waits while commits are held back. Whoever steps has waited already.
    fn wait_for_disk(&self) -> MutexGuard<'_, State> {
        let mut state = self.shared.state();
        if state.hand.is_some() {
            return state;
        }
        while state.paused && state.generation == self.generation {
            if state.let_go > 0 {
                state.let_go -= 1;
                break;
            }
            if state.waiting != self.generation {
                state.waiting = self.generation;
                let watcher = state.disk.watcher();
                drop(state);
                watcher();
                state = self.shared.state();
                continue;
            }
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.end_wait(self.generation);
        state
    }

    fn range<'a>(
        state: &'a State,
        space: Keyspace,
        span: Span<'_>,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> {
        let empty = span.to.is_some_and(|to| to <= span.from);
        let bounds = (
            Bound::Included(span.from.to_vec()),
            span.to
                .map_or(Bound::Unbounded, |to| Bound::Excluded(to.to_vec())),
        );
        let rows = if empty {
            None
        } else {
            state.spaces.get(&space)
        };
        rows.into_iter()
            .flat_map(move |rows| rows.range(bounds.clone()))
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl Store for MemoryStore {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut state = self.shared.state();
        state.disk.read(space)?;
        Ok(state
            .spaces
            .get(&space)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn scan(&self, space: Keyspace, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let breaks_after = {
            let mut state = self.shared.state();
            state.disk.read(space)?;
            state.disk.breaks_after(space)
        };
        let mut shown = 0;
        // Copied out in pages: `visit` may read on from the same store.
        let mut from = span.from.to_vec();
        loop {
            let page: Vec<_> = Self::range(
                &self.shared.state(),
                space,
                Span {
                    from: &from,
                    ..span
                },
            )
            .take(64)
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in &page {
                if breaks_after == Some(shown) {
                    self.shared.state().disk.read_on(space, shown)?;
                }
                shown += 1;
                if visit(key, value) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
        }
    }

    fn last(&self, space: Keyspace, span: Span<'_>) -> Result<Option<Row>, Error> {
        let mut state = self.shared.state();
        state.disk.read(space)?;
        let last = Self::range(&state, space, span).next_back();
        Ok(last.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn Batch)) -> Result<(), Error> {
        let mut batch = MemoryBatch(Vec::new());
        fill(&mut batch);
        let mut state = self.wait_for_disk();
        if state.generation != self.generation {
            return Err(failure("it crashed or was opened again"));
        }
        let asked_for = state.fault.take();
        match asked_for.or_else(|| state.disk.write()) {
            None => {
                state.disk.check_power()?;
                state.apply(batch.0);
            }
            Some(fault) => {
                if fault == CommitFault::Kept {
                    state.kept.extend(batch.0);
                }
                return Err(failure("a fault was asked for"));
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl Runs for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Store::get(self, Keyspace::Entries, key)
    }

    fn scan(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        Store::scan(self, Keyspace::Entries, span, visit)
    }

    fn scan_all(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        Store::scan(self, Keyspace::Entries, span, visit)
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Row>, Error> {
        Store::last(self, Keyspace::Entries, span)
    }

    /// Not a write of its own: the commit was the write, and this follows from it.
    fn ingest(&self, run: &Run, upto: Checked) -> Result<(), Error> {
        let mut rows = vec![(Keyspace::Entries, WATERMARK.to_vec(), Some(upto.encode()))];
        run.each(|key, commit, frame| {
            let mut value = Vec::new();
            fill_value(&mut value, commit, frame);
            rows.push((Keyspace::Entries, key.to_vec(), Some(value)));
            Ok::<(), Error>(())
        })?;
        let mut state = self.shared.state();
        if state.generation != self.generation {
            return Err(failure("it crashed or was opened again"));
        }
        state.apply(rows);
        Ok(())
    }

    fn watermark(&self) -> Result<Option<Checked>, Error> {
        let state = self.shared.state();
        let rows = state.spaces.get(&Keyspace::Entries);
        let value = rows.and_then(|rows| rows.get(&WATERMARK[..]));
        value.map(|value| Checked::decode(value)).transpose()
    }
}

#[cfg(test)]
mod tests;
