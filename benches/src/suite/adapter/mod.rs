//! The same node over two plain stores: one growing file, and one put per event into `RocksDB`.
//!
//! Both keep what a journal must keep (the same frames, in order, synced before anything is answered) and
//! nothing else: no chain, no index, no names of actors, no reading back. The file is what a disk can do at
//! most for this runtime; the puts are how such a journal is usually built. They run the same workers,
//! callers and replies as the real one, so that what differs is the journal.
//!
//! Actors must stay in memory: there is nothing to recover them from.

mod file;
mod front;
mod puts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use steadfast::journal::{CommitIndex, Error, HistoryId, Journal, Storage, Submission};

use file::GrowingFile;
use front::Front;
use puts::Puts;

/// Where groups go.
trait Sink: Send + 'static {
    /// Writes a group and syncs it.
    fn write(&mut self, index: CommitIndex, group: &[Submission]) -> Result<(), Error>;
}

/// Which plain store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    File,
    Puts,
}

/// A directory with a plain store.
#[derive(Debug)]
pub struct Adapter {
    dir: PathBuf,
    plain: Plain,
    history: HistoryId,
}

impl Adapter {
    /// One growing file below `dir`: each group is one write and one fdatasync.
    #[must_use]
    pub fn file(dir: &Path) -> Self {
        Self::new(dir, Plain::File)
    }

    /// One put per entry into a `RocksDB` below `dir`: each group is one synced batch.
    #[must_use]
    pub fn puts(dir: &Path) -> Self {
        Self::new(dir, Plain::Puts)
    }

    fn new(dir: &Path, plain: Plain) -> Self {
        Self {
            dir: dir.to_owned(),
            plain,
            history: HistoryId::draw(),
        }
    }
}

impl Storage for Adapter {
    fn open(&self) -> Result<Arc<dyn Journal>, Error> {
        let journal: Arc<dyn Journal> = match self.plain {
            Plain::File => Arc::new(Front::start(GrowingFile::create(&self.dir)?, self.history)?),
            Plain::Puts => Arc::new(Front::start(Puts::create(&self.dir)?, self.history)?),
        };
        Ok(journal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use steadfast::journal::{ActorNumber, Append, Entry, EntryNumber};

    use super::*;

    fn append(number: u64) -> Append {
        let entry = Entry {
            actor: ActorNumber::FIRST,
            number: EntryNumber::new(number).expect("not 0"),
            events_before: number - 1,
            birth: None,
            time_us: 0,
            seed: 0,
            command: None,
            events: Vec::new(),
            operations: serde_bytes::ByteBuf::new(),
            cause: None,
            traceparent: None,
        };
        Append::new(&entry, Vec::new()).expect("it is encoded")
    }

    fn every_submission_is_told(adapter: &Adapter) {
        let journal = adapter.open().expect("it opens");
        let (told, outcomes) = channel();
        for number in 1..=300 {
            let told = told.clone();
            journal.submit(Submission {
                appends: vec![append(number)],
                done: Box::new(move |outcome| {
                    told.send(outcome.is_ok()).expect("somebody listens");
                }),
            });
        }
        journal.close().expect("it closes");
        let outcomes: Vec<bool> = outcomes.try_iter().collect();
        assert_eq!(outcomes, [true; 300]);
        assert!(journal.head().expect("it has a head").index > CommitIndex::FIRST);
        let (told, refused) = channel();
        journal.submit(Submission {
            appends: vec![append(301)],
            done: Box::new(move |outcome| {
                told.send(outcome.is_err()).expect("somebody listens");
            }),
        });
        assert_eq!(refused.try_recv(), Ok(true), "closed is closed");
    }

    #[test]
    fn what_is_acknowledged_is_in_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        every_submission_is_told(&Adapter::file(dir.path()));
        let bytes = std::fs::read(dir.path().join(file::NAME)).expect("the file is there");
        let frame = append(300).frame;
        assert!(bytes.windows(frame.len()).any(|window| window == frame));
    }

    #[test]
    fn what_is_acknowledged_is_in_the_database() {
        let dir = tempfile::tempdir().expect("a directory");
        every_submission_is_told(&Adapter::puts(dir.path()));
        let found = puts::read(dir.path(), ActorNumber::FIRST);
        let frames: Vec<Vec<u8>> = (1..=300).map(|number| append(number).frame).collect();
        assert_eq!(found, frames);
    }
}
