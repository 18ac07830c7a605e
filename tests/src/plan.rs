//! What one operation does. Everything follows from its number, so that neither the killed program nor
//! the tests have to remember more than that.

use std::time::Duration;

use crate::dice::mix;

/// Actors that the operations are spread over.
pub const ACTORS: u64 = 1_000;

const PER_TASK: u64 = 10_000_000;
const PER_LIFE: u64 = 10_000_000_000;

/// The number of an operation: the `count`-th of a task in one life of the program.
#[must_use]
pub const fn operation(life: u64, task: u64, count: u64) -> u64 {
    life * PER_LIFE + task * PER_TASK + count
}

/// The task that first tried an operation.
#[must_use]
pub const fn task_of(op: u64) -> u64 {
    op % PER_LIFE / PER_TASK
}

/// What an operation wants beside adding its amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    Plain,
    /// To be rejected.
    Reject,
    /// A second event in the same command.
    Twice,
    /// A timer.
    Ring(Duration),
    /// An effect that may run again after a crash. Every third one fails at its first attempt.
    Receipt,
    /// An effect that must never run twice.
    Once,
}

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Which actor it goes to.
    pub actor: u64,
    /// Whether it has a key, and so may be tried again.
    pub keyed: bool,
    /// What it adds.
    pub amount: u64,
    /// What it does beside.
    pub extra: Extra,
}

impl Plan {
    /// What operation `op` does.
    #[must_use]
    pub const fn of(op: u64) -> Self {
        let dice = mix(op);
        let extra = match (dice >> 32) % 100 {
            0..5 => Extra::Reject,
            5..15 => Extra::Twice,
            15..20 => Extra::Ring(Duration::from_millis(5 + (dice >> 40) % 60)),
            20..25 => Extra::Receipt,
            25..27 => Extra::Once,
            _ => Extra::Plain,
        };
        let amount = match extra {
            Extra::Reject => crate::tally::LIMIT + 1,
            Extra::Plain | Extra::Twice | Extra::Ring(_) | Extra::Receipt | Extra::Once => {
                1 + (dice >> 20) % 100
            }
        };
        Self {
            actor: dice % ACTORS,
            keyed: (dice >> 16).is_multiple_of(2),
            amount,
            extra,
        }
    }

    /// The key of an operation.
    #[must_use]
    pub fn key(op: u64) -> String {
        format!("op-{op}")
    }

    /// The name of its actor.
    #[must_use]
    pub fn actor_key(&self) -> String {
        format!("{:04}", self.actor)
    }
}
