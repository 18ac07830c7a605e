//! What the killed program and the tests that kill it share.
//!
//! * [`bank`]: accounts that send money to each other.
//! * [`tally`]: the actor, with events that name the operation behind them.
//! * [`Plan`]: what an operation does, derived from its number alone, so that the number is all that
//!   has to be written down.
//! * [`Record`]: the file of what was tried and what was promised.
//! * [`sim`]: a node in the hands of a seed.
//! * [`Load`]: 64 tasks that try, and write down what they were promised.

pub mod bank;
mod dice;
mod load;
mod plan;
mod record;
pub mod sim;
pub mod tally;

pub use dice::Dice;
pub use load::{Load, Options, TASKS, TOO_MANY_FILES};
pub use plan::{ACTORS, Extra, Plan, operation, task_of};
pub use record::{History, Record, Told};
