//! Actors that break a law, each in one way.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize};

use super::check_fails;
use crate::testkit::given;
use crate::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};

static CALLS: AtomicU64 = AtomicU64::new(0);

fn count() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

#[derive(Event)]
enum Happened {
    Counted {
        by: u64,
    },
    /// Read back as another value.
    Lossy {
        #[serde(deserialize_with = "one_more")]
        value: u64,
    },
}

fn one_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(u64::deserialize(deserializer)? + 1)
}

#[derive(Default, Serialize, Deserialize)]
struct Odd {
    total: u64,
    /// Changed by a handler behind the runtime's back.
    seen: Cell<u64>,
    /// Part of the state that a snapshot lacks.
    #[serde(skip)]
    hidden: u64,
    many: HashMap<u64, u64>,
    lossy: Twisted,
}

/// Not read back as it is written, unless it is zero.
#[derive(Default, Serialize)]
struct Twisted(u64);

impl<'de> Deserialize<'de> for Twisted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u64::deserialize(deserializer)?;
        Ok(Self(value.saturating_sub(1)))
    }
}

/// Applied in another way than any other event.
const FROM_OUTSIDE: u64 = 1_000;
const TWISTS: u64 = 2_000;

impl StatefulActor for Odd {
    const KIND: &'static str = "odd";
    type Event = Happened;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &Happened) {
        match event {
            Happened::Counted { by: FROM_OUTSIDE } => self.total += count(),
            Happened::Counted { by: TWISTS } => self.lossy.0 = 5,
            Happened::Counted { by } => {
                self.total += by;
                self.hidden += by;
                self.many.extend((0..20).map(|key| (key, *by)));
            }
            Happened::Lossy { value } => self.total += value,
        }
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64)]
enum Do {
    Count,
    CountFromOutside,
    Twist,
    EmitLossy,
    EmitFromOutside,
    ReplyFromOutside,
    ReplyHidden,
    EmitInMapOrder,
    ChangeUnseen,
    Forgetful(#[serde(skip)] u64),
    Twisted(Twisted),
}

impl Handle<Do> for Odd {
    fn handle(odd: &mut Live<'_, Self>, command: Do) -> Result<u64, Never> {
        match command {
            Do::Count => odd.emit(Happened::Counted { by: 1 }),
            Do::CountFromOutside => odd.emit(Happened::Counted { by: FROM_OUTSIDE }),
            Do::Twist => odd.emit(Happened::Counted { by: TWISTS }),
            Do::EmitLossy => odd.emit(Happened::Lossy { value: 1 }),
            Do::EmitFromOutside => odd.emit(Happened::Counted { by: count() % 500 }),
            Do::ReplyFromOutside => return Ok(count()),
            Do::ReplyHidden => return Ok(odd.hidden),
            Do::EmitInMapOrder => {
                let keys: Vec<u64> = odd.many.keys().copied().collect();
                for by in keys {
                    odd.emit(Happened::Counted { by });
                }
            }
            Do::ChangeUnseen => odd.seen.set(odd.seen.get() + 1),
            Do::Forgetful(value) | Do::Twisted(Twisted(value)) => return Ok(value),
        }
        Ok(odd.total)
    }
}

#[track_caller]
fn check_breaks(command: Do, words: &[&str]) {
    let some = [Happened::Counted { by: 3 }, Happened::Counted { by: 4 }];
    check_fails(|| drop(given::<Odd>(some).when(command)), words);
}

#[test]
fn what_keeps_the_laws_passes() {
    given::<Odd>([])
        .when(Do::Count)
        .then_reply(1)
        .when(Do::Count)
        .then_reply(2);
}

#[test]
fn an_event_that_is_read_back_otherwise() {
    let words = [
        "broken law: round trip",
        "lossy",
        "{\"value\":1}",
        "{\"value\":2}",
    ];
    check_breaks(Do::EmitLossy, &words);
    check_fails(
        || drop(given::<Odd>([Happened::Lossy { value: 1 }])),
        &words,
    );
}

#[test]
fn a_state_that_is_read_back_otherwise() {
    let words = [
        "broken law: round trip",
        "the state",
        "\"lossy\":5",
        "\"lossy\":4",
    ];
    check_breaks(Do::Twist, &words);
}

#[test]
fn a_command_that_is_read_back_otherwise() {
    check_breaks(
        Do::Twisted(Twisted(9)),
        &["broken law: round trip", "command \"do\"", "9", "8"],
    );
    check_breaks(Do::Forgetful(9), &["broken law"]);
}

#[test]
fn a_handler_that_asks_the_outside() {
    let law = "broken law: determinism";
    check_breaks(
        Do::EmitFromOutside,
        &[law, "\"do\"", "event counted v1", "a replay of its events"],
    );
    check_breaks(Do::ReplyFromOutside, &[law, "reply"]);
}

#[test]
fn a_handler_that_depends_on_the_order_of_a_map() {
    check_breaks(
        Do::EmitInMapOrder,
        &["broken law: determinism", "event counted v1"],
    );
}

#[test]
fn a_handler_that_depends_on_what_a_snapshot_lacks() {
    let words = [
        "broken law: determinism",
        "a decoded copy",
        "reply 7",
        "reply 0",
    ];
    check_breaks(Do::ReplyHidden, &words);
}

#[test]
fn a_handler_that_changes_the_state_without_an_event() {
    check_breaks(
        Do::ChangeUnseen,
        &["broken law: replay", "\"seen\":1", "\"seen\":0"],
    );
}

#[test]
fn an_apply_that_asks_the_outside() {
    // The count must not be zero each time, which would be right by accident.
    count();
    check_breaks(Do::CountFromOutside, &["broken law"]);
}
