//! Reads a data directory that no node has open, without writing a byte.
//!
//! A file of its own because it must stay harmless: it takes no lock, opens the database read-only,
//! and judges nothing at opening. What is wrong is for [`JournalReader::verify`] to say.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::RocksOptions;
use super::database::Database;
use super::open::{check_format, newer};
use super::protect::Paths;
use super::runs::RocksRuns;
use crate::catch_up::catch_up;
use crate::committer::HeadCell;
use crate::delegate::delegate_reads;
use crate::error::Error;
use crate::index::{Index, NoRuns, Runs};
use crate::journal::JournalReader;
use crate::layout::Past;
use crate::mark::{self, Found};
use crate::reads::{Reads, load_head, load_past};
use crate::verify::MarkSource;

/// A journal at rest. It shows the state as of its opening.
pub struct RocksReader {
    reads: Reads,
}

impl RocksReader {
    /// Opens the journal of the data directory `dir`. Ask [`holder`](crate::holder) first: while a
    /// node runs, its files change under a reader, which then sees damage that is none.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no journal, [`Error::NewerFormat`], or a store error.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let paths = Paths::new(dir);
        if let Found::Newer(found) = mark::read(&mark::path_in(dir))? {
            return Err(newer(dir, found));
        }
        if !paths.has_journal() {
            return Err(Error::Missing {
                dir: dir.to_owned(),
            });
        }
        let database = Database::open_read_only(&paths.journal, &RocksOptions::default())?;
        check_format(dir, &database)?;
        let past = load_past(&database)?;
        let head = load_head(&database, past.as_ref())?;
        let source = MarkSource::File(mark::path_in(dir));
        let index = Arc::new(index(&paths, &database, past.as_ref())?);
        let head = Arc::new(HeadCell::new(head));
        Ok(Self {
            reads: Reads::new((Arc::new(database), index), head, past, source),
        })
    }
}

/// What the index on disk has, and the rest in memory.
fn index(paths: &Paths, database: &Database, past: Option<&Past>) -> Result<Index, Error> {
    let stored = RocksRuns::open_read_only(&paths.index, &RocksOptions::default())?;
    let runs: Arc<dyn Runs> = match stored {
        Some(runs) => Arc::new(runs),
        None => Arc::new(NoRuns),
    };
    let index = Index::new(runs, usize::MAX);
    // What is wrong with the commits is for `verify` to say.
    if let Some(past) = past
        && let Err(stop) = catch_up(database, &index, past)
    {
        let error = Error::from(stop);
        tracing::warn!(%error, "not all commits can be read");
    }
    Ok(index)
}

impl fmt::Debug for RocksReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksReader")
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

delegate_reads!(RocksReader);
