//! `RocksDB` as a [`Store`]: its settings, its errors, its iterators.
//!
//! A file of its own because nothing else of this crate names the database.
//!
//! Invariants:
//! * An iterator's status is asked whenever it ends: damage is an error, never an early end.
//! * Nothing is written in the database's directory but by the database itself; its text log goes to
//!   `tracing`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRawIterator, DBRecoveryMode, FlushOptions, InfoLogger, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::behind::compaction_stands_back;
use super::{Lease, RocksOptions};
use crate::error::Error;
use crate::journal::Row;
use crate::preflight::endless_file;
use crate::store::{Batch, Keyspace, Span, Store, Visit};

/// An open database.
pub(super) struct Database {
    /// First, so that it is closed before the lease ends.
    db: DB,
    dir: PathBuf,
    /// `None` for a read-only one.
    _lease: Option<Arc<Lease>>,
}

/// How to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It may be new.
    Create,
    /// It must be there.
    Existing,
}

impl Database {
    /// Opens the database in `dir` for writing. Replays the log and flushes what it held.
    pub(super) fn open(
        dir: &Path,
        options: &RocksOptions,
        mode: Mode,
        lease: Arc<Lease>,
    ) -> Result<Self, Error> {
        preflight(dir)?;
        compaction_stands_back();
        let mut settings = settings(options);
        settings.create_if_missing(mode == Mode::Create);
        settings.create_missing_column_families(mode == Mode::Create);
        let db = DB::open_cf_descriptors(&settings, dir, families(dir, options)?)
            .map_err(|error| translate(dir, &error))?;
        Ok(Self {
            db,
            dir: dir.to_owned(),
            _lease: Some(lease),
        })
    }

    /// Opens it without writing anything: the log is replayed in memory only.
    pub(super) fn open_read_only(dir: &Path, options: &RocksOptions) -> Result<Self, Error> {
        preflight(dir)?;
        let families = families(dir, options)?;
        let db = DB::open_cf_descriptors_read_only(&settings(options), dir, families, false)
            .map_err(|error| translate(dir, &error))?;
        Ok(Self {
            db,
            dir: dir.to_owned(),
            _lease: None,
        })
    }

    fn family(&self, space: Keyspace) -> Result<&ColumnFamily, Error> {
        self.db.cf_handle(space.name()).ok_or_else(|| Error::Store {
            dir: self.dir.clone(),
            detail: format!("column family {} is missing", space.name()),
            corrupt: true,
        })
    }

    fn failed(&self, error: &rocksdb::Error) -> Error {
        translate(&self.dir, error)
    }

    fn iterator(&self, space: Keyspace, span: Span<'_>) -> Result<DBRawIterator<'_>, Error> {
        let mut reading = ReadOptions::default();
        reading.set_iterate_lower_bound(span.from);
        if let Some(to) = span.to {
            reading.set_iterate_upper_bound(to);
        }
        Ok(self.db.raw_iterator_cf_opt(self.family(space)?, reading))
    }
}

impl Store for Database {
    fn get(&self, space: Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db
            .get_cf(self.family(space)?, key)
            .map_err(|error| self.failed(&error))
    }

    fn scan(&self, space: Keyspace, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        if span.to.is_some_and(|to| to <= span.from) {
            return Ok(());
        }
        let mut iterator = self.iterator(space, span)?;
        iterator.seek_to_first();
        read_rows(iterator, visit).map_err(|error| self.failed(&error))
    }

    fn last(&self, space: Keyspace, span: Span<'_>) -> Result<Option<Row>, Error> {
        let mut iterator = self.iterator(space, span)?;
        iterator.seek_to_last();
        let last = iterator
            .item()
            .map(|(key, value)| (key.to_vec(), value.to_vec()));
        iterator.status().map_err(|error| self.failed(&error))?;
        Ok(last)
    }

    fn write(&self, fill: &mut dyn FnMut(&mut dyn Batch)) -> Result<(), Error> {
        let mut batch = RocksBatch {
            batch: WriteBatch::default(),
            database: self,
            missing: None,
        };
        fill(&mut batch);
        if let Some(error) = batch.missing {
            return Err(error);
        }
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        self.db
            .write_opt(batch.batch, &durable)
            .map_err(|error| self.failed(&error))
    }

    fn flush(&self) -> Result<(), Error> {
        let families: Vec<_> = Keyspace::ALL
            .into_iter()
            .map(|space| self.family(space))
            .collect::<Result<_, _>>()?;
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db
            .flush_cfs_opt(&families, &options)
            .map_err(|error| self.failed(&error))
    }
}

/// Shows the rows from where `iterator` stands, and asks why it ended.
pub(super) fn read_rows(
    mut iterator: DBRawIterator<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), rocksdb::Error> {
    while let Some((key, value)) = iterator.item() {
        if visit(key, value) == ControlFlow::Break(()) {
            return Ok(());
        }
        iterator.next();
    }
    iterator.status()
}

struct RocksBatch<'a> {
    batch: WriteBatch,
    database: &'a Database,
    /// A column family that is not there: the batch must not be written without it.
    missing: Option<Error>,
}

impl Batch for RocksBatch<'_> {
    fn put(&mut self, space: Keyspace, key: &[u8], value: &[u8]) {
        match self.database.family(space) {
            Ok(family) => self.batch.put_cf(family, key, value),
            Err(error) => self.missing = Some(error),
        }
    }

    fn delete(&mut self, space: Keyspace, key: &[u8]) {
        match self.database.family(space) {
            Ok(family) => self.batch.delete_cf(family, key),
            Err(error) => self.missing = Some(error),
        }
    }
}

/// Refuses the damage that would never return.
fn preflight(dir: &Path) -> Result<(), Error> {
    let found = endless_file(dir).map_err(|source| Error::file(dir, "read", dir, source))?;
    match found {
        None => Ok(()),
        Some(file) => Err(Error::Store {
            dir: dir.to_owned(),
            detail: format!(
                "{} is damaged: it has a record of a type that is never written",
                file.display()
            ),
            corrupt: true,
        }),
    }
}

fn settings(options: &RocksOptions) -> Options {
    let mut settings = plain_settings(options);
    // Other modes lose acknowledged records without a word; what this one cannot see, the chain and
    // the mark do.
    settings.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    settings.set_recycle_log_file_num(0);
    settings.set_manual_wal_flush(false);
    settings.set_enable_pipelined_write(false);
    settings.set_unordered_write(false);
    settings.set_atomic_flush(true);
    settings.set_max_total_wal_size(options.log_bytes);
    settings
}

/// What the journal's database and that of its index have in common.
pub(super) fn plain_settings(options: &RocksOptions) -> Options {
    // Only reachable as text; makes a new set of options, so it comes first. Else each log takes a tenth more than the
    // write buffer from the disk before anything is written, or all that is left, and keeps that after a crash.
    let without = Options::default().get_options_from_string("allow_fallocate=false");
    let mut settings = without.unwrap_or_default();
    settings.set_paranoid_checks(true);
    settings.set_max_open_files(options.open_files);
    settings.set_max_background_jobs(2);
    settings.set_bytes_per_sync(1 << 20);
    settings.set_max_manifest_file_size(16 << 20);
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    settings.set_skip_stats_update_on_db_open(true);
    settings.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, log));
    settings
}

/// `RocksDB`'s own words, which would else fill a file beside the data.
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

fn families(dir: &Path, options: &RocksOptions) -> Result<Vec<ColumnFamilyDescriptor>, Error> {
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let family = |space: Keyspace| {
        let settings = family_settings(space, options, &cache);
        Ok(ColumnFamilyDescriptor::new(
            space.name(),
            settings.map_err(|error| translate(dir, &error))?,
        ))
    };
    Keyspace::ALL.into_iter().map(family).collect()
}

fn family_settings(
    space: Keyspace,
    options: &RocksOptions,
    cache: &Cache,
) -> Result<Options, rocksdb::Error> {
    // Only reachable as text; makes a new set of options, so it comes first.
    let mut settings =
        Options::default().get_options_from_string("memtable_protection_bytes_per_key=8")?;
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_block_size(16 << 10);
    let share = match space {
        Keyspace::Commits => 1,
        Keyspace::Actors | Keyspace::Timers | Keyspace::Effects | Keyspace::Outbox => 4,
        // Entries are only read here, from a journal of format 1.
        Keyspace::Meta | Keyspace::Entries => 32,
    };
    settings.set_write_buffer_size((options.write_buffer_bytes / share).max(1 << 20));
    settings.set_max_write_buffer_number(4);
    match space {
        Keyspace::Entries | Keyspace::Actors => {
            blocks.set_bloom_filter(10.0, false);
            settings.set_compression_type(DBCompressionType::Lz4);
        }
        Keyspace::Commits => {
            settings.set_compression_type(DBCompressionType::Lz4);
        }
        Keyspace::Meta => {
            settings.set_compression_type(DBCompressionType::None);
        }
        // Queues: rows come and go at the front, and a scan must not wade through the dead ones.
        Keyspace::Timers | Keyspace::Effects | Keyspace::Outbox => {
            settings.set_compression_type(DBCompressionType::Lz4);
            settings.add_compact_on_deletion_collector_factory(4096, 2048, 0.5);
        }
    }
    settings.set_block_based_table_factory(&blocks);
    Ok(settings)
}

/// An error of `RocksDB` by what the caller can do about it.
pub(super) fn translate(dir: &Path, error: &rocksdb::Error) -> Error {
    let detail = error.as_ref().to_owned();
    let data = || dir.parent().unwrap_or(dir).to_owned();
    let io = |kind| std::io::Error::new(kind, detail.clone());
    if detail.contains("No space left") || detail.contains("Disk quota exceeded") {
        Error::NoSpace { dir: data() }
    } else if detail.contains("Read-only file system") {
        Error::NotWritable {
            dir: data(),
            source: io(std::io::ErrorKind::ReadOnlyFilesystem),
        }
    } else if detail.contains("Permission denied") {
        Error::NotWritable {
            dir: data(),
            source: io(std::io::ErrorKind::PermissionDenied),
        }
    } else {
        let corrupt = error.kind() == rocksdb::ErrorKind::Corruption;
        Error::Store {
            dir: dir.to_owned(),
            detail,
            corrupt,
        }
    }
}
