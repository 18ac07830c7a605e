//! The ground truth of steadfast: entries of actors, committed in groups, chained by hashes.
//!
//! # Layout
//! * [`ActorId`] and the position types: names and numbers.
//! * [`Entry`]: what one command leaves behind; opaque payloads.
//! * [`Storage`], [`Journal`], [`JournalReader`]: the seam that the runtime works with.
//! * [`RocksStorage`]: a data directory. [`RocksReader`]: one that no node has open, read only.
//! * [`MemoryStorage`]: the same in memory, with faults on demand, for tests.
//!
//! This crate never decodes an event, and no type of the database below it is visible outside.

#[macro_use]
mod trial;

mod delegate;
mod entry;
mod error;
mod frame;
mod hash;
mod ids;
mod journal;

mod catch_up;
mod chain;
mod clock;
mod committer;
mod generation;
mod index;
mod layout;
mod lock;
mod mark;
mod memory;
mod preflight;
mod priority;
mod reads;
mod record;
mod rocks;
mod store;
mod verify;
mod writer;

#[doc(hidden)]
pub mod fuzzing;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "interleavings")]
pub mod interleavings;

pub use entry::{
    Birth, CommandStamp, Entry, EventRecord, KeyStamp, StoredEntry, decode_entry, encode_entry,
};
#[doc(hidden)]
pub use error::is_shortage;
pub use error::{CommitError, Error};
pub use frame::{BirthRef, CommandRef, EntryRef, EventRef, EventRefs, KeyRef};
pub use hash::Hash;
pub use ids::{
    ActorId, ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId, InvalidActorId,
    MAX_KEY_BYTES, MAX_SPACE_BYTES, SequenceNumber,
};
pub use journal::{
    ActorRow, Append, Commit, Commits, Completion, Entries, Head, Journal, JournalReader,
    OpenReport, Row, RowChange, ShowEntry, Storage, Submission, Table, VerifyReport,
};
pub use lock::{Holder, holder};
pub use memory::{CommitFault, MemoryStorage, Met, RowsOf};
#[doc(hidden)]
pub use preflight::endless_file;
pub use rocks::{RocksOptions, RocksReader, RocksStorage};
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use trial::failpoints;
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub use trial::mutants;
