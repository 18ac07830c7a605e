//! Who of two has a command: the worker that begins with it, or the caller that gives it up.
//!
//! A file of its own because two threads decide it without a lock: `tests/interleavings` runs it in every order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// A race between "handled" and "given up" that exactly one side wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// The worker begins. False if the caller has given up.
    pub(crate) fn begin(&self) -> bool {
        self.decide(BEGUN)
    }

    /// The caller gives up. False if the worker has begun.
    pub(crate) fn give_up(&self) -> bool {
        self.decide(GIVEN_UP)
    }

    fn decide(&self, outcome: u8) -> bool {
        let decided = self
            .0
            .compare_exchange(OPEN, outcome, Ordering::AcqRel, Ordering::Acquire);
        decided.is_ok()
    }
}
