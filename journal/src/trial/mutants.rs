//! Mistakes made on purpose: a check that lets one of them pass proves nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Every mistake.
pub const ALL: &[&str] = &[
    // An answer leaves before its commit is synced.
    "ack_before_sync",
    // A query is answered before what it saw is durable.
    "read_before_durable",
    // A key that was seen is not looked up.
    "key_forgotten",
    // The last message of an entry is not kept in the outbox.
    "message_dropped",
    // A message is brought to its receiver twice.
    "message_doubled",
    // A snapshot says that it is of one entry more than it is.
    "snapshot_ahead",
    // The last timer of a page is not loaded when the node starts.
    "timer_lost",
    // An outcome of an effect is consumed once more.
    "outcome_twice",
    // An effect that must not run twice does not journal its start.
    "start_unwritten",
    // Commands of a commit that failed are said to have had no effect.
    "outcome_denied",
    // Messages of a pair overtake each other, in the lane and in a page of the outbox.
    "message_overtakes",
    // A timer by the boot clock waits half as long as it was asked to.
    "timer_early",
    // An effect runs before the entry that asks for it is durable.
    "effect_before_durable",
    // An actor stays in memory with what a failed journal took back.
    "unsettled_actor_kept",
    // A replay ends after its first entry.
    "scan_stops_early",
];

/// The mistake that is made, as [`number_of`] counts; 0 for none.
static ARMED: AtomicUsize = AtomicUsize::new(0);

/// The number of a mistake, from 1, while compiling.
///
/// # Panics
/// Where the list has no such name: then it does not compile.
#[must_use]
#[expect(clippy::panic, reason = "it ends the compilation, not a program")]
pub const fn number_of(name: &str) -> usize {
    match super::place_of(name, ALL) {
        Some(place) => place,
        None => panic!("no such mistake: see `mutants::ALL`"),
    }
}

/// Makes the mistake from now on, in all of this process; `None` where there is no such one.
#[must_use]
pub fn arm(name: &str) -> Option<()> {
    ARMED.store(super::place_of(name, ALL)?, Ordering::SeqCst);
    Some(())
}

/// Whether it is made.
#[inline]
#[must_use]
pub fn is_armed(number: usize) -> bool {
    ARMED.load(Ordering::Relaxed) == number
}
