//! Opening a data directory: look, set aside, open, verify, and only then commit the next epoch.
//!
//! A file of its own because the order of these steps is what makes a refusal harmless and a loss
//! visible.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::database::{Database, Mode};
use super::protect::{Aside, Paths, settle};
use super::runs::RocksRuns;
use super::{Lease, RocksOptions};
use crate::catch_up::catch_up;
use crate::chain::{Break, Stop, Walk};
use crate::clock;
use crate::error::Error;
use crate::generation::{Foundation, Generation, OpenReportParts};
use crate::ids::HistoryId;
use crate::index::{Index, Runs};
use crate::journal::Head;
use crate::layout::{FORMAT, META_FORMAT, Past};
use crate::mark::{self, Found, Mark, MarkFile, Slot};
use crate::reads::load_past;
use crate::store::{Keyspace, Store};
use crate::verify::{MarkSource, Objection, Tail, check_mark, verify_tail};
use crate::writer::Limits;

/// A database that passed all checks.
struct Sound {
    database: Arc<Database>,
    index: Arc<Index>,
    past: Past,
    tail: Tail,
}

/// Opens the next generation.
pub(super) fn open(dir: &Path, options: &RocksOptions, lease: Lease) -> Result<Generation, Error> {
    let lease = Arc::new(lease);
    let started = clock::now();
    let paths = Paths::new(dir);
    settle(&paths)?;
    failpoint!("open.settled");
    let refusal = Refusal { paths: &paths };
    let log_bytes = paths.logs().iter().map(|(_, bytes)| bytes).sum();
    let (sound, mark) = match (mark::read(&mark::path_in(dir))?, paths.has_journal()) {
        (Found::Newer(found), _) => return Err(newer(dir, found)),
        (Found::Damaged, _) => return Err(refusal.bad_mark("both copies of the mark are damaged")),
        (Found::Absent, true) => return Err(refusal.bad_mark("the mark is missing")),
        (Found::Absent, false) => {
            let history = HistoryId::draw();
            let file = MarkFile::create(dir, history)?;
            (create(&paths, options, &lease, history)?, file)
        }
        (Found::Whole(mark, slot), false) => {
            if mark.reached.is_some() {
                return Err(refusal.gone("is gone", &mark, &refusal.logs()));
            }
            (
                create(&paths, options, &lease, mark.history)?,
                MarkFile::open(dir, slot)?,
            )
        }
        (Found::Whole(mark, slot), true) => existing(&paths, options, &lease, &mark, slot)?,
    };
    serve(dir, options, sound, mark, (log_bytes, started))
}

fn serve(
    dir: &Path,
    options: &RocksOptions,
    sound: Sound,
    mark: MarkFile,
    (wal_bytes, started): (u64, Instant),
) -> Result<Generation, Error> {
    sound.index.go_behind()?;
    let foundation = Foundation {
        store: sound.database,
        index: sound.index,
        past: sound.past,
        head: sound.tail.head,
        mark: Some(mark),
        mark_source: MarkSource::File(mark::path_in(dir)),
        limits: Limits {
            group_bytes: options.group_bytes,
            group_appends: options.group_appends,
            queue: options.queue,
        },
        flush_every: options.flush_every_bytes,
        hand: None,
    };
    let verified_commits = sound.tail.verified;
    Generation::start(
        foundation,
        OpenReportParts {
            wal_bytes,
            verified_commits,
            started,
        },
    )
}

/// A new database. Nothing was ever acknowledged here.
fn create(
    paths: &Paths,
    options: &RocksOptions,
    lease: &Arc<Lease>,
    history: HistoryId,
) -> Result<Sound, Error> {
    crate::lock::create_dir(&paths.journal)?;
    let database = Database::open(&paths.journal, options, Mode::Create, Arc::clone(lease))?;
    failpoint!("create.database");
    let index = new_index(paths, options, lease)?;
    failpoint!("create.index");
    mark::sync_dir(&paths.dir)?;
    failpoint!("create.synced");
    let (past, tail) = (
        Past::beginning(history),
        Tail {
            head: None,
            verified: 0,
        },
    );
    Ok(Sound {
        database: Arc::new(database),
        index,
        past,
        tail,
    })
}

/// A database that was there: refused, and put back as it was, unless everything fits.
fn existing(
    paths: &Paths,
    options: &RocksOptions,
    lease: &Arc<Lease>,
    mark: &Mark,
    slot: Slot,
) -> Result<(Sound, MarkFile), Error> {
    let refusal = Refusal { paths };
    let logs = refusal.logs();
    let aside = Aside::set(paths)?;
    match examine(paths, options, lease, mark, &logs) {
        Ok(sound) => {
            // Before the next epoch: from then on the files set aside would be an older state.
            aside.discard()?;
            Ok((sound, MarkFile::open(&paths.dir, slot)?))
        }
        Err(error) => {
            if let Err(second) = aside.put_back() {
                tracing::error!(
                    error = %second,
                    "the journal could not be put back as it was; its files are in journal.opening"
                );
            }
            Err(error)
        }
    }
}

fn examine(
    paths: &Paths,
    options: &RocksOptions,
    lease: &Arc<Lease>,
    mark: &Mark,
    logs: &str,
) -> Result<Sound, Error> {
    let refusal = Refusal { paths };
    // Without any commit, the very first opening was cut off: then tables may still be missing.
    let mode = if mark.reached.is_some() {
        Mode::Existing
    } else {
        Mode::Create
    };
    let database = Database::open(&paths.journal, options, mode, Arc::clone(lease))
        .map_err(|error| refusal.unreadable(error, logs))?;
    failpoint!("open.database");
    check_format(&paths.dir, &database)?;
    let Some(past) = load_past(&database)? else {
        return match mark.reached {
            Some(_) => Err(refusal.gone("is empty", mark, logs)),
            None => Ok(Sound {
                index: new_index(paths, options, lease)?,
                database: Arc::new(database),
                past: Past::beginning(mark.history),
                tail: Tail {
                    head: None,
                    verified: 0,
                },
            }),
        };
    };
    let refused = |stop| match stop {
        Stop::Broken(found) => refusal.broken(&found, mark, logs),
        Stop::Failed(error) => refusal.unreadable(error, logs),
    };
    let tail = verify_tail(&database, &past).map_err(refused)?;
    failpoint!("open.chain_verified");
    match check_mark(&database, Some(&past), tail.head.as_ref(), mark)? {
        None => {}
        Some(Objection::Behind(what)) => {
            return Err(refusal.behind(&what, mark, tail.head.as_ref(), logs));
        }
        Some(Objection::Foreign(what)) => return Err(refusal.bad_mark(&what)),
        Some(Objection::Other(found)) => return Err(refusal.broken(&found, mark, logs)),
    }
    failpoint!("open.mark_compared");
    let index = index(paths, options, lease, &database, &past).map_err(refused)?;
    failpoint!("open.index_added");
    Ok(Sound {
        database: Arc::new(database),
        index,
        past,
        tail,
    })
}

/// An index where nothing was ever committed.
fn new_index(
    paths: &Paths,
    options: &RocksOptions,
    lease: &Arc<Lease>,
) -> Result<Arc<Index>, Error> {
    paths.remove_index()?;
    let runs = RocksRuns::open(&paths.index, &paths.journal, options, Arc::clone(lease))?;
    Ok(Arc::new(Index::new(
        Arc::new(runs),
        options.index_run_bytes,
    )))
}

/// The index of a journal that was verified, with all commits in it. One that is damaged, by what is seen or by what
/// was noted, is built anew; one that knows of commits which the journal does not have proves a loss.
fn index(
    paths: &Paths,
    options: &RocksOptions,
    lease: &Arc<Lease>,
    database: &Database,
    past: &Past,
) -> Result<Arc<Index>, Stop> {
    // Looked at without writing, so that a refusal leaves it as it was.
    let looked = RocksRuns::open_read_only(&paths.index, options).and_then(|runs| {
        let watermark = runs.map(|runs| runs.watermark()).transpose()?.flatten();
        Ok(watermark)
    });
    let damage = match looked {
        Ok(None) => paths.noted_damage(),
        Ok(Some(watermark)) => {
            Walk::behind(past, database, watermark)?;
            paths.noted_damage()
        }
        Err(error) if error.is_shortage() => return Err(Stop::Failed(error)),
        Err(error) => Some(error.to_string()),
    };
    if let Some(error) = damage {
        tracing::warn!(
            error,
            "the index of the journal is damaged and built anew from the commits"
        );
        paths.remove_index()?;
    }
    let runs = RocksRuns::open(&paths.index, &paths.journal, options, Arc::clone(lease))?;
    let index = Arc::new(Index::new(Arc::new(runs), options.index_run_bytes));
    catch_up(database, &index, past)?;
    Ok(index)
}

/// Refuses a journal of a newer program.
pub(super) fn check_format(dir: &Path, store: &dyn Store) -> Result<(), Error> {
    let Some(value) = store.get(Keyspace::Meta, META_FORMAT)? else {
        return Ok(());
    };
    let format = value
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| Error::Undecodable {
            what: "format",
            cause: "it is not four bytes long".to_owned(),
        })?;
    if format > FORMAT {
        Err(newer(dir, format))
    } else {
        Ok(())
    }
}

/// The error for a directory of a newer program.
pub(super) fn newer(dir: &Path, found: u32) -> Error {
    Error::NewerFormat {
        dir: dir.to_owned(),
        found,
        supported: FORMAT,
    }
}

/// Words for an operator: what was found, what there is, what to do.
struct Refusal<'a> {
    paths: &'a Paths,
}

impl Refusal<'_> {
    fn report(&self, what: &str, facts: &[String]) -> String {
        let dir = self.paths.dir.display();
        let facts: String = facts.iter().flat_map(|fact| ["\n  ", fact]).collect();
        format!(
            "{what}{facts}\nNothing was changed. See the whole picture with `steadfast verify \
             --data-dir {dir}`. Keep a copy of {dir} before anything else; then restore a backup, or \
             ask with that copy at hand."
        )
    }

    fn logs(&self) -> String {
        let logs = self.paths.logs();
        if logs.is_empty() {
            return format!("logs     none in {}", self.paths.journal.display());
        }
        let each: Vec<_> = logs
            .iter()
            .map(|(name, bytes)| format!("{name} ({bytes} bytes)"))
            .collect();
        format!(
            "logs     {}: {}",
            self.paths.journal.display(),
            each.join(", ")
        )
    }

    fn mark_line(&self, mark: &Mark) -> String {
        let path = mark::path_in(&self.paths.dir);
        match mark.reached {
            Some(at) => format!(
                "mark     {}: epoch {}, commit {}, hash {}, history {}",
                path.display(),
                at.epoch,
                at.commit,
                at.hash(),
                mark.history
            ),
            None => format!("mark     {}: no commit yet", path.display()),
        }
    }

    fn head_line(&self, head: Option<&Head>) -> String {
        let path = self.paths.journal.display();
        match head {
            Some(at) => format!(
                "journal  {path}: epoch {}, commit {}, hash {}, history {}",
                at.epoch, at.index, at.hash, at.history
            ),
            None => format!("journal  {path}: no commit"),
        }
    }

    fn bad_mark(&self, what: &str) -> Error {
        let path = mark::path_in(&self.paths.dir);
        let what = format!(
            "{what}: without {} nobody can tell whether the journal is all that was acknowledged",
            path.display()
        );
        let report = self.report(&what, &[self.logs()]);
        Error::BadMark { path, report }
    }

    /// The mark names a commit, but there is none in the journal, which `is` something else.
    fn gone(&self, is: &str, mark: &Mark, logs: &str) -> Error {
        let what = match mark.reached {
            Some(at) => format!(
                "the journal {is}, but commit {} was acknowledged",
                at.commit
            ),
            None => format!("the journal {is}"),
        };
        self.behind(&what, mark, None, logs)
    }

    fn behind(&self, what: &str, mark: &Mark, head: Option<&Head>, logs: &str) -> Error {
        let facts = [self.mark_line(mark), self.head_line(head), logs.to_owned()];
        let report = self.report(what, &facts);
        match mark.reached {
            Some(at) => Error::BehindMark {
                mark: at.commit,
                mark_epoch: at.epoch,
                head: head.map(|head| head.index),
                report,
            },
            None => Error::BadMark {
                path: mark::path_in(&self.paths.dir),
                report,
            },
        }
    }

    fn broken(&self, found: &Break, mark: &Mark, logs: &str) -> Error {
        let what = format!("the chain of commits is broken: {}", found.what);
        let report = self.report(&what, &[self.mark_line(mark), logs.to_owned()]);
        Error::BrokenChain {
            commit: found.commit,
            report,
        }
    }

    /// The database does not open or cannot be read: with the facts if it is damaged.
    fn unreadable(&self, error: Error, logs: &str) -> Error {
        if let Error::Store {
            dir,
            detail,
            corrupt: true,
        } = error
        {
            let detail = self.report(&detail, &[logs.to_owned()]);
            return Error::Store {
                dir,
                detail,
                corrupt: true,
            };
        }
        error
    }
}
