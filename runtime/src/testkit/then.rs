//! What a command decided, and claims about it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use steadfast_journal::EventRecord;

use super::bench::{Turned, decoded};
use super::canonical::Canonical;
use super::laws::shown_answer;
use super::{Given, fail};
use crate::core::Operation;
use crate::model::{Command, Done, Effect, Event, Handle, Outcome, StatefulActor, Timestamp};

/// A command that was handled. Claim what should have come of it, or go on with the next one.
pub struct Then<A: StatefulActor, C: Command> {
    pub(super) given: Given<A>,
    pub(super) turned: Turned<C>,
}

impl<A: StatefulActor, C: Command> fmt::Debug for Then<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then")
            .field("given", &self.given)
            .field("command", &C::NAME)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the last claim of a test is a statement"
)]
impl<A: StatefulActor, C: Command> Then<A, C> {
    pub(super) fn new(given: Given<A>, turned: Turned<C>) -> Self {
        Self { given, turned }
    }

    /// It emitted exactly these events, in this order.
    #[track_caller]
    pub fn then_events(self, expected: impl IntoIterator<Item = A::Event>) -> Self {
        let mut lines = Vec::new();
        for event in expected {
            match event.encode() {
                Ok(data) => lines.push(Line::new(event.name(), event.version(), &data)),
                Err(error) => fail(&format!("an expected event: {error}")),
            }
        }
        let actual: Vec<Line> = self.turned.events.iter().map(Line::of).collect();
        if lines != actual {
            let (expected, actual) = (listed::<A::Event>(&lines), listed::<A::Event>(&actual));
            fail(&format!(
                "{:?} emitted other events\nexpected:{expected}\nactual:{actual}",
                C::NAME
            ));
        }
        self
    }

    /// It emitted nothing.
    #[track_caller]
    pub fn then_no_events(self) -> Self {
        self.then_events([])
    }

    /// It replied this.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "reads better in a test")]
    pub fn then_reply(self, expected: C::Reply) -> Self {
        let matches = self
            .turned
            .answer
            .as_ref()
            .is_ok_and(|reply| same(reply, &expected));
        self.claim_answer(matches, "reply", &expected)
    }

    /// It was rejected with this.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "reads better in a test")]
    pub fn then_rejection(self, expected: C::Rejection) -> Self {
        let matches = self
            .turned
            .answer
            .as_ref()
            .is_err_and(|rejection| same(rejection, &expected));
        self.claim_answer(matches, "rejection", &expected)
    }

    #[track_caller]
    fn claim_answer(self, matches: bool, word: &str, expected: &impl Serialize) -> Self {
        if !matches {
            let expected =
                Canonical::of(expected).map_or_else(|error| error, |value| value.to_string());
            let actual = shown_answer::<C>(&self.turned.answer);
            let name = C::NAME;
            fail(&format!(
                "{name:?} answered otherwise\nexpected: {word} {expected}\nactual:   {actual}"
            ));
        }
        self
    }

    /// Looks at the state after the command.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) -> Self {
        check(&self.given.bench.host.state);
        self
    }

    /// It set the timer `name`, which is due first after `delay`; jitter does not count.
    #[track_caller]
    pub fn then_timer(self, name: &str, delay: Duration) -> Self {
        let set: Vec<(&str, Duration)> = self.timers().collect();
        if !set.contains(&(name, delay)) {
            let command = C::NAME;
            fail(&format!(
                "{command:?} did not set timer {name:?} to {delay:?}, but {set:?}"
            ));
        }
        self
    }

    fn timers(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.turned.operations.iter().filter_map(|operation| {
            let Operation::SetTimer(timer) = operation else {
                return None;
            };
            let wait = timer.due.wall.since(self.given.bench.now);
            Some((timer.name.as_str(), wait))
        })
    }

    /// After the command no timer `name` is pending.
    #[track_caller]
    pub fn then_no_timer(self, name: &str) -> Self {
        if let Some(timer) = self.given.bench.host.core.timers.get(name) {
            fail(&format!(
                "timer {name:?} is pending, due at {}",
                timer.due.wall
            ));
        }
        self
    }

    /// It wants exactly one effect `E` done: this one.
    #[track_caller]
    pub fn then_effect<E: Effect>(self, check: impl FnOnce(&E)) -> Self {
        let requested: Vec<(&str, &[u8])> = self.effects().collect();
        let mut bodies = requested.iter().filter(|(name, _)| *name == E::NAME);
        let (Some((_, body)), None) = (bodies.next(), bodies.next()) else {
            let names: Vec<&str> = requested.iter().map(|(name, _)| *name).collect();
            fail(&format!(
                "{:?} did not want effect {:?} once, but {names:?}",
                C::NAME,
                E::NAME
            ));
        };
        check(&decoded(body, "an effect"));
        self
    }

    /// It wants no effect done.
    #[track_caller]
    pub fn then_no_effects(self) -> Self {
        let names: Vec<&str> = self.effects().map(|(name, _)| name).collect();
        if !names.is_empty() {
            fail(&format!("{:?} wanted effects: {names:?}", C::NAME));
        }
        self
    }

    fn effects(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.turned.operations.iter().filter_map(|operation| {
            let Operation::RequestEffect { name, body, .. } = operation else {
                return None;
            };
            Some((name.as_str(), body.as_slice()))
        })
    }

    /// Sets the clock for what comes next.
    pub fn at(self, time: Timestamp) -> Given<A> {
        self.given.at(time)
    }

    /// Moves the clock on for what comes next.
    pub fn later(self, by: Duration) -> Given<A> {
        self.given.later(by)
    }

    /// Sends the next command: [`Given::when`].
    #[track_caller]
    pub fn when<D: Command>(self, command: D) -> Then<A, D>
    where
        A: Handle<D>,
    {
        self.given.when(command)
    }

    /// Lets a timer fire: [`Given::when_timer`].
    #[track_caller]
    pub fn when_timer<D: Command>(self, name: &str) -> Then<A, D>
    where
        A: Handle<D>,
    {
        self.given.when_timer(name)
    }

    /// Answers an effect: [`Given::when_done`].
    #[track_caller]
    pub fn when_done<E: Effect>(self, outcome: Outcome<E::Output>) -> Then<A, Done<E>>
    where
        A: Handle<Done<E>>,
    {
        self.given.when_done(outcome)
    }
}

/// Whether two values are encoded alike.
fn same(one: &impl Serialize, other: &impl Serialize) -> bool {
    let (one, other) = (Canonical::of(one), Canonical::of(other));
    one.is_ok() && one == other
}

/// An event in a comparison.
#[derive(PartialEq)]
struct Line {
    name: String,
    version: u32,
    data: Result<Canonical, String>,
    /// For showing it; equal data may have other bytes.
    bytes: Bytes,
}

/// Bytes that do not take part in a comparison.
struct Bytes(Vec<u8>);

impl PartialEq for Bytes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Line {
    fn new(name: &str, version: u32, data: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            version,
            data: Canonical::of_bytes(data),
            bytes: Bytes(data.to_vec()),
        }
    }

    fn of(record: &EventRecord) -> Self {
        Self::new(&record.name, record.version, &record.data)
    }

    /// As JSON by its type, where times are texts; else as it is encoded.
    fn shown<E: Event>(&self) -> String {
        let typed = E::decode(&self.name, self.version, &self.bytes.0)
            .ok()
            .and_then(|event| event.to_json().ok());
        let data = match (typed, &self.data) {
            (Some(json), _) => json.to_string(),
            (None, Ok(data)) => data.to_string(),
            (None, Err(error)) => error.clone(),
        };
        format!("\n  {} v{} {data}", self.name, self.version)
    }
}

fn listed<E: Event>(lines: &[Line]) -> String {
    if lines.is_empty() {
        return " nothing".to_owned();
    }
    lines.iter().map(Line::shown::<E>).collect()
}
