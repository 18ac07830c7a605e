//! Goal: the threads of a journal keep what they promise each other, in whatever order they run.
//!
//! Method: this package is the journal's sources once more, over locks, queues and threads whose order loom decides
//! (`std`). Each function of `journal/src/interleavings.rs` is run in every order with at most so many switches that no
//! thread asked for; that two or three find almost all mistakes is known from long use, all orders would be too many.
//!
//! What it does not show: orders that only weak memory has, except of atomics; time, which stands still; RocksDB.

use std::io::Write;

// Not of the `std` that this package has, whose atomics are loom's.
use core::sync::atomic::{AtomicU64, Ordering};

use loom::model::Builder;
use steadfast_interleavings::{CommitFault, interleavings};

/// Runs `check` in every order with at most `switches` of them forced, and says how many that were.
fn explore(what: &str, switches: usize, check: impl Fn() + Send + Sync + Copy + 'static) {
    let orders: &'static AtomicU64 = Box::leak(Box::default());
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 100_000;
    builder.check(move || {
        orders.fetch_add(1, Ordering::Relaxed);
        // The first thread's stack is small.
        let thread = std::thread::Builder::new().spawn(check).unwrap();
        thread.join().unwrap();
    });
    let orders = orders.load(Ordering::Relaxed);
    writeln!(std::io::stderr().lock(), "{what}: {orders} orders").unwrap();
}

#[test]
fn entries_stay_while_their_run_moves_in_every_order() {
    explore("entries", 3, interleavings::entries_stay_while_their_run_moves);
}

#[test]
fn the_newest_entry_stays_while_its_run_moves_in_every_order() {
    explore("newest entry", 3, interleavings::the_newest_entry_stays_while_its_run_moves);
}

#[test]
fn every_submission_is_told_once_in_every_order() {
    for fault in [None, Some(CommitFault::Lost), Some(CommitFault::Kept)] {
        explore("submissions", 3, move || {
            interleavings::every_submission_is_told_once(fault);
        });
    }
}

#[test]
fn the_head_names_what_is_there_in_every_order() {
    explore("head", 3, interleavings::the_head_names_what_is_there);
}

#[test]
fn a_completion_may_be_the_last_to_let_go_in_every_order() {
    explore("last completion", 3, interleavings::a_completion_may_be_the_last_to_let_go);
}
