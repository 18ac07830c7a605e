//! Entries by actor: derived from the commits, built behind them, never written in their path.
//!
//! The log alone is synced when a command is acknowledged. Behind it, commits are collected in a run in
//! memory; a full run is sorted by actor and taken into the store of runs as a whole, on a thread of its
//! own. Reading looks into the runs in memory first and into the store second.
//!
//! Invariants:
//! * A durable commit is in a run in memory, or in the store with all commits before it; it is in memory
//!   before the journal's head moves to it.
//! * The store's watermark is written with the run that it names, so that a crash leaves no doubt which
//!   commits are to be added again.
//! * Damage in the store ends the generation, whoever meets it: no other one heals it.
//! * Memory is bounded: when one run waits for the store and the next one is full, the writer of the journal
//!   waits. A slow index slows admission; it is never left behind.

mod everything;
mod run;
mod runs;
mod showing;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

pub(crate) use run::{Found, Run};
pub(crate) use runs::{NoRuns, Runs, WATERMARK, fill_value};
use showing::{Showing, Take};

use crate::error::Error;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber};
use crate::layout::{Checked, entry_key, entry_key_raw, split_entry};
use crate::priority::stand_back;
use crate::record::Listed;
use crate::store::Span;

/// The runs in memory.
#[derive(Debug, Default)]
struct Tail {
    /// On its way into the store.
    sealed: Option<Arc<Run>>,
    /// Takes what is committed.
    open: Run,
}

/// What the thread behind the index is told and tells.
#[derive(Debug, Default)]
struct Progress {
    /// A run for the thread.
    next: Option<Arc<Run>>,
    /// Whether the thread is at work, or has work.
    busy: bool,
    /// Why the store takes no more runs.
    failed: Option<Arc<Error>>,
    /// Whether the thread is to end.
    ending: bool,
}

impl Progress {
    fn outcome(&self) -> Result<(), Error> {
        match &self.failed {
            Some(cause) => Err(Error::Failed(Arc::clone(cause))),
            None => Ok(()),
        }
    }
}

/// What the index shares with its thread.
struct Shared {
    runs: Arc<dyn Runs>,
    /// A lock, because any thread may read while the writer adds; held for look-ups only.
    tail: RwLock<Tail>,
    progress: Mutex<Progress>,
    /// Told at each change of `progress`.
    changed: Condvar,
}

/// What memory has of an actor from some number on.
struct Held {
    /// Those entries, and whether there are more; `None` where the store has them.
    found: Option<(Vec<Found>, bool)>,
    /// Where the actor's entries in memory begin.
    begins: Option<u64>,
}

/// Entries by actor.
pub(crate) struct Index {
    shared: Arc<Shared>,
    /// A run is full at so many bytes.
    run_bytes: usize,
    /// `None` where runs are taken in on the thread that adds.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Some entries of one actor, in order.
pub(crate) struct Stretch<T> {
    pub(crate) rows: VecDeque<T>,
    /// Whether to come back for more; an error comes behind the rows.
    pub(crate) more: Result<bool, Error>,
}

/// Entries that are looked up in memory at once: each holds on to its commit.
const FOUND_AT_ONCE: usize = 256;

/// An opening that fails behind [`Index::go_behind`] leaves nothing open: the store would stay locked, and every later
/// opening of this process be refused.
impl Drop for Index {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Index {
    /// An index over `runs` that takes in each run on the thread that fills it, until [`Index::go_behind`].
    pub(crate) fn new(runs: Arc<dyn Runs>, run_bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                runs,
                tail: RwLock::default(),
                progress: Mutex::default(),
                changed: Condvar::new(),
            }),
            run_bytes,
            thread: Mutex::new(None),
        }
    }

    /// From now on full runs are taken in by a thread of their own, which leaves the cores to commits: where it
    /// falls behind, [`Index::add`] waits.
    pub(crate) fn go_behind(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name("steadfast-index".to_owned())
            .spawn(move || {
                stand_back();
                shared.work();
            })
            .map_err(Error::NoThread)?;
        *self.thread() = Some(thread);
        Ok(())
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest commit in the store.
    pub(crate) fn watermark(&self) -> Result<Option<Checked>, Error> {
        self.shared.runs.watermark()
    }

    /// Refuses work once the store took a run badly.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.shared.progress().outcome()
    }

    /// Adds a durable commit. Waits while both runs in memory are full.
    pub(crate) fn add(
        &self,
        at: Checked,
        bytes: &Arc<Vec<u8>>,
        entries: &[Listed],
    ) -> Result<(), Error> {
        let added = self.shared.tail_mut().open.push(at, bytes, entries);
        if !added {
            self.seal()?;
            if !self.shared.tail_mut().open.push(at, bytes, entries) {
                return Err(Error::Exhausted {
                    what: "entries of one commit",
                });
            }
        }
        let size = self.shared.tail().open.bytes();
        let crowded = self.shared.progress().busy && size < self.run_bytes.saturating_mul(2);
        if size <= self.run_bytes || crowded {
            return Ok(());
        }
        self.seal()
    }

    /// Sends the open run to the store; waits for the one before it.
    fn seal(&self) -> Result<(), Error> {
        self.settle()?;
        let run = {
            let mut tail = self.shared.tail_mut();
            let run = Arc::new(std::mem::take(&mut tail.open));
            tail.sealed = Some(Arc::clone(&run));
            run
        };
        failpoint!("index.sealed");
        if self.thread().is_none() {
            return self.shared.take_in(&run);
        }
        let mut progress = self.shared.progress();
        progress.next = Some(run);
        progress.busy = true;
        drop(progress);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Waits until no run is on its way into the store.
    fn settle(&self) -> Result<(), Error> {
        let progress = self.shared.progress();
        let progress = self
            .shared
            .changed
            .wait_while(progress, |progress| progress.busy)
            .unwrap_or_else(PoisonError::into_inner);
        progress.outcome()
    }

    /// Takes everything into the store, so that the next opening has nothing to add.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let left = self.shared.tail().open.last().is_some();
        if left {
            self.seal()?;
        }
        self.settle()
    }

    /// Ends the thread. What is only in memory is added again by the next opening.
    pub(crate) fn stop(&self) {
        self.shared.progress().ending = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread().take()
            && thread.join().is_err()
        {
            tracing::error!("the index of the journal ended by a panic");
        }
    }

    /// Entries of an actor from number `from` on, each made by `make` of its commit and frame: up to `limit`
    /// rows or so many bytes.
    pub(crate) fn entries<T>(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
        limits: (usize, usize),
        mut make: impl FnMut(CommitIndex, &[u8]) -> Result<T, Error>,
    ) -> Stretch<T> {
        let mut rows = VecDeque::new();
        let more = self.show(actor, from, limits, &mut |commit, frame| {
            rows.push_back(make(commit, frame)?);
            Ok(ControlFlow::Continue(()))
        });
        Stretch { rows, more }
    }

    /// Shows entries of an actor from number `from` on, up to so many rows or bytes. `Ok(true)`: there may be
    /// more behind them.
    pub(crate) fn show(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
        limits: (usize, usize),
        take: &mut Take<'_>,
    ) -> Result<bool, Error> {
        // Of this call only: what the caller lends may live longer.
        let mut take = |commit: CommitIndex, frame: &[u8]| take(commit, frame);
        let mut showing = Showing::new(limits, &mut take);
        // Memory first: what leaves it meanwhile is in the store.
        let at_once = limits.0.min(FOUND_AT_ONCE);
        let Held { found, begins } = self.shared.held(actor, from.get(), at_once);
        if let Some((found, more)) = found {
            let shown = found
                .iter()
                .try_for_each(|found| showing.push(found.commit, found.frame()));
            return if shown.is_continue() {
                Ok(more)
            } else {
                showing.more
            };
        }
        let first = entry_key(actor, from);
        let end = begins.map_or_else(
            || entry_key_raw(actor.get().saturating_add(1), 0),
            |begins| entry_key_raw(actor.get(), begins),
        );
        let span = Span {
            from: &first,
            to: Some(&end),
        };
        let mut broken = Ok(());
        let mut ended = false;
        let scanned = self.shared.runs.scan(span, &mut |_, value| {
            let shown = split_entry(value).map(|(commit, frame)| showing.push(commit, frame));
            let flow = shown.unwrap_or_else(|error| {
                broken = Err(error);
                ControlFlow::Break(())
            });
            ended = flow.is_break();
            flow
        });
        self.shared.met(scanned)?;
        broken?;
        match (showing.more, begins) {
            (Ok(false), Some(_)) if showing.rows == 0 && !ended => Err(Error::MissingEntry {
                actor,
                number: from,
            }),
            // The rest is in memory.
            (Ok(false), Some(_)) if !ended => Ok(true),
            (more, _) => more,
        }
    }

    /// One entry.
    pub(crate) fn entry<T>(
        &self,
        actor: ActorNumber,
        number: EntryNumber,
        make: impl FnMut(CommitIndex, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut stretch = self.entries(actor, number, (1, usize::MAX), make);
        match stretch.rows.pop_front() {
            Some(row) => Ok(row),
            None => stretch.more.and(Err(Error::MissingEntry { actor, number })),
        }
    }

    /// The newest entry of an actor.
    pub(crate) fn last<T>(
        &self,
        actor: ActorNumber,
        mut make: impl FnMut(CommitIndex, &[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(found) = self.shared.newest(actor) {
            return make(found.commit, found.frame()).map(Some);
        }
        let (first, end) = (
            entry_key_raw(actor.get(), 0),
            entry_key_raw(actor.get().saturating_add(1), 0),
        );
        let span = Span {
            from: &first,
            to: Some(&end),
        };
        let last = self.shared.met(self.shared.runs.last(span))?;
        last.map(|(_, value)| {
            let (commit, frame) = split_entry(&value)?;
            make(commit, frame)
        })
        .transpose()
    }
}

impl Shared {
    fn tail(&self) -> std::sync::RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail_mut(&self) -> std::sync::RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Damage that a reader met ends this generation with its next commit: the next one builds the index anew.
    fn met<T>(&self, read: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Store {
            dir,
            detail,
            corrupt: true,
        }) = &read
        {
            let cause = || {
                Arc::new(Error::Store {
                    dir: dir.clone(),
                    detail: detail.clone(),
                    corrupt: true,
                })
            };
            self.progress().failed.get_or_insert_with(cause);
        }
        read
    }

    fn held(&self, actor: ActorNumber, from: u64, limit: usize) -> Held {
        let tail = self.tail();
        let sealed = tail.sealed.as_deref();
        let mut begins = None;
        for run in [sealed, Some(&tail.open)].into_iter().flatten() {
            let Some((first, newest)) = run.range_of(actor) else {
                continue;
            };
            let begin = *begins.get_or_insert(first);
            if from < begin {
                break;
            }
            if from <= newest {
                let found = run.entries(actor, from, limit);
                let reached = found.last().map_or(newest, |last| last.number);
                let behind = tail.open.range_of(actor).map_or(newest, |(_, last)| last);
                let found = Some((found, reached < behind));
                return Held { found, begins };
            }
        }
        // Behind everything that there is, or before all that is in memory.
        let found = begins
            .is_some_and(|begin| from >= begin)
            .then(|| (Vec::new(), false));
        Held { found, begins }
    }

    fn newest(&self, actor: ActorNumber) -> Option<Found> {
        let tail = self.tail();
        let runs = [Some(&tail.open), tail.sealed.as_deref()];
        runs.into_iter().flatten().find_map(|run| {
            let (_, newest) = run.range_of(actor)?;
            run.entries(actor, newest, 1).pop()
        })
    }

    fn take_in(&self, run: &Arc<Run>) -> Result<(), Error> {
        if let Some(upto) = run.last() {
            self.runs.ingest(run, upto)?;
        }
        // Only now: until then it is found in memory.
        self.tail_mut().sealed = None;
        failpoint!("index.taken_in");
        Ok(())
    }

    /// The thread: takes in one run after the other until it is told to end.
    fn work(&self) {
        loop {
            let mut progress = self
                .changed
                .wait_while(self.progress(), |progress| {
                    progress.next.is_none() && !progress.ending
                })
                .unwrap_or_else(PoisonError::into_inner);
            let Some(run) = progress.next.take() else {
                return;
            };
            drop(progress);
            let _guard = Unfinished(self);
            let outcome = self.take_in(&run);
            self.finish(outcome);
        }
    }

    fn finish(&self, outcome: Result<(), Error>) {
        let mut progress = self.progress();
        progress.busy = false;
        if let Err(error) = outcome {
            tracing::error!(%error, "the index of the journal cannot be written");
            progress.failed = Some(Arc::new(error));
        }
        drop(progress);
        self.changed.notify_all();
    }
}

/// Whoever waits for the thread must learn that it panicked.
struct Unfinished<'a>(&'a Shared);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.finish(Err(Error::WriterPanicked));
        }
    }
}
