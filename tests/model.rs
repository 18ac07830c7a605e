//! Goal: the protocol of commit, answer, key and outbox is right in every order in which its steps can come.
//!
//! Method: a small model of it, of which every state is visited: two clients with one keyed command each, of which one
//! may ask again at any time; a sender and a receiver on workers of their own, one or two messages between them, a look;
//! power cuts and failing syncs at any moment, after which any beginning of what was not synced may be there. Each step
//! names the code that takes it (`protocol`); what steps do is in `workers`, what there is in `world`.
//!
//! In every state: what was acknowledged is durable and stays so, a key took effect at most once and is always answered
//! in the same way, messages are taken once and in the order of their sending, and no answer, look or message rests on
//! what is not durable. Every run ends, and where one ends nobody waits and every message was taken.
//!
//! The controls are the same model with one mistake: each must be found out. So must be that the model reaches
//! what it is made for.
//!
//! Not in the model: rejections that come back, timers, effects, snapshots (`simulation` has them), more than one
//! receiver, and what a single thread does between two steps.

mod explore;
mod list;
mod protocol;
mod reached;
mod workers;
mod world;

use explore::explore;
use protocol::{Mistake, Protocol};
use reached::Reached;

use crate::harness::{say, say_case, scaled};

/// Messages, questions of each client, looks, faults.
const fn sound(messages: u8, asks: [u8; 2], looks: bool, faults: u8) -> Protocol {
    Protocol {
        both_send: messages == 2,
        asks,
        looks,
        faults,
        mistake: None,
    }
}

#[test]
fn the_protocol_keeps_its_promises_in_every_order_of_its_steps() {
    let mut protocols = vec![sound(2, [2, 1], false, 2), sound(1, [1, 1], true, 1)];
    if scaled(false, true) {
        protocols.push(sound(1, [2, 1], true, 2));
        protocols.push(sound(2, [2, 2], false, 2));
        protocols.push(sound(2, [2, 1], false, 3));
    }
    let mut reached = Reached::default();
    for protocol in protocols {
        let explored = explore(&protocol, |before, step, after| {
            reached.note(protocol, before, *step, after);
        });
        let explored =
            explored.unwrap_or_else(|found| panic!("{protocol:?}: {found}{}", found.way()));
        assert!(explored.ends, "a run goes on for ever");
        say(&format!("{protocol:?}: {explored:?}"));
    }
    say(&format!("the model reached {reached:#?}"));
    assert_eq!(reached.missing(), Vec::<&str>::new(), "never reached");
}

#[test]
fn every_mistake_in_the_protocol_is_found_out() {
    for mistake in Mistake::ALL {
        let protocol = Protocol {
            mistake: Some(mistake),
            ..sound(2, [2, 1], mistake == Mistake::ReadBeforeDurable, 2)
        };
        match explore(&protocol, |_, _, _| {}) {
            Ok(explored) => panic!("{mistake:?} is not found in {explored:?}"),
            Err(found) => {
                say(&format!("{mistake:?}: {found}"));
                say_case(|| format!("{mistake:?}:{}", found.way()));
            }
        }
    }
}
