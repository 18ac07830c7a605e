//! The laws that hold after every crash.
//!
//! * acknowledged ⊆ applied ⊆ attempted; what was refused was not applied.
//! * Every operation is applied once at most, whole, and each acknowledgement of it says the same.
//! * Events are numbered without gaps, the state is their fold, and `verify` finds nothing.
//! * A timer fires once and never early; an effect's outcome is consumed once; one that must not run
//!   twice does not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use steadfast::{ActorId, Event, EventView, Inspector, SequenceNumber, StatefulActor, Timestamp};
use steadfast_tests::tally::{self, Added, Tally, TallyEvent};
use steadfast_tests::{Extra, History, Plan, Record};

use super::Place;

/// Faults that are shown of many.
const SHOWN: usize = 20;
/// Acknowledgements that are looked up after a life.
const LOOKED_UP: usize = 2_000;

/// What a check went through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) attempted: usize,
    pub(crate) acknowledged: usize,
    pub(crate) applied: usize,
    pub(crate) asked_again: usize,
    pub(crate) events: u64,
    pub(crate) timers: usize,
    pub(crate) effects: usize,
    pub(crate) cut_off: usize,
}

/// Where one operation left its traces.
#[derive(Debug, Default)]
struct Traces {
    added: Vec<(String, Added, Timestamp)>,
    more: u32,
    rang: Vec<Timestamp>,
    settled: Vec<bool>,
}

/// Reads a directory that no node holds.
pub(crate) fn inspect(dir: &Path, record: &Arc<Record>) -> Inspector {
    tally::plain_node(dir, record)
        .inspect()
        .expect("the directory can be read")
}

/// Whether what was acknowledged in `ops` is there, each by one look.
#[track_caller]
pub(crate) fn check_acknowledged(dir: &Path, place: &Place, history: &History, ops: &[u64]) {
    let inspector = inspect(dir, &place.open_record());
    for op in ops {
        for added in &history.operations[op].acks {
            let id = ActorId::new(Tally::KIND, &Plan::of(*op).actor_key()).expect("a name");
            let from = SequenceNumber::new(added.seq).expect("a number from 1");
            let found = inspector.events(&id, from, 1).expect("its events");
            let found = found.first().and_then(|view| view.data.get("op")?.as_u64());
            assert_eq!(found, Some(*op), "operation {op} was answered {added:?}");
        }
    }
}

/// The same for the newest of those that came after the first `known`, after a life that may have had many.
#[track_caller]
pub(crate) fn check_newest(place: &Place, history: &History, known: usize) {
    let fresh = &history.acknowledged[known..];
    let newest = &fresh[fresh.len().saturating_sub(LOOKED_UP)..];
    check_acknowledged(&place.dir, place, history, newest);
}

/// Whether all laws hold for what is in `dir`. `settled` says that nothing is pending any more.
#[track_caller]
pub(crate) fn check_all(dir: &Path, place: &Place, history: &History, settled: bool) -> Figures {
    let inspector = inspect(dir, &place.open_record());
    let mut faults: Vec<String> = history.wrong.clone();
    let report = inspector.verify().expect("verify goes through");
    faults.extend(report.findings);
    let traces = read_actors(&inspector, &mut faults);
    let mut figures = Figures {
        attempted: history.operations.len(),
        applied: traces.len(),
        events: report.events,
        ..Figures::default()
    };
    for op in traces.keys() {
        if !history.operations.contains_key(op) {
            faults.push(format!("operation {op} was applied and never attempted"));
        }
    }
    let none = Traces::default();
    for (op, told) in &history.operations {
        let traces = traces.get(op).unwrap_or(&none);
        figures.acknowledged += usize::from(!told.acks.is_empty());
        figures.asked_again += usize::from(told.acks.len() > 1);
        let mut fault =
            |what: &str| faults.push(format!("operation {op}: {what}: {told:?} {traces:?}"));
        check_applied(*op, told, traces, &mut fault);
        check_timer(*op, traces, settled, &mut figures, &mut fault);
        check_effect(*op, told, traces, settled, &mut figures, &mut fault);
    }
    let shown = faults
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(faults.is_empty(), "{} faults:\n{shown}", faults.len());
    figures
}

type Told = steadfast_tests::Told;

fn check_applied(op: u64, told: &Told, traces: &Traces, fault: &mut impl FnMut(&str)) {
    let plan = Plan::of(op);
    if traces.added.len() > 1 {
        fault("applied more than once");
    }
    if told.tries > 1 && !plan.keyed {
        fault("the test is wrong: it was asked again without a key");
    }
    let whole = u32::from(plan.extra == Extra::Twice && !traces.added.is_empty());
    if traces.more != whole {
        fault("half applied");
    }
    if plan.extra == Extra::Reject && !(traces.added.is_empty() && told.acks.is_empty()) {
        fault("it was to be rejected");
    }
    let applied = traces.added.first();
    for ack in &told.acks {
        if applied.map(|(_, added, _)| added) != Some(ack) {
            fault("acknowledged, and not there in that way");
        }
    }
    if told.refusals == told.tries && applied.is_some() {
        fault("every answer said that it had no effect, and it is there");
    }
    if applied.is_some_and(|(actor, _, _)| *actor != plan.actor_key()) {
        fault("at another actor");
    }
}

fn check_timer(
    op: u64,
    traces: &Traces,
    settled: bool,
    figures: &mut Figures,
    fault: &mut impl FnMut(&str),
) {
    let Extra::Ring(delay) = Plan::of(op).extra else {
        if !traces.rang.is_empty() {
            fault("a timer that nobody set");
        }
        return;
    };
    figures.timers += traces.rang.len();
    if settled && traces.rang.len() != traces.added.len() || traces.rang.len() > 1 {
        fault("its timer did not fire exactly once");
    }
    if let (Some((_, _, set)), Some(rang)) = (traces.added.first(), traces.rang.first())
        && between(*set, *rang) < delay
    {
        fault("its timer fired early");
    }
}

/// The time between two that may each be off by whole hours (`tests/clocks`), where it is less than an hour.
fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    let micros = later.as_micros() - earlier.as_micros();
    Duration::from_micros(micros.rem_euclid(3_600_000_000).unsigned_abs())
}

fn check_effect(
    op: u64,
    told: &Told,
    traces: &Traces,
    settled: bool,
    figures: &mut Figures,
    fault: &mut impl FnMut(&str),
) {
    let extra = Plan::of(op).extra;
    if !matches!(extra, Extra::Receipt | Extra::Once) {
        if !told.runs.is_empty() || !traces.settled.is_empty() {
            fault("an effect that nobody wanted");
        }
        return;
    }
    figures.effects += traces.settled.len();
    if settled && traces.settled.len() != traces.added.len() || traces.settled.len() > 1 {
        fault("its effect was not answered exactly once");
    }
    if told.runs.iter().any(|id| Some(id) != told.runs.first()) {
        fault("its effect ran under two names");
    }
    let done = traces.settled.first();
    figures.cut_off += usize::from(done == Some(&false));
    if done == Some(&true) && told.runs.is_empty() {
        fault("its effect is said to be done, and it never ran");
    }
    if traces.added.is_empty() && !told.runs.is_empty() {
        fault("its effect ran, and the operation is not there");
    }
    match extra {
        Extra::Once if told.runs.len() > 1 => fault("its effect ran more than once"),
        Extra::Receipt if done == Some(&false) => fault("its effect was given up"),
        Extra::Plain
        | Extra::Reject
        | Extra::Twice
        | Extra::Ring(_)
        | Extra::Receipt
        | Extra::Once => {}
    }
}

fn read_actors(inspector: &Inspector, faults: &mut Vec<String>) -> HashMap<u64, Traces> {
    let mut traces = HashMap::new();
    for summary in inspector.actors(Some(Tally::KIND)).expect("the actors") {
        let id = &summary.actor;
        let mut folded = Tally::new(id);
        let events = inspector
            .events(id, SequenceNumber::FIRST, usize::MAX)
            .expect("the events");
        for (expected, view) in (1..).zip(&events) {
            if view.seq != expected {
                faults.push(format!("{id}: event {} where {expected} was due", view.seq));
            }
            take_event(view, &mut folded, &mut traces);
        }
        let state = inspector.state(id, None).expect("the state");
        if summary.seq != events.len() as u64 || state.seq != summary.seq {
            faults.push(format!(
                "{id}: {} events, {summary:?}, {state:?}",
                events.len()
            ));
        }
        if state.state != serde_json::to_value(&folded).expect("a state has JSON") {
            faults.push(format!(
                "{id}: the state is not the fold of its events: {state:?}"
            ));
        }
    }
    traces
}

fn take_event(view: &EventView, folded: &mut Tally, traces: &mut HashMap<u64, Traces>) {
    let event = event_of(view);
    folded.apply(&event);
    match event {
        TallyEvent::Added { op, .. } => {
            let (seq, sum) = (view.seq, folded.sum);
            let actor = view.actor.key().to_owned();
            let added = (actor, Added { seq, sum }, view.time);
            traces.entry(op).or_default().added.push(added);
        }
        TallyEvent::AddedMore { op, .. } => traces.entry(op).or_default().more += 1,
        TallyEvent::Rang { op } => traces.entry(op).or_default().rang.push(view.time),
        TallyEvent::Settled { op, done } => traces.entry(op).or_default().settled.push(done),
    }
}

/// The event behind its JSON.
pub(crate) fn event_of(view: &EventView) -> TallyEvent {
    let number = |name: &str| view.data[name].as_u64().expect("a number");
    let op = number("op");
    let event = match view.name.as_str() {
        "tally.added" => TallyEvent::Added {
            op,
            amount: number("amount"),
            note: String::new(),
        },
        "tally.added_more" => TallyEvent::AddedMore {
            op,
            amount: number("amount"),
        },
        "tally.rang" => TallyEvent::Rang { op },
        "tally.settled" => TallyEvent::Settled {
            op,
            done: view.data["done"] == Value::Bool(true),
        },
        name => panic!("unknown event {name:?}"),
    };
    assert_eq!(event.name(), view.name, "names are stable");
    event
}
