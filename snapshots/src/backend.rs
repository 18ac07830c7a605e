//! Where snapshots lie: a `RocksDB` without a log, or a map.
//!
//! A file of its own because nothing else of this crate names the database.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, InfoLogger, LogLevel, Options, WriteBatch,
    WriteOptions,
};

use crate::error::{Error, translate};
use crate::memory::Memory;

/// A row's key and its new value, `None` to remove it.
pub(crate) type Change<'a> = (&'a [u8], Option<Vec<u8>>);

/// Rows by key, with atomic changes.
pub(crate) enum Backend {
    /// On disk.
    Rocks {
        /// The database.
        db: DB,
        /// Its directory, for errors.
        dir: PathBuf,
        /// Refuses changes where it was opened for reading.
        writable: bool,
    },
    /// For tests. A lock, because snapshots are stored and read on different threads.
    Memory(Mutex<Memory>),
}

impl Backend {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        preflight(dir)?;
        create_dir(dir)?;
        let mut settings = settings();
        settings.create_if_missing(true);
        let db = DB::open(&settings, dir).map_err(|error| translate(dir, &error))?;
        Ok(Self::Rocks {
            db,
            dir: dir.to_owned(),
            writable: true,
        })
    }

    pub(crate) fn open_read_only(dir: &Path) -> Result<Self, Error> {
        preflight(dir)?;
        let db = DB::open_for_read_only(&settings(), dir, false)
            .map_err(|error| translate(dir, &error))?;
        Ok(Self::Rocks {
            db,
            dir: dir.to_owned(),
            writable: false,
        })
    }

    /// Whether changes are possible.
    pub(crate) const fn is_writable(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::Rocks { writable: true, .. })
    }

    /// Sets rows, or removes those without a value, all or nothing.
    pub(crate) fn change(&self, changes: &[Change<'_>]) -> Result<(), Error> {
        match self {
            Self::Rocks {
                writable: false, ..
            } => Err(Error::ReadOnly),
            Self::Rocks { db, dir, .. } => {
                let mut batch = WriteBatch::default();
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.put(key, value),
                        None => batch.delete(key),
                    }
                }
                let mut unlogged = WriteOptions::default();
                unlogged.disable_wal(true);
                db.write_opt(batch, &unlogged)
                    .map_err(|error| translate(dir, &error))
            }
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                rows.change(changes);
                Ok(())
            }
        }
    }

    /// Makes all changes so far durable.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        match self {
            Self::Rocks {
                writable: false, ..
            } => Err(Error::ReadOnly),
            Self::Rocks { db, dir, .. } => db.flush().map_err(|error| translate(dir, &error)),
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                rows.flush();
                Ok(())
            }
        }
    }

    /// What a test does to rows in memory.
    pub(crate) fn in_memory<T: Default>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        match self {
            Self::Rocks { .. } => T::default(),
            Self::Memory(rows) => act(&mut rows.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Shows the value of one row where it lies.
    pub(crate) fn read<T>(
        &self,
        key: &[u8],
        show: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Error> {
        match self {
            Self::Rocks { db, dir, .. } => {
                let value = db.get_pinned(key).map_err(|error| translate(dir, &error))?;
                Ok(value.map(|value| show(&value)))
            }
            Self::Memory(rows) => {
                // A copy: what is shown may take long, and may ask again.
                let value = {
                    let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                    rows.get(key).cloned()
                };
                Ok(value.map(|value| show(&value)))
            }
        }
    }
}

/// Creates `dir` for its owner only, as snapshots hold states; leaves an existing one as it is.
fn create_dir(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io {
        operation: "create",
        path: dir.to_owned(),
        source,
    };
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !dir.is_dir() => {
            Err(failed(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Refuses the damage that would never return.
fn preflight(dir: &Path) -> Result<(), Error> {
    let path = || dir.to_owned();
    let found = steadfast_journal::endless_file(dir).map_err(|source| Error::Io {
        operation: "read",
        path: path(),
        source,
    })?;
    match found {
        None => Ok(()),
        Some(file) => {
            let detail = format!("{} is damaged", file.display());
            Err(Error::Store {
                dir: path(),
                detail,
                corrupt: true,
            })
        }
    }
}

fn settings() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(16 << 20));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_block_size(16 << 10);
    blocks.set_bloom_filter(10.0, false);
    let mut settings = Options::default();
    settings.set_block_based_table_factory(&blocks);
    settings.set_paranoid_checks(true);
    settings.set_compression_type(DBCompressionType::Lz4);
    settings.set_write_buffer_size(32 << 20);
    settings.set_max_open_files(256);
    settings.set_max_background_jobs(2);
    settings.set_bytes_per_sync(1 << 20);
    settings.set_max_manifest_file_size(16 << 20);
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    settings.set_skip_stats_update_on_db_open(true);
    // Large states are not copied by each compaction.
    settings.set_enable_blob_files(true);
    settings.set_min_blob_size(4 << 10);
    settings.set_blob_compression_type(DBCompressionType::Lz4);
    settings.set_enable_blob_gc(true);
    settings.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, log));
    settings
}

/// The database's own words, which would else fill a file beside the data.
fn log(level: LogLevel, text: &str) {
    match level {
        LogLevel::Debug | LogLevel::Info | LogLevel::Header => {
            tracing::debug!(target: "steadfast::rocksdb", "{text}");
        }
        LogLevel::Warn => tracing::warn!(target: "steadfast::rocksdb", "{text}"),
        LogLevel::Error | LogLevel::Fatal => {
            tracing::error!(target: "steadfast::rocksdb", "{text}");
        }
    }
}
