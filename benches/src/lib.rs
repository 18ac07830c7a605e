//! What the benchmarks share: where they run, said beside every number.

mod counter;
mod machine;

pub use counter::{Add, Counter, CounterEvent};
pub use machine::{Machine, directory};
