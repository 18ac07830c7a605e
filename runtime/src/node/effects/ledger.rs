//! Which effects have a task or an outcome under way, so that none is started twice, and how many may have one.
//!
//! Invariants: an effect is known from its launch until its outcome is consumed by a durable entry. While rows of
//! pending effects are read, what is consumed is remembered: its row may have been read before. One that is turned
//! away, for want of room, is found again by a pass over the rows that begins later.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EffectJob, Name};

/// Bytes of bodies of the effects that have a task; one more is let in as long as there are fewer.
const MOST_BYTES: usize = 256 << 20;

/// What is known of effects that are not over.
pub(super) struct Ledger {
    /// Effects that may have a task.
    most: usize,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    /// Effects that have a task, or an outcome under way.
    known: HashMap<Name, Known>,
    /// How many have a task, and the bytes of their bodies.
    tasks: usize,
    bytes: usize,
    /// While pending effects are read from the journal: those that were consumed since.
    consumed: Option<HashSet<Name>>,
    /// `None` while every pending effect is known.
    behind: Option<Behind>,
}

/// How far an effect is.
enum Known {
    /// It has a task, begun in this generation of the journal. If the journal was reopened meanwhile,
    /// this is to be started when the task ends.
    Running {
        generation: u64,
        bytes: usize,
        then: Option<Box<EffectJob>>,
    },
    /// Its outcome was handed to its actor, in this generation of the journal.
    HandedOver { generation: u64 },
}

/// There may be pending effects that are not in memory: a pass over their rows is to be made, or goes on.
struct Behind {
    generation: u64,
    /// The pass has looked at the rows up to this one.
    after: Option<Vec<u8>>,
    /// Whether one was turned away since the pass began, whose row may lie behind it.
    again: bool,
    /// Whether it is the first one since the journal was opened.
    first: bool,
    /// Whether somebody reads at the moment.
    reading: bool,
}

/// Who wants a task for an effect.
pub(super) struct Wish {
    pub(super) name: Name,
    /// The generation of the journal that is current.
    pub(super) generation: u64,
    /// Of its body.
    pub(super) bytes: usize,
    /// Whether it takes no notice of the bound.
    pub(super) urgent: bool,
    /// Whether it is a row of the pass, which waits where it is if there is no room.
    pub(super) in_pass: bool,
}

/// What becomes of a wish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is to be given a task, and is known from now on.
    Granted,
    /// It has one, or needs none.
    Needless,
    /// There is no room.
    TurnedAway,
}

/// Where a pass goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) after: Option<Vec<u8>>,
    /// Whether it is the first pass since the journal was opened.
    pub(super) first: bool,
}

/// Pending effects are being read from the journal.
pub(super) struct Reading<'a>(&'a Ledger);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.pages().consumed = None;
    }
}

impl Pages {
    fn is_full(&self, most: usize) -> bool {
        self.tasks >= most || self.bytes >= MOST_BYTES
    }

    /// Whether so much room is free that there is some for everybody, and that a pass is worth beginning.
    fn has_room(&self, most: usize) -> bool {
        let few = self.tasks < most && self.tasks <= most - most / 8;
        few && self.bytes <= MOST_BYTES / 8 * 7
    }

    fn behind(&mut self, generation: u64) -> Option<&mut Behind> {
        let behind = self.behind.as_mut();
        behind.filter(|behind| behind.generation == generation)
    }
}

impl Ledger {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            pages: Mutex::default(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is dropped, an effect that is over is not started on the word of a row. One at a time.
    pub(super) fn reading(&self) -> Reading<'_> {
        self.pages().consumed = Some(HashSet::new());
        Reading(self)
    }

    /// Whether the effect is to be given a task now.
    pub(super) fn claim(&self, wish: &Wish, again: impl FnOnce() -> EffectJob) -> Claim {
        let pages = &mut *self.pages();
        let over = pages.consumed.as_ref();
        if over.is_some_and(|over| over.contains(&wish.name)) {
            return Claim::Needless;
        }
        match pages.known.get_mut(&wish.name) {
            Some(Known::Running {
                generation, then, ..
            }) => {
                if *generation != wish.generation {
                    *then = Some(Box::new(again()));
                }
                return Claim::Needless;
            }
            Some(Known::HandedOver { generation }) if *generation == wish.generation => {
                return Claim::Needless;
            }
            Some(Known::HandedOver { .. }) | None => {}
        }
        // The last of the room is for those that wait already.
        let others_wait = pages.behind.is_some() && !pages.has_room(self.most);
        let waits = pages.is_full(self.most) || (!wish.in_pass && others_wait);
        if waits && !wish.urgent {
            if !wish.in_pass {
                let behind = pages.behind.get_or_insert(Behind {
                    generation: wish.generation,
                    after: None,
                    again: false,
                    first: false,
                    reading: false,
                });
                behind.again = true;
            }
            return Claim::TurnedAway;
        }
        let begun = Known::Running {
            generation: wish.generation,
            bytes: wish.bytes,
            then: None,
        };
        pages.known.insert(wish.name, begun);
        pages.tasks += 1;
        pages.bytes += wish.bytes;
        Claim::Granted
    }

    /// The effect's outcome is about to be handed over in the current generation: whoever reloaded the
    /// effect so far need not start it again.
    pub(super) fn handing_over(&self, name: Name, current: u64) {
        if let Some(Known::Running {
            generation, then, ..
        }) = self.pages().known.get_mut(&name)
        {
            *generation = current;
            *then = None;
        }
    }

    /// The effect's task is over. What is to be started now, if it was reloaded since: the task ended without
    /// outcome, or the outcome went down with the journal's old generation.
    pub(super) fn ended(&self, name: Name, handed_over: bool) -> Option<Box<EffectJob>> {
        let pages = &mut *self.pages();
        let Some(Known::Running {
            generation,
            bytes,
            then,
        }) = pages.known.remove(&name)
        else {
            return None;
        };
        pages.tasks -= 1;
        pages.bytes -= bytes;
        if then.is_none() && handed_over {
            pages.known.insert(name, Known::HandedOver { generation });
        }
        then
    }

    /// The effect's outcome was consumed.
    pub(super) fn consumed(&self, name: Name) {
        let pages = &mut *self.pages();
        if let Some(Known::Running { bytes, .. }) = pages.known.remove(&name) {
            pages.tasks -= 1;
            pages.bytes -= bytes;
        }
        if let Some(consumed) = &mut pages.consumed {
            consumed.insert(name);
        }
    }

    /// The journal was opened: a pass over all rows begins, and the caller reads.
    pub(super) fn begin(&self, generation: u64) {
        self.pages().behind = Some(Behind {
            generation,
            after: None,
            again: false,
            first: true,
            reading: true,
        });
    }

    /// Whether the caller is to read on: rows wait, there is room, and nobody else does.
    pub(super) fn reads_on(&self, current: u64) -> bool {
        let most = self.most;
        let pages = &mut *self.pages();
        let has_room = pages.has_room(most);
        match pages.behind(current) {
            Some(behind) if has_room && !behind.reading => {
                behind.reading = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whoever read does so no more.
    pub(super) fn rests(&self, generation: u64) {
        if let Some(behind) = self.pages().behind(generation) {
            behind.reading = false;
        }
    }

    /// Where the pass goes on; `None` if there is none, or another generation's.
    pub(super) fn place(&self, generation: u64) -> Option<Place> {
        let mut pages = self.pages();
        let behind = pages.behind(generation)?;
        Some(Place {
            after: behind.after.clone(),
            first: behind.first,
        })
    }

    /// The pass is past this row.
    pub(super) fn passed(&self, generation: u64, row: Vec<u8>) {
        if let Some(behind) = self.pages().behind(generation) {
            behind.after = Some(row);
        }
    }

    /// The pass is past the last row. True if another one is to be made at once: not while there is little room, since
    /// then each that comes is turned away, and passes would follow each other for a few of them at a time.
    pub(super) fn pass_ended(&self, generation: u64) -> bool {
        let pages = &mut *self.pages();
        let has_room = pages.has_room(self.most);
        match pages.behind(generation) {
            Some(behind) if behind.again => {
                (behind.after, behind.again, behind.first) = (None, false, false);
                has_room
            }
            Some(_) => {
                pages.behind = None;
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_journal::ActorNumber;

    use super::*;
    use crate::core::EffectKey;

    fn wish(entry: u64) -> Wish {
        Wish {
            name: (ActorNumber::FIRST, EffectKey { entry, index: 0 }),
            generation: 2,
            bytes: 1,
            urgent: false,
            in_pass: false,
        }
    }

    fn claim(ledger: &Ledger, wish: &Wish) -> Claim {
        ledger.claim(wish, || panic!("it is of this generation"))
    }

    /// Regression: the rows of pending effects were read, an effect's outcome was consumed and the effect forgotten,
    /// and then it was started again on the word of its row.
    #[test]
    fn what_is_over_is_not_started_on_the_word_of_a_row_read_before() {
        let ledger = Ledger::new(8);
        let wish = wish(1);
        assert_eq!(claim(&ledger, &wish), Claim::Granted, "nobody knows it");
        let reading = ledger.reading();
        ledger.handing_over(wish.name, 2);
        assert!(ledger.ended(wish.name, true).is_none());
        assert_eq!(claim(&ledger, &wish), Claim::Needless, "on its way");
        ledger.consumed(wish.name);
        assert_eq!(claim(&ledger, &wish), Claim::Needless, "it is over");
        drop(reading);
        let pages = ledger.pages();
        assert!(pages.consumed.is_none() && pages.known.is_empty());
        assert_eq!((pages.tasks, pages.bytes), (0, 0));
    }

    #[test]
    fn who_is_turned_away_is_found_by_a_pass_that_begins_later() {
        let ledger = Ledger::new(8);
        let row = |entry| Wish {
            in_pass: true,
            ..wish(entry)
        };
        let ends = |entry| assert!(ledger.ended(wish(entry).name, false).is_none());
        for entry in 1..=8 {
            assert_eq!(claim(&ledger, &wish(entry)), Claim::Granted);
        }
        assert_eq!(claim(&ledger, &wish(9)), Claim::TurnedAway);
        assert!(!ledger.reads_on(2), "there is no room");
        ends(1);
        assert!(ledger.reads_on(2) && !ledger.reads_on(2), "one reads");
        assert_eq!(claim(&ledger, &row(9)), Claim::Granted);
        ledger.passed(2, vec![9]);
        assert_eq!(claim(&ledger, &row(11)), Claim::TurnedAway);
        ledger.rests(2);
        assert_eq!(claim(&ledger, &wish(0)), Claim::TurnedAway);
        ends(2);
        assert!(ledger.reads_on(2));
        assert_eq!(ledger.place(2).unwrap().after, Some(vec![9]), "it goes on");
        assert_eq!(claim(&ledger, &row(11)), Claim::Granted);
        assert!(!ledger.pass_ended(2), "another one is due, with more room");
        ledger.rests(2);
        assert!(!ledger.reads_on(2));
        ends(3);
        ends(4);
        assert_eq!(claim(&ledger, &wish(12)), Claim::Granted, "room for all");
        assert!(ledger.reads_on(2));
        assert_eq!(ledger.place(2).unwrap().after, None);
        assert!(!ledger.pass_ended(2));
        assert!(ledger.pages().behind.is_none());
        assert_eq!(claim(&ledger, &wish(13)), Claim::Granted);
        let urgent = Wish {
            urgent: true,
            ..wish(14)
        };
        assert_eq!(claim(&ledger, &urgent), Claim::Granted);
    }

    #[test]
    fn a_pass_belongs_to_its_generation() {
        let ledger = Ledger::new(1);
        ledger.begin(1);
        ledger.begin(2);
        ledger.passed(1, vec![9]);
        ledger.rests(1);
        assert_eq!((ledger.place(1), ledger.reads_on(2)), (None, false));
        assert_eq!(ledger.place(2).unwrap().after, None);
        assert!(!ledger.pass_ended(1) && ledger.place(2).unwrap().first);
    }
}
