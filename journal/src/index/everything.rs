//! A walk over every entry, in pieces.
//!
//! A file of its own because such a walk takes long: it looks at the store afresh for each piece, so that it neither
//! keeps files nor delays a close.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::vec::IntoIter;

use super::{Found, Index, Shared};
use crate::error::Error;
use crate::ids::CommitIndex;
use crate::layout::{entry_key_raw, split_entry};
use crate::store::Span;

/// Told key, commit and frame of each entry; its first error ends it.
pub(crate) type Show<'a> = dyn FnMut(&[u8], CommitIndex, &[u8]) -> Result<(), Error> + 'a;

/// Where a walk over every entry is.
///
/// Invariant: what was in the index when the walk began is shown once; what came later may be shown or not.
pub(crate) struct Everything {
    /// What was in memory when it began: when the walk comes by, it may be in the store as well.
    held: Peekable<IntoIter<([u8; 16], Found)>>,
    /// Where the next look at the store begins.
    from: Vec<u8>,
}

impl Everything {
    /// Shows a row of the store, and before it what was held before it.
    fn step(&mut self, key: &[u8], value: &[u8], show: &mut Show<'_>) -> Result<(), Error> {
        while let Some((before, found)) = self.held.next_if(|(held, _)| held.as_slice() < key) {
            show(&before, found.commit, found.frame())?;
        }
        // It came into the store after the look into memory.
        self.held.next_if(|(held, _)| held.as_slice() == key);
        self.from.clear();
        self.from.extend_from_slice(key);
        self.from.push(0);
        let (commit, frame) = split_entry(value)?;
        show(key, commit, frame)
    }
}

impl Index {
    /// Begins a walk over every entry.
    pub(crate) fn everything(&self) -> Everything {
        Everything {
            held: self.shared.all_held().into_iter().peekable(),
            from: entry_key_raw(0, 1).to_vec(),
        }
    }

    /// Shows the next entries of a walk, ordered by actor and number: about so many rows or bytes of the store.
    /// `Ok(true)`: there may be more.
    pub(crate) fn each(
        &self,
        walk: &mut Everything,
        (most_rows, most_bytes): (usize, usize),
        show: &mut Show<'_>,
    ) -> Result<bool, Error> {
        let from = walk.from.clone();
        let span = Span {
            from: &from,
            to: None,
        };
        let (mut rows, mut bytes) = (0, 0);
        let mut outcome = Ok(false);
        let scanned = self.shared.runs.scan_all(span, &mut |key, value| {
            (rows, bytes) = (rows + 1, bytes + value.len());
            outcome = walk
                .step(key, value, show)
                .map(|()| rows >= most_rows || bytes >= most_bytes);
            if matches!(outcome, Ok(false)) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        self.shared.met(scanned)?;
        if outcome? {
            return Ok(true);
        }
        for (key, found) in walk.held.by_ref() {
            show(&key, found.commit, found.frame())?;
        }
        Ok(false)
    }
}

impl Shared {
    fn all_held(&self) -> Vec<([u8; 16], Found)> {
        let (sealed, mut held) = {
            let tail = self.tail();
            (tail.sealed.clone(), tail.open.sorted())
        };
        if let Some(sealed) = sealed {
            held.extend(sealed.sorted());
            held.sort_by_key(|(key, _)| *key);
        }
        held
    }
}
