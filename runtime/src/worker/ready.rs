//! What waits for its turn, in three classes that share by weight.
//!
//! Invariant: within a class first come is first served, and no class waits for ever: one that is not empty
//! is given its share before any other gets a second one.

use std::collections::VecDeque;

use super::Priority;

/// Shares of `High`, `Normal` and `Low`, in the quanta of one actor.
const SHARES: [i64; 3] = [16, 4, 1];

/// Three queues and what each may still use of its share.
#[derive(Debug)]
pub(crate) struct Ready<T> {
    queues: [VecDeque<T>; 3],
    credits: [i64; 3],
    /// What one unit of a share is worth.
    unit: i64,
}

const fn class(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

impl<T> Ready<T> {
    pub(crate) fn new(unit: usize) -> Self {
        Self {
            queues: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            credits: [0; 3],
            unit: i64::try_from(unit).unwrap_or(i64::MAX / 16).max(1),
        }
    }

    pub(crate) fn push(&mut self, priority: Priority, item: T) {
        if let Some(queue) = self.queues.get_mut(class(priority)) {
            queue.push_back(item);
        }
    }

    /// The next one. What it costs is said with [`charge`](Self::charge), if it is not one.
    pub(crate) fn pop(&mut self) -> Option<(Priority, T)> {
        if let Some(next) = self.pop_within_credit() {
            return Some(next);
        }
        for (credit, share) in self.credits.iter_mut().zip(SHARES) {
            // Debts are paid, and nobody saves up.
            *credit = (*credit + share * self.unit).min(share * self.unit).max(1);
        }
        self.pop_within_credit()
    }

    fn pop_within_credit(&mut self) -> Option<(Priority, T)> {
        let classes = [Priority::High, Priority::Normal, Priority::Low];
        let mut all = self.queues.iter_mut().zip(&self.credits).zip(classes);
        all.find_map(|((queue, credit), class)| {
            let item = if *credit > 0 { queue.pop_front() } else { None };
            item.map(|item| (class, item))
        })
    }

    /// Takes what an item has used from its class.
    pub(crate) fn charge(&mut self, priority: Priority, cost: usize) {
        if let Some(credit) = self.credits.get_mut(class(priority)) {
            *credit = credit.saturating_sub(i64::try_from(cost.max(1)).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn clear(&mut self) {
        self.queues.iter_mut().for_each(VecDeque::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves `count` items, each put back at once, at the cost of a whole quantum.
    fn served(ready: &mut Ready<u32>, count: usize) -> [usize; 3] {
        let mut served = [0; 3];
        for _ in 0..count {
            let (priority, item) = ready.pop().unwrap();
            served[class(priority)] += 1;
            ready.charge(priority, 32);
            ready.push(priority, item);
        }
        served
    }

    #[test]
    fn busy_classes_share_by_weight_and_none_starves() {
        let mut ready = Ready::new(32);
        for (number, priority) in [
            (1, Priority::High),
            (2, Priority::High),
            (3, Priority::Normal),
            (4, Priority::Low),
        ] {
            ready.push(priority, number);
        }
        assert_eq!(served(&mut ready, 2_100), [1_600, 400, 100]);
        for _ in 0..100 {
            assert_eq!(served(&mut ready, 21)[2], 1, "in every round");
        }
    }

    #[test]
    fn who_is_alone_gets_everything_in_order() {
        let mut ready = Ready::new(32);
        for number in 0..1_000 {
            ready.push(Priority::Low, number);
        }
        for number in 0..1_000 {
            let (priority, next) = ready.pop().unwrap();
            assert_eq!((priority, next), (Priority::Low, number));
            ready.charge(priority, 32);
        }
        assert!(ready.pop().is_none() && ready.is_empty());
    }

    #[test]
    fn a_class_that_was_idle_has_saved_nothing_up() {
        let mut ready = Ready::new(32);
        ready.push(Priority::Low, 1);
        served(&mut ready, 1_000);
        ready.push(Priority::High, 2);
        ready.push(Priority::Normal, 3);
        // Within one of its share, for the round that had begun.
        let [high, normal, low] = served(&mut ready, 2_100);
        assert!(high.abs_diff(1_600) <= 1, "{high}");
        assert!(normal.abs_diff(400) <= 1, "{normal}");
        assert!(low.abs_diff(100) <= 1, "{low}");
    }

    #[test]
    fn a_debt_is_paid_before_the_next_turn() {
        let mut ready = Ready::new(1);
        ready.push(Priority::Normal, 1);
        ready.push(Priority::Low, 2);
        let mut turns = [0, 0, 0];
        for _ in 0..1_000 {
            let (priority, item) = ready.pop().unwrap();
            turns[class(priority)] += 1;
            ready.charge(priority, 1);
            ready.push(priority, item);
        }
        assert_eq!(turns, [0, 800, 200]);
    }
}
