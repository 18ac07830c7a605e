//! The three laws, each with the message of a test that breaks it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_journal::EventRecord;

use super::bench::Turned;
use super::canonical::Canonical;
use super::fail;
use crate::core::Operation;
use crate::host::{Answer, Host};
use crate::model::{Command, Event, StatefulActor};

#[derive(Debug, Clone, Copy)]
pub(super) enum Law {
    RoundTrip,
    Determinism,
    Replay,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundTrip => "round trip (what is encoded decodes to the same)",
            Self::Determinism => "determinism (handle depends on state, command and Live alone)",
            Self::Replay => "replay (the state is the fold of its events)",
        })
    }
}

impl Law {
    #[track_caller]
    pub(super) fn broken(self, what: &str) -> ! {
        fail(&format!("broken law: {self}\n{what}"))
    }

    #[track_caller]
    fn hold<T>(self, result: Result<T, String>, what: &str) -> T {
        match result {
            Ok(value) => value,
            Err(error) => self.broken(&format!("{what}: {error}")),
        }
    }
}

/// An event, by name, version and fields.
#[track_caller]
pub(super) fn check_event<E: Event>(record: &EventRecord) {
    let what = format!("event {:?} version {}", record.name, record.version);
    let law = Law::RoundTrip;
    let read = E::decode(&record.name, record.version, &record.data);
    let event = law.hold(read.map_err(describe), &what);
    if (event.name(), event.version()) != (&*record.name, record.version) {
        let (name, version) = (event.name(), event.version());
        law.broken(&format!(
            "{what} is read back as {name:?} version {version}"
        ));
    }
    let again = law.hold(event.encode().map_err(describe), &what);
    let before = law.hold(Canonical::of_bytes(&record.data), &what);
    let after = law.hold(Canonical::of_bytes(&again), &what);
    if before != after {
        law.broken(&format!("{what}\nwritten:   {before}\nread back: {after}"));
    }
}

fn describe(error: impl std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[track_caller]
pub(super) fn check_state<A: StatefulActor>(state: &A) {
    drop(copy(state, "the state"));
}

/// Gives a copy, made of what it is encoded as.
#[track_caller]
pub(super) fn check_command<C: Command>(command: &C) -> C {
    copy(command, &format!("command {:?}", C::NAME))
}

#[track_caller]
fn copy<T: Serialize + DeserializeOwned>(value: &T, what: &str) -> T {
    let law = Law::RoundTrip;
    let encoded = rmp_serde::to_vec_named(value).map_err(|error| error.to_string());
    let bytes = law.hold(encoded, what);
    let read = rmp_serde::from_slice(&bytes).map_err(|error| error.to_string());
    let copy: T = law.hold(read, what);
    let before = law.hold(Canonical::of_bytes(&bytes), what);
    let after = law.hold(Canonical::of(&copy), what);
    if before != after {
        law.broken(&format!("{what}\nencoded:   {before}\nread back: {after}"));
    }
    copy
}

/// Two turns of one command on equal states.
#[track_caller]
pub(super) fn check_same<C: Command>(
    first: &Turned<C>,
    second: Result<Turned<C>, String>,
    state: &str,
) {
    let law = Law::Determinism;
    let second = match second {
        Ok(second) => second,
        Err(reason) => law.broken(&format!(
            "{:?} was answered on the state in memory and failed on {state}: {reason}",
            C::NAME
        )),
    };
    let (expected, actual) = (shown(first), shown(&second));
    if expected != actual {
        law.broken(&format!(
            "{:?} decided otherwise on {state}, though time and seed were the same\nfirst:  {expected}\nsecond: {actual}",
            C::NAME
        ));
    }
}

/// All that a turn decided, as text that is equal where it is.
#[track_caller]
fn shown<C: Command>(turned: &Turned<C>) -> String {
    let law = Law::RoundTrip;
    let mut lines = Vec::new();
    for EventRecord {
        name,
        version,
        data,
    } in &turned.events
    {
        let data = law.hold(Canonical::of_bytes(data), name);
        lines.push(format!("event {name} v{version} {data}"));
    }
    for operation in &turned.operations {
        let (plain, body) = without_body(operation);
        let body = law.hold(body, "the body of a timer or effect");
        lines.push(format!("{plain:?} {body}"));
    }
    lines.push(shown_answer::<C>(&turned.answer));
    lines.join("\n        ")
}

#[track_caller]
pub(super) fn shown_answer<C: Command>(answer: &Answer<C>) -> String {
    let (word, value) = match answer {
        Ok(reply) => ("reply", Canonical::of(reply)),
        Err(rejection) => ("rejection", Canonical::of(rejection)),
    };
    let value = Law::RoundTrip.hold(value, word);
    format!("{word} {value}")
}

/// The operation with its body apart, because a body is compared with its maps sorted.
fn without_body(operation: &Operation) -> (Operation, Result<Canonical, String>) {
    let mut plain = operation.clone();
    let body = match &mut plain {
        Operation::SetTimer(timer) => std::mem::take(&mut timer.body),
        Operation::RequestEffect { body, .. } | Operation::SendMessage { body, .. } => {
            std::mem::take(body)
        }
        Operation::CancelTimer { .. }
        | Operation::FireTimer { .. }
        | Operation::SkipTimer { .. }
        | Operation::StartEffect { .. }
        | Operation::RetryEffect { .. }
        | Operation::AnswerEffect { .. }
        | Operation::TakeMessage { .. }
        | Operation::Skip { .. }
        | Operation::SkipEvent { .. } => return (plain, Ok(Canonical::Nil)),
    };
    (plain, Canonical::of_bytes(&body))
}

/// The actor in memory and the same one recovered.
#[track_caller]
pub(super) fn check_equal<A: StatefulActor>(
    live: &Host<A>,
    recovered: &Host<A>,
    running: Duration,
    how: &str,
) {
    let law = Law::Replay;
    let encoded = |host: &Host<A>| Canonical::of(&host.state);
    let in_memory = law.hold(encoded(live), "the state");
    let read = law.hold(encoded(recovered), "the state");
    if in_memory != read {
        law.broken(&format!(
            "the state in memory differs from its {how}\nin memory: {in_memory}\nrecovered: {read}"
        ));
    }
    let runtime = |host: &Host<A>| {
        let core = &host.core;
        Canonical::of(&(core.events, core.entry, core.save(running)))
    };
    let in_memory = law.hold(runtime(live), "what the runtime keeps");
    let read = law.hold(runtime(recovered), "what the runtime keeps");
    if in_memory != read {
        law.broken(&format!(
            "timers, effects or numbers differ: a bug of steadfast, please report it ({how})\nin memory: {in_memory}\nrecovered: {read}"
        ));
    }
}
