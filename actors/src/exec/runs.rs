//! The programs that are going in this process, so that they can be told to end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::concern::RunId;

/// How long somebody who stops a run waits for a program that is not there yet.
const COMES_WITHIN: Duration = Duration::from_secs(1);

/// A resource of the node.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<HashMap<RunId, Arc<Slot>>>);

/// One run. It is known as long as somebody holds it: the effect of its program, or one that stops it.
#[derive(Debug)]
struct Slot {
    is_to_end: watch::Sender<bool>,
    is_going: watch::Sender<bool>,
}

impl Runs {
    /// The program of `run` is about to start.
    pub(super) fn enter(self: &Arc<Self>, run: &RunId) -> Going {
        let slot = self.hold(run);
        slot.slot.is_going.send_replace(true);
        let is_to_end = slot.slot.is_to_end.subscribe();
        Going { slot, is_to_end }
    }

    /// Completes when somebody wants the program of `run` to end, which waits to be started.
    pub(super) async fn wanted_over(self: &Arc<Self>, run: &RunId) {
        let held = self.hold(run);
        let mut is_to_end = held.slot.is_to_end.subscribe();
        // The sender is in the slot that is held here: this cannot fail.
        drop(is_to_end.wait_for(|is| *is).await);
    }

    /// Has the program of `run` end, and waits until it has. Returns early where no such program comes.
    pub(super) async fn stop(self: &Arc<Self>, run: &RunId) {
        let held = self.hold(run);
        held.slot.is_to_end.send_replace(true);
        let mut is_going = held.slot.is_going.subscribe();
        // The sender is in the slot that is held here: neither wait can fail.
        let comes = timeout(COMES_WITHIN, is_going.wait_for(|going| *going));
        let has_come = matches!(comes.await, Ok(Ok(_)));
        if has_come {
            drop(is_going.wait_for(|going| !going).await);
        }
    }

    fn hold(self: &Arc<Self>, run: &RunId) -> Held {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(run.clone()).or_insert_with(|| {
            let (is_to_end, is_going) = (watch::Sender::new(false), watch::Sender::new(false));
            Arc::new(Slot {
                is_to_end,
                is_going,
            })
        });
        Held {
            runs: Arc::clone(self),
            run: run.clone(),
            slot: Arc::clone(slot),
        }
    }
}

#[derive(Debug)]
struct Held {
    runs: Arc<Runs>,
    run: RunId,
    slot: Arc<Slot>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut slots = self.runs.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One is the table's and one is ours; others are only made under this lock.
        if Arc::strong_count(&self.slot) <= 2 {
            slots.remove(&self.run);
        }
    }
}

/// A program that is going, until this is dropped.
#[derive(Debug)]
pub(super) struct Going {
    slot: Held,
    is_to_end: watch::Receiver<bool>,
}

impl Going {
    /// Completes when the program is to end.
    pub(super) async fn stopped(&mut self) {
        if self.is_to_end.wait_for(|is| *is).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is to end already.
    pub(super) fn is_stopped(&self) -> bool {
        *self.is_to_end.borrow()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.slot.slot.is_going.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use steadfast::Timestamp;

    use super::*;

    fn run(number: u64) -> RunId {
        RunId::new(Timestamp::from_micros(0), [number, 0])
    }

    fn known(runs: &Runs) -> usize {
        runs.0.lock().unwrap().len()
    }

    #[tokio::test]
    async fn a_program_is_told_and_waited_for() {
        let runs = Arc::new(Runs::default());
        let (mut going, other) = (runs.enter(&run(1)), runs.enter(&run(2)));
        assert!(!going.is_stopped());
        let told = async {
            going.stopped().await;
            drop(going);
        };
        let first = run(1);
        tokio::join!(runs.stop(&first), told);
        assert!(!other.is_stopped());
        assert_eq!(known(&runs), 1);
        assert!(!runs.enter(&run(1)).is_stopped(), "told once");
    }

    #[tokio::test]
    async fn a_program_that_comes_late_is_told_as_well() {
        let runs = Arc::new(Runs::default());
        let stopping = {
            let runs = Arc::clone(&runs);
            tokio::spawn(async move { runs.stop(&run(1)).await })
        };
        while known(&runs) == 0 {
            tokio::task::yield_now().await;
        }
        let going = runs.enter(&run(1));
        assert!(going.is_stopped());
        drop(going);
        stopping.await.unwrap();
        assert_eq!(known(&runs), 0);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_program_that_never_comes() {
        let runs = Arc::new(Runs::default());
        runs.stop(&run(1)).await;
        assert_eq!(known(&runs), 0);
    }
}
