//! What can be asked, in one table, and the routes that concern no single resource.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CacheControl, CacheDirective, ETAG};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, Resource, ResponseError};
use serde::Deserialize;
use steadfast::ActorId;

use super::problem::{bad_body, bad_query, json, no_route, wrong_method};
use super::{App, actors, concerns, events, quarantine, status};
use crate::ask::blocking;
use crate::problem::{Code, Problem};
use crate::report::verify_json;

/// Longest body; the longest that makes sense elsewhere has some hundred bytes.
const BODY_BYTES: usize = 64 << 10;
/// Longest body of a command by name: what one command may write.
const COMMAND_BYTES: usize = 4 << 20;
/// Longest body with a draft of a configuration: what is taken for one, as JSON.
const DRAFT_BYTES: usize = 4 << 20;
/// What Prometheus takes as OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The table.
pub(super) fn configure(service: &mut ServiceConfig) {
    service
        .app_data(
            web::JsonConfig::default()
                .limit(BODY_BYTES)
                .error_handler(bad_body),
        )
        .app_data(web::QueryConfig::default().error_handler(bad_query))
        .service(at("/livez").get(livez))
        .service(at("/readyz").get(readyz))
        .service(at("/metrics").get(metrics))
        .service(at("/v1/concerns").get(concerns::list))
        .service(at("/v1/concerns/{name}").get(concerns::show))
        .service(at("/v1/concerns/{name}/trigger").post(concerns::trigger))
        .service(at("/v1/concerns/{name}/pause").post(concerns::pause))
        .service(at("/v1/concerns/{name}/cancel").post(concerns::cancel))
        .service(at("/v1/concerns/{name}/resume").post(concerns::resume))
        .service(at("/v1/status").get(status::status))
        .service(
            at("/v1/config/plan")
                .app_data(
                    web::JsonConfig::default()
                        .limit(DRAFT_BYTES)
                        .error_handler(bad_body),
                )
                .post(status::plan),
        )
        .service(at("/v1/reload").post(status::reload))
        .service(at("/v1/snapshots").post(actors::snapshots))
        .service(at("/v1/actors").get(list))
        .service(at("/v1/actors/{space}/{key:.*}/state").get(state))
        .service(at("/v1/actors/{space}/{key:.*}/events").get(events::events))
        .service(at("/v1/actors/{space}/{key:.*}/inspect").get(actors::inspect))
        .service(at("/v1/actors/{space}/{key:.*}/replay").get(actors::replay))
        .service(at("/v1/actors/{space}/{key:.*}/snapshot").post(actors::snapshot))
        .service(
            at("/v1/actors/{space}/{key:.*}/commands")
                .app_data(
                    web::JsonConfig::default()
                        .limit(COMMAND_BYTES)
                        .error_handler(bad_body),
                )
                .post(actors::command),
        )
        .service(at("/v1/actors/{space}/{key:.*}").get(actor))
        .service(at("/v1/quarantine").get(quarantine::list))
        .service(at("/v1/quarantine/{space}/{key:.*}/retry").post(quarantine::retry))
        .service(at("/v1/quarantine/{space}/{key:.*}/skip").post(quarantine::skip))
        .service(at("/v1/quarantine/{space}/{key:.*}/release").post(quarantine::release))
        .service(at("/v1/quarantine/{space}/{key:.*}").get(quarantine::show))
        .service(at("/v1/verify").get(verify))
        .default_service(web::to(no_route));
}

/// A path that takes some methods and explains that it takes no others.
fn at(path: &str) -> Resource {
    web::resource(path.to_owned()).default_service(web::to(wrong_method))
}

/// Counts every request, refused ones too.
pub(super) async fn count(
    app: Data<App>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let method = request.method().to_string();
    let answered = next.call(request).await;
    let (route, status) = match &answered {
        Ok(response) => (response.request().match_pattern(), response.status()),
        Err(error) => (None, error.as_response_error().status_code()),
    };
    app.metrics.count(route, &method, status.as_u16());
    answered
}

/// The process lives.
async fn livez() -> &'static str {
    "ok\n"
}

/// The node takes work.
async fn readyz(app: Data<App>) -> HttpResponse {
    match app.not_ready() {
        None => HttpResponse::Ok()
            .insert_header(CacheControl(vec![CacheDirective::NoStore]))
            .body("ok\n"),
        Some(problem) => problem.error_response(),
    }
}

/// For Prometheus.
async fn metrics(app: Data<App>) -> HttpResponse {
    // Those that cannot be asked now are as they were when they could.
    let rows = match app.ready_node() {
        Ok(node) => concerns::all(node).await.ok(),
        Err(_) => None,
    };
    let counts = rows.map(|rows| crate::status::count(&rows).0);
    app.metrics
        .update(app.reloader().reloads(), counts.as_ref());
    let node = app
        .any_node()
        .map(steadfast::Node::metrics)
        .unwrap_or_default();
    HttpResponse::Ok()
        .content_type(OPENMETRICS)
        .body(app.metrics.text_after(&node))
}

/// The actor that a path names.
pub(super) fn named((space, key): (String, String)) -> Result<ActorId, Problem> {
    ActorId::new(&space, &key).map_err(|error| Problem::new(Code::BadRequest, error.to_string()))
}

async fn list(app: Data<App>) -> Result<HttpResponse, Problem> {
    json(&blocking(app.node()?, |inspector| inspector.actors(None)).await?)
}

async fn actor(app: Data<App>, path: Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    json(&blocking(app.node()?, move |inspector| inspector.actor(&id)).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateQuery {
    at: Option<u64>,
}

async fn state(
    app: Data<App>,
    path: Path<(String, String)>,
    query: Query<StateQuery>,
) -> Result<HttpResponse, Problem> {
    let (id, at) = (named(path.into_inner())?, query.at);
    let view = blocking(app.node()?, move |inspector| inspector.state(&id, at)).await?;
    let mut response = json(&view)?;
    if let Ok(tag) = format!("\"{}\"", view.seq).parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

async fn verify(app: Data<App>) -> Result<HttpResponse, Problem> {
    let _one_at_a_time = app
        .verifying
        .try_lock()
        .map_err(|_| Problem::new(Code::Overloaded, "a full check is going already"))?;
    let report = blocking(app.node()?, steadfast::Inspector::verify).await?;
    json(&verify_json(&report))
}
