//! The node as a whole: `status`, plans, reloads.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, ReqData};
use serde::Deserialize;
use steadfast::{Clock, Node};

use super::app::About;
use super::guard::Transport;
use super::problem::json;
use super::{App, concerns};
use crate::ask::blocking;
use crate::detail;
use crate::problem::Problem;
use crate::reload::Draft;
use crate::status::{Attention, JournalPart, NodePart, NodeStatus, count, memory_bytes, sizes};
use crate::view::{ConcernRow, Status};

/// Pending work of each sort is counted up to this many.
const MOST_PENDING: usize = 100_000;

/// A node on one screen.
pub(super) async fn status(
    app: Data<App>,
    transport: ReqData<Transport>,
) -> Result<HttpResponse, Problem> {
    let node = app.node()?;
    // What needs the journal is left out while it is reopened: then this is looked at most.
    let rows = concerns::all(node).await.ok();
    let (concerns, attention) = match rows {
        Some(rows) => {
            let (counts, mut attention) = count(&rows);
            // A reason may quote the configuration, which is the owner's: a path, what a program's name is.
            if *transport == Transport::Unix {
                explain(node, &rows, &mut attention).await;
            }
            (Some(counts), attention)
        }
        None => (None, Vec::new()),
    };
    let pending = blocking(node, |inspector| inspector.pending_counts(MOST_PENDING)).await;
    json(&NodeStatus {
        node: process(&app),
        journal: journal(&app, node),
        recovery: node.opened().ok().map(Into::into),
        actors: node.totals().await,
        pending: pending.ok(),
        concerns,
        attention,
    })
}

/// Adds to those whose newest run did not succeed why that is, as far as that can be read.
async fn explain(node: &Node, rows: &[ConcernRow], attention: &mut [Attention]) {
    for one in attention {
        let row = rows.iter().find(|row| row.actor == one.actor);
        let run = row.filter(|row| row.status == Status::Idle);
        let Some(run) = run.and_then(|row| row.last_run.clone()) else {
            continue;
        };
        let reason = blocking(node, move |inspector| {
            detail::reason(inspector, &run.actor, run.id.as_str())
        });
        if let Ok(Some(reason)) = reason.await {
            one.why = format!("{}: {reason}", one.why);
        }
    }
}

fn uptime(about: &About) -> Duration {
    about.clock.running().saturating_sub(about.started)
}

fn process(app: &App) -> NodePart {
    let about = &app.about;
    NodePart {
        name: about.name.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: uptime(about).as_secs(),
        data_dir: about.dir.display().to_string(),
        config: app.reloader().file().display().to_string(),
        config_digest: app.reloader().running(),
        memory_bytes: memory_bytes(),
    }
}

fn journal(app: &App, node: &Node) -> JournalPart {
    let inspector = node.inspect().ok();
    let (bytes, wal_bytes) = sizes(&app.about.dir.join("journal"));
    let (snapshot_bytes, _) = sizes(&app.about.dir.join("snapshots"));
    let history = inspector.as_ref().and_then(steadfast::Inspector::history);
    JournalPart {
        history: history.map(|history| history.to_string()),
        epoch: node.opened().ok().map(|report| report.epoch.get()),
        commit: Some(*node.watch_commits().borrow()).filter(|commit| *commit > 0),
        read_only: node.read_only(),
        bytes,
        wal_bytes,
        snapshot_bytes,
    }
}

/// What is to be planned: the node's own file, or a draft of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlanBody {
    draft: Option<Draft>,
}

/// What a configuration would change.
pub(super) async fn plan(app: Data<App>, body: Json<PlanBody>) -> Result<HttpResponse, Problem> {
    let node = app.ready_node()?;
    json(&app.reloader().plan(node, body.into_inner().draft).await?)
}

/// Who asks for a reload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReloadBody {
    by: Option<String>,
}

/// Takes the file over; answered when that is done or refused.
pub(super) async fn reload(
    app: Data<App>,
    body: Json<ReloadBody>,
) -> Result<HttpResponse, Problem> {
    app.ready_node()?;
    let by = concerns::who(body.by.as_deref());
    json(&app.reloader().ask(by).await?)
}
