//! The agent as its users meet it: the real binary, real directories, real signals.
//!
//! Nothing here sleeps to let something happen: [`support::until`] polls what can be observed.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod about;
mod concerns;
mod contract;
mod control;
mod crash;
mod disk;
mod exec;
mod exit_codes;
mod http;
mod offline;
mod operate;
mod packaging;
mod patrol;
mod projects;
mod quarantine;
mod reload;
mod service;
mod support;
