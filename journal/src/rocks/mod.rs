//! The journal in a data directory, on `RocksDB`.
//!
//! ```text
//! DIR/lock              one process at a time
//! DIR/mark              how far the journal reached, outside of it
//! DIR/journal/          the database
//! DIR/index/            entries by actor, derived from it
//! DIR/index.damaged     a note that it was found damaged, until the next opening builds it anew
//! DIR/journal.opening/  hard links of it, only while it is being opened and checked
//! ```
//!
//! `database` talks to `RocksDB`, `protect` sets files aside while opening, `open` puts both together
//! with the checks, `reader` reads without writing a byte, `behind` keeps removed and new files out of the way.

mod behind;
mod database;
mod open;
mod protect;
mod reader;
mod runs;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::journal::{Journal, Storage};
use crate::lock::Lock;

pub use reader::RocksReader;

/// Limits of a journal on disk. The defaults suit a node with some hundred megabytes of memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RocksOptions {
    /// Bytes that are joined into one commit at most; a larger submission goes alone.
    pub group_bytes: usize,
    /// Appends that are joined into one commit at most; a larger submission goes alone.
    pub group_appends: usize,
    /// Submissions that may wait for the writer; the next one blocks its caller.
    pub queue: usize,
    /// Bytes of commits after which they are flushed in the background. An opening after a crash
    /// replays and checks up to about twice as much.
    pub flush_every_bytes: u64,
    /// Bytes of commits that are collected in memory before the index takes them in; up to three times as
    /// many are held at most. An opening after a crash adds those again that it had not taken in.
    pub index_run_bytes: usize,
    /// Memory for commits that are not flushed yet; twice `flush_every_bytes` keeps flushes in our hand.
    pub write_buffer_bytes: usize,
    /// Size of the write-ahead log at which the store flushes by itself.
    pub log_bytes: u64,
    /// Memory for blocks that were read.
    pub block_cache_bytes: usize,
    /// Files that the store keeps open.
    pub open_files: i32,
    /// How long an opening waits for the previous generation in this process to be gone.
    pub reopen_wait: Duration,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            group_bytes: 8 << 20,
            group_appends: 8192,
            queue: 1024,
            flush_every_bytes: 64 << 20,
            index_run_bytes: 32 << 20,
            write_buffer_bytes: 128 << 20,
            log_bytes: 384 << 20,
            block_cache_bytes: 64 << 20,
            open_files: 512,
            reopen_wait: Duration::from_secs(10),
        }
    }
}

/// A data directory that this process holds: opens one generation of its journal after the other.
pub struct RocksStorage {
    dir: PathBuf,
    options: RocksOptions,
    /// Kept by each open database too, so that the directory is free only when that is closed.
    lock: Arc<Lock>,
    /// Whether a database is open; each one clears it when it is really closed.
    tenancy: Arc<Tenancy>,
}

impl RocksStorage {
    /// Takes the data directory `dir`, which is created for its owner only if it is missing.
    ///
    /// # Errors
    /// [`Error::Held`] by another process or by another `RocksStorage` of this one,
    /// [`Error::NotWritable`], or a file error.
    pub fn acquire(dir: &Path, options: RocksOptions) -> Result<Self, Error> {
        let lock = Arc::new(Lock::acquire(dir)?);
        failpoint!("create.locked");
        Ok(Self {
            dir: dir.to_owned(),
            options,
            lock,
            tenancy: Arc::default(),
        })
    }
}

impl fmt::Debug for RocksStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksStorage")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Storage for RocksStorage {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        let lease = Lease::take(
            &self.tenancy,
            self.options.reopen_wait,
            Arc::clone(&self.lock),
        )
        .ok_or_else(|| Error::StillOpen {
            dir: self.dir.clone(),
        })?;
        Ok(Arc::new(open::open(&self.dir, &self.options, lease)?))
    }
}

/// Whether a database of this directory is open in this process.
#[derive(Debug, Default)]
struct Tenancy {
    /// Set while there is one; a lock for the condition variable.
    taken: Mutex<bool>,
    /// Told when it ends.
    free: Condvar,
}

/// Held by an open database, and dropped after it.
#[derive(Debug)]
struct Lease {
    tenancy: Arc<Tenancy>,
    /// Nobody else may open the directory meanwhile.
    _lock: Arc<Lock>,
}

impl Lease {
    /// `None` where the one before does not end in time.
    fn take(tenancy: &Arc<Tenancy>, wait: Duration, lock: Arc<Lock>) -> Option<Self> {
        let taken = tenancy.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, _) = tenancy
            .free
            .wait_timeout_while(taken, wait, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Self {
            tenancy: Arc::clone(tenancy),
            _lock: lock,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self
            .tenancy
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = false;
        self.tenancy.free.notify_all();
    }
}

#[cfg(test)]
mod tests;
