//! What a journal needs from the ordered key-value store below it.
//!
//! A file of its own because both the `RocksDB` and the in-memory journal are this trait plus the same
//! code above it: layout, chain, writer and readers exist once.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::Error;
use crate::index::Index;
use crate::journal::{Row, Table};

/// One ordered map of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Keyspace {
    /// Commit index → the whole commit.
    Commits,
    /// Actor number, entry number → commit index, frame: in a journal of format 1; since then in the index.
    Entries,
    /// Names to numbers and back.
    Actors,
    /// Rows of [`Table::Timers`].
    Timers,
    /// Rows of [`Table::Effects`].
    Effects,
    /// Rows of [`Table::Outbox`].
    Outbox,
    /// Format, histories, how far the chain was checked.
    Meta,
}

impl Keyspace {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Commits,
        Self::Entries,
        Self::Actors,
        Self::Timers,
        Self::Effects,
        Self::Outbox,
        Self::Meta,
    ];

    /// Its name at rest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Commits => "commits",
            Self::Entries => "entries",
            Self::Actors => "actors",
            Self::Timers => "timers",
            Self::Effects => "effects",
            Self::Outbox => "outbox",
            Self::Meta => "meta",
        }
    }
}

impl From<Table> for Keyspace {
    fn from(table: Table) -> Self {
        match table {
            Table::Timers => Self::Timers,
            Table::Effects => Self::Effects,
            Table::Outbox => Self::Outbox,
        }
    }
}

/// Keys from `from` on, up to but without `to` where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    pub(crate) from: &'a [u8],
    pub(crate) to: Option<&'a [u8]>,
}

impl Span<'static> {
    /// Every key.
    pub(crate) const ALL: Self = Self {
        from: &[],
        to: None,
    };
}

/// Takes the writes of one atomic batch.
pub(crate) trait Batch {
    /// Sets `key`.
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]);
    /// Removes `key`; no error where it is not there.
    fn delete(&mut self, space: Keyspace, key: &[u8]);
}

/// Told each row of a scan; breaks to end it.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered store with atomic, durable batches. Reads see durable batches only.
pub(crate) trait Store: Send + Sync {
    /// The value of `key`.
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Shows the rows of `span` in order. A damaged row is an error, never an early end.
    fn scan(&self, space: Keyspace, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error>;

    /// The last row of `span`.
    fn last(&self, space: Keyspace, span: Span<'_>) -> Result<Option<Row>, Error>;

    /// Writes what `fill` puts into the batch, all or nothing; durable when it returns `Ok`.
    /// After an error it is unknown whether the batch is there once the store is opened again.
    fn write(&self, fill: &mut dyn FnMut(&mut dyn Batch)) -> Result<(), Error>;

    /// Moves everything written so far out of the write-ahead log.
    fn flush(&self) -> Result<(), Error>;
}

/// The commits and the tables beside them, and the index that follows from them.
pub(crate) type Stores = (Arc<dyn Store>, Arc<Index>);

/// Holds the stores of one generation until that is closed.
///
/// Readers borrow them for one call at a time, so that closing really frees them however many
/// references to the journal are still around.
pub(crate) struct Slot {
    /// `None` once closed. A lock, because any thread may read while another one closes.
    stores: RwLock<Option<Stores>>,
}

impl Slot {
    /// A slot with both in it.
    pub(crate) fn new(store: Arc<dyn Store>, index: Arc<Index>) -> Self {
        Self {
            stores: RwLock::new(Some((store, index))),
        }
    }

    /// The store, for one call.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`Slot::close`].
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Error> {
        self.with(|(store, _)| Arc::clone(store))
    }

    /// The index, for one call.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`Slot::close`].
    pub(crate) fn index(&self) -> Result<Arc<Index>, Error> {
        self.with(|(_, index)| Arc::clone(index))
    }

    /// Both, for one call.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`Slot::close`].
    pub(crate) fn both(&self) -> Result<Stores, Error> {
        self.with(Clone::clone)
    }

    fn with<T>(&self, take: impl FnOnce(&Stores) -> T) -> Result<T, Error> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores.as_ref().map(take).ok_or(Error::Closed)
    }

    /// Lets both go; they end when the last call in progress does.
    pub(crate) fn close(&self) {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        drop(stores.take());
    }
}
