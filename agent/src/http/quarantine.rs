//! Actors that are set aside: which, why, and the ways back.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde_json::json as object;
use steadfast::ActorId;

use super::App;
use super::actors::Empty;
use super::problem::json;
use super::routes::named;
use crate::problem::Problem;

type Name = Path<(String, String)>;

/// All of them.
pub(super) async fn list(app: Data<App>) -> Result<HttpResponse, Problem> {
    json(&app.node()?.quarantine().list().await?)
}

/// One of them.
pub(super) async fn show(app: Data<App>, path: Name) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    json(&app.node()?.quarantine().show(&id).await?)
}

/// Lets it try once more.
pub(super) async fn retry(
    app: Data<App>,
    path: Name,
    _: Json<Empty>,
) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    app.ready_node()?.quarantine().retry(&id).await?;
    done(&id, "retry", None)
}

/// Drops for good what keeps it there, and lets it try.
pub(super) async fn skip(
    app: Data<App>,
    path: Name,
    _: Json<Empty>,
) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    let skipped = app.ready_node()?.quarantine().skip(&id).await?;
    tracing::warn!(actor = %id, skipped, "skipped by hand");
    done(&id, "skip", Some(&skipped))
}

/// Lets it go with its failures forgotten.
pub(super) async fn release(
    app: Data<App>,
    path: Name,
    _: Json<Empty>,
) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    app.ready_node()?.quarantine().release(&id).await?;
    done(&id, "release", None)
}

fn done(actor: &ActorId, action: &str, skipped: Option<&str>) -> Result<HttpResponse, Problem> {
    json(&object!({ "actor": actor, "action": action, "skipped": skipped }))
}
