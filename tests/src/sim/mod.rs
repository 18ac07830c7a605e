//! The simulation: a whole node over a journal in memory, with its clock, its disk and its power in the hands of
//! one seed.
//!
//! A seed draws steps: commands of all kinds to a few cells, commits that are let go one by one, time, power cuts
//! now or in a later write, syncs that fail and keep or lose what they wrote, a full disk, reads that fail or break in
//! the middle, snapshots that are lost or damaged, passivation, orderly restarts, a mistake in the program by which
//! cells are set aside until it is mended. Between two steps the node comes to rest, as far as what is held allows: a step is
//! the smallest thing that the seed orders, and what is under way at a crash is whatever earlier steps left so.
//! At the end all faults are over, what is open is asked again, and `oracle` judges everything that was seen.
//!
//! The node has no threads here (`SimNode`): the seed orders its workers, writer, recoveries, effects and the rest as
//! well, so a seed that fails, fails again, in the same way.

pub mod cell;
mod client;
mod ending;
mod moments;
mod oracle;
mod player;
mod sometimes;
mod verdicts;
mod walls;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use player::STEPS;
pub use sometimes::Sometimes;

/// What became of a seed whose laws all held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// The rare situations that it reached.
    pub sometimes: Sometimes,
    /// Turns that the node took.
    pub turns: u64,
    /// Which turns they were, and in which order, but for those of orderly ends: two runs with the same number took the
    /// same turns.
    pub trace: u64,
    /// All answers and their order.
    pub answers: u64,
}

/// Plays `seed`.
///
/// # Errors
/// Each law that did not hold, in words.
pub fn run(seed: u64) -> Result<Played, String> {
    silence();
    let played = catch_unwind(AssertUnwindSafe(|| player::Player::new(seed).play()));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "it panicked".to_owned()))
    })
}

/// Handlers that panic on purpose do so without a word.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"on purpose") {
                before(panic);
            }
        }));
    });
}
