//! The actor: one effect a run, and the words for how it ended.

use steadfast::{Done, Handle, KindBuilder, Live, Never, NodeBuilder, Outcome};

use super::config::ExecConfig;
use super::effect::{Ended, Program, Stop};
use super::event::{ExecEvent, Totals};
use super::runs::Runs;
use crate::concern::{self, Concern, Kind, RunOutcome, finish};

/// A concern of kind `exec`.
pub type Exec = Concern<ExecKind>;

/// What makes a [`Concern`] an `exec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecKind {}

/// Adds `exec`s to a node. What its programs may have of the node's environment comes with the resource
/// [`Environment`](super::Environment).
#[must_use]
pub fn register(node: NodeBuilder) -> NodeBuilder {
    concern::register::<ExecKind>(node.resource(Runs::default()))
}

impl Kind for ExecKind {
    const NAME: &'static str = "exec";
    type Config = ExecConfig;
    type Event = ExecEvent;
    type Totals = Totals;
    type Work = ();
    type Report = Ended;

    fn effects(kind: KindBuilder<Exec>) -> KindBuilder<Exec> {
        kind.effect::<Program>().effect::<Stop>()
    }

    fn apply(exec: &mut Exec, event: &ExecEvent) {
        match event {
            ExecEvent::Configured(event) => exec.configured(event),
            ExecEvent::Paused(event) => exec.paused(event),
            ExecEvent::Resumed(event) => exec.resumed(event),
            ExecEvent::TickMissed(event) => exec.tick_missed(event),
            ExecEvent::TickSkipped(event) => exec.tick_skipped(event),
            ExecEvent::TickQueued(event) => exec.tick_queued(event),
            ExecEvent::Stopping(event) => exec.stop_wanted(event),
            ExecEvent::Started(event) => exec.started(event, ()),
            ExecEvent::Finished(event) => {
                if !exec.is_dry_run() {
                    exec.totals.count(event.outcome);
                }
                exec.finished(event);
            }
        }
    }

    fn begin(live: &mut Live<'_, Exec>) {
        let (Some(run), Some(config)) = (live.current(), live.config()) else {
            return;
        };
        let program = Program {
            run: run.id.clone(),
            config: config.clone(),
        };
        if live.is_dry_run() {
            let would = format!("would run: {}", program.config.command);
            return finish(live, RunOutcome::Succeeded, Some(would), Ended::default());
        }
        live.run(program);
    }

    fn stop(live: &mut Live<'_, Exec>) {
        if let Some(run) = live.current().map(|run| run.id.clone()) {
            live.run(Stop { run });
        }
    }
}

/// Why nobody knows.
const UNKNOWN: &str = "the node ended or died while the program ran: what it did is not known, what was left of it \
                       is ended, and nothing is repeated";

impl Handle<Done<Program>> for Exec {
    fn handle(live: &mut Live<'_, Self>, done: Done<Program>) -> Result<(), Never> {
        let Program { run, config } = done.effect;
        if live.current().is_none_or(|current| current.id != run) {
            return Ok(());
        }
        let (outcome, reason, report) = match done.outcome {
            Outcome::Succeeded(ended) => judge(live, &config, ended),
            Outcome::Failed { error, attempts } => {
                let report = Ended {
                    attempt: attempts,
                    ..Ended::default()
                };
                (RunOutcome::Failed, Some(error), report)
            }
            Outcome::Unknown => (
                RunOutcome::Unknown,
                Some(UNKNOWN.to_owned()),
                Ended::default(),
            ),
        };
        finish(live, outcome, reason, report);
        Ok(())
    }
}

fn judge(
    live: &Live<'_, Exec>,
    config: &ExecConfig,
    ended: Ended,
) -> (RunOutcome, Option<String>, Ended) {
    let (outcome, reason) = if ended.does_not_end {
        (RunOutcome::Unknown, Some(ended.describe()))
    } else if ended.is_success(config) {
        (RunOutcome::Succeeded, None)
    } else if ended.cancelled {
        let why = live.stopping().map(ToString::to_string);
        (RunOutcome::Cancelled, why)
    } else if ended.node_stopped {
        // Nobody cancelled it: somebody has to look how far it came, as after a crash.
        (RunOutcome::Unknown, Some(ended.describe()))
    } else if ended.timed_out {
        (RunOutcome::TimedOut, Some(ended.describe()))
    } else {
        (RunOutcome::Failed, Some(ended.describe()))
    };
    (outcome, reason, ended)
}

impl Handle<Done<Stop>> for Exec {
    fn handle(live: &mut Live<'_, Self>, done: Done<Stop>) -> Result<(), Never> {
        // Invariant: a run that is to end has a pending effect which sees to it. The program may not have
        // been there yet, or be tried again; or it has ended, and its outcome comes next.
        let run = done.effect.run;
        if live.current().is_some_and(|current| current.id == run) {
            live.run(Stop { run });
        }
        Ok(())
    }
}
