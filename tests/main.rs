//! Tests that cross crates, over the real store and real processes; one module per property.
//!
//! `cargo test --release --workspace --test integration` runs a bounded slice. `STEADFAST_TEST_SCALE=long` runs all
//! of it, which is what `make crash` sets. Every random test says its seed first, and
//! `STEADFAST_TEST_SEED` repeats it.

mod book;
mod clocks;
mod control;
mod crash;
mod damage;
mod decoders;
mod disk;
mod each_call;
mod exec;
mod failpoints;
mod first_ask;
mod harness;
mod histories;
mod http_input;
mod jumps;
mod keyed;
mod limits;
mod model;
mod mutants;
mod mutations;
mod names;
mod panics;
mod powercut;
mod simulation;
mod sockets;
mod stopping;
mod sweep;
mod syncs;
mod tidy;
mod timers;
mod transfers;
