//! Commands that change something: `trigger`, `pause`, `resume`. Only a node can do that.

use std::time::Duration;

use serde_json::json;
use steadfast::ActorId;
use steadfast_actors::concern::{Run, RunOutcome};

use super::args::Form;
use super::output::Output;
use super::preview;
use super::show::{moment, outcome};
use super::target::Target;
use crate::client::{Access, Client, Patience, concern_path, connect, no_node};
use crate::problem::{Code, Exit, Problem};
use crate::view::ConcernRow;

/// How a run is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Whether to wait for its end.
    pub(super) wait: bool,
    /// How long at most.
    pub(super) wait_timeout: Option<Duration>,
    /// Whether it only shows what it would do.
    pub(super) dry_run: bool,
}

/// The node, which alone can change something.
pub(super) async fn node(target: &Target, timeout: Duration) -> Result<Client, Problem> {
    match connect(target, timeout).await? {
        Access::Node(client) => Ok(client),
        Access::Directory(dir) => {
            let mut problem = no_node(&dir);
            problem.detail.push_str(": nothing was written");
            Err(problem)
        }
    }
}

/// `trigger`: a run, now.
pub(super) async fn trigger(
    target: &Target,
    timeout: Duration,
    concern: &ActorId,
    asked: Asked,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let path = format!("{}/trigger", concern_path(concern));
    let by = who();
    let body = json!({ "dry_run": asked.dry_run, "wait": asked.wait, "by": by });
    let patience = match (asked.wait, asked.wait_timeout) {
        (false, _) => Patience::Usual,
        (true, None) => Patience::Endless,
        (true, Some(time)) => Patience::For(time),
    };
    let before = if output.form == Form::Table {
        Some(preview::before(&client, concern).await?)
    } else {
        None
    };
    let answer: Result<Run, Problem> = client.post(&path, &body, patience).await;
    let run = answer.map_err(|problem| while_waiting(problem, concern, asked.wait))?;
    if output.form == Form::Table {
        output.line(&for_people(&run))?;
    } else {
        output.document(&run)?;
    }
    if before.as_ref().is_some_and(|before| before.had(&run)) {
        output.line("  it was under way already: this trigger joined it and started nothing")?;
    }
    if let Some(before) = before.filter(|_| asked.wait) {
        preview::show(&client, concern, &run, asked.dry_run, &before, output).await?;
    }
    if asked.wait {
        judge(&run, concern)
    } else {
        Ok(Exit::Ok)
    }
}

/// Who asks, for the journal.
pub(super) fn who() -> String {
    std::env::var("USER").map_or_else(|_| "cli".to_owned(), |user| format!("cli:{user}"))
}

/// What a lost answer means while a run is waited for.
fn while_waiting(mut problem: Problem, concern: &ActorId, waited: bool) -> Problem {
    let what = if problem.code == Code::Timeout && waited {
        "the run was not finished in time and goes on"
    } else if matches!(problem.code, Code::Timeout | Code::Unreachable) {
        "whether the run was started is not known; one that was goes on, if need be at the next start"
    } else {
        return problem;
    };
    problem.detail = format!("{}: {what}", problem.detail);
    // Not the trigger again: if the run has ended meanwhile, that is a second one.
    problem.hint(format!("steadfast events {}", concern.key()))
}

fn for_people(run: &Run) -> String {
    let (id, actor, started) = (&run.id, &run.actor, moment(run.started));
    match run.finished {
        Some(finished) => {
            format!(
                "{actor}: {id} {} (from {started} to {})",
                outcome(run),
                moment(finished)
            )
        }
        None => format!("{actor}: {id} is going since {started}"),
    }
}

/// What a finished run means for a script.
fn judge(run: &Run, concern: &ActorId) -> Result<Exit, Problem> {
    let code = match run.outcome {
        Some(RunOutcome::Succeeded) => return Ok(Exit::Ok),
        Some(RunOutcome::Partial) => Code::RunPartial,
        Some(_) | None => Code::RunFailed,
    };
    let detail = format!("{} ended {}", run.id, outcome(run));
    Err(Problem::new(code, detail).hint(format!("steadfast events {}", concern.key())))
}

/// `cancel`: the end of the run that is going, when its kind can end it.
pub(super) async fn cancel(
    target: &Target,
    timeout: Duration,
    concern: &ActorId,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let path = format!("{}/cancel", concern_path(concern));
    let run: Run = client
        .post(&path, &json!({ "by": who() }), Patience::Usual)
        .await?;
    if output.form == Form::Table {
        output.line(&format!("{concern}: {} is being cancelled", run.id))?;
        output.next(&format!("steadfast events {} --follow", concern.key()));
    } else {
        output.document(&run)?;
    }
    Ok(Exit::Ok)
}

/// `pause` and `resume`.
pub(super) async fn switch(
    target: &Target,
    timeout: Duration,
    concern: &ActorId,
    verb: &str,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let path = format!("{}/{verb}", concern_path(concern));
    let row: ConcernRow = client.post(&path, &json!({}), Patience::Usual).await?;
    if output.form == Form::Table {
        output.line(&format!("{}: {}", row.actor, row.status.word()))?;
    } else {
        output.document(&row)?;
    }
    Ok(Exit::Ok)
}
