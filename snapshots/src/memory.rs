//! Rows in memory, and what can be done to them: for tests of everything above the snapshots.

use std::collections::{BTreeMap, VecDeque};

use crate::backend::Change;

/// Changes that can be taken back; older ones count as flushed.
const UNFLUSHED: usize = 64;

/// A row before a change: its key, and its value if it was there.
type Before = (Vec<u8>, Option<Vec<u8>>);

/// Rows by key, and how they were before the newest changes.
#[derive(Default)]
pub(crate) struct Memory {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of each change that is not flushed, oldest first.
    unflushed: VecDeque<Vec<Before>>,
}

impl Memory {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.rows.get(key)
    }

    pub(crate) fn change(&mut self, changes: &[Change<'_>]) {
        let mut before = Vec::with_capacity(changes.len());
        for (key, value) in changes {
            let old = match value {
                Some(value) => self.rows.insert(key.to_vec(), value.clone()),
                None => self.rows.remove(*key),
            };
            before.push((key.to_vec(), old));
        }
        if self.unflushed.len() == UNFLUSHED {
            self.unflushed.pop_front();
        }
        self.unflushed.push_back(before);
    }

    pub(crate) fn flush(&mut self) {
        self.unflushed.clear();
    }

    /// Takes back the newest changes that are not flushed, up to so many; how many there were.
    pub(crate) fn take_back(&mut self, changes: usize) -> usize {
        for taken in 0..changes {
            let Some(before) = self.unflushed.pop_back() else {
                return taken;
            };
            for (key, old) in before.into_iter().rev() {
                match old {
                    Some(old) => drop(self.rows.insert(key, old)),
                    None => drop(self.rows.remove(&key)),
                }
            }
        }
        changes
    }

    /// Turns one bit of one row over; false if there is none.
    pub(crate) fn flip(&mut self, draw: u64) -> bool {
        let draw = usize::try_from(draw >> 1).unwrap_or(0);
        let Some(row) = draw.checked_rem(self.rows.len()) else {
            return false;
        };
        let value = self.rows.values_mut().nth(row);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return false;
        };
        let byte = draw / 8 % value.len();
        if let Some(byte) = value.get_mut(byte) {
            *byte ^= 1 << (draw % 8);
        }
        true
    }
}
