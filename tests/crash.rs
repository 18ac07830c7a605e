//! Goal: a client embeds the library, is killed again and again, and nothing that it was promised is
//! lost, doubled or half done.
//!
//! Method: the victim loads 1,000 actors from 64 tasks and writes down what it is told. It is killed
//! with -9 at a random moment, half of the time so early that it may still be opening the directory.
//! After each kill the newest acknowledgements are looked up by a fresh reader; at the end everything
//! is settled and all laws are checked.

use std::collections::HashSet;
use std::time::Duration;

use steadfast_tests::{Dice, History, Load, Options, Plan};

use crate::harness::{
    Place, Victim, check_acknowledged, check_all, peek_all, proved, runtime, say, scaled, seed,
    start, tries, wait_settled,
};

/// Acknowledgements looked up after each kill.
const LOOKED_UP: usize = 2_000;
/// Answered operations that the next life asks again.
const ASKED_AGAIN: usize = 256;

#[test]
fn crash_loop_loses_and_doubles_nothing() {
    let seed = seed("crash_loop");
    let (kills, every) = (tries(12, 200), scaled(6, 50));
    let place = Place::new();
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    let (mut before_ready, mut without_answer) = (0, 0);
    for life in 1..=kills {
        let known = history.acknowledged.len();
        let ready = one_life(&place, life, seed, &mut dice, &history);
        history.read_on(&place.record);
        before_ready += usize::from(!ready);
        without_answer += usize::from(history.acknowledged.len() == known);
        if history.acknowledged.is_empty() {
            continue;
        }
        let fresh = &history.acknowledged[known..];
        let newest = &fresh[fresh.len().saturating_sub(LOOKED_UP)..];
        check_acknowledged(&place.dir, &place, &history, newest);
        if life % every == 0 {
            check_all(&place.dir, &place, &history, false);
        }
    }
    say(&format!(
        "crash_loop: {kills} kills, {before_ready} of them before the node served, \
         {without_answer} before a first answer"
    ));
    settle_and_check(&place, &mut history);
    proved("kills", kills);
}

/// Runs the victim until a random moment; true if it served by then.
fn one_life(place: &Place, life: u64, seed: u64, dice: &mut Dice, history: &History) -> bool {
    let mut victim = Victim::load(place, life, seed, &asked_again(history));
    if dice.roll(2) == 0 {
        victim.wait_for("ready");
        std::thread::sleep(Duration::from_micros(dice.roll(400_000)));
    } else {
        std::thread::sleep(Duration::from_micros(dice.roll(200_000)));
    }
    victim.kill()
}

/// Keyed operations without an answer, and the newest that have one.
fn asked_again(history: &History) -> Vec<u64> {
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
fn settle_and_check(place: &Place, history: &mut History) {
    let states = runtime().block_on(async {
        let record = place.open_record();
        let node = start(&place.dir, &record).await;
        let options = Options {
            life: 0,
            seed: 0,
            note: 0,
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
    say(&format!("crash_loop: {figures:?}"));
    let operations: u64 = states.iter().map(|state| state.operations).sum();
    assert_eq!(
        operations, figures.applied as u64,
        "states hold every operation"
    );
}
