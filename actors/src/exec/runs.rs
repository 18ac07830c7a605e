//! The programs that are going in this process, so that they can be told to end.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::concern::RunId;

/// Most runs that were told to end before their program was there; the oldest are forgotten. One stays
/// behind only where its program ended in the same moment.
const MOST_EARLY: usize = 1_024;

/// A resource of the node.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Programs that are going: true once they are to end.
    going: HashMap<RunId, watch::Sender<bool>>,
    /// Runs that are to end as soon as their program is there.
    early: VecDeque<RunId>,
}

impl Runs {
    /// The program of `run` is about to start.
    pub(super) fn enter(self: &Arc<Self>, run: &RunId) -> Going {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let early = known.early.contains(run);
        let (sender, stopped) = watch::channel(early);
        known.going.insert(run.clone(), sender);
        Going {
            runs: Arc::clone(self),
            run: run.clone(),
            stopped,
        }
    }

    /// The program of `run` is to end, now or when it is there.
    pub(super) fn stop(&self, run: &RunId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(going) = known.going.get(run) {
            going.send_replace(true);
            return;
        }
        if known.early.len() >= MOST_EARLY {
            known.early.pop_front();
        }
        known.early.push_back(run.clone());
    }
}

/// A program that is going, until this is dropped.
#[derive(Debug)]
pub(super) struct Going {
    runs: Arc<Runs>,
    run: RunId,
    stopped: watch::Receiver<bool>,
}

impl Going {
    /// Completes when the program is to end.
    pub(super) async fn stopped(&mut self) {
        if self.stopped.wait_for(|stopped| *stopped).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is to end already.
    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let mut known = self.runs.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.going.remove(&self.run);
        known.early.retain(|run| *run != self.run);
    }
}

#[cfg(test)]
mod tests {
    use steadfast::Timestamp;

    use super::*;

    fn run(number: u64) -> RunId {
        RunId::new(Timestamp::from_micros(0), [number, 0])
    }

    #[tokio::test]
    async fn a_program_is_told_whenever_it_was_said() {
        let runs = Arc::new(Runs::default());
        let mut late = runs.enter(&run(1));
        assert!(!late.is_stopped());
        runs.stop(&run(1));
        late.stopped().await;
        drop(late);

        runs.stop(&run(2));
        runs.enter(&run(2)).stopped().await;
        assert!(!runs.enter(&run(2)).is_stopped(), "told once");
        assert!(!runs.enter(&run(3)).is_stopped(), "told another");
    }

    #[test]
    fn what_never_comes_is_forgotten_in_the_end() {
        let runs = Arc::new(Runs::default());
        for number in 0..=MOST_EARLY as u64 {
            runs.stop(&run(number));
        }
        assert!(!runs.enter(&run(0)).is_stopped());
        assert!(runs.enter(&run(1)).is_stopped());
        assert_eq!(runs.0.lock().unwrap().early.len(), MOST_EARLY - 1);
    }
}
