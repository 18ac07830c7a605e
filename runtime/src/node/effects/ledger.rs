//! Which effects have a task or an outcome under way, so that none is started twice.
//!
//! Invariant: an effect is known from its launch until its outcome is consumed by a durable entry. While rows of
//! pending effects are read, what is consumed is remembered: its row may have been read before.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EffectJob, Name};

/// What is known of effects that are not over.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// Effects that have a task, or an outcome under way.
    known: HashMap<Name, Known>,
    /// While pending effects are read from the journal: those that were consumed since.
    consumed: Option<HashSet<Name>>,
}

/// How far an effect is.
enum Known {
    /// It has a task, begun in this generation of the journal. If the journal was reopened meanwhile,
    /// this is to be started when the task ends.
    Running {
        generation: u64,
        then: Option<Box<EffectJob>>,
    },
    /// Its outcome was handed to its actor, in this generation of the journal.
    HandedOver { generation: u64 },
}

/// Pending effects are being read from the journal.
pub(in crate::node) struct Reading<'a>(&'a Ledger);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.pages().consumed = None;
    }
}

impl Ledger {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is dropped, an effect that is over is not started on the word of a row. One at a time.
    pub(super) fn reading(&self) -> Reading<'_> {
        self.pages().consumed = Some(HashSet::new());
        Reading(self)
    }

    /// Whether the effect is to be given a task now; from then on it is known.
    pub(super) fn claim(
        &self,
        name: Name,
        current: u64,
        again: impl FnOnce() -> EffectJob,
    ) -> bool {
        let Pages { known, consumed } = &mut *self.pages();
        if consumed.as_ref().is_some_and(|over| over.contains(&name)) {
            return false;
        }
        match known.get_mut(&name) {
            Some(Known::Running { generation, then }) => {
                if *generation != current {
                    *then = Some(Box::new(again()));
                }
                return false;
            }
            Some(Known::HandedOver { generation }) if *generation == current => return false,
            Some(Known::HandedOver { .. }) | None => {}
        }
        let begun = Known::Running {
            generation: current,
            then: None,
        };
        known.insert(name, begun);
        true
    }

    /// The effect's outcome is about to be handed over in the current generation: whoever reloaded the
    /// effect so far need not start it again.
    pub(super) fn handing_over(&self, name: Name, current: u64) {
        if let Some(Known::Running { generation, then }) = self.pages().known.get_mut(&name) {
            *generation = current;
            *then = None;
        }
    }

    /// The effect's task is over. What is to be started now, if it was reloaded since: the task ended without
    /// outcome, or the outcome went down with the journal's old generation.
    pub(super) fn ended(&self, name: Name, handed_over: bool) -> Option<Box<EffectJob>> {
        let known = &mut self.pages().known;
        match known.remove(&name) {
            Some(Known::Running {
                then: Some(job), ..
            }) => Some(job),
            Some(Known::Running {
                then: None,
                generation,
            }) if handed_over => {
                known.insert(name, Known::HandedOver { generation });
                None
            }
            Some(Known::Running { then: None, .. } | Known::HandedOver { .. }) | None => None,
        }
    }

    /// The effect's outcome was consumed.
    pub(super) fn consumed(&self, name: Name) {
        let mut pages = self.pages();
        pages.known.remove(&name);
        if let Some(consumed) = &mut pages.consumed {
            consumed.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_journal::ActorNumber;

    use super::*;
    use crate::core::EffectKey;

    /// Regression: the rows of pending effects were read, an effect's outcome was consumed and the effect forgotten,
    /// and then it was started again on the word of its row.
    #[test]
    fn what_is_over_is_not_started_on_the_word_of_a_row_read_before() {
        let ledger = Ledger::default();
        let name = (ActorNumber::FIRST, EffectKey { entry: 1, index: 0 });
        let claim = || ledger.claim(name, 2, || panic!("it is of this generation"));
        assert!(claim(), "nobody knows it");
        let reading = ledger.reading();
        ledger.handing_over(name, 2);
        assert!(ledger.ended(name, true).is_none());
        assert!(!claim(), "its outcome is under way");
        ledger.consumed(name);
        assert!(!claim(), "it is over");
        drop(reading);
        let pages = ledger.pages();
        assert!(pages.consumed.is_none() && pages.known.is_empty());
    }
}
