//! What the index needs from the ordered store that keeps its sorted runs.

use crate::error::Error;
use crate::ids::CommitIndex;
use crate::index::Run;
use crate::journal::Row;
use crate::layout::Checked;
use crate::store::{Span, Visit};

/// Key of the row that names the newest commit in the index. Before the keys of all entries, because no
/// actor has number 0.
pub(crate) const WATERMARK: [u8; 16] = [0; 16];

/// A store of sorted runs. What was ingested survives a crash; it is either all there or not at all.
pub(crate) trait Runs: Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Shows the rows of `span`, which lies within one actor, in order. Damage is an error, never an early
    /// end.
    fn scan(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error>;

    /// As [`Runs::scan`], for a span over many actors.
    fn scan_all(&self, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), Error>;

    /// The last row of `span`.
    fn last(&self, span: Span<'_>) -> Result<Option<Row>, Error>;

    /// Takes in a run whose newest commit is `upto`, together with [`WATERMARK`].
    fn ingest(&self, run: &Run, upto: Checked) -> Result<(), Error>;

    /// The newest commit that is in the index with all before it.
    fn watermark(&self) -> Result<Option<Checked>, Error> {
        let value = self.get(&WATERMARK)?;
        value.map(|value| Checked::decode(&value)).transpose()
    }
}

/// The value of an entry: its commit, its frame.
pub(crate) fn fill_value(value: &mut Vec<u8>, commit: CommitIndex, frame: &[u8]) {
    value.clear();
    value.extend_from_slice(&commit.get().to_be_bytes());
    value.extend_from_slice(frame);
}

/// Stands for an index that is not there.
pub(crate) struct NoRuns;

impl Runs for NoRuns {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn scan(&self, _: Span<'_>, _: &mut Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn scan_all(&self, _: Span<'_>, _: &mut Visit<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn last(&self, _: Span<'_>) -> Result<Option<Row>, Error> {
        Ok(None)
    }

    fn ingest(&self, _: &Run, _: Checked) -> Result<(), Error> {
        Err(Error::Closed)
    }
}
