//! Turns appends into one chained, durable commit, and keeps the mark and the flushed point behind it.
//!
//! A file of its own because it is the only code that writes to the store of an open journal. It is
//! owned by the writer's thread, which never calls it again after an error.
//!
//! Invariants:
//! * The head moves and the mark is written only after the store said that the batch is durable. The mark
//!   is nobody's to wait for: it is written once everyone knows the outcome.
//! * `checked` names a commit only once everything up to it was flushed.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::Error;
use crate::hash::CommitHeader;
use crate::ids::{CommitIndex, EntryNumber, Epoch, HistoryId};
use crate::index::Index;
use crate::journal::{Append, Head};
use crate::layout::{
    Checked, FORMAT, META_CHECKED, META_FORMAT, META_HISTORIES, Past, actor_name_key,
    actor_number_key, actor_value, commit_key,
};
use crate::mark::MarkFile;
use crate::record::CommitRecord;
use crate::store::{Batch, Keyspace, Store, Stores};

/// The mark is synced after this long without a commit.
const MARK_IDLE: Duration = Duration::from_millis(50);
/// The mark is synced at least this often while commits flow.
const MARK_BUSY: Duration = Duration::from_secs(1);
/// Slots of the check for consecutive entry numbers.
const NUMBER_SLOTS: usize = 16_384;

/// The newest durable commit, shared with readers.
#[derive(Debug, Default)]
pub(crate) struct HeadCell {
    /// A lock, because a head is more than one word; held for a copy only.
    head: RwLock<Option<Head>>,
}

impl HeadCell {
    pub(crate) fn new(head: Option<Head>) -> Self {
        Self {
            head: RwLock::new(head),
        }
    }

    pub(crate) fn get(&self) -> Option<Head> {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, head: Head) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }
}

/// A flush of everything up to a commit, on a thread of its own.
struct Flushing {
    upto: Checked,
    thread: JoinHandle<Result<(), Error>>,
}

/// Writes commits.
pub(crate) struct Committer {
    store: Arc<dyn Store>,
    /// Told of each durable commit, before the head moves to it.
    index: Arc<Index>,
    past: Past,
    history: HistoryId,
    epoch: Epoch,
    /// What readers see; moved after each durable commit.
    head: Arc<HeadCell>,
    /// `None` in memory, where there is nothing to lose that a mark could witness.
    mark: Option<MarkFile>,
    mark_synced: Instant,
    numbers: Numbers,
    flush_every: u64,
    since_flush: u64,
    flushing: Option<Flushing>,
    /// Flushed, not yet recorded; goes with the next commit.
    checked: Option<Checked>,
    /// Durable, and not yet witnessed by the mark; with the bytes of its appends.
    unwitnessed: Option<(Head, u64)>,
}

impl Committer {
    /// Opens the next epoch behind `head`: an empty commit, durable before anything is served.
    /// Everything up to `head` must be flushed and its chain verified.
    pub(crate) fn begin(
        (store, index): Stores,
        past: Past,
        head: Arc<HeadCell>,
        mark: Option<MarkFile>,
        flush_every: u64,
    ) -> Result<Self, Error> {
        let before = head.get();
        let history = past.current().ok_or(Error::Undecodable {
            what: "list of histories",
            cause: "it is empty".to_owned(),
        })?;
        let epoch = Epoch::after(before.map(|head| head.epoch))
            .ok_or(Error::Exhausted { what: "epochs" })?;
        let checked = before.map(|head| Checked {
            index: head.index,
            hash: head.hash,
        });
        let mut committer = Self {
            store,
            index,
            past,
            history,
            epoch,
            head,
            mark,
            mark_synced: clock::now(),
            numbers: Numbers::new(),
            flush_every,
            since_flush: 0,
            flushing: None,
            checked,
            unwitnessed: None,
        };
        committer.write(&[], true)?;
        failpoint!("open.epoch_written");
        committer.settle()?;
        committer.sync_mark()?;
        failpoint!("open.epoch_marked");
        Ok(committer)
    }

    /// The epoch that was begun.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What the next commit is going to be.
    pub(crate) fn next_index(&self) -> Option<CommitIndex> {
        CommitIndex::after(self.head.get().map(|head| head.index))
    }

    /// Refuses what cannot be right. Remembers the numbers of what it lets pass.
    ///
    /// The check forgets actors at random, so that it costs no memory: what it lets pass wrongly is
    /// found by [`verify`](crate::JournalReader::verify), because the commits then list more entries than
    /// the index has.
    pub(crate) fn admit(&mut self, appends: &[Append]) -> Result<(), Error> {
        self.numbers.admit(appends)
    }

    /// Writes one commit with these appends; without any, there is nothing to write. To be followed by
    /// [`Committer::settle`].
    pub(crate) fn commit(&mut self, appends: &[&Append]) -> Result<CommitIndex, Error> {
        match self.head.get() {
            Some(head) if appends.is_empty() => Ok(head.index),
            Some(_) | None => self.write(appends, false),
        }
    }

    fn write(&mut self, appends: &[&Append], opening: bool) -> Result<CommitIndex, Error> {
        failpoint!("commit.begun");
        self.take_finished_flush();
        let before = self.head.get();
        let index = self
            .next_index()
            .ok_or(Error::Exhausted { what: "commits" })?;
        let header = CommitHeader {
            history: self.history,
            index,
            epoch: self.epoch,
            time_us: clock::wall_us(),
            previous: before.map_or(crate::hash::Hash::ZERO, |head| head.hash),
        };
        self.index.check()?;
        let (bytes, record) = CommitRecord::seal(&header, appends)?;
        let head = Head {
            index,
            hash: record.hash,
            epoch: self.epoch,
            history: self.history,
        };
        let (past, checked) = (opening.then_some(&self.past), self.checked);
        failpoint!("commit.sealed");
        self.store.write(&mut |batch| {
            batch.put(Keyspace::Commits, &commit_key(index), &bytes);
            fill_meta(batch, past, checked);
            for append in appends {
                fill_append(batch, append);
            }
        })?;
        failpoint!("commit.synced");
        let at = Checked {
            index,
            hash: record.hash,
        };
        self.index.add(at, &Arc::new(bytes), &record.entries)?;
        failpoint!("commit.indexed");
        self.checked = None;
        self.head.set(head);
        failpoint!("commit.shown");
        let bytes: usize = appends.iter().map(|append| append.bytes()).sum();
        self.unwitnessed = Some((head, bytes as u64));
        Ok(index)
    }

    /// What is left to do behind a commit when its outcome is told.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        let Some((head, bytes)) = self.unwitnessed.take() else {
            return Ok(());
        };
        if let Some(mark) = &mut self.mark {
            mark.write(&head)?;
            if self.mark_synced.elapsed() >= MARK_BUSY {
                self.sync_mark()?;
            }
        }
        self.since_flush = self.since_flush.saturating_add(bytes);
        if self.since_flush >= self.flush_every && self.flushing.is_none() {
            self.start_flush(Checked {
                index: head.index,
                hash: head.hash,
            });
        }
        Ok(())
    }

    /// How long the queue may stay empty before [`Committer::idle`] wants to be called.
    pub(crate) fn wants_idle_call(&self) -> Option<Duration> {
        self.mark
            .as_ref()
            .is_some_and(MarkFile::is_dirty)
            .then_some(MARK_IDLE)
    }

    /// Called when nothing came for a while.
    pub(crate) fn idle(&mut self) -> Result<(), Error> {
        self.sync_mark()
    }

    fn sync_mark(&mut self) -> Result<(), Error> {
        if let Some(mark) = &mut self.mark {
            mark.sync()?;
            self.mark_synced = clock::now();
        }
        Ok(())
    }

    /// Flushes beside the commits, which go on meanwhile.
    fn start_flush(&mut self, upto: Checked) {
        self.since_flush = 0;
        let store = Arc::clone(&self.store);
        let thread = std::thread::Builder::new()
            .name("steadfast-flush".to_owned())
            .spawn(move || {
                failpoint!("flush.begun");
                let outcome = store.flush();
                failpoint!("flush.done");
                outcome
            });
        match thread {
            Ok(thread) => self.flushing = Some(Flushing { upto, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread to flush the journal; tried again later");
            }
        }
    }

    fn take_finished_flush(&mut self) {
        if self
            .flushing
            .as_ref()
            .is_some_and(|flushing| flushing.thread.is_finished())
        {
            self.join_flush();
        }
    }

    /// A failed flush loses nothing: the log still has it all, and `RocksDB` refuses further writes.
    fn join_flush(&mut self) {
        if let Some(Flushing { upto, thread }) = self.flushing.take() {
            match thread.join().unwrap_or(Err(Error::WriterPanicked)) {
                Ok(()) => {
                    self.checked = Some(upto);
                    failpoint!("flush.noted");
                }
                Err(error) => tracing::error!(%error, "a flush of the journal failed"),
            }
        }
    }

    /// Leaves everything flushed and the mark synced, so that the next opening has nothing to replay.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        failpoint!("close.begun");
        self.join_flush();
        let indexed = self.index.flush();
        self.index.stop();
        failpoint!("close.index_flushed");
        self.store.flush()?;
        failpoint!("close.flushed");
        let head = self.head.get();
        self.checked = head.map(|head| Checked {
            index: head.index,
            hash: head.hash,
        });
        // After the flush, never together with it: `checked` must not outlive what it vouches for.
        let checked = self.checked;
        self.store
            .write(&mut |batch| fill_meta(batch, None, checked))?;
        failpoint!("close.noted");
        self.store.flush()?;
        self.sync_mark()?;
        failpoint!("close.done");
        match indexed {
            // The next opening builds it anew, and nothing else is amiss.
            Err(error) if error.is_damage() => Ok(()),
            indexed => indexed,
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Both use a store, which must be free when the journal is gone.
        self.join_flush();
        self.index.stop();
    }
}

fn fill_meta(batch: &mut dyn Batch, past: Option<&Past>, checked: Option<Checked>) {
    if let Some(past) = past {
        batch.put(Keyspace::Meta, META_FORMAT, &FORMAT.to_be_bytes());
        batch.put(Keyspace::Meta, META_HISTORIES, &past.encode());
    }
    if let Some(checked) = checked {
        batch.put(Keyspace::Meta, META_CHECKED, &checked.encode());
    }
}

/// What must be found at once after a restart; the entry itself is in the commit's record.
fn fill_append(batch: &mut dyn Batch, append: &Append) {
    if let Some((id, kind)) = &append.birth {
        batch.put(
            Keyspace::Actors,
            &actor_name_key(id),
            &actor_value(append.actor, kind),
        );
        let by_number = actor_number_key(append.actor);
        batch.put(Keyspace::Actors, &by_number, id.as_str().as_bytes());
    }
    for row in &append.rows {
        match &row.value {
            Some(value) => batch.put(row.table.into(), &row.key, value),
            None => batch.delete(row.table.into(), &row.key),
        }
    }
}

/// The last entry number of recently written actors, in a table of fixed size.
struct Numbers {
    /// Actor and its last number; (0, 0) is free.
    slots: Vec<(u64, u64)>,
    /// What a submission replaced, in case that it is refused in the end.
    undo: Vec<(usize, (u64, u64))>,
}

impl Numbers {
    fn new() -> Self {
        Self {
            slots: vec![(0, 0); NUMBER_SLOTS],
            undo: Vec::new(),
        }
    }

    /// All of the appends or none.
    fn admit(&mut self, appends: &[Append]) -> Result<(), Error> {
        self.undo.clear();
        let outcome = appends.iter().try_for_each(|append| self.step(append));
        if outcome.is_err() {
            while let Some((index, before)) = self.undo.pop() {
                if let Some(slot) = self.slots.get_mut(index) {
                    *slot = before;
                }
            }
        }
        outcome
    }

    fn step(&mut self, append: &Append) -> Result<(), Error> {
        let (actor, number) = (append.actor, append.number);
        let refused = |problem| Error::BadAppend {
            actor,
            number,
            problem,
        };
        if (number == EntryNumber::FIRST) != append.birth.is_some() {
            return Err(refused(
                "the first entry of an actor names it, and no other one does",
            ));
        }
        let index = usize::try_from(actor.get() % NUMBER_SLOTS as u64).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(index) {
            if slot.0 == actor.get() && slot.1.checked_add(1) != Some(number.get()) {
                return Err(refused("its number does not follow the actor's last one"));
            }
            self.undo.push((index, *slot));
            *slot = (actor.get(), number.get());
        }
        Ok(())
    }
}
