//! What the benchmarks share: where they run, said beside every number, and how numbers are told.

pub mod callers;
pub mod child;
mod counter;
mod latency;
pub mod load;
mod machine;
mod member;
mod pairs;
pub mod plot;
mod report;
pub mod suite;

pub use counter::{Add, Counter, CounterEvent};
pub use latency::{Quantiles, Spread};
pub use machine::{Machine, directory, parent_directory};
pub use member::{Count, Member, MemberEvent, POISONED, Poison, UNREADABLE, WANTED, set_bug};
pub use pairs::Pairs;
pub use report::{Bound, Outcome, Row, Settings, figure};
