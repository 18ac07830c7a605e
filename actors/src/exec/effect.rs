//! What an `exec` asks of the world: run a program, end one.

use serde::{Deserialize, Serialize};
use steadfast::{
    AfterCrash, Effect, EffectClass, EffectContext, EffectError, Reconciled, RetryPolicy,
};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the journalled report, read on its own"
)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it, or it was never started, or nobody knows.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it took too long.
    pub timed_out: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Whether it was ended because the node stopped.
    #[serde(default)]
    pub node_stopped: bool,
    /// Whether processes of it are still there: they hang in the system, and SIGKILL does not end them.
    #[serde(default)]
    pub does_not_end: bool,
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
        expected && self.cut_short().is_none() && !self.timed_out && !self.cancelled
    }

    /// Why nothing of it is to be repeated by this node, whatever the configuration says about failures.
    fn cut_short(&self) -> Option<&'static str> {
        match (self.does_not_end, self.node_stopped) {
            (true, _) => {
                Some("its processes do not end, also not by SIGKILL: they hang in the system")
            }
            (false, true) => Some("the node stopped, and the program was ended with it"),
            (false, false) => None,
        }
    }

    /// Why it is no success, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        if let Some(reason) = self.cut_short() {
            return reason.to_owned();
        }
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
    const CLASS: EffectClass = EffectClass::Long;
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
        if cx.is_stopping() {
            return self.stopped_with_the_node(Ended {
                node_stopped: true,
                ..Ended::default()
            });
        }
        // Without the resource, nothing of the node's own environment is passed on.
        let node = cx.resource::<Environment>().unwrap_or_default();
        let mark = Mark::new(cx.id());
        let ended = program::run(self, &node, mark, &mut going, cx).await;
        self.verdict(ended.map_err(EffectError::retryable)?, cx.attempt())
    }

    async fn hurry(&self, cx: &EffectContext) {
        match cx.resource::<Runs>() {
            Ok(runs) => runs.wanted_over(&self.run).await,
            Err(_) => std::future::pending().await,
        }
    }

    async fn reconcile(&self, cx: &EffectContext) -> Result<Reconciled<Ended>, EffectError> {
        let mark = Mark::new(cx.id());
        let survivors = tokio::task::spawn_blocking(move || mark.end_survivors()).await;
        let survivors = survivors.map_err(|error| EffectError::retryable(error.to_string()))?;
        tracing::warn!(
            actor = %cx.id().actor, run = %self.run, ?survivors,
            "the program may have been going when the node ended or died"
        );
        match (self.config.after_crash, survivors) {
            (AfterCrashPolicy::Retry, Survivors::Ended(_)) => Ok(Reconciled::NotDone),
            (AfterCrashPolicy::Retry, Survivors::Stubborn | Survivors::OfAnotherNode)
            | (AfterCrashPolicy::Hold, _) => Ok(Reconciled::Unknown),
        }
    }
}

impl Program {
    /// Whether what this attempt did is the answer.
    pub(super) fn verdict(&self, ended: Ended, attempt: u32) -> Result<Ended, EffectError> {
        let ended = Ended { attempt, ..ended };
        // One that does not end would run beside its own repetition.
        if ended.does_not_end || ended.cancelled || ended.is_success(&self.config) {
            return Ok(ended);
        }
        if ended.node_stopped {
            return self.stopped_with_the_node(ended);
        }
        if attempt > self.retry().retries {
            return Ok(ended);
        }
        // What it said is told by the last attempt only.
        Err(EffectError::retryable(ended.describe()))
    }

    /// What becomes of a run whose program was ended because the node stopped.
    fn stopped_with_the_node(&self, ended: Ended) -> Result<Ended, EffectError> {
        match self.config.after_crash {
            AfterCrashPolicy::Hold => Ok(ended),
            // It stays pending, and is asked about at the next start, as after a crash.
            AfterCrashPolicy::Retry => Err(EffectError::interrupted(ended.describe())),
        }
    }
}

/// `exec.stop`: has the program of a run end, and waits for that. The run's own effect tells how it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Which run.
    pub run: RunId,
}

impl Effect for Stop {
    const NAME: &'static str = "exec.stop";
    /// It frees the place that others wait for.
    const CLASS: EffectClass = EffectClass::Urgent;
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<Runs>()?.stop(&self.run).await;
        Ok(())
    }
}
