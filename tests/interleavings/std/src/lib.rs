//! The standard library, but for locks, atomics, threads and queues: those are loom's, which runs a test in every order
//! that its threads can take, within a bound.
//!
//! A package that calls this one `std` compiles its sources over it unchanged. Only inside of `loom::model` can any of
//! this be used.

pub use std::*;

pub mod sync;
pub mod thread;
