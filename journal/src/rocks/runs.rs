//! The store of sorted runs on `RocksDB`: `DATA/index`.
//!
//! A run is written as one table file and ingested, which costs a third of what inserting its rows would.
//! There is no write-ahead log: a run is durable as a file, and what is not in a run is in the commits.
//!
//! Invariants:
//! * A run and its watermark are one file: both are there or neither.
//! * Everything here follows from the journal. A store that does not open, or of which damage was noted, is removed
//!   and built anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompactionStyle,
    DBCompressionType, DBRawIterator, IngestExternalFileOptions, Options, ReadOptions,
    SliceTransform, SstFileWriter, WaitForCompactOptions,
};

use super::behind::Behind;
use super::database::{plain_settings, read_rows, translate};
use super::{Lease, RocksOptions};
use crate::error::Error;
use crate::index::{Run, Runs, WATERMARK, fill_value};
use crate::journal::Row;
use crate::layout::Checked;
use crate::store::{Span, Visit};

const FAMILY: &str = "entries";
/// File that a run is written into before it is ingested.
const BUILDING: &str = "run.building";
/// Files on the top level beyond which the next run waits for compaction: each is one more place to look
/// for every reader.
const MOST_FILES: u64 = 24;
const ACTOR_BYTES: usize = 8;

/// An open store of runs.
pub(super) struct RocksRuns {
    /// First, so that it is closed before the lease ends.
    db: DB,
    dir: PathBuf,
    /// What files of runs are written with.
    run_settings: Options,
    /// `None` where nothing is written.
    behind: Option<Behind>,
    /// Set by the first damage that was met, so that it is noted once.
    damaged: AtomicBool,
    _lease: Option<Arc<Lease>>,
}

impl RocksRuns {
    /// Opens the runs in `dir`, or a new store where there is none; `beside` is where the journal lies that
    /// they follow from.
    pub(super) fn open(
        dir: &Path,
        beside: &Path,
        options: &RocksOptions,
        lease: Arc<Lease>,
    ) -> Result<Self, Error> {
        crate::lock::create_dir(dir)?;
        let left_over = dir.join(BUILDING);
        match std::fs::remove_file(&left_over) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file(dir, "remove", &left_over, error));
            }
            Ok(()) | Err(_) => {}
        }
        let (mut store, family) = (plain_settings(options), family_settings(options));
        store.create_if_missing(true);
        store.create_missing_column_families(true);
        let families = [ColumnFamilyDescriptor::new(FAMILY, family)];
        let db = DB::open_cf_descriptors(&store, dir, families)
            .map_err(|error| translate(dir, &error))?;
        Ok(Self {
            db,
            dir: dir.to_owned(),
            run_settings: run_settings(options),
            behind: Some(Behind::start(vec![dir.to_owned(), beside.to_owned()])?),
            damaged: AtomicBool::new(false),
            _lease: Some(lease),
        })
    }

    /// Opens them without writing a byte; `None` where there are none.
    pub(super) fn open_read_only(
        dir: &Path,
        options: &RocksOptions,
    ) -> Result<Option<Self>, Error> {
        if !dir.join("CURRENT").exists() {
            return Ok(None);
        }
        let families = [ColumnFamilyDescriptor::new(
            FAMILY,
            family_settings(options),
        )];
        let db = DB::open_cf_descriptors_read_only(&plain_settings(options), dir, families, false)
            .map_err(|error| translate(dir, &error))?;
        Ok(Some(Self {
            db,
            dir: dir.to_owned(),
            run_settings: run_settings(options),
            behind: None,
            damaged: AtomicBool::new(false),
            _lease: None,
        }))
    }

    fn family(&self) -> Result<&ColumnFamily, Error> {
        self.db.cf_handle(FAMILY).ok_or_else(|| Error::Store {
            dir: self.dir.clone(),
            detail: format!("column family {FAMILY} is missing"),
            corrupt: true,
        })
    }

    fn failed(&self, error: &rocksdb::Error) -> Error {
        let error = translate(&self.dir, error);
        if error.is_damage() && self.behind.is_some() {
            self.note_damage(&error);
        }
        error
    }

    /// Leaves a note for the next opening, which then builds the index anew: a damaged block is met by who reads it
    /// only, it never heals, and it ends all compactions.
    fn note_damage(&self, error: &Error) {
        if self.damaged.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(%error, "the index of the journal is damaged; the next opening builds it anew from the commits");
        if let Err(error) = std::fs::write(damage_note(&self.dir), error.to_string()) {
            tracing::error!(%error, "this could not be noted for the next opening");
        }
    }

    fn iterator(&self, span: Span<'_>, one_actor: bool) -> Result<DBRawIterator<'_>, Error> {
        let mut reading = ReadOptions::default();
        if let Some(to) = span.to {
            reading.set_iterate_upper_bound(to);
        }
        // Within one actor files without it are passed over, and the upper bound alone says where it ends: asking
        // each row for its prefix as well would cost a comparison more.
        reading.set_total_order_seek(!one_actor);
        if !one_actor {
            reading.set_iterate_lower_bound(span.from);
        }
        Ok(self.db.raw_iterator_cf_opt(self.family()?, reading))
    }

    fn write_file(&self, path: &Path, run: &Run, upto: Checked) -> Result<(), Error> {
        let mut writer = SstFileWriter::create(&self.run_settings);
        let failed = |error: rocksdb::Error| self.failed(&error);
        writer.open(path).map_err(failed)?;
        writer.put(WATERMARK, upto.encode()).map_err(failed)?;
        let mut value = Vec::new();
        run.each(|key, commit, frame| {
            fill_value(&mut value, commit, frame);
            writer.put(key, &value)
        })
        .map_err(failed)?;
        writer.finish().map_err(failed)
    }

    /// Lets compaction catch up where it is far behind.
    fn wait_for_compaction(&self) -> Result<(), Error> {
        let files = self
            .db
            .property_int_value_cf(self.family()?, "rocksdb.num-files-at-level0")
            .map_err(|error| self.failed(&error))?;
        if files.is_some_and(|files| files > MOST_FILES) {
            self.db
                .wait_for_compact(&WaitForCompactOptions::default())
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }
}

impl Runs for RocksRuns {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db
            .get_cf(self.family()?, key)
            .map_err(|error| self.failed(&error))
    }

    fn scan(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        if span.to.is_some_and(|to| to <= span.from) {
            return Ok(());
        }
        let mut iterator = self.iterator(span, true)?;
        iterator.seek(span.from);
        read_rows(iterator, visit).map_err(|error| self.failed(&error))
    }

    fn scan_all(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
        let mut iterator = self.iterator(span, false)?;
        iterator.seek_to_first();
        read_rows(iterator, visit).map_err(|error| self.failed(&error))
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Row>, Error> {
        let mut iterator = self.iterator(span, false)?;
        iterator.seek_to_last();
        let last = iterator
            .item()
            .map(|(key, value)| (key.to_vec(), value.to_vec()));
        iterator.status().map_err(|error| self.failed(&error))?;
        Ok(last)
    }

    fn ingest(&self, run: &Run, upto: Checked) -> Result<(), Error> {
        self.wait_for_compaction()?;
        failpoint!("run.begun");
        let path = self.dir.join(BUILDING);
        self.write_file(&path, run, upto)?;
        failpoint!("run.written");
        let file = File::open(&path);
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.db
            .ingest_external_file_cf_opts(self.family()?, &options, vec![&path])
            .map_err(|error| self.failed(&error))?;
        failpoint!("run.ingested");
        if let (Some(behind), Ok(file)) = (&self.behind, file) {
            behind.taken_in(file);
        }
        Ok(())
    }
}

/// The note that an index was found damaged while in use, beside its directory.
pub(super) fn damage_note(dir: &Path) -> PathBuf {
    dir.with_extension("damaged")
}

/// How the file of a run is written: compaction soon writes it anew, and compresses then.
fn run_settings(options: &RocksOptions) -> Options {
    let mut settings = family_settings(options);
    settings.set_compression_type(DBCompressionType::None);
    settings
}

fn family_settings(options: &RocksOptions) -> Options {
    let mut settings = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.block_cache_bytes));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_block_size(16 << 10);
    blocks.set_bloom_filter(10.0, false);
    // Who reads looks for one actor: a file without it is passed over.
    blocks.set_whole_key_filtering(false);
    settings.set_prefix_extractor(SliceTransform::create_fixed_prefix(ACTOR_BYTES));
    settings.set_block_based_table_factory(&blocks);
    settings.set_compression_type(DBCompressionType::Lz4);
    // All runs overlap, and who reads is served well by few of them: what universal compaction is for. What
    // levels would cost instead was not measured here.
    settings.set_compaction_style(DBCompactionStyle::Universal);
    settings.set_write_buffer_size(1 << 20);
    settings
}
