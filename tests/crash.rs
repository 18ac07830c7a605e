//! Goal: a client embeds the library, is killed again and again, and nothing that it was promised is
//! lost, doubled or half done.
//!
//! Method: the victim loads 1,000 actors from 64 tasks and writes down what it is told. It is killed
//! with -9 at a random moment, half of the time so early that it may still be opening the directory.
//! After each kill the newest acknowledgements are looked up by a fresh reader; at the end everything
//! is settled and all laws are checked.

use std::time::Duration;

use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, asked_again, check_all, check_newest, proved, say, scaled, seed,
    settle_and_check, tries,
};

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
        check_newest(&place, &history, known);
        if life % every == 0 {
            check_all(&place.dir, &place, &history, false);
        }
    }
    say(&format!(
        "crash_loop: {kills} kills, {before_ready} of them before the node served, \
         {without_answer} before a first answer"
    ));
    settle_and_check("crash_loop", &place, &mut history);
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
