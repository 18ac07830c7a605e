//! Life after life in one directory: what the next one asks again, and the end, when everything has come back.

use std::collections::HashSet;

use steadfast_tests::{History, Load, Options, Plan};

use super::{Place, check_all, peek_all, runtime, say, start, wait_settled};

/// Answered operations that the next life asks again.
const ASKED_AGAIN: usize = 256;

/// Keyed operations without an answer, and the newest that have one.
pub(crate) fn asked_again(history: &History) -> Vec<u64> {
    let keyed = |op: &u64| Plan::of(*op).keyed;
    let answered = history.acknowledged.iter().rev().copied();
    let answered: HashSet<u64> = answered.filter(keyed).take(ASKED_AGAIN).collect();
    open_operations(history).chain(answered).collect()
}

fn open_operations(history: &History) -> impl Iterator<Item = u64> {
    let operations = history.operations.iter();
    operations
        .filter(|(op, told)| Plan::of(**op).keyed && told.is_open())
        .map(|(op, _)| *op)
}

/// Starts once more, resolves what is open, lets timers and effects come back, and checks all laws.
pub(crate) fn settle_and_check(test: &str, place: &Place, history: &mut History) {
    settle_with(test, place, history, 0);
}

/// The same for operations that carry a note of so many bytes, without which their keys stand for other ones.
pub(crate) fn settle_with(test: &str, place: &Place, history: &mut History, bytes: usize) {
    let states = runtime().block_on(async {
        let record = place.open_record();
        let node = start(&place.dir, &record).await;
        let options = Options {
            life: 0,
            seed: 0,
            note: bytes,
        };
        let load = Load::new(node.clone(), record, options, drop);
        for op in open_operations(history).collect::<Vec<_>>() {
            load.settle(op, None).await;
        }
        let settled = wait_settled(&node).await;
        let asked = peek_all(&node).await;
        assert_eq!(settled, asked, "a settled state does not move");
        node.shutdown().await.expect("an orderly end");
        asked
    });
    history.read_on(&place.record);
    let figures = check_all(&place.dir, place, history, true);
    say(&format!("{test}: {figures:?}"));
    let operations: u64 = states.iter().map(|state| state.operations).sum();
    assert_eq!(
        operations, figures.applied as u64,
        "states hold every operation"
    );
}
