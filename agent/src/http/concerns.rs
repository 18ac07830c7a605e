//! Concerns: what they do, and telling them to.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json as object};
use steadfast::{ActorId, ActorSummary, AskError, Node, SequenceNumber};
use steadfast_actors::concern::{Run, SPACE, Triggered};
use tokio::time::timeout;

use super::App;
use super::app::{Phase, draining};
use super::problem::json;
use crate::ask::{blocking, describe};
use crate::concerns::{ANSWER_WITHIN, paused_by_us};
use crate::failure::asked;
use crate::problem::{Code, Problem};
use crate::view::{ConcernRow, Status};

/// How long a concern may take to say what it does; one that takes longer is being recovered.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(1);
/// Events read at once while a run is waited for.
const PAGE: usize = 200;
/// Shortest time between two reads, however many commits there are.
const PACE: Duration = Duration::from_millis(10);
/// How often somebody who waits looks whether the concern was set aside.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// All concerns.
pub(super) async fn list(app: Data<App>) -> Result<HttpResponse, Problem> {
    json(&all(app.node()?).await?)
}

/// All concerns as lists show them.
pub(super) async fn all(node: &Node) -> Result<Vec<ConcernRow>, Problem> {
    let summaries = blocking(node, |inspector| inspector.actors(Some(SPACE))).await?;
    Ok(join_all(summaries.into_iter().map(|summary| row(node, summary))).await)
}

/// Who asks, as it is journalled.
pub(super) fn who(by: Option<&str>) -> String {
    let by = by.unwrap_or("http");
    by.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// One concern.
pub(super) async fn show(app: Data<App>, path: Path<String>) -> Result<HttpResponse, Problem> {
    let node = app.node()?;
    let summary = find(node, &path).await?;
    json(&row(node, summary).await)
}

async fn find(node: &Node, name: &str) -> Result<ActorSummary, Problem> {
    let id = ActorId::new(SPACE, name)
        .map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    blocking(node, move |inspector| inspector.actor(&id)).await
}

/// What a concern says of itself, or what is stored of it where it cannot speak.
pub(super) async fn row(node: &Node, summary: ActorSummary) -> ConcernRow {
    let status = match timeout(DESCRIBE_WITHIN, describe(node, &summary)).await {
        Ok(Ok(view)) => return ConcernRow::described(summary, view),
        Ok(Err(AskError::Quarantined { .. })) => Some(Status::Quarantined),
        // Of a kind that this program does not know.
        Ok(Err(AskError::Failed { .. })) => Some(Status::Stopped),
        Ok(Err(AskError::Overloaded { .. } | AskError::Expired)) | Err(_) => {
            Some(Status::Recovering)
        }
        Ok(Err(_)) => None,
    };
    let id = summary.actor.clone();
    let state = blocking(node, move |inspector| inspector.state(&id, None))
        .await
        .ok();
    ConcernRow::stored(summary, status, state.map(|view| view.state))
}

/// How a run is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct TriggerBody {
    dry_run: bool,
    wait: bool,
    by: Option<String>,
}

/// Starts a run or joins the one that is going: 202 at once, or 200 when it has ended.
pub(super) async fn trigger(
    app: Data<App>,
    path: Path<String>,
    body: Json<TriggerBody>,
) -> Result<HttpResponse, Problem> {
    let node = app.ready_node()?;
    let place = if body.wait {
        Some(app.long_request()?)
    } else {
        None
    };
    // Read before the run can end: its end has a higher number, whenever it comes.
    let summary = find(node, &path).await?;
    let from = summary.seq;
    let by = who(body.by.as_deref());
    let command = object!({ "dry_run": body.dry_run, "by": by });
    let answer = match ask(node, &summary, "trigger", command).await {
        Err(problem) if problem.code == Code::Conflict => {
            return Err(not_in_the_file(node, summary).await.unwrap_or(problem));
        }
        answer => answer?,
    };
    let triggered: Triggered = serde_json::from_value(answer)
        .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
    if !body.wait {
        let mut response = json(&triggered.run)?;
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    }
    let ended = wait(&app, &summary, &triggered.run, from).await;
    drop(place);
    json(&ended?)
}

/// That the concern is held because it left the config file, if that is so: to resume it would be wrong.
async fn not_in_the_file(node: &Node, summary: ActorSummary) -> Option<Problem> {
    let actor = summary.actor.clone();
    let is_paused = row(node, summary.clone()).await.status == Status::Paused;
    let by_us = blocking(node, move |inspector| paused_by_us(inspector, &summary)).await;
    (is_paused && by_us.unwrap_or(false)).then(|| {
        let detail = format!(
            "{actor} is not in the config file any more, and is held: add it there again, then reload"
        );
        Problem::new(Code::Conflict, detail).hint("steadfast plan")
    })
}

/// Who cancels.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CancelBody {
    by: Option<String>,
}

/// Has the run that is going end before its work is done: 202 with the run, which ends when its kind can.
pub(super) async fn cancel(
    app: Data<App>,
    path: Path<String>,
    body: Json<CancelBody>,
) -> Result<HttpResponse, Problem> {
    let node = app.ready_node()?;
    let summary = find(node, &path).await?;
    let command = object!({ "by": who(body.by.as_deref()) });
    let mut response = json(&ask(node, &summary, "cancel", command).await?)?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Holds the concern.
pub(super) async fn pause(app: Data<App>, path: Path<String>) -> Result<HttpResponse, Problem> {
    switch(&app, &path, "pause").await
}

/// Lets the concern go on.
pub(super) async fn resume(app: Data<App>, path: Path<String>) -> Result<HttpResponse, Problem> {
    switch(&app, &path, "resume").await
}

async fn switch(app: &App, name: &str, command: &str) -> Result<HttpResponse, Problem> {
    let node = app.ready_node()?;
    let summary = find(node, name).await?;
    ask(node, &summary, command, object!({})).await?;
    let summary = find(node, name).await?;
    json(&row(node, summary).await)
}

async fn ask(
    node: &Node,
    summary: &ActorSummary,
    command: &str,
    body: Value,
) -> Result<Value, Problem> {
    let actor = summary.actor.as_str();
    let answer = node.ask_json(&summary.actor, &summary.kind, command, body, None);
    let Ok(answer) = timeout(ANSWER_WITHIN, answer).await else {
        let detail = format!("{actor} did not answer {command} within {ANSWER_WITHIN:?}");
        return Err(Problem::new(Code::Timeout, detail).hint("steadfast ps"));
    };
    answer.map_err(|error| asked(actor, error))
}

/// Follows the concern's events from after `from` until `run` has ended.
async fn wait(app: &App, summary: &ActorSummary, run: &Run, mut from: u64) -> Result<Run, Problem> {
    let node = app.node()?;
    let (mut commits, mut phase) = (node.watch_commits(), app.watch_phase());
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        commits.mark_unchanged();
        match look_for_end(node, &summary.actor, run, &mut from).await {
            Ok(Some(ended)) => return Ok(ended),
            // The journal is being reopened: somebody looks again soon.
            Err(problem) if problem.code != Code::Unavailable => return Err(problem),
            Ok(None) | Err(_) => {}
        }
        tokio::select! {
            moved = commits.changed() => {
                moved.map_err(|_| draining())?;
                tokio::time::sleep(PACE).await;
            }
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => return Err(draining()),
            _ = look.tick() => refuse_quarantined(node, summary).await?,
        }
    }
}

/// Reads what is there after event `from`, moves it on, and returns the run's end if it is among that.
async fn look_for_end(
    node: &Node,
    actor: &ActorId,
    run: &Run,
    from: &mut u64,
) -> Result<Option<Run>, Problem> {
    loop {
        let Some(next) = SequenceNumber::new(from.saturating_add(1)) else {
            return Ok(None);
        };
        let id = actor.clone();
        let page = blocking(node, move |inspector| inspector.events(&id, next, PAGE)).await?;
        for event in &page {
            *from = event.seq;
            let of_run = event.data.get("run").and_then(Value::as_str) == Some(run.id.as_str());
            if of_run && event.name.ends_with(".finished") {
                return finished(run, &event.data).map(Some);
            }
        }
        if page.is_empty() {
            return Ok(None);
        }
    }
}

/// The run with what its `finished` event says of its end.
fn finished(run: &Run, event: &Value) -> Result<Run, Problem> {
    let garbled = |error: serde_json::Error| Problem::new(Code::Failed, error.to_string());
    let field = |name: &str| event.get(name).cloned().unwrap_or_default();
    Ok(Run {
        finished: serde_json::from_value(field("finished")).map_err(garbled)?,
        outcome: serde_json::from_value(field("outcome")).map_err(garbled)?,
        ..run.clone()
    })
}

/// A concern that is set aside ends no run: nobody should wait for it.
async fn refuse_quarantined(node: &Node, summary: &ActorSummary) -> Result<(), Problem> {
    match timeout(DESCRIBE_WITHIN, describe(node, summary)).await {
        Ok(Err(error @ AskError::Quarantined { .. })) => Err(asked(summary.actor.as_str(), error)),
        // Anything else passes.
        Ok(_) | Err(_) => Ok(()),
    }
}
