//! One actor: looking at it in full, commands by name, snapshots, replays.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json as object};
use steadfast::{ActorId, ActorSummary, AskError, InvalidCommand, Node, NodeError};
use steadfast_actors::concern::SPACE;

use super::problem::json;
use super::routes::named;
use super::{App, concerns};
use crate::ask::blocking;
use crate::concerns::ANSWER_WITHIN;
use crate::detail;
use crate::failure::commanded;
use crate::problem::{Code, Problem};

/// Newest events that are shown where the query does not say.
const USUAL_EVENTS: u64 = 10;
/// Most of them.
const MOST_EVENTS: u64 = 1_000;
/// Longest time that a command may wait for its turn.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Actors read at once where all of them get a snapshot.
const PAGE: usize = 256;
/// Actors that are named because they got none.
const NAMED: usize = 20;

/// How much is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InspectQuery {
    events: Option<u64>,
}

/// One actor in full.
pub(super) async fn inspect(
    app: Data<App>,
    path: Path<(String, String)>,
    query: Query<InspectQuery>,
) -> Result<HttpResponse, Problem> {
    let (node, id) = (app.node()?, named(path.into_inner())?);
    let events = query.events.unwrap_or(USUAL_EVENTS).min(MOST_EVENTS);
    let read = {
        let id = id.clone();
        blocking(node, move |inspector| detail::read(inspector, &id, events))
    };
    let mut detail = read.await?;
    // Looked at before the concern is asked, which would bring it into memory.
    detail.live = node.vitals(&id).await;
    if id.space() == SPACE {
        let summary = ActorSummary {
            actor: id,
            kind: detail.kind.clone(),
            seq: detail.seq,
        };
        detail.concern = Some(concerns::row(node, summary).await);
    }
    json(&detail)
}

/// A command by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandBody {
    command: String,
    #[serde(default)]
    body: Value,
    key: Option<String>,
    timeout_ms: Option<u64>,
}

/// What is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// The actor's reply.
    #[default]
    Ask,
    /// That it was handled.
    Tell,
}

/// How a command is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandQuery {
    #[serde(default)]
    mode: Mode,
}

/// Sends a command by name. Either mode is answered when the command was handled and everything that it
/// wrote is durable; `tell` only leaves the reply out.
pub(super) async fn command(
    app: Data<App>,
    path: Path<(String, String)>,
    query: Query<CommandQuery>,
    body: Json<CommandBody>,
) -> Result<HttpResponse, Problem> {
    let (node, id) = (app.ready_node()?, named(path.into_inner())?);
    let CommandBody {
        command,
        body,
        key,
        timeout_ms,
    } = body.into_inner();
    let summary = {
        let id = id.clone();
        blocking(node, move |inspector| inspector.actor(&id)).await?
    };
    node.check_json(&summary.kind, &command, &body)
        .map_err(|error| invalid(&id, &error))?;
    let deadline = timeout_ms.map_or(ANSWER_WITHIN, Duration::from_millis);
    let _place = (deadline > ANSWER_WITHIN)
        .then(|| app.long_request())
        .transpose()?;
    let keyed = key.is_some();
    let ask = node.ask_json(&id, &summary.kind, &command, body, key);
    let reply = ask
        .deadline(deadline.min(LONGEST))
        .await
        .map_err(|error| not_done(id.as_str(), &command, keyed, error))?;
    match query.mode {
        Mode::Ask => json(&reply),
        Mode::Tell => json(&object!({ "actor": id, "command": command, "done": true })),
    }
}

fn not_done(actor: &str, command: &str, keyed: bool, error: AskError<Value>) -> Problem {
    let unknown = matches!(error, AskError::OutcomeUnknown);
    let problem = commanded(actor, command, error);
    if unknown && keyed {
        let hint = format!("steadfast ask {actor} {command} --key with the same key and body");
        return problem.hint(hint);
    }
    problem
}

fn invalid(actor: &ActorId, error: &InvalidCommand) -> Problem {
    let code = if matches!(error, InvalidCommand::Body { .. }) {
        Code::BadRequest
    } else {
        Code::NotFound
    };
    Problem::new(code, format!("{actor}: {error}")).hint(format!("steadfast inspect {actor}"))
}

/// Up to which event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    to: Option<u64>,
}

/// Rebuilds an actor from its first event and compares.
pub(super) async fn replay(
    app: Data<App>,
    path: Path<(String, String)>,
    query: Query<ReplayQuery>,
) -> Result<HttpResponse, Problem> {
    let (node, id) = (app.node()?, named(path.into_inner())?);
    let _place = app.long_request()?;
    json(&node.replay(&id, query.to).await?)
}

/// Nothing is to be said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// Takes a snapshot of one actor.
pub(super) async fn snapshot(
    app: Data<App>,
    path: Path<(String, String)>,
    _: Json<Empty>,
) -> Result<HttpResponse, Problem> {
    let (node, id) = (app.ready_node()?, named(path.into_inner())?);
    json(&node.snapshot(&id).await?)
}

/// Takes snapshots of all actors.
pub(super) async fn snapshots(app: Data<App>, _: Json<Empty>) -> Result<HttpResponse, Problem> {
    let node = app.ready_node()?;
    let _place = app.long_request()?;
    let (mut taken, mut current, mut failed) = (0_u64, 0_u64, 0_u64);
    let mut named = Vec::new();
    let mut after: Option<ActorId> = None;
    loop {
        let page = page_after(node, after.take()).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.actor.clone());
        for summary in &page {
            match node.snapshot(&summary.actor).await {
                Ok(snapshot) if snapshot.taken => taken += 1,
                Ok(_) => current += 1,
                Err(NodeError::Stopped) => return Err(NodeError::Stopped.into()),
                Err(error) => {
                    failed += 1;
                    let (actor, reason) = (&summary.actor, error.to_string());
                    named.push(object!({ "actor": actor, "reason": reason }));
                    named.truncate(NAMED);
                }
            }
        }
    }
    json(&object!({ "taken": taken, "current": current, "failed": failed, "failures": named }))
}

async fn page_after(node: &Node, after: Option<ActorId>) -> Result<Vec<ActorSummary>, Problem> {
    blocking(node, move |inspector| {
        inspector.actors_after(None, after.as_ref(), PAGE)
    })
    .await
}
