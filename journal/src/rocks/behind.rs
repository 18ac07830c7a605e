//! What follows the commits gives way to them: removed files go in small pieces, new runs are fetched in small
//! pieces, and the threads that do such work stand back.
//!
//! A file of its own because none of it changes what is stored. A commit waits for the disk and for a core, and
//! each of these took them away for tens of milliseconds (ARCHITECTURE.md, "Decisions"):
//! * Removing a log of 60 MB frees all its blocks in one transaction of the file system, and on a disk that is
//!   told of free blocks (`discard`) that is one request of 15 to 30 ms.
//! * The writer of table files tells the kernel to forget what it wrote. Compaction then reads all its input
//!   from the disk, many megabytes at a time for each file.
//! * Compaction and index take a core each as soon as they have work.
//!
//! Invariant: a file is cut only when it has no name any more. Whoever reads this directory from another
//! process is told that its files change under it ([`RocksReader::open`](super::RocksReader::open)).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use crate::error::Error;
use crate::priority::stand_back;

/// What is given back at once, and the pause after it: 400 MB/s, in requests of about half a millisecond.
const PIECE: u64 = 2 << 20;
const PAUSE: Duration = Duration::from_millis(5);
/// While files are held, the first wait until it is looked whether one of them was removed, and the longest: each
/// is twice the one before it, because what a run sets off is over sooner or later.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const SELDOM_LOOK: Duration = Duration::from_secs(64);
/// What is fetched at once.
const FETCH: u64 = 256 << 10;
/// Files that are kept open for it at most; others go as the kernel lets them go.
const MOST_HELD: usize = 256;
/// Runs that wait to be fetched at most; others are read from the disk when they are needed.
const MOST_WAITING: usize = 4;

/// The thread that does this for one open journal.
pub(super) struct Behind {
    /// Runs that were taken in. `None` once it ends.
    runs: Option<SyncSender<File>>,
    thread: Option<JoinHandle<()>>,
}

impl Behind {
    /// Looks after the files that come and go in `dirs`.
    pub(super) fn start(dirs: Vec<PathBuf>) -> Result<Self, Error> {
        let (runs, taken_in) = sync_channel(MOST_WAITING);
        let thread = std::thread::Builder::new()
            .name("steadfast-tidy".to_owned())
            .spawn(move || {
                stand_back();
                work(&dirs, |wait| match wait {
                    Some(wait) => taken_in.recv_timeout(wait),
                    None => taken_in.recv().map_err(RecvTimeoutError::from),
                });
            })
            .map_err(Error::NoThread)?;
        Ok(Self {
            runs: Some(runs),
            thread: Some(thread),
        })
    }

    /// A run was taken in: `file` is what it lies in.
    pub(super) fn taken_in(&self, file: File) {
        if let Some(runs) = &self.runs
            && runs.try_send(file).is_err()
        {
            tracing::debug!("a run is not fetched ahead: others still wait for that");
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.runs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that tidies up behind the journal ended by a panic");
        }
    }
}

/// Compaction stands back, in all of this process: `RocksDB` has one set of threads for it. Flushes do not, since
/// commits wait for them where they are late.
pub(super) fn compaction_stands_back() {
    match rocksdb::Env::new() {
        Ok(mut threads) => threads.lower_thread_pool_cpu_priority(),
        Err(error) => tracing::debug!(%error, "compaction keeps its priority"),
    }
}

/// Runs until `next`, which waits for a run so long or for as long as it takes, says that there will be none: the
/// journal is being closed, and what is left goes as the kernel lets it go.
fn work(
    dirs: &[PathBuf],
    mut next: impl FnMut(Option<Duration>) -> Result<File, RecvTimeoutError>,
) {
    let mut held = Held::default();
    let (mut wait, mut look) = (None, FIRST_LOOK);
    loop {
        match next(wait) {
            Ok(run) => {
                if let Err(error) = fetch(&run) {
                    tracing::debug!(%error, "a run could not be fetched ahead");
                }
                failpoint!("tidy.fetched");
                drop(run);
                held.look(dirs);
                look = FIRST_LOOK;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if held.cut() {
            failpoint!("tidy.cut");
            (wait, look) = (Some(PAUSE), FIRST_LOOK);
        } else {
            wait = (!held.files.is_empty()).then_some(look);
            look = (look * 2).min(SELDOM_LOOK);
        }
    }
}

/// Brings a file into the kernel's memory, one request after the other.
fn fetch(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    // Otherwise the kernel would fetch ahead by itself, and much more at a time.
    fadvise(file, 0, None, Advice::Random)?;
    let mut at = 0;
    while at < length {
        let piece = FETCH.min(length - at);
        fadvise(file, at, NonZeroU64::new(piece), Advice::WillNeed)?;
        // Waits for it.
        file.read_at(&mut [0], at + piece - 1)?;
        at += piece;
    }
    Ok(())
}

/// Open files, so that the kernel keeps what they hold after their names are gone.
#[derive(Default)]
struct Held {
    files: BTreeMap<PathBuf, File>,
}

impl Held {
    /// Opens the files that are new.
    fn look(&mut self, dirs: &[PathBuf]) {
        let found = dirs.iter().flat_map(std::fs::read_dir).flatten().flatten();
        for path in found.map(|file| file.path()).filter(|path| goes(path)) {
            if self.files.len() >= MOST_HELD {
                return;
            }
            if !self.files.contains_key(&path)
                && let Ok(file) = OpenOptions::new().write(true).open(&path)
            {
                self.files.insert(path, file);
            }
        }
    }

    /// Cuts a piece from the end of one file without a name. `false`: there is none.
    fn cut(&mut self) -> bool {
        let removed = self.files.iter().find_map(|(path, file)| {
            let about = file.metadata().ok()?;
            (about.nlink() == 0).then(|| (path.clone(), about.len()))
        });
        let Some((path, length)) = removed else {
            return false;
        };
        let left = length.saturating_sub(PIECE);
        let cut = self.files.get(&path).map(|file| file.set_len(left));
        if left == 0 || !matches!(cut, Some(Ok(()))) {
            self.files.remove(&path);
        }
        true
    }
}

/// Whether it is a file that is removed while the journal is open: a log, or a run that was merged.
fn goes(path: &Path) -> bool {
    path.extension()
        .is_some_and(|kind| kind == "log" || kind == "sst")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(path: &Path, bytes: u64) -> File {
        std::fs::write(path, vec![7; usize::try_from(bytes).unwrap()]).unwrap();
        File::open(path).unwrap()
    }

    #[test]
    fn a_removed_file_goes_piece_by_piece() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000004.log");
        let file = file_of(&path, 2 * PIECE + 1);
        let mut held = Held::default();
        held.look(&[dir.path().to_owned()]);
        assert!(!held.cut(), "it has its name");
        std::fs::remove_file(&path).unwrap();
        let mut left = Vec::new();
        while held.cut() {
            left.push(file.metadata().unwrap().len());
        }
        assert_eq!(left, [PIECE + 1, 1, 0]);
        assert!(held.files.is_empty());
    }

    #[test]
    fn a_file_with_another_name_is_left_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("000009.sst"), dir.path().join("backup"));
        let file = file_of(&path, 10);
        std::fs::hard_link(&path, &copy).unwrap();
        let mut held = Held::default();
        held.look(&[dir.path().to_owned()]);
        std::fs::remove_file(&path).unwrap();
        assert!(!held.cut());
        assert_eq!(file.metadata().unwrap().len(), 10);
        std::fs::remove_file(&copy).unwrap();
        assert!(held.cut());
    }

    #[test]
    fn files_of_other_kinds_are_not_held() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["CURRENT", "MANIFEST-000005", "LOCK", "run.building"] {
            file_of(&dir.path().join(name), 1);
        }
        let mut held = Held::default();
        held.look(&[dir.path().to_owned(), dir.path().join("absent")]);
        assert!(held.files.is_empty());
    }

    #[test]
    fn a_file_is_fetched_whole_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [0, 1, FETCH, FETCH + 1] {
            let file = file_of(&dir.path().join("run"), bytes);
            fetch(&file).unwrap();
            assert_eq!(file.metadata().unwrap().len(), bytes);
        }
    }

    /// Disk space came back with the next run only, which on a quiet node may be days away: compaction and flush remove
    /// files after the look that a run sets off, and the thread waited for nothing but runs.
    #[test]
    fn what_is_removed_later_is_cut_without_another_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000004.log");
        let log = file_of(&path, PIECE + 1);
        let mut waits = Vec::new();
        work(&[dir.path().to_owned()], |wait| {
            waits.push(wait);
            match waits.len() {
                1 => Ok(log.try_clone().unwrap()),
                2 | 4.. if wait.is_none() => Err(RecvTimeoutError::Disconnected),
                3 => {
                    std::fs::remove_file(&path).unwrap();
                    Err(RecvTimeoutError::Timeout)
                }
                _ => Err(RecvTimeoutError::Timeout),
            }
        });
        assert_eq!(log.metadata().unwrap().len(), 0);
        let (first, later) = (Some(FIRST_LOOK), Some(FIRST_LOOK * 2));
        // For as long as it takes only while there is nothing that could be removed.
        let expected = [None, first, later, Some(PAUSE), Some(PAUSE), None];
        assert_eq!(waits, expected);
    }

    #[test]
    fn files_that_stay_are_looked_at_ever_more_seldom() {
        let dir = tempfile::tempdir().unwrap();
        let log = file_of(&dir.path().join("000004.log"), 1);
        let mut waits = Vec::new();
        work(&[dir.path().to_owned()], |wait| {
            waits.push(wait.map_or(0, |wait| wait.as_secs()));
            match waits.len() {
                1 | 10 => Ok(log.try_clone().unwrap()),
                12 => Err(RecvTimeoutError::Disconnected),
                _ => Err(RecvTimeoutError::Timeout),
            }
        });
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 1, 2]);
    }

    #[test]
    fn its_end_does_not_wait_for_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("000001.log");
        let file = file_of(&path, 1);
        let behind = Behind::start(vec![dir.path().to_owned()]).unwrap();
        behind.taken_in(file);
        drop(behind);
    }
}
