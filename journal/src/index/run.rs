//! A run in memory: commits that are not in the index on disk yet, and where each actor's entries are in
//! them.
//!
//! A file of its own because it is a data structure and nothing else. Adding costs one look-up in a table
//! and a fixed place, whatever came before; finding any entry of an actor costs a logarithm, by jump
//! pointers (Myers, "An applicative random-access stack", 1983) along the actor's chain.
//!
//! Invariant: entry numbers of one actor follow each other without gaps within a run.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::ids::{ActorNumber, CommitIndex};
use crate::layout::{Checked, entry_key_raw};
use crate::record::{Frame, Listed, Place};

/// Entries that are brought into the cache together.
const NEAR: usize = 16;
/// Bytes that a processor fetches at once.
const CACHE_LINE: usize = 64;

/// One entry in a run.
#[derive(Debug, Clone, Copy)]
struct Node {
    actor: u64,
    number: u64,
    /// Which commit of the run.
    commit: u32,
    place: Place,
    /// The actor's entry before this one; itself where there is none.
    previous: u32,
    /// One further back, by the rule of jump pointers.
    jump: u32,
}

/// An actor's entries in a run.
#[derive(Debug, Clone, Copy)]
struct Chain {
    first: u64,
    newest: u32,
}

/// An entry that was found in memory. Keeps the bytes of its commit alive.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) commit: CommitIndex,
    bytes: Arc<Vec<u8>>,
    place: Place,
}

impl Found {
    pub(crate) fn frame(&self) -> &[u8] {
        self.place.of(&self.bytes)
    }
}

/// Commits in the order in which they were written, and their entries by actor.
#[derive(Debug, Default)]
pub(crate) struct Run {
    commits: Vec<(CommitIndex, Arc<Vec<u8>>)>,
    nodes: Vec<Node>,
    actors: HashMap<u64, Chain>,
    bytes: usize,
    /// The newest commit in it.
    last: Option<Checked>,
}

impl Run {
    /// Adds a commit. `false` where it has more entries than a run can number: then nothing was added.
    pub(crate) fn push(&mut self, at: Checked, bytes: &Arc<Vec<u8>>, entries: &[Listed]) -> bool {
        let fits = u32::try_from(self.nodes.len() + entries.len()).is_ok_and(|sum| sum < u32::MAX);
        let Ok(commit) = u32::try_from(self.commits.len()) else {
            return false;
        };
        if !fits {
            return false;
        }
        self.last = Some(at);
        if entries.is_empty() {
            return true;
        }
        self.commits.push((at.index, Arc::clone(bytes)));
        self.bytes += bytes.len() + size_of::<Node>() * entries.len();
        self.nodes.reserve(entries.len());
        for entry in entries {
            if let Frame::Here(place) = entry.frame {
                self.link(entry.actor.get(), entry.number.get(), commit, place);
            }
        }
        true
    }

    fn link(&mut self, actor: u64, number: u64, commit: u32, place: Place) {
        let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let chain = self.actors.entry(actor).or_insert(Chain {
            first: number,
            newest: at,
        });
        let previous = std::mem::replace(&mut chain.newest, at);
        let jump = jump_of(&self.nodes, previous);
        self.nodes.push(Node {
            actor,
            number,
            commit,
            place,
            previous,
            jump: if previous == at { at } else { jump },
        });
    }

    /// Bytes that it takes in memory, roughly.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest commit in it.
    pub(crate) const fn last(&self) -> Option<Checked> {
        self.last
    }

    /// Numbers of the first and the newest entry of an actor.
    pub(crate) fn range_of(&self, actor: ActorNumber) -> Option<(u64, u64)> {
        let chain = self.actors.get(&actor.get())?;
        Some((chain.first, self.node(chain.newest)?.number))
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn found(&self, node: &Node) -> Option<Found> {
        let (commit, bytes) = self.commits.get(node.commit as usize)?;
        Some(Found {
            number: node.number,
            commit: *commit,
            bytes: Arc::clone(bytes),
            place: node.place,
        })
    }

    /// Up to `limit` entries of an actor from number `from` on, in order. `from` must be in its range.
    pub(crate) fn entries(&self, actor: ActorNumber, from: u64, limit: usize) -> Vec<Found> {
        let Some(chain) = self.actors.get(&actor.get()) else {
            return Vec::new();
        };
        let end = from.saturating_add(limit.max(1) as u64 - 1);
        let mut found = Vec::new();
        let mut at = self.seek(chain.newest, end);
        while let Some(node) = self.node(at) {
            if node.number < from {
                break;
            }
            found.extend(self.found(node));
            if node.previous == at {
                break;
            }
            at = node.previous;
        }
        found.reverse();
        found
    }

    /// The newest node from `at` back whose number is at most `target`.
    fn seek(&self, mut at: u32, target: u64) -> u32 {
        while let Some(node) = self.node(at) {
            if node.number <= target {
                break;
            }
            let next = match self.node(node.jump) {
                Some(jump) if jump.number >= target => node.jump,
                _ => node.previous,
            };
            if next == at {
                break;
            }
            at = next;
        }
        at
    }

    /// All of its entries ordered by key.
    pub(crate) fn sorted(&self) -> Vec<([u8; 16], Found)> {
        self.order()
            .into_iter()
            .filter_map(|(_, at)| self.node(at))
            .filter_map(|node| Some((entry_key_raw(node.actor, node.number), self.found(node)?)))
            .collect()
    }

    /// Shows all of its entries ordered by key: key, commit, frame.
    pub(crate) fn each<E>(
        &self,
        mut show: impl FnMut([u8; 16], CommitIndex, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut near = Vec::with_capacity(NEAR);
        for some in self.order().chunks(NEAR) {
            near.clear();
            near.extend(some.iter().filter_map(|(_, at)| self.node(*at)));
            self.touch(&near);
            for node in &near {
                if let Some((commit, frame)) = self.frame(node) {
                    show(entry_key_raw(node.actor, node.number), commit, frame)?;
                }
            }
        }
        Ok(())
    }

    fn frame(&self, node: &Node) -> Option<(CommitIndex, &[u8])> {
        let (commit, bytes) = self.commits.get(node.commit as usize)?;
        Some((*commit, node.place.of(bytes)))
    }

    /// Brings the frames into the processor's cache. They lie all over the run: read one after the other, each would
    /// be waited for; read together, they are under way at the same time.
    fn touch(&self, nodes: &[&Node]) {
        let lines = nodes
            .iter()
            .filter_map(|node| self.frame(node))
            .flat_map(|(_, frame)| frame.iter().step_by(CACHE_LINE));
        std::hint::black_box(lines.fold(0, |sum, byte| sum ^ byte));
    }

    fn order(&self) -> Vec<(u128, u32)> {
        let key = |node: &Node| (u128::from(node.actor) << 64) | u128::from(node.number);
        let mut order: Vec<(u128, u32)> = self.nodes.iter().map(key).zip(0_u32..).collect();
        order.sort_unstable();
        order
    }
}

/// Where the node after `previous` jumps to.
fn jump_of(nodes: &[Node], previous: u32) -> u32 {
    let node = |at: u32| nodes.get(at as usize);
    let Some(before) = node(previous) else {
        return previous;
    };
    let (Some(jump), Some(far)) = (
        node(before.jump),
        node(before.jump).and_then(|jump| node(jump.jump)),
    ) else {
        return previous;
    };
    if before.number - jump.number == jump.number - far.number {
        jump.jump
    } else {
        previous
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::ids::EntryNumber;

    fn at(index: u64) -> Checked {
        Checked {
            index: CommitIndex::new(index).unwrap(),
            hash: Hash::ZERO,
        }
    }

    fn listed(actor: u64, number: u64, offset: u32) -> Listed {
        Listed {
            actor: ActorNumber::new(actor).unwrap(),
            number: EntryNumber::new(number).unwrap(),
            frame: Frame::Here(Place { offset, len: 1 }),
        }
    }

    /// A run with `count` entries of each of three actors, which begin at different numbers.
    fn run(count: u64) -> Run {
        let mut run = Run::default();
        for n in 0..count {
            let bytes = Arc::new(vec![1, 2, 3]);
            let entries: Vec<_> = (0..3_u32)
                .map(|actor| listed(u64::from(actor) + 1, u64::from(actor) * 10 + 1 + n, actor))
                .collect();
            assert!(run.push(at(n + 1), &bytes, &entries));
        }
        run
    }

    #[test]
    fn any_stretch_of_an_actor_is_found() {
        let run = run(300);
        let actor = ActorNumber::new(2).unwrap();
        assert_eq!(run.range_of(actor), Some((11, 310)));
        for from in [11, 12, 13, 100, 171, 309, 310] {
            for limit in [1, 2, 7, 1_000] {
                let found = run.entries(actor, from, limit);
                let numbers: Vec<_> = found.iter().map(|found| found.number).collect();
                let end = (from + limit as u64).min(311);
                assert_eq!(numbers, (from..end).collect::<Vec<_>>(), "{from} {limit}");
                for entry in &found {
                    assert_eq!(entry.commit.get(), entry.number - 10);
                    assert_eq!(entry.frame(), [2]);
                }
            }
        }
        assert!(run.entries(ActorNumber::new(9).unwrap(), 1, 5).is_empty());
    }

    #[test]
    fn a_far_entry_is_found_in_few_steps() {
        let run = run(10_000);
        let chain = run.actors[&1];
        let (mut at, mut steps) = (chain.newest, 0);
        while run.nodes[at as usize].number > 2 {
            let node = &run.nodes[at as usize];
            let jump = &run.nodes[node.jump as usize];
            at = if jump.number >= 2 {
                node.jump
            } else {
                node.previous
            };
            steps += 1;
        }
        assert!(steps < 64, "{steps}");
    }

    #[test]
    fn everything_is_shown_in_order() {
        let run = run(50);
        let mut keys = Vec::new();
        run.each(|key, _, frame| {
            assert_eq!(frame.len(), 1);
            keys.push(key);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(keys.len(), 150);
        assert!(keys.is_sorted());
        let sorted: Vec<_> = run.sorted().into_iter().map(|(key, _)| key).collect();
        assert_eq!(sorted, keys);
    }
}
