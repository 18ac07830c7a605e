//! Brings an index up to the head of its journal.
//!
//! A file of its own because it is the one place where the index learns of commits that are not new.

use crate::chain::{Stop, Walk, for_index};
use crate::index::Index;
use crate::layout::{Checked, Past};
use crate::reads::scan_up_to;
use crate::store::{Keyspace, Span, Store};

/// Adds to the index what it does not have: the commits behind its watermark. Their chain must be verified.
pub(crate) fn catch_up(store: &dyn Store, index: &Index, past: &Past) -> Result<(), Stop> {
    let mut walk = match index.watermark()? {
        Some(watermark) => Walk::behind(past, store, watermark)?,
        None => Walk::from_start(past),
    };
    let Some(from) = walk.next() else {
        return Ok(());
    };
    let key = from.get().to_be_bytes();
    let span = Span {
        from: &key,
        to: None,
    };
    scan_up_to(
        store,
        Keyspace::Commits,
        span,
        usize::MAX,
        &mut |key, value| {
            let (commit, record) = walk.step(key, value)?;
            let at = Checked {
                index: commit,
                hash: record.hash,
            };
            let (bytes, entries) = for_index(store, commit, record, value)?;
            index.add(at, &bytes, &entries)
        },
    )?;
    Ok(())
}
