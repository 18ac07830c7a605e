//! What an `exec` asks of the world: run a program, end one.

use serde::{Deserialize, Serialize};
use steadfast::{AfterCrash, Effect, EffectContext, EffectError, Reconciled, RetryPolicy};

use super::capture::Captured;
use super::config::{AfterCrashPolicy, ExecConfig};
use super::lookup::Environment;
use super::processes::{Mark, Survivors};
use super::program;
use super::runs::Runs;
use crate::concern::RunId;

/// `exec.program`: runs the program to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// For which run.
    pub run: RunId,
    /// What to run: the configuration that the run started with.
    pub config: ExecConfig,
}

/// How a program ended, and what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it, or it was never started, or nobody knows.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it took too long.
    pub timed_out: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// From its start to the end of its last process.
    pub duration_ms: u64,
    /// The attempt that this tells of, from 1; 0 if there was none.
    pub attempt: u32,
    /// What it wrote to standard output.
    pub stdout: Captured,
    /// What it wrote to standard error.
    pub stderr: Captured,
    /// Processes of it that were still there when it had ended, and were ended as well.
    pub left_over: u64,
}

impl Ended {
    /// Whether it did what it was to do.
    #[must_use]
    pub fn is_success(&self, config: &ExecConfig) -> bool {
        let expected = self
            .exit_code
            .is_some_and(|code| config.success_codes.contains(&code));
        expected && !self.timed_out && !self.cancelled
    }

    /// Why it is no success, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match (self.timed_out, self.exit_code, self.signal) {
            (true, _, _) => "it took longer than its `timeout` and was ended".to_owned(),
            (false, Some(code), _) => format!("it ended with exit code {code}"),
            (false, None, Some(signal)) => format!("signal {signal} ended it"),
            (false, None, None) => "it was not started".to_owned(),
        }
    }
}

impl Effect for Program {
    const NAME: &'static str = "exec.program";
    /// Asked after a crash, so that what is left of the program is ended before anything else is done.
    const AFTER_CRASH: AfterCrash = AfterCrash::Reconcile;
    type Output = Ended;

    fn retry(&self) -> RetryPolicy {
        self.config.retry_policy()
    }

    async fn run(&self, cx: &EffectContext) -> Result<Ended, EffectError> {
        let mut going = cx.resource::<Runs>()?.enter(&self.run);
        if going.is_stopped() {
            return Ok(Ended {
                cancelled: true,
                ..Ended::default()
            });
        }
        // Without the resource, nothing of the node's own environment is passed on.
        let node = cx.resource::<Environment>().unwrap_or_default();
        let is_last = cx.attempt() > self.retry().retries;
        let mark = Mark::new(cx.id());
        let ended = program::run(&self.run, &self.config, &node, mark, &mut going).await;
        match ended {
            Ok(ended) if is_last || ended.cancelled || ended.is_success(&self.config) => {
                Ok(Ended {
                    attempt: cx.attempt(),
                    ..ended
                })
            }
            // What it said is told by the last attempt only.
            Ok(ended) => Err(EffectError::retryable(ended.describe())),
            Err(problem) => Err(EffectError::retryable(problem)),
        }
    }

    async fn reconcile(&self, cx: &EffectContext) -> Result<Reconciled<Ended>, EffectError> {
        let mark = Mark::new(cx.id());
        let survivors = tokio::task::spawn_blocking(move || mark.end_survivors()).await;
        let survivors = survivors.map_err(|error| EffectError::retryable(error.to_string()))?;
        tracing::warn!(
            actor = %cx.id().actor, run = %self.run, ?survivors,
            "the program may have been going when the node died"
        );
        match (self.config.after_crash, survivors) {
            (AfterCrashPolicy::Retry, Survivors::Ended(_)) => Ok(Reconciled::NotDone),
            (AfterCrashPolicy::Retry, Survivors::Stubborn | Survivors::OfAnotherNode)
            | (AfterCrashPolicy::Hold, _) => Ok(Reconciled::Unknown),
        }
    }
}

/// `exec.stop`: has the program of a run end. The run's own effect tells how it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Which run.
    pub run: RunId,
}

impl Effect for Stop {
    const NAME: &'static str = "exec.stop";
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<Runs>()?.stop(&self.run);
        Ok(())
    }
}
