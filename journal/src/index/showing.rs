//! Showing entries within limits: the place where memory and store go the same way.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::ids::CommitIndex;

/// Told commit and frame of entries; breaks to end it.
pub(super) type Take<'a> = dyn FnMut(CommitIndex, &[u8]) -> Result<ControlFlow<()>, Error> + 'a;

/// Shows entries up to its limits.
pub(super) struct Showing<'a> {
    take: &'a mut Take<'a>,
    /// How many were taken.
    pub(super) rows: usize,
    rows_left: usize,
    bytes_left: usize,
    /// Whether to come back for more.
    pub(super) more: Result<bool, Error>,
}

impl<'a> Showing<'a> {
    pub(super) fn new((rows, bytes): (usize, usize), take: &'a mut Take<'a>) -> Self {
        Self {
            take,
            rows: 0,
            rows_left: rows,
            bytes_left: bytes,
            more: Ok(false),
        }
    }

    pub(super) fn push(&mut self, commit: CommitIndex, frame: &[u8]) -> ControlFlow<()> {
        match (self.take)(commit, frame) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
            Err(error) => {
                self.more = Err(error);
                return ControlFlow::Break(());
            }
        }
        self.rows += 1;
        self.rows_left = self.rows_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(frame.len());
        if self.rows_left == 0 || self.bytes_left == 0 {
            self.more = Ok(true);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
