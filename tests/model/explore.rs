//! Visits every state of a small model, breadth first, so that the first counterexample is a shortest one.
//!
//! States are compared as a whole, not by a digest: what is said to be visited was visited. Beside what holds in every
//! state, it is decided whether every run ends: the graph of states has no cycle.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::rc::Rc;

/// Something that moves from state to state.
pub(super) trait Model {
    type State: Eq + Hash;
    type Step: Clone + Debug;

    fn start(&self) -> Self::State;

    /// All steps that can be next.
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;

    fn next(&self, state: &Self::State, step: &Self::Step) -> Self::State;

    /// What must hold in `state`, out of which `steps` lead.
    fn law(&self, state: &Self::State, steps: &[Self::Step]) -> Result<(), &'static str>;
}

/// A model of which every state was visited, and found to be lawful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Steps to the state that is furthest away.
    pub(super) depth: usize,
    /// Whether every run comes to an end.
    pub(super) ends: bool,
}

/// The way to a state that must not be.
#[derive(Debug)]
pub(super) struct Counterexample<S> {
    pub(super) law: &'static str,
    pub(super) steps: Vec<S>,
    /// States visited until then.
    pub(super) states: usize,
}

impl<S: Debug> Counterexample<S> {
    /// The steps, one a line.
    pub(super) fn way(&self) -> String {
        let steps = self.steps.iter();
        steps.map(|step| format!("\n    {step:?}")).collect()
    }
}

impl<S> fmt::Display for Counterexample<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (law, steps, states) = (self.law, self.steps.len(), self.states);
        write!(f, "{law}, after {steps} steps and {states} states")
    }
}

/// A visited state and how it was reached first.
struct Visited<M: Model> {
    state: Rc<M::State>,
    from: Option<(usize, M::Step)>,
    depth: usize,
}

/// Visits everything; `note` is told of each step that was taken.
///
/// # Errors
/// The first state that is against the law.
pub(super) fn explore<M: Model>(
    model: &M,
    mut note: impl FnMut(&M::State, &M::Step, &M::State),
) -> Result<Explored, Counterexample<M::Step>> {
    let start = Rc::new(model.start());
    let mut known = HashMap::from([(Rc::clone(&start), 0)]);
    let mut visited: Vec<Visited<M>> = vec![Visited {
        state: start,
        from: None,
        depth: 0,
    }];
    let mut edges: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < visited.len() {
        let (state, depth) = (Rc::clone(&visited[at].state), visited[at].depth);
        let steps = model.steps(&state);
        if let Err(law) = model.law(&state, &steps) {
            return Err(counterexample(&visited, at, law));
        }
        for step in steps {
            let next = Rc::new(model.next(&state, &step));
            note(&state, &step, &next);
            let fresh = visited.len();
            let to = *known.entry(Rc::clone(&next)).or_insert(fresh);
            edges.push((at, to));
            if to == fresh {
                visited.push(Visited {
                    state: next,
                    from: Some((at, step)),
                    depth: depth + 1,
                });
            }
        }
        at += 1;
    }
    Ok(Explored {
        states: visited.len(),
        transitions: edges.len(),
        depth: visited.last().map_or(0, |last| last.depth),
        ends: has_no_cycle(visited.len(), &edges),
    })
}

fn counterexample<M: Model>(
    visited: &[Visited<M>],
    mut at: usize,
    law: &'static str,
) -> Counterexample<M::Step> {
    let mut steps = Vec::new();
    while let Some((from, step)) = &visited[at].from {
        steps.push(step.clone());
        at = *from;
    }
    steps.reverse();
    Counterexample {
        law,
        steps,
        states: visited.len(),
    }
}

/// Takes away, again and again, what nothing leads to: what is left are cycles.
fn has_no_cycle(states: usize, edges: &[(usize, usize)]) -> bool {
    let (mut into, mut first) = (vec![0_u32; states], vec![0; states + 1]);
    for (from, to) in edges {
        into[*to] += 1;
        first[from + 1] += 1;
    }
    // Edges come in the order of the states that they leave.
    for state in 0..states {
        first[state + 1] += first[state];
    }
    let mut free: Vec<usize> = (0..states).filter(|state| into[*state] == 0).collect();
    let mut taken = 0;
    while let Some(state) = free.pop() {
        taken += 1;
        for (_, to) in &edges[first[state]..first[state + 1]] {
            into[*to] -= 1;
            if into[*to] == 0 {
                free.push(*to);
            }
        }
    }
    taken == states
}

#[cfg(test)]
mod tests {
    use super::{Model, explore};

    /// Counts to five, on two ways; perhaps round and round.
    struct Counting {
        round: bool,
        limit: u8,
    }

    impl Model for Counting {
        type State = u8;
        type Step = u8;

        fn start(&self) -> u8 {
            0
        }

        fn steps(&self, state: &u8) -> Vec<u8> {
            (1..=2)
                .filter(|step| self.round || state + step <= 5)
                .collect()
        }

        fn next(&self, state: &u8, step: &u8) -> u8 {
            (state + step) % 6
        }

        fn law(&self, state: &u8, _: &[u8]) -> Result<(), &'static str> {
            (*state < self.limit).then_some(()).ok_or("too much")
        }
    }

    #[test]
    fn every_state_is_visited_once_and_a_counterexample_is_the_shortest() {
        let all = explore(
            &Counting {
                round: false,
                limit: 6,
            },
            |_, _, _| {},
        )
        .unwrap();
        assert_eq!((all.states, all.transitions, all.depth), (6, 9, 3));
        assert!(all.ends);
        let round = explore(
            &Counting {
                round: true,
                limit: 6,
            },
            |_, _, _| {},
        )
        .unwrap();
        assert!(!round.ends);
        let found = explore(
            &Counting {
                round: false,
                limit: 4,
            },
            |_, _, _| {},
        )
        .unwrap_err();
        assert_eq!(found.steps.len(), 2);
    }
}
