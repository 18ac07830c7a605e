//! Goal: threads keep what they promise each other, in whatever order they run.
//!
//! Method: this package is the journal's sources once more, over locks, queues and threads whose order loom decides
//! (`std`). Each function of `journal/src/interleavings.rs` is run in every order with at most so many switches that no
//! thread asked for; two or three find almost all mistakes, and all orders would be too many. The same is done
//! with the places of the runtime where its threads meet.
//!
//! What it does not show: orders that only weak memory has, except of atomics; time, which stands still; RocksDB.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "../../runtime/src/worker/claim.rs"]
mod claim;
mod flow;
#[path = "../../runtime/src/node/lane.rs"]
mod lane;

use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use std::io::Write;

// Not of the `std` that this package has, whose atomics are loom's.
use core::sync::atomic::{AtomicU64, Ordering};

use claim::Claim;
use lane::{Lane, Progress};
use loom::model::Builder;
use steadfast_interleavings::{CommitFault, interleavings};

/// Forced switches in a plain run. `STEADFAST_TEST_SCALE=long` allows one more.
const SWITCHES: usize = 2;

/// Runs `check` in every order with so many forced switches, or with any number, and says how many orders those are.
fn explore(what: &str, switches: Option<usize>, check: impl Fn() + Send + Sync + Copy + 'static) {
    let long = std::env::var("STEADFAST_TEST_SCALE").is_ok_and(|scale| scale == "long");
    let orders: &'static AtomicU64 = Box::leak(Box::default());
    let mut builder = Builder::new();
    builder.preemption_bound = switches.map(|switches| switches + usize::from(long));
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
    explore(
        "entries",
        Some(SWITCHES),
        interleavings::entries_stay_while_their_run_moves,
    );
}

#[test]
fn the_newest_entry_stays_while_its_run_moves_in_every_order() {
    explore(
        "newest entry",
        Some(SWITCHES),
        interleavings::the_newest_entry_stays_while_its_run_moves,
    );
}

#[test]
fn every_submission_is_told_once_in_every_order() {
    for fault in [None, Some(CommitFault::Lost), Some(CommitFault::Kept)] {
        explore("submissions", Some(SWITCHES), move || {
            interleavings::every_submission_is_told_once(fault);
        });
    }
}

#[test]
fn the_head_names_what_is_there_in_every_order() {
    explore(
        "head",
        Some(SWITCHES),
        interleavings::the_head_names_what_is_there,
    );
}

#[test]
fn a_reader_is_told_of_the_end_in_every_order() {
    explore(
        "reader and end",
        Some(SWITCHES),
        interleavings::a_reader_is_told_of_the_end,
    );
}

#[test]
fn a_completion_may_be_the_last_to_let_go_in_every_order() {
    explore(
        "last completion",
        Some(SWITCHES),
        interleavings::a_completion_may_be_the_last_to_let_go,
    );
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().spawn(run).unwrap()
}

#[test]
fn a_command_is_begun_or_given_up_in_every_order() {
    explore("claim", None, || {
        let claim = Claim::default();
        let worker = {
            let claim = claim.clone();
            spawn(move || claim.begin())
        };
        let given_up = claim.give_up();
        assert_ne!(worker.join().unwrap(), given_up, "exactly one of them wins");
    });
}

/// What one worker does with each batch: hands it over, has it shown by the journal, puts its message into the lane,
/// wakes whoever takes, and says that it is out.
fn work(
    lane: &Lane<Vec<u64>>,
    progress: &Progress,
    journal: &Mutex<BTreeSet<u64>>,
    wake: impl Fn(),
) {
    for ticket in 1..=2 {
        progress.hand_over(ticket);
        journal.lock().unwrap().insert(ticket);
        if lane.put(|letters| letters.push(ticket)) {
            wake();
        }
        progress.is_let_out(ticket);
    }
}

#[test]
fn a_lane_loses_nothing_and_wakes_in_every_order() {
    explore("lane", Some(SWITCHES + 2), || {
        let lane = Arc::new(Lane::default());
        let progress = Arc::new(Progress::default());
        let (wake, woken) = sync_channel(4);
        let worker = {
            let (lane, progress) = (Arc::clone(&lane), Arc::clone(&progress));
            spawn(move || {
                let wake = || wake.send(()).unwrap();
                work(&lane, &progress, &Mutex::default(), wake);
            })
        };
        let mut taken = Vec::new();
        while taken.len() < 2 {
            woken.recv().expect("there is more, and nobody wakes");
            let out = progress.let_out();
            taken.extend(lane.take().unwrap_or_default());
            assert!(taken.len() as u64 >= out, "let out, and not in the lane");
        }
        worker.join().unwrap();
        assert_eq!(taken, [1, 2]);
        assert!(!lane.is_filled() || lane.take() == Some(Vec::new()));
    });
}

#[test]
fn what_the_journal_shows_was_handed_over_in_every_order() {
    explore("handing over", Some(SWITCHES + 2), || {
        let progress = Arc::new(Progress::default());
        let journal: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
        let worker = {
            let (progress, journal) = (Arc::clone(&progress), Arc::clone(&journal));
            spawn(move || work(&Lane::default(), &progress, &journal, || {}))
        };
        // As who reads the outbox does: first the rows, then how far everybody is.
        let shown = journal.lock().unwrap().last().copied();
        assert!(progress.handed_over() >= shown.unwrap_or_default());
        worker.join().unwrap();
    });
}

/// The control: looking into the second place first misses what moves there meanwhile, and that is found.
#[test]
#[should_panic(expected = "it is nowhere")]
fn a_look_in_the_wrong_order_is_found_out() {
    explore("control", Some(SWITCHES), || {
        let places = Arc::new((Mutex::new(true), Mutex::new(false)));
        let mover = {
            let places = Arc::clone(&places);
            spawn(move || {
                *places.1.lock().unwrap() = true;
                *places.0.lock().unwrap() = false;
            })
        };
        let second = *places.1.lock().unwrap();
        let first = *places.0.lock().unwrap();
        assert!(first || second, "it is nowhere");
        mover.join().unwrap();
    });
}
