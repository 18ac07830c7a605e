//! Goal: a handler that panics, or rejects what it already decided, takes nothing with it: commands of
//! the same actor that were in flight before and after it are applied once, and it leaves no trace.
//!
//! Method: over the real store, many actors at once, each with ten commands in flight around the
//! failing one; then a restart, in order or not, and the laws.

use std::sync::Arc;

use steadfast::{AskError, Node};
use steadfast_tests::tally::{Add, Stumble, Tally};
use steadfast_tests::{ACTORS, Dice, Extra, History, Plan, Record, operation, tally};

use crate::harness::{Place, check_all, peek_all, proved, runtime, say, seed, tries, wait_settled};

/// Commands of the same actor in flight at once.
const IN_FLIGHT: u64 = 10;
/// Actors, each with a handler that fails, at the same time.
const TOGETHER: u64 = 20;

#[test]
fn panic_loses_and_doubles_nothing_in_flight() {
    let seed = seed("panic_loses");
    silence_panics_on_purpose();
    let place = Place::new();
    let mut dice = Dice::new(seed);
    let record = place.open_record();
    let mut next = operation(1, 0, 0);
    let mut failed = 0;
    for round in 0..tries(120, 2_000) / TOGETHER {
        failed += runtime().block_on(async {
            let node = tally::restless_node(&place.dir, &record).start().await;
            let node = node.expect("the node starts");
            let failed = one_round(&node, &record, &mut next, &mut dice).await;
            if round % 2 == 0 {
                node.shutdown().await.expect("an orderly end");
            }
            failed
        });
    }
    let states = runtime().block_on(async {
        let node = tally::restless_node(&place.dir, &record).start().await;
        let node = node.expect("the node starts");
        let states = wait_settled(&node).await;
        assert_eq!(states, peek_all(&node).await);
        node.shutdown().await.expect("an orderly end");
        states
    });
    let figures = check_all(&place.dir, &place, &History::read(&place.record), true);
    say(&format!(
        "panic_loses: {failed} handlers failed on purpose, {figures:?}"
    ));
    assert_eq!(figures.acknowledged, figures.applied, "nothing is unknown");
    let operations: u64 = states.iter().map(|state| state.operations).sum();
    assert_eq!(operations, figures.applied as u64);
    proved("failed_handlers", failed as u64);
}

/// Panics of [`Stumble`] would hide those that are not on purpose.
fn silence_panics_on_purpose() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref() != Some(&"on purpose") {
            before(panic);
        }
    }));
}

/// A handful of actors at the same time; returns how many handlers failed.
async fn one_round(node: &Node, record: &Arc<Record>, next: &mut u64, dice: &mut Dice) -> usize {
    let mut asked = Vec::new();
    let mut stumbled = Vec::new();
    for _ in 0..TOGETHER {
        let actor = dice.roll(ACTORS);
        let at = dice.roll(IN_FLIGHT);
        for place in 0..IN_FLIGHT {
            if place == at {
                let stumble = Stumble {
                    op: operation(9, 0, actor),
                    panic: dice.roll(2) == 0,
                };
                let actor = node.actor::<Tally>(&format!("{actor:04}"));
                stumbled.push(tokio::spawn(async move { actor.ask(stumble).await }));
            }
            let op = next_operation(actor, next);
            asked.push(tokio::spawn(add(node.clone(), Arc::clone(record), op)));
        }
    }
    for answer in asked {
        answer.await.expect("the task ends");
    }
    let failed = stumbled.len();
    for answer in stumbled {
        let answer = answer.await.expect("the task ends");
        assert!(
            matches!(answer, Err(AskError::Failed { .. })),
            "a handler that fails answers so: {answer:?}"
        );
    }
    failed
}

/// The next operation of `actor` that is not rejected.
fn next_operation(actor: u64, next: &mut u64) -> u64 {
    loop {
        *next += 1;
        let plan = Plan::of(*next);
        if plan.actor == actor && plan.extra != Extra::Reject {
            return *next;
        }
    }
}

async fn add(node: Node, record: Arc<Record>, op: u64) {
    let actor = node.actor::<Tally>(&Plan::of(op).actor_key());
    record.tried(op);
    let asking = actor.ask(Add {
        op,
        note: String::new(),
    });
    let answer = if Plan::of(op).keyed {
        asking.key(Plan::key(op)).await
    } else {
        asking.await
    };
    match answer {
        Ok(added) => record.acknowledged(op, added),
        Err(error) => record.wrong(&format!("operation {op}: {error:?}")),
    }
}
