//! Judges a run by all that was seen of it.
//!
//! * Acknowledged ⊆ there ⊆ attempted; refused, rejected and failed ones are not there; each is there once, whole.
//! * Every answer is that of the one execution, also when a key is asked again.
//! * Answers and looks are in an order that the questions allow: each cell is linearizable, over crashes too. Its
//!   events are its versions, so one pass decides it.
//! * What was looked at is a prefix of what is there: nobody saw what a crash then took back.
//! * A message is taken once or comes back once, in the order of its sending; a timer fires once and not early; an
//!   effect has one outcome, ran under one name, and not at all for an operation that is not there; one that must
//!   not run twice did not.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::testkit::TestNode;
use steadfast::{ActorId, SequenceNumber, StatefulActor, Timestamp};

use super::cell::{CELLS, Cell, CellEvent, Extra, key_of};
use super::client::{Answer, Operation, Told};
use super::sometimes::Sometimes;
use super::walls::Walls;

/// What a run came to.
pub(super) struct Judged {
    pub(super) faults: Vec<String>,
    pub(super) sometimes: Sometimes,
}

/// Where one operation left its traces.
#[derive(Debug, Default)]
struct Traces {
    /// Cell, number of the event, sum, time.
    did: Vec<(u64, u64, u64, Timestamp)>,
    more: u32,
    /// Cell, time.
    got: Vec<(u64, Timestamp)>,
    back: u32,
    rang: Vec<Timestamp>,
    settled: Vec<bool>,
    runs: Vec<String>,
}

/// All events of a cell, with the state behind each.
#[derive(Debug, Default)]
struct Story {
    states: Vec<Cell>,
}

struct Court<'a> {
    told: &'a Told,
    openings: &'a [Duration],
    walls: &'a Walls,
    stories: Vec<Story>,
    traces: BTreeMap<u64, Traces>,
    faults: Vec<String>,
    sometimes: Sometimes,
}

/// Judges what is in `node`, which is at rest, by what was told, what ran, and when the node was opened again.
pub(super) fn judge(
    node: &TestNode,
    told: &Told,
    runs: &[(u64, String)],
    openings: &[Duration],
    walls: &Walls,
) -> Judged {
    let mut court = Court {
        told,
        openings,
        walls,
        stories: Vec::new(),
        traces: BTreeMap::new(),
        faults: told.wrong.clone(),
        sometimes: Sometimes::default(),
    };
    court.verify(node);
    for cell in 0..CELLS {
        court.read(node, cell);
    }
    for (op, effect) in runs {
        court
            .traces
            .entry(*op)
            .or_default()
            .runs
            .push(effect.clone());
    }
    court.attempted();
    court.operations();
    court.orders();
    court.looks();
    court.pairs(node);
    Judged {
        faults: court.faults,
        sometimes: court.sometimes,
    }
}

impl Court<'_> {
    fn verify(&mut self, node: &TestNode) {
        let verified = node
            .node()
            .inspect()
            .and_then(|inspector| inspector.verify());
        match verified {
            Ok(report) => self.faults.extend(report.findings),
            Err(error) => self.faults.push(format!("verify: {error}")),
        }
    }

    fn read(&mut self, node: &TestNode, cell: u64) {
        let id = ActorId::new(Cell::KIND, &key_of(cell)).unwrap();
        let events = node.events::<Cell>(&key_of(cell));
        let views = node
            .node()
            .inspect()
            .unwrap()
            .events(&id, SequenceNumber::FIRST, usize::MAX);
        let views = if events.is_empty() {
            Vec::new()
        } else {
            views.unwrap()
        };
        let mut state = Cell::new(&id);
        let mut story = Story {
            states: vec![state.clone()],
        };
        for (index, (event, view)) in (1..).zip(events.iter().zip(&views)) {
            if view.seq != index {
                self.faults
                    .push(format!("{id}: event {} where {index} was due", view.seq));
            }
            state.apply(event);
            story.states.push(state.clone());
            self.trace(cell, index, event, &state, view.time);
        }
        if node.state::<Cell>(&key_of(cell)) != state || views.len() != events.len() {
            self.faults
                .push(format!("{id}: the state is not the fold of its events"));
        }
        self.stories.push(story);
    }

    fn trace(&mut self, cell: u64, seq: u64, event: &CellEvent, state: &Cell, time: Timestamp) {
        match event {
            CellEvent::Did { op, .. } => {
                let did = (cell, seq, state.sum, time);
                self.traces.entry(*op).or_default().did.push(did);
            }
            CellEvent::DidMore { op } => self.traces.entry(*op).or_default().more += 1,
            CellEvent::Got { op, .. } => {
                self.traces.entry(*op).or_default().got.push((cell, time));
            }
            CellEvent::Back { op } => self.traces.entry(*op).or_default().back += 1,
            CellEvent::Rang { op } => self.traces.entry(*op).or_default().rang.push(time),
            CellEvent::Settled { op, done } => {
                self.traces.entry(*op).or_default().settled.push(*done);
            }
        }
    }

    fn attempted(&mut self) {
        for op in self.traces.keys() {
            if !self.told.operations.contains_key(op) {
                self.faults
                    .push(format!("operation {op} is there and was never asked for"));
            }
        }
    }

    fn operations(&mut self) {
        let none = Traces::default();
        for (op, operation) in &self.told.operations {
            let traces = self.traces.get(op).unwrap_or(&none);
            let mut faults = applied(operation, traces);
            faults.extend(followed(operation, traces, self.walls));
            for fault in faults {
                self.faults
                    .push(format!("operation {op}: {fault}: {operation:?} {traces:?}"));
            }
            reached(operation, traces, &mut self.sometimes);
            reached_later(traces, self.openings, self.walls, &mut self.sometimes);
        }
    }

    /// Of two operations of a cell, the one that was answered before the other was asked for comes first.
    fn orders(&mut self) {
        for cell in 0..CELLS {
            let mut asked = Vec::new();
            let mut answered = Vec::new();
            for operation in self.told.operations.values().filter(|one| one.cell == cell) {
                for attempt in &operation.tries {
                    if let Some((at, Answer::Did(seq, _))) = attempt.answered {
                        // Another attempt with the same key may have done it long before.
                        let first = operation.tries.first().map_or(0, |first| first.asked);
                        asked.push((first, seq));
                        answered.push((at, seq));
                    }
                }
            }
            for look in self.told.looks.iter().filter(|look| look.cell == cell) {
                if let Some((at, Some(state))) = &look.answered {
                    asked.push((look.asked, state.events));
                    answered.push((*at, state.events));
                }
            }
            self.order(cell, asked, answered);
        }
    }

    fn order(&mut self, cell: u64, mut asked: Vec<(u64, u64)>, mut answered: Vec<(u64, u64)>) {
        asked.sort_unstable();
        answered.sort_unstable();
        let (mut newest, mut behind) = (0, answered.iter().peekable());
        for (at, version) in asked {
            while let Some((_, seen)) = behind.next_if(|(when, _)| *when < at) {
                newest = newest.max(*seen);
            }
            if version < newest {
                self.faults.push(format!(
                    "cell {cell}: asked for when event {newest} was known, and answered as of event {version}"
                ));
            }
        }
    }

    /// Nobody saw what is not there.
    fn looks(&mut self) {
        for look in &self.told.looks {
            let Some((_, Some(state))) = &look.answered else {
                continue;
            };
            let story = &self.stories[usize::try_from(look.cell).unwrap()];
            let there = usize::try_from(state.events)
                .ok()
                .and_then(|at| story.states.get(at));
            if there != Some(state) {
                self.faults.push(format!(
                    "cell {}: {state:?} was seen, and event {} left {there:?}",
                    look.cell, state.events
                ));
            }
        }
    }

    /// Messages of each pair come in the order of their sending, none twice.
    fn pairs(&mut self, node: &TestNode) {
        for cell in 0..CELLS {
            let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
            for event in node.events::<Cell>(&key_of(cell)) {
                if let CellEvent::Got { from, number, .. } = event {
                    let before = newest.insert(from, number).unwrap_or(0);
                    if before >= number {
                        self.faults.push(format!(
                            "cell {cell}: message {number} of cell {from} came behind message {before}"
                        ));
                    }
                }
            }
        }
    }
}

/// What must hold of the operation itself.
fn applied(operation: &Operation, traces: &Traces) -> Vec<&'static str> {
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
    if matches!(operation.extra, Extra::Reject | Extra::Panic) && did.is_some() {
        faults.push("it must leave nothing behind");
    }
    for answer in operation.answers() {
        match (answer, did) {
            (Answer::Did(seq, sum), Some((_, at, then, _))) if (seq, sum) == (at, then) => {}
            (Answer::Did(..), _) => {
                faults.push("it was acknowledged, and is not there in that way");
            }
            (Answer::Rejected, _) if operation.extra != Extra::Reject => {
                faults.push("it was rejected without reason");
            }
            (Answer::Failed, _) if operation.extra != Extra::Panic => {
                faults.push("it failed without reason");
            }
            (Answer::Rejected | Answer::Failed | Answer::Refused { .. } | Answer::Unknown, _) => {}
        }
    }
    let harmless = |answer: &Answer| !matches!(answer, Answer::Did(..) | Answer::Unknown);
    if did.is_some() && operation.answers().all(harmless) {
        faults.push("every answer said that it had no effect, and it is there");
    }
    if operation.keyed && did.is_none() && matches!(operation.extra, Extra::Plain | Extra::Twice) {
        faults.push("it was asked for again and again, and is not there");
    }
    faults
}

/// What must hold of what followed from it, once everything has come back.
fn followed(operation: &Operation, traces: &Traces, walls: &Walls) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let there = |wanted: bool| if wanted { traces.did.len() } else { 0 };
    let messages = there(matches!(operation.extra, Extra::Send(_)));
    let rings = there(matches!(operation.extra, Extra::Ring(_)));
    let effects = there(matches!(operation.extra, Extra::Receipt(_) | Extra::Once));
    if traces.got.len() + traces.back as usize != messages {
        faults.push("its message was not taken or returned exactly once");
    }
    if let (Extra::Send(to), Some((cell, _))) = (operation.extra, traces.got.first())
        && *cell != to
    {
        faults.push("its message came to another cell");
    }
    if traces.rang.len() != rings {
        faults.push("its timer did not fire exactly once");
    }
    if let (Extra::Ring(ms), Some((.., set)), Some(rang)) =
        (operation.extra, traces.did.first(), traces.rang.first())
        && walls.longest(*set, *rang) < Duration::from_millis(ms)
    {
        faults.push("its timer fired early");
    }
    if traces.settled.len() != effects {
        faults.push("its effect has not exactly one outcome");
    }
    if effects == 0 && !traces.runs.is_empty() {
        faults.push("its effect ran, and it is not there");
    }
    if traces
        .runs
        .iter()
        .any(|run| Some(run) != traces.runs.first())
    {
        faults.push("its effect ran under two names");
    }
    if operation.extra == Extra::Once && traces.runs.len() > 1 {
        faults.push("its effect ran more than once");
    }
    if traces.settled == [true] && traces.runs.is_empty() {
        faults.push("its effect is said to be done, and never ran");
    }
    if matches!(operation.extra, Extra::Receipt(_)) && traces.settled == [false] {
        faults.push("its effect was given up");
    }
    faults
}

fn reached(operation: &Operation, traces: &Traces, sometimes: &mut Sometimes) {
    let is = |yes: bool| u64::from(yes);
    let there = !traces.did.is_empty();
    let unknown = operation.answers().any(|answer| *answer == Answer::Unknown);
    let did = operation
        .answers()
        .filter(|answer| matches!(answer, Answer::Did(..)))
        .count();
    sometimes.unknown_and_there += is(unknown && there);
    sometimes.unknown_and_gone += is(unknown && !there);
    sometimes.answered_again += is(did > 1);
    sometimes.resolved_later += is(unknown && did > 0);
    let read_only = Answer::Refused { read_only: true };
    sometimes.refused_read_only += is(operation.answers().any(|answer| *answer == read_only));
    sometimes.panicked += is(operation.answers().any(|answer| *answer == Answer::Failed));
    sometimes.rejected += is(operation
        .answers()
        .any(|answer| *answer == Answer::Rejected));
    sometimes.effect_was_cut_off += is(traces.settled == [false]);
    let more_than_failures = matches!(operation.extra,
        Extra::Receipt(failures) if traces.runs.len() > failures as usize + 1);
    sometimes.effect_ran_again += is(more_than_failures);
    sometimes.message_came_back += is(traces.back > 0);
}

/// Counts what came long after it was asked for.
fn reached_later(traces: &Traces, openings: &[Duration], walls: &Walls, sometimes: &mut Sometimes) {
    let Some((.., set)) = traces.did.first() else {
        return;
    };
    let set = walls.last(*set);
    let over = |moments: &[Duration], end: Option<Timestamp>| {
        let end = end.map(|end| walls.last(end));
        u64::from(end.is_some_and(|end| moments.iter().any(|at| (set..end).contains(at))))
    };
    let rang = traces.rang.first().copied();
    let got = traces.got.first().map(|(_, at)| *at);
    sometimes.rang_after_reopening += over(openings, rang);
    sometimes.taken_after_reopening += over(openings, got);
    sometimes.rang_after_a_jump += over(&walls.jumps(), rang);
}
