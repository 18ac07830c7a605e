//! Goal: a handler that panics, or rejects what it already decided, takes nothing with it: commands of
//! the same actor that were in flight before and after it are applied once, and it leaves no trace.
//!
//! Method: over the real store, many actors at once, each with ten commands in flight around the
//! failing one; then a restart: in order once all have their answers, or by an end in the middle of
//! that, as soon as one has failed. At the end the laws, with what is open asked again.

use std::sync::Arc;

use steadfast::{ActorRef, AskError, Node};
use steadfast_tests::tally::{Add, Stumble, Tally, TooMuch};
use steadfast_tests::{ACTORS, Dice, Extra, History, Plan, Record, operation, tally};
use tokio::task::JoinHandle;

use crate::harness::{Place, proved, runtime, say, seed, settle_and_check, tries};

/// Commands of the same actor in flight at once.
const IN_FLIGHT: u64 = 10;
/// Actors, each with a handler that fails, at the same time.
const TOGETHER: u64 = 20;

/// Handlers that failed, by how.
#[derive(Debug, Default)]
struct Failed {
    panicked: u64,
    rejected: u64,
    /// Of those that panicked, how many in a round that ended before all was done.
    cut_off: u64,
}

#[test]
fn panic_loses_and_doubles_nothing_in_flight() {
    let seed = seed("panic_loses");
    silence_panics_on_purpose();
    let place = Place::new();
    let mut dice = Dice::new(seed);
    let record = place.open_record();
    let mut next = operation(1, 0, 0);
    let (mut failed, mut rounds) = (Failed::default(), 0);
    let wanted = tries(60, 1_000);
    while failed.panicked < wanted {
        rounds += 1;
        runtime().block_on(async {
            let node = tally::restless_node(&place.dir, &record).start().await;
            let node = node.expect("the node starts");
            let round = Round::ask(&node, &record, &mut next, &mut dice);
            if rounds % 2 == 0 {
                round.all_answered(&mut failed).await;
                node.shutdown().await.expect("an orderly end");
            } else {
                round.cut_off(node, &mut failed).await;
            }
        });
    }
    let mut history = History::read(&place.record);
    settle_and_check("panic_loses", &place, &mut history);
    say(&format!("panic_loses: {rounds} rounds, {failed:?}"));
    assert!(failed.cut_off > 0, "no end met a panic");
    proved("handler_panics", failed.panicked);
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

/// What one handler that fails was answered.
type Stumbled = Result<(), AskError<TooMuch>>;

/// A handful of actors at the same time.
struct Round {
    asked: Vec<JoinHandle<bool>>,
    stumbled: Vec<JoinHandle<Stumbled>>,
}

impl Round {
    fn ask(node: &Node, record: &Arc<Record>, next: &mut u64, dice: &mut Dice) -> Self {
        let (mut asked, mut stumbled) = (Vec::new(), Vec::new());
        for _ in 0..TOGETHER {
            let number = dice.roll(ACTORS);
            // Nothing that is asked holds the node: its end is in the hands of the round.
            let actor = node.actor::<Tally>(&format!("{number:04}"));
            let at = dice.roll(IN_FLIGHT);
            for place in 0..IN_FLIGHT {
                if place == at {
                    let stumble = Stumble {
                        op: operation(9, 0, number),
                        panic: dice.roll(2) == 0,
                    };
                    let actor = actor.clone();
                    stumbled.push(tokio::spawn(async move { actor.ask(stumble).await }));
                }
                let op = next_operation(number, next);
                asked.push(tokio::spawn(add(actor.clone(), Arc::clone(record), op)));
            }
        }
        Self { asked, stumbled }
    }

    /// Waits for all answers: every command is done, and every handler that fails says so.
    async fn all_answered(self, failed: &mut Failed) {
        for answer in self.asked {
            let done = answer.await.expect("the task ends");
            assert!(done, "a node that goes on does what it is asked for");
        }
        for answer in self.stumbled {
            let answer = answer.await.expect("the task ends");
            assert!(failed.count(&answer), "a handler failed: {answer:?}");
        }
    }

    /// Ends the node at once, as a crash does, as soon as a handler has panicked.
    async fn cut_off(self, node: Node, failed: &mut Failed) {
        let before = failed.panicked;
        let mut stumbled = self.stumbled.into_iter();
        for answer in stumbled.by_ref() {
            failed.count(&answer.await.expect("the task ends"));
            if failed.panicked > before {
                break;
            }
        }
        drop(node);
        let mut open = false;
        for answer in self.asked {
            open |= !answer.await.expect("the task ends");
        }
        for answer in stumbled {
            failed.count(&answer.await.expect("the task ends"));
        }
        if open {
            failed.cut_off += failed.panicked - before;
        }
    }
}

impl Failed {
    /// Whether the answer is that of a handler that failed in one of the two ways.
    fn count(&mut self, answer: &Stumbled) -> bool {
        let Err(AskError::Failed { reason }) = answer else {
            return false;
        };
        let panicked = reason.contains("on purpose");
        self.panicked += u64::from(panicked);
        let rejected = reason.contains("was rejected after it had emitted");
        self.rejected += u64::from(rejected);
        panicked || rejected
    }
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

/// Whether it was done; only a node that ended says anything else.
async fn add(actor: ActorRef<Tally>, record: Arc<Record>, op: u64) -> bool {
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
    match &answer {
        Ok(added) => record.acknowledged(op, *added),
        Err(AskError::OutcomeUnknown) => record.unknown(op),
        Err(error @ AskError::Stopped) => record.refused(op, &error.to_string()),
        Err(error) => record.wrong(&format!("operation {op}: {error:?}")),
    }
    answer.is_ok()
}
