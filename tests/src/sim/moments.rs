//! When timers were set and when they fired, by both clocks: events have only the wall clock's time, which jumps.
//!
//! Handlers have no other clock, so this is noted beside the node. One thread takes all turns of a seed and plays one
//! seed at a time: what it notes belongs to that one. Nothing in the node can see it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use steadfast::testkit::VirtualClock;
use steadfast::{Clock, Timestamp};

thread_local! {
    static NOTED: RefCell<Option<(VirtualClock, Vec<Moment>)>> = const { RefCell::new(None) };
    /// Whether brittle events cannot be applied.
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

/// What was done with a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A handler set it.
    Set,
    /// Its command had its turn.
    Fired,
}

/// A turn that set a timer or was its firing, whether it became durable or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) op: u64,
    pub(super) what: What,
    pub(super) running: Duration,
    pub(super) wall: Timestamp,
}

/// Forgets the seed before.
pub(super) fn begin(clock: &VirtualClock) {
    NOTED.replace(Some((clock.clone(), Vec::new())));
    BROKEN.set(false);
}

/// Notes what happens to the timer of an operation just now.
pub(super) fn note(op: u64, what: What) {
    NOTED.with_borrow_mut(|noted| {
        let Some((clock, moments)) = noted else {
            return;
        };
        moments.push(Moment {
            op,
            what,
            running: clock.running(),
            wall: clock.now(),
        });
    });
}

/// All that was noted, in its order.
pub(super) fn noted() -> Vec<Moment> {
    NOTED.with_borrow(|noted| noted.iter().flat_map(|(_, all)| all.clone()).collect())
}

/// Brings the mistake into the program by which brittle events cannot be applied, or mends it.
pub(super) fn break_brittle(broken: bool) {
    BROKEN.set(broken);
}

/// Whether that mistake is there.
pub(super) fn is_broken() -> bool {
    BROKEN.get()
}
