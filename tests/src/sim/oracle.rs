//! Judges a run by all that was seen of it.
//!
//! * Acknowledged ⊆ there ⊆ attempted; refused, rejected and failed ones are not there; each is there once, whole.
//! * Every answer is that of the one execution, also when a key is asked again.
//! * Answers, looks and operations without an answer are in an order that the questions allow: each cell is
//!   linearizable, over crashes too. Its events are its versions, so one pass decides it.
//! * What was looked at is a prefix of what is there: nobody saw what a crash then took back.
//! * What follows from an operation, as `verdicts` says it.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::testkit::TestNode;
use steadfast::{ActorId, SequenceNumber, StatefulActor, Timestamp};

use super::cell::{CELLS, Cell, CellEvent, key_of};
use super::client::{Answer, Told};
use super::moments;
use super::sometimes::Sometimes;
use super::verdicts::{Traces, applied, followed, reached, reached_later};
use super::walls::Walls;

/// What a run came to.
pub(super) struct Judged {
    pub(super) faults: Vec<String>,
    pub(super) sometimes: Sometimes,
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
    for moment in moments::noted() {
        court
            .traces
            .entry(moment.op)
            .or_default()
            .moments
            .push(moment);
    }
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
            CellEvent::Cancelled { op } => self.traces.entry(*op).or_default().cancelled += 1,
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
            faults.extend(followed(*op, operation, traces));
            for fault in faults {
                self.faults
                    .push(format!("operation {op}: {fault}: {operation:?} {traces:?}"));
            }
            reached(operation, traces, &mut self.sometimes);
            reached_later(traces, self.openings, self.walls, &mut self.sometimes);
        }
    }

    /// What was asked for when an event was known already comes behind that event, or shows it. An operation that is
    /// there has its place also where nobody was told of it.
    fn orders(&mut self) {
        for cell in 0..CELLS {
            let (mut asked, mut answered) = (Vec::new(), Vec::new());
            let operations = self.told.operations.iter();
            for (op, operation) in operations.filter(|(_, one)| one.cell == cell) {
                // Another attempt with the same key may have done it long before.
                let first = operation.tries.first().map_or(0, |first| first.asked);
                let did = self.traces.get(op).and_then(|traces| traces.did.first());
                // It is an event of its own: what was known must be older.
                asked.extend(did.map(|(_, seq, ..)| (first, *seq - 1)));
                for attempt in &operation.tries {
                    if let Some((at, Answer::Did(seq, _))) = attempt.answered {
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

    /// `asked` says when, and the newest event that may have been known by then.
    fn order(&mut self, cell: u64, mut asked: Vec<(u64, u64)>, mut answered: Vec<(u64, u64)>) {
        asked.sort_unstable();
        answered.sort_unstable();
        let (mut newest, mut behind) = (0, answered.iter().peekable());
        for (at, known) in asked {
            while let Some((_, seen)) = behind.next_if(|(when, _)| *when < at) {
                newest = newest.max(*seen);
            }
            if known < newest {
                self.faults.push(format!(
                    "cell {cell}: asked for when event {newest} was known, and has its place right behind event {known}"
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
