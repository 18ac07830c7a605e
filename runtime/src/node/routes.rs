//! Which worker owns an actor: by its name alone, so that whoever asks for it, as whatever kind, finds the
//! same one.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroUsize;

use foldhash::quality::FixedState;
use steadfast_journal::ActorId;

/// Workers that stand next to each other.
#[derive(Debug, Clone, Copy)]
struct Group {
    first: usize,
    count: NonZeroUsize,
}

/// Groups of workers by space; the others share the general ones.
#[derive(Debug)]
pub(super) struct Routes {
    general: Group,
    own: HashMap<&'static str, Group>,
    workers: usize,
    /// The same in every process: tests and logs of two runs can be compared.
    hasher: FixedState,
}

impl Routes {
    pub(super) fn new(
        general: NonZeroUsize,
        own_workers: impl Iterator<Item = (&'static str, NonZeroUsize)>,
    ) -> Self {
        let mut workers = general.get();
        let mut own = HashMap::new();
        for (space, count) in own_workers {
            let first = workers;
            own.insert(space, Group { first, count });
            workers = workers.saturating_add(count.get());
        }
        let general = Group {
            first: 0,
            count: general,
        };
        Self {
            general,
            own,
            workers,
            hasher: FixedState::default(),
        }
    }

    /// All of them.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    pub(super) fn worker_of(&self, actor: &ActorId) -> usize {
        let group = self.own.get(actor.space()).unwrap_or(&self.general);
        let within = self.hasher.hash_one(actor.as_str()) % (group.count.get() as u64);
        group.first + usize::try_from(within).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn a_space_with_workers_of_its_own_shares_them_with_no_other() {
        let routes = Routes::new(of(3), [("a", of(2)), ("b", of(1))].into_iter());
        assert_eq!(routes.workers(), 6);
        let used = |space: &str| -> HashSet<usize> {
            (0..1_000)
                .map(|key| routes.worker_of(&ActorId::new(space, &key.to_string()).unwrap()))
                .collect()
        };
        let (a, b, other) = (used("a"), used("b"), used("other"));
        assert_eq!((a.len(), b.len()), (2, 1));
        assert_eq!(other, HashSet::from([0, 1, 2]));
        assert_eq!(a.union(&b).chain(&other).collect::<HashSet<_>>().len(), 6);
    }
}
