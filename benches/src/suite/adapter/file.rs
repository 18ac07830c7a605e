//! One growing file: a group is a small header, the keys of its entries, their frames; one write, one sync.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use steadfast::journal::{CommitIndex, Error, Submission};

use super::Sink;

/// The file's name.
pub(super) const NAME: &str = "log";

/// The file, and the group that is being put together.
pub(super) struct GrowingFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl GrowingFile {
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(NAME);
        let open = OpenOptions::new().create(true).append(true).open(&path);
        let file = open.map_err(|source| Error::Io {
            operation: "create",
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            file,
            buffer: Vec::new(),
        })
    }

    fn fill(&mut self, index: CommitIndex, group: &[Submission]) {
        let appends = || group.iter().flat_map(|submission| &submission.appends);
        self.buffer.clear();
        self.buffer.extend(index.get().to_be_bytes());
        self.buffer.extend(appends().count().to_be_bytes());
        for append in appends() {
            self.buffer.extend(append.actor.get().to_be_bytes());
            self.buffer.extend(append.number.get().to_be_bytes());
            self.buffer.extend(append.frame.len().to_be_bytes());
        }
        for append in appends() {
            self.buffer.extend_from_slice(&append.frame);
        }
    }
}

impl Sink for GrowingFile {
    fn write(&mut self, index: CommitIndex, group: &[Submission]) -> Result<(), Error> {
        self.fill(index, group);
        let written = self.file.write_all(&self.buffer);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| Error::Io {
                operation: "append to",
                path: self.path.clone(),
                source,
            })
    }
}
