//! What must hold of one operation, and what it reached.
//!
//! * A message is taken once, or comes back once where its receiver rejects it; all in the order of their sending.
//! * A timer fires once, not early by its own clock, and not at all once a cancelling or replacing is durable.
//! * An effect has one outcome, ran under one name, and not at all for an operation that is not there; one that must
//!   not run twice did not, and one of which the world can be asked ran exactly once.

use std::time::Duration;

use steadfast::Timestamp;

use super::cell::{Extra, FLOOD};
use super::client::{Answer, Operation, Why};
use super::moments::{Moment, What};
use super::sometimes::Sometimes;
use super::walls::Walls;

/// Where one operation left its traces.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// Cell, number of the event, sum, time.
    pub(super) did: Vec<(u64, u64, u64, Timestamp)>,
    pub(super) more: u32,
    /// Cell, time.
    pub(super) got: Vec<(u64, Timestamp)>,
    pub(super) back: u32,
    pub(super) rang: Vec<Timestamp>,
    pub(super) cancelled: u32,
    pub(super) settled: Vec<bool>,
    pub(super) runs: Vec<String>,
    /// When its timer was set and fired, durable or not.
    pub(super) moments: Vec<Moment>,
}

/// What must hold of the operation itself.
pub(super) fn applied(operation: &Operation, traces: &Traces) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let did = traces.did.first();
    if traces.did.len() > 1 {
        faults.push("it is there more than once");
    }
    if did.is_some_and(|(cell, ..)| *cell != operation.cell) {
        faults.push("it is at another cell");
    }
    if traces.more != u32::from(operation.extra == Extra::Twice && did.is_some()) {
        faults.push("it is there in part");
    }
    let leaves_nothing = matches!(operation.extra, Extra::Reject | Extra::Panic);
    if leaves_nothing && did.is_some() {
        faults.push("it must leave nothing behind");
    }
    let fails = matches!(operation.extra, Extra::Panic | Extra::Brittle);
    for answer in operation.answers() {
        match (answer, did) {
            (Answer::Did(seq, sum), Some((_, at, then, _))) if (seq, sum) == (at, then) => {}
            (Answer::Did(..), _) => {
                faults.push("it was acknowledged, and is not there in that way");
            }
            (Answer::Rejected, _) if operation.extra != Extra::Reject => {
                faults.push("it was rejected without reason");
            }
            (Answer::Failed, _) if !fails => {
                faults.push("it failed without reason");
            }
            (Answer::Rejected | Answer::Failed | Answer::Refused(_) | Answer::Unknown, _) => {}
        }
    }
    let harmless = |answer: &Answer| !matches!(answer, Answer::Did(..) | Answer::Unknown);
    if did.is_some() && operation.answers().all(harmless) {
        faults.push("every answer said that it had no effect, and it is there");
    }
    if operation.keyed && did.is_none() && !leaves_nothing {
        faults.push("it was asked for again and again, and is not there");
    }
    faults
}

/// What must hold of what followed from it, once everything has come back.
pub(super) fn followed(op: u64, operation: &Operation, traces: &Traces) -> Vec<&'static str> {
    let mut faults = Vec::new();
    messages(op, operation, traces, &mut faults);
    timer(operation, traces, &mut faults);
    effect(operation, traces, &mut faults);
    faults
}

fn messages(op: u64, operation: &Operation, traces: &Traces, faults: &mut Vec<&'static str>) {
    let there = !traces.did.is_empty();
    let (to, sent) = if let (Extra::Send(to), true) = (operation.extra, there) {
        (to, 1)
    } else if let (Extra::Flood(to), true) = (operation.extra, there) {
        (to, usize::try_from(FLOOD).unwrap_or(0))
    } else {
        (0, 0)
    };
    // Their receivers reject every fifth.
    let (got, back) = if op.is_multiple_of(5) {
        (0, sent)
    } else {
        (sent, 0)
    };
    if traces.got.len() != got || traces.back as usize != back {
        faults.push("its message was not taken or returned exactly once");
    }
    if traces.got.iter().any(|(cell, _)| *cell != to) {
        faults.push("its message came to another cell");
    }
}

fn timer(operation: &Operation, traces: &Traces, faults: &mut Vec<&'static str>) {
    let sets = matches!(
        operation.extra,
        Extra::Ring(_) | Extra::RingAt(_) | Extra::Replace(_)
    );
    let ends = traces.rang.len() + traces.cancelled as usize;
    if ends != usize::from(sets && !traces.did.is_empty()) {
        faults.push("its timer did not fire exactly once");
    }
    let mut set: Option<&Moment> = None;
    for moment in &traces.moments {
        match (moment.what, set) {
            (What::Set, _) => set = Some(moment),
            (What::Fired, None) => faults.push("its timer fired before it was set"),
            (What::Fired, Some(set)) if is_early(operation.extra, set, moment) => {
                faults.push("its timer fired early");
            }
            (What::Fired, Some(_)) => {}
        }
    }
}

/// Whether a timer fired too early, by the clock that it follows.
fn is_early(extra: Extra, set: &Moment, fired: &Moment) -> bool {
    if let Extra::Ring(ms) | Extra::Replace(ms) = extra {
        fired.running < set.running.saturating_add(Duration::from_millis(ms))
    } else if let Extra::RingAt(ms) = extra {
        fired.wall < set.wall.plus(Duration::from_millis(ms))
    } else {
        true
    }
}

fn effect(operation: &Operation, traces: &Traces, faults: &mut Vec<&'static str>) {
    let wants = matches!(
        operation.extra,
        Extra::Receipt(_) | Extra::Once | Extra::Long
    );
    let effects = usize::from(wants && !traces.did.is_empty());
    if traces.settled.len() != effects {
        faults.push("its effect has not exactly one outcome");
    }
    if effects == 0 && !traces.runs.is_empty() {
        faults.push("its effect ran, and it is not there");
    }
    let first = traces.runs.first();
    if traces.runs.iter().any(|run| Some(run) != first) {
        faults.push("its effect ran under two names");
    }
    if matches!(operation.extra, Extra::Once | Extra::Long) && traces.runs.len() > 1 {
        faults.push("its effect ran more than once");
    }
    if traces.settled == [true] && traces.runs.is_empty() {
        faults.push("its effect is said to be done, and never ran");
    }
    if operation.extra != Extra::Once && traces.settled == [false] {
        faults.push("its effect was given up");
    }
}

pub(super) fn reached(operation: &Operation, traces: &Traces, sometimes: &mut Sometimes) {
    let is = |yes: bool| u64::from(yes);
    let there = !traces.did.is_empty();
    let told = |answer: Answer| operation.answers().any(|one| *one == answer);
    let refused = |why: Why| is(told(Answer::Refused(why)));
    let unknown = told(Answer::Unknown);
    let did = operation
        .answers()
        .filter(|answer| matches!(answer, Answer::Did(..)))
        .count();
    sometimes.unknown_and_there += is(unknown && there);
    sometimes.unknown_and_gone += is(unknown && !there);
    sometimes.answered_again += is(did > 1);
    sometimes.resolved_later += is(unknown && did > 0);
    sometimes.refused_read_only += refused(Why::ReadOnly);
    sometimes.overloaded += refused(Why::Overloaded);
    sometimes.expired += refused(Why::Expired);
    sometimes.refused_set_aside += refused(Why::SetAside);
    sometimes.panicked += is(told(Answer::Failed));
    sometimes.rejected += is(told(Answer::Rejected));
    sometimes.effect_was_cut_off += is(traces.settled == [false]);
    let more_than_failures = matches!(operation.extra,
        Extra::Receipt(failures) if traces.runs.len() > failures as usize + 1);
    sometimes.effect_ran_again += is(more_than_failures);
    sometimes.message_came_back += is(traces.back > 0);
    sometimes.beyond_the_window += is(matches!(operation.extra, Extra::Flood(_)) && there);
    let by_wall = matches!(operation.extra, Extra::RingAt(_));
    sometimes.rang_by_the_wall += is(by_wall && !traces.rang.is_empty());
    sometimes.cancelled += is(traces.cancelled > 0);
}

/// Counts what came long after it was asked for.
pub(super) fn reached_later(
    traces: &Traces,
    openings: &[Duration],
    walls: &Walls,
    sometimes: &mut Sometimes,
) {
    let Some((.., did)) = traces.did.first() else {
        return;
    };
    let over = |moments: &[Duration], begun: Duration, end: Option<Duration>| {
        let within = |end| moments.iter().any(|at| (begun..end).contains(at));
        u64::from(end.is_some_and(within))
    };
    let newest = |what: What| {
        let mut all = traces.moments.iter().rev();
        all.find(|moment| moment.what == what)
            .map(|moment| moment.running)
    };
    if let (Some(set), false) = (newest(What::Set), traces.rang.is_empty()) {
        let fired = newest(What::Fired);
        sometimes.rang_after_reopening += over(openings, set, fired);
        sometimes.rang_after_a_jump += over(&walls.jumps(), set, fired);
    }
    let got = traces.got.first().map(|(_, at)| walls.last(*at));
    sometimes.taken_after_reopening += over(openings, walls.last(*did), got);
}
