//! Reading a journal: one implementation over any [`Store`].
//!
//! A file of its own because a running journal and a read-only one read the same way. Long reads go
//! in chunks with a fresh look at the store each, so that none of them pins files or delays a close.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::chain::{Walk, listed_frame, read as read_commit};
use crate::committer::HeadCell;
use crate::entry::{StoredEntry, decode_entry};
use crate::error::Error;
use crate::frame::EntryRef;
use crate::ids::{ActorId, ActorNumber, CommitIndex, EntryNumber, HistoryId, SequenceNumber};
use crate::journal::{
    ActorRow, Commit, Commits, Entries, Head, JournalReader, Row, ShowEntry, Table, VerifyReport,
};
use crate::layout::{
    ACTOR_NAMES, ACTOR_NUMBERS, META_HISTORIES, Past, actor_name_key, actor_names_of,
    actor_of_number_key, actor_of_row, commit_key, commit_of_key,
};
use crate::record::CommitRecord;
use crate::store::{Keyspace, Slot, Span, Store, Stores, Visit};
use crate::verify::{MarkSource, Subject, verify};

/// A chunk of a long read ends after this many rows or bytes.
const CHUNK_ROWS: usize = 256;
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// As [`CHUNK_ROWS`], where nothing is kept of a row.
pub(crate) const VISIT_ROWS: usize = 4_096;

/// Reads one generation of a journal.
pub(crate) struct Reads {
    slot: Slot,
    head: Arc<HeadCell>,
    past: Option<Past>,
    mark: MarkSource,
}

impl Reads {
    /// Reads `store`, whose head is kept up to date in `head`. `past` is `None` before the first commit.
    pub(crate) fn new(
        (store, index): Stores,
        head: Arc<HeadCell>,
        past: Option<Past>,
        mark: MarkSource,
    ) -> Self {
        Self {
            slot: Slot::new(store, index),
            head,
            past,
            mark,
        }
    }

    /// Frees the store; every later read says [`Error::Closed`].
    pub(crate) fn close(&self) {
        self.slot.close();
    }

    fn entry_chunk(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
    ) -> Result<Chunk<StoredEntry>, Error> {
        let mut next = Some(from);
        let limits = (CHUNK_ROWS, CHUNK_BYTES);
        let index = self.slot.index()?;
        let stretch = index.entries(actor, from, limits, |commit, frame| {
            let stored = stored_entry(commit, frame)?;
            follows(actor, &mut next, stored.entry.number)?;
            Ok(stored)
        });
        Ok(Chunk {
            rows: stretch.rows,
            full: stretch.more,
        })
    }

    /// Actors by name whose rows lie in `first..end`, those up to `after` left out.
    fn actors_between(
        &self,
        first: &[u8],
        after: Option<&ActorId>,
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<ActorRow>, Error> {
        let after = after.map(|id| successor(&actor_name_key(id)));
        let from = after.as_deref().map_or(first, |after| after.max(first));
        let span = Span {
            from,
            to: Some(end),
        };
        let mut rows = Vec::new();
        scan_up_to(
            &*self.slot.store()?,
            Keyspace::Actors,
            span,
            limit,
            &mut |key, value| {
                rows.push(actor_of_row(key, value)?);
                Ok(())
            },
        )?;
        Ok(rows)
    }

    fn commit_chunk(&self, walk: &mut Walk<'_>) -> Result<Chunk<Commit>, Error> {
        let Some(from) = walk.next() else {
            return Ok(Chunk::end());
        };
        let store = self.slot.store()?;
        let mut rows = VecDeque::new();
        let span = Span {
            from: &commit_key(from),
            to: None,
        };
        let full = scan_chunk(&*store, Keyspace::Commits, span, &mut |key, value| {
            let (index, record) = walk.step(key, value)?;
            rows.push_back(whole_commit(&*store, index, &record, value)?);
            Ok(())
        });
        Ok(Chunk { rows, full })
    }

    fn entry_at(&self, actor: ActorNumber, number: EntryNumber) -> Result<StoredEntry, Error> {
        self.slot.index()?.entry(actor, number, stored_entry)
    }

    /// The first entry after which the actor has at least `seq` events.
    fn find_event(
        &self,
        actor: ActorNumber,
        seq: SequenceNumber,
    ) -> Result<Option<EntryNumber>, Error> {
        let Some(last) = self.last_entry(actor)? else {
            return Ok(None);
        };
        if last.entry.events_after() < seq.get() {
            return Ok(None);
        }
        let (mut low, mut high) = (EntryNumber::FIRST, last.entry.number);
        // Invariant: the entry looked for is in low..=high.
        while low < high {
            let middle = EntryNumber::new(u64::midpoint(low.get(), high.get())).unwrap_or(low);
            if self.entry_at(actor, middle)?.entry.events_after() >= seq.get() {
                high = middle;
            } else {
                low = middle.next().unwrap_or(high);
            }
        }
        Ok(Some(low))
    }
}

impl JournalReader for Reads {
    fn head(&self) -> Option<Head> {
        self.head.get()
    }

    fn contains(&self, history: HistoryId, commit: CommitIndex) -> bool {
        self.head().is_some_and(|head| commit <= head.index)
            && self.past.as_ref().and_then(|past| past.at(commit)) == Some(history)
    }

    fn actor(&self, id: &ActorId) -> Result<Option<ActorRow>, Error> {
        let key = actor_name_key(id);
        let value = self.slot.store()?.get(Keyspace::Actors, &key)?;
        value.map(|value| actor_of_row(&key, &value)).transpose()
    }

    fn actors(&self, after: Option<&ActorId>, limit: usize) -> Result<Vec<ActorRow>, Error> {
        let (first, end) = ACTOR_NAMES;
        self.actors_between(first, after, end, limit)
    }

    fn actors_in(
        &self,
        space: &str,
        after: Option<&ActorId>,
        limit: usize,
    ) -> Result<Vec<ActorRow>, Error> {
        let (first, end) = actor_names_of(space);
        self.actors_between(&first, after, &end, limit)
    }

    fn last_entry(&self, actor: ActorNumber) -> Result<Option<StoredEntry>, Error> {
        self.slot.index()?.last(actor, stored_entry)
    }

    fn entries(&self, actor: ActorNumber, from: EntryNumber) -> Entries<'_> {
        let mut next = Some(from);
        Box::new(Chunks::new(move || {
            let Some(from) = next else {
                return Ok(Chunk::end());
            };
            let chunk = self.entry_chunk(actor, from)?;
            next = chunk.rows.back().and_then(|last| last.entry.number.next());
            Ok(chunk)
        }))
    }

    fn visit_entries(
        &self,
        actor: ActorNumber,
        from: EntryNumber,
        show: &mut ShowEntry<'_>,
    ) -> Result<(), Error> {
        let mut next = Some(from);
        while let Some(first) = next {
            let mut take = |commit, frame: &[u8]| {
                let entry = EntryRef::decode(frame)?;
                follows(actor, &mut next, entry.number)?;
                Ok(show(commit, &entry))
            };
            let limits = (VISIT_ROWS, CHUNK_BYTES);
            if !self.slot.index()?.show(actor, first, limits, &mut take)? {
                break;
            }
        }
        Ok(())
    }

    fn entries_from_event(&self, actor: ActorNumber, seq: SequenceNumber) -> Entries<'_> {
        match self.find_event(actor, seq) {
            Ok(Some(number)) => self.entries(actor, number),
            Ok(None) => Box::new(std::iter::empty()),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn commits(&self, from: CommitIndex) -> Commits<'_> {
        let Some(past) = &self.past else {
            return Box::new(std::iter::empty());
        };
        if self.head().is_none_or(|head| head.index < from) {
            return Box::new(std::iter::empty());
        }
        let walk = self
            .slot
            .store()
            .and_then(|store| Ok(Walk::from(past, &*store, from)?));
        match walk {
            Ok(mut walk) => Box::new(Chunks::new(move || self.commit_chunk(&mut walk))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, Error> {
        let from = after.map_or_else(Vec::new, successor);
        let span = Span {
            from: &from,
            to: None,
        };
        let mut rows = Vec::new();
        scan_up_to(
            &*self.slot.store()?,
            table.into(),
            span,
            limit,
            &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                Ok(())
            },
        )?;
        Ok(rows)
    }

    fn verify(&self) -> Result<VerifyReport, Error> {
        verify(Subject {
            slot: &self.slot,
            head: &self.head,
            past: self.past.as_ref(),
            mark: &self.mark,
        })
    }
}

/// The smallest key that is greater than `key`.
pub(crate) fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Checks that entry `number` is the one that was expected next, and expects the one after it.
fn follows(
    actor: ActorNumber,
    next: &mut Option<EntryNumber>,
    number: EntryNumber,
) -> Result<(), Error> {
    let expected = next.ok_or(Error::Exhausted { what: "entries" })?;
    if number != expected {
        return Err(Error::MissingEntry {
            actor,
            number: expected,
        });
    }
    *next = expected.next();
    Ok(())
}

fn stored_entry(commit: CommitIndex, frame: &[u8]) -> Result<StoredEntry, Error> {
    Ok(StoredEntry {
        commit,
        entry: decode_entry(frame)?,
    })
}

fn whole_commit(
    store: &dyn Store,
    index: CommitIndex,
    record: &CommitRecord,
    bytes: &[u8],
) -> Result<Commit, Error> {
    let entry = |listed| decode_entry(&listed_frame(store, index, listed, bytes)?);
    Ok(Commit {
        index,
        epoch: record.epoch,
        time_us: record.time_us,
        hash: record.hash,
        entries: record.entries.iter().map(entry).collect::<Result<_, _>>()?,
    })
}

type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Error> + 'a;

/// Shows up to `limit` rows to `each`, whose first error ends it.
pub(crate) fn scan_up_to(
    store: &dyn Store,
    space: Keyspace,
    span: Span<'_>,
    limit: usize,
    each: &mut Each<'_>,
) -> Result<(), Error> {
    let mut left = limit;
    let mut outcome = Ok(());
    let visit: &mut Visit<'_> = &mut |key, value| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        outcome = each(key, value);
        if outcome.is_err() || left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    store.scan(space, span, visit)?;
    outcome
}

/// As [`scan_up_to`] with the limits of a chunk. `Ok(true)`: the limit ended it, there may be more.
pub(crate) fn scan_chunk(
    store: &dyn Store,
    space: Keyspace,
    span: Span<'_>,
    each: &mut Each<'_>,
) -> Result<bool, Error> {
    let (mut rows, mut bytes) = (0, 0);
    let mut outcome = Ok(false);
    store.scan(space, span, &mut |key, value| {
        (rows, bytes) = (rows + 1, bytes + value.len());
        outcome = each(key, value).map(|()| rows >= CHUNK_ROWS || bytes >= CHUNK_BYTES);
        if matches!(outcome, Ok(false)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// Some rows, and whether to come back for more.
struct Chunk<T> {
    rows: VecDeque<T>,
    /// The error comes behind the rows.
    full: Result<bool, Error>,
}

impl<T> Chunk<T> {
    const fn end() -> Self {
        Self {
            rows: VecDeque::new(),
            full: Ok(false),
        }
    }
}

/// An iterator that asks `fetch` for one chunk after the other and ends after the first error.
struct Chunks<T, F> {
    fetch: F,
    chunk: Chunk<T>,
}

impl<T, F: FnMut() -> Result<Chunk<T>, Error>> Chunks<T, F> {
    fn new(fetch: F) -> Self {
        Self {
            fetch,
            chunk: Chunk {
                rows: VecDeque::new(),
                full: Ok(true),
            },
        }
    }
}

impl<T, F: FnMut() -> Result<Chunk<T>, Error>> Iterator for Chunks<T, F> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.chunk.rows.pop_front() {
                return Some(Ok(row));
            }
            match std::mem::replace(&mut self.chunk.full, Ok(false)) {
                Ok(true) => match (self.fetch)() {
                    Ok(chunk) => self.chunk = chunk,
                    Err(error) => return Some(Err(error)),
                },
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The histories of a journal; `None` before its first commit.
pub(crate) fn load_past(store: &dyn Store) -> Result<Option<Past>, Error> {
    let value = store.get(Keyspace::Meta, META_HISTORIES)?;
    value.map(|value| Past::decode(&value)).transpose()
}

/// The newest commit of a journal, as its record says.
pub(crate) fn load_head(store: &dyn Store, past: Option<&Past>) -> Result<Option<Head>, Error> {
    let Some((key, value)) = store.last(Keyspace::Commits, Span::ALL)? else {
        return Ok(None);
    };
    let index = commit_of_key(&key)?;
    let record = CommitRecord::decode(&value)?;
    let history = past
        .and_then(|past| past.at(index))
        .ok_or(Error::Undecodable {
            what: "list of histories",
            cause: format!("it has none for commit {index}"),
        })?;
    Ok(Some(Head {
        index,
        hash: record.hash,
        epoch: record.epoch,
        history,
    }))
}

/// The greatest number that an actor was given.
pub(crate) fn load_last_actor(store: &dyn Store) -> Result<Option<ActorNumber>, Error> {
    let span = Span {
        from: ACTOR_NUMBERS.0,
        to: Some(ACTOR_NUMBERS.1),
    };
    let last = store.last(Keyspace::Actors, span)?;
    last.map(|(key, _)| actor_of_number_key(&key)).transpose()
}

/// The hash that commit `index` has, if it is there.
pub(crate) fn hash_at(store: &dyn Store, index: CommitIndex) -> Result<crate::hash::Hash, Error> {
    Ok(read_commit(store, index)?.0.hash)
}
