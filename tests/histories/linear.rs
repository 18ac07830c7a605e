//! Whether a history can be explained by one thing after the other: the search of Wing and Gong with the memory of
//! Lowe.
//!
//! A history is a list of calls, each with the moment it was asked at and the moment by which it was over. It is
//! linearizable if every call can be given one instant between the two, so that the answers are those of a
//! sequential specification. A call whose outcome nobody knows may take effect at any such instant or not at all.
//!
//! The search takes any call that may be next, that is, one asked before the first end that is still open, and goes
//! back where the answers do not fit. What was tried already is known by the calls taken and the state they left,
//! so that nothing is tried twice.

use std::collections::HashSet;
use std::fmt::{Debug, Write};
use std::hash::Hash;

/// A call whose outcome is unknown and that nothing bounds ends here.
pub(super) const NEVER: u64 = u64::MAX;

/// Calls that may be out of order with each other at once: the width of what the search remembers.
const WIDTH: usize = 128;

/// What does one thing after the other.
pub(super) trait Specification: Clone + Eq + Hash + Debug {
    type Question: Debug;
    type Answer: PartialEq + Debug;

    /// Does `question`, and answers as it must be answered.
    fn ask(&mut self, question: &Self::Question) -> Self::Answer;
}

/// One call of a history. No two moments of a history are the same.
#[derive(Debug)]
pub(super) struct Call<S: Specification> {
    pub(super) question: S::Question,
    /// When it was asked.
    pub(super) asked: u64,
    /// When it was answered; without an answer, the moment from which on it cannot take effect any more.
    pub(super) over: u64,
    /// `None` where nobody knows whether it took effect.
    pub(super) answer: Option<S::Answer>,
}

/// An order that explains a history.
#[derive(Debug, Default, Clone)]
pub(super) struct Order {
    /// Calls by their place in the history, in the order of their effects.
    pub(super) took_effect: Vec<usize>,
}

/// Finds an order of `calls` that begins with `start`.
///
/// # Errors
/// How far the best order came, in words.
pub(super) fn explain<S: Specification>(start: S, calls: &[Call<S>]) -> Result<Order, String> {
    let mut by_asked: Vec<usize> = (0..calls.len()).collect();
    by_asked.sort_by_key(|index| calls[*index].asked);
    let mut search = Search {
        calls,
        by_asked,
        tried: HashSet::new(),
        order: Vec::new(),
        best: Vec::new(),
    };
    if search.go_on(Taken::default(), &start) {
        let took_effect = search.order;
        return Ok(Order { took_effect });
    }
    Err(search.report(start))
}

/// Which calls were taken, of those in the order of their asking.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
struct Taken {
    /// All before this one.
    below: usize,
    /// Of those from there on, one bit each; the first is never set.
    above: u128,
}

impl Taken {
    fn has(self, place: usize) -> bool {
        place < self.below || self.above >> self.bit(place) & 1 == 1
    }

    fn with(mut self, place: usize) -> Self {
        self.above |= 1 << self.bit(place);
        let full = self.above.trailing_ones();
        self.above = self.above.checked_shr(full).unwrap_or(0);
        self.below += full as usize;
        self
    }

    #[track_caller]
    fn bit(self, place: usize) -> usize {
        let bit = place - self.below;
        assert!(bit < WIDTH, "more than {WIDTH} calls are open at once");
        bit
    }
}

struct Search<'a, S: Specification> {
    calls: &'a [Call<S>],
    /// Calls in the order in which they were asked.
    by_asked: Vec<usize>,
    /// Where the search was before.
    tried: HashSet<(Taken, S)>,
    /// Those that took effect so far.
    order: Vec<usize>,
    /// The longest such order.
    best: Vec<usize>,
}

impl<'a, S: Specification> Search<'a, S> {
    /// Whether an order can go on from here to its end.
    fn go_on(&mut self, taken: Taken, state: &S) -> bool {
        if self.order.len() > self.best.len() {
            self.best.clone_from(&self.order);
        }
        let open = self.open(taken);
        let first_end = open.iter().map(|(_, call)| call.over).min();
        let first_end = first_end.unwrap_or(NEVER);
        // Nothing ends any more: those that are left may as well never take effect.
        if first_end == NEVER {
            return true;
        }
        for (place, call) in open {
            if call.asked > first_end {
                break;
            }
            let mut next = state.clone();
            let answer = next.ask(&call.question);
            let fits = call.answer.as_ref().is_none_or(|told| *told == answer);
            if fits && self.is_new(taken.with(place), &next) {
                self.order.push(self.by_asked[place]);
                if self.go_on(taken.with(place), &next) {
                    return true;
                }
                self.order.pop();
            }
            // It never took effect; to say so before its end would be to try more and find no more.
            let gone = call.answer.is_none() && call.over == first_end;
            if gone && self.is_new(taken.with(place), state) && self.go_on(taken.with(place), state)
            {
                return true;
            }
        }
        false
    }

    fn is_new(&mut self, taken: Taken, state: &S) -> bool {
        self.tried.insert((taken, state.clone()))
    }

    /// The calls that are not taken, as far as any of them may be next.
    fn open(&self, taken: Taken) -> Vec<(usize, &'a Call<S>)> {
        let calls = self.calls;
        let mut first_end = NEVER;
        let mut open = Vec::new();
        for (place, index) in self.by_asked.iter().enumerate().skip(taken.below) {
            let call = &calls[*index];
            if call.asked > first_end {
                break;
            }
            if !taken.has(place) {
                first_end = first_end.min(call.over);
                open.push((place, call));
            }
        }
        open
    }

    fn report(&self, start: S) -> String {
        let (mut state, mut text) = (start, String::new());
        for index in &self.best {
            state.ask(&self.calls[*index].question);
        }
        let rest = (0..self.calls.len()).filter(|index| !self.best.contains(index));
        writeln!(
            text,
            "no order explains it; the best takes {:?}, leaves {state:?}, and then none of these fits:",
            self.best
        )
        .unwrap();
        for index in rest {
            writeln!(text, "  {index}: {:?}", self.calls[index]).unwrap();
        }
        text.push_str("all of it:\n");
        for (index, call) in self.calls.iter().enumerate() {
            writeln!(text, "  {index}: {call:?}").unwrap();
        }
        text
    }
}
