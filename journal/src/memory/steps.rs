//! A journal in memory that is written step by step: for simulations, in which one thread takes all turns.

use std::sync::Arc;

use super::MemoryStorage;
use crate::writer::Next;

impl MemoryStorage {
    /// From the next opening on nothing is written but by [`step`](Self::step), on the thread that calls it. `wake` is
    /// told when there may be something to write. What opens and what closes a journal is written at once, held back
    /// or not.
    pub fn write_by_hand(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.state().disk.write_by_hand(Arc::new(wake));
    }

    /// Writes the next commit; false if there is none, or it is held back.
    #[must_use]
    pub fn step(&self) -> bool {
        let Some(hand) = self.state().hand.clone() else {
            return false;
        };
        let goes_on = match hand.next() {
            Next::Nothing => false,
            Next::Refuse => true,
            Next::Write => self.may_write(),
        };
        if goes_on {
            let wrote = hand.step();
            let mut state = self.state();
            state.disk.met.grouped += u64::from(wrote.together > 1);
            state.disk.met.queued += u64::from(wrote.together > 1 || wrote.more);
        }
        goes_on
    }

    /// Whether the disk takes a commit now; it counts as held back from here on if not.
    fn may_write(&self) -> bool {
        let mut state = self.state();
        let generation = state.generation;
        if state.paused && state.let_go == 0 {
            let news = state.waiting != generation;
            state.waiting = generation;
            let watcher = state.disk.watcher();
            drop(state);
            if news {
                watcher();
            }
            return false;
        }
        state.let_go = state.let_go.saturating_sub(1);
        state.end_wait(generation);
        true
    }
}
