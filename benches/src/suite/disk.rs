//! What the disk itself takes: appends to a growing file, each with its own sync.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use tempfile::TempDir;

use crate::Settings;
use crate::load::{Recorder, now};

/// A file that grows.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    record: Vec<u8>,
    _dir: TempDir,
}

impl Disk {
    /// A new one, on the measured disk.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub(super) fn growing(settings: &Settings) -> Self {
        let dir = settings.fresh_dir();
        let file = File::create(dir.path().join("growing")).expect("a file is made");
        Self {
            file,
            record: Vec::new(),
            _dir: dir,
        }
    }

    /// Appends `bytes` and syncs.
    ///
    /// # Panics
    /// Where the disk fails.
    pub(super) fn append_and_sync(&mut self, bytes: usize) {
        self.record.resize(bytes, 0xA5);
        self.file.write_all(&self.record).expect("it is appended");
        self.file.sync_data().expect("it is synced");
    }

    /// The same again and again for `time`; the median in milliseconds.
    pub(super) fn sync_for(&mut self, time: Duration, bytes: usize) -> f64 {
        let recorder = Recorder::default();
        let start = now();
        loop {
            let begun = now();
            self.append_and_sync(bytes);
            recorder.record(begun.elapsed());
            if start.elapsed() >= time {
                return recorder.measured(time).p50;
            }
        }
    }
}
