//! Snapshots of actors at rest: states that save a replay, never the truth.
//!
//! # Layout
//! * [`Snapshot`]: a state as of an entry, with what it takes to judge whether it still counts.
//! * [`SnapshotStore`]: keeps the newest two of each actor in a database of its own, without a log.
//! * [`Loaded`], [`Rejection`]: the newest one that counts, and why newer ones do not.
//!
//! Deleting all of it costs time, never data. So a damaged store is moved aside and replaced, and a
//! snapshot that cannot be read is passed over; both are reported, neither stops a node.

mod backend;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod memory;
mod snapshot;
mod store;

pub use error::Error;
pub use snapshot::{Snapshot, SnapshotMeta};
pub use store::{Loaded, Opened, PutNumber, Reason, Rejection, SnapshotStore};
