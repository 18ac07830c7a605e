//! One put per entry: key actor and number, value the frame; a group is one synced `WriteBatch`.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, DB, DBCompressionType, DBRecoveryMode, Options, WriteBatch, WriteOptions,
};
use steadfast::journal::{CommitIndex, Error, Submission};

use super::Sink;

/// The database, with settings that suit it: what is measured is the layout, not a mistake.
pub(super) struct Puts {
    dir: PathBuf,
    db: DB,
    durable: WriteOptions,
}

fn settings() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    blocks.set_bloom_filter(10.0, false);
    let mut settings = Options::default();
    settings.create_if_missing(true);
    settings.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    settings.set_compression_type(DBCompressionType::Lz4);
    settings.set_write_buffer_size(128 << 20);
    settings.set_max_write_buffer_number(4);
    settings.set_max_background_jobs(2);
    settings.set_bytes_per_sync(1 << 20);
    settings.set_block_based_table_factory(&blocks);
    settings
}

impl Puts {
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        let dir = dir.join("puts");
        let db = DB::open(&settings(), &dir).map_err(|error| translate(&dir, &error))?;
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        Ok(Self { dir, db, durable })
    }
}

fn translate(dir: &Path, error: &rocksdb::Error) -> Error {
    Error::Store {
        dir: dir.to_owned(),
        detail: error.as_ref().to_owned(),
        corrupt: error.kind() == rocksdb::ErrorKind::Corruption,
    }
}

impl Sink for Puts {
    fn write(&mut self, _: CommitIndex, group: &[Submission]) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        for append in group.iter().flat_map(|submission| &submission.appends) {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&append.actor.get().to_be_bytes());
            key[8..].copy_from_slice(&append.number.get().to_be_bytes());
            batch.put(key, &append.frame);
        }
        self.db
            .write_opt(batch, &self.durable)
            .map_err(|error| translate(&self.dir, &error))
    }
}

/// The frames of one actor, in order.
#[cfg(test)]
pub(super) fn read(dir: &Path, actor: steadfast::journal::ActorNumber) -> Vec<Vec<u8>> {
    let db = DB::open(&settings(), dir.join("puts")).expect("it opens");
    let prefix = actor.get().to_be_bytes();
    db.prefix_iterator(prefix)
        .map(|row| row.expect("it is read"))
        .take_while(|(key, _)| key.starts_with(&prefix))
        .map(|(_, frame)| frame.to_vec())
        .collect()
}
