//! Events of an actor: as an array, as JSON lines, or as server-sent events that go on.
//!
//! A stream reads one page at a time, when the client has taken the one before, so that it holds no more
//! than a page. It ends when the node drains.

use std::time::Duration;

use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use steadfast::{ActorId, EventView, SequenceNumber};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::App;
use super::app::{Phase, draining};
use super::problem::json;
use super::routes::named;
use crate::ask::blocking;
use crate::problem::{Code, Problem};

/// Events of an array where the query does not say.
const USUAL_LIMIT: usize = 1_000;
/// Most events of an array.
const MOST: usize = 10_000;
/// Events of a stream that are read at once.
const PAGE: usize = 100;
/// Silence after which a stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Shortest time between two reads of a stream, however many commits there are.
const PACE: Duration = Duration::from_millis(10);
/// Wait before reading again while the journal is reopened.
const AGAIN: Duration = Duration::from_millis(200);

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    from: Option<u64>,
    limit: Option<usize>,
    follow: Option<bool>,
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Lines,
    ServerSent,
}

impl Form {
    /// As the client accepts it; `None` if it accepts none of ours.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers
            .get(ACCEPT)
            .map_or(Ok("*/*"), |value| value.to_str())
            .ok()?;
        let kinds = accepted
            .split(',')
            .map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds.into_iter().find_map(|kind| match kind {
            "application/json" | "application/*" | "*/*" => Some(Self::Array),
            "application/jsonl" | "application/x-ndjson" => Some(Self::Lines),
            "text/event-stream" => Some(Self::ServerSent),
            _ => None,
        })
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Array => "application/json",
            Self::Lines => "application/jsonl",
            Self::ServerSent => "text/event-stream",
        }
    }

    fn frame(self, event: &EventView, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if self == Self::ServerSent {
            bytes.extend_from_slice(format!("id: {}\nevent: event\ndata: ", event.seq).as_bytes());
        }
        serde_json::to_writer(&mut *bytes, event)?;
        bytes.push(b'\n');
        if self == Self::ServerSent {
            bytes.push(b'\n');
        }
        Ok(())
    }

    const fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::ServerSent => b": alive\n\n",
            Self::Array | Self::Lines => b"\n",
        }
    }
}

/// The route.
pub(super) async fn events(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let id = named(path.into_inner())?;
    let form = Form::accepted(request.headers()).ok_or_else(|| {
        let detail = "events come as application/json, application/jsonl or text/event-stream";
        Problem::new(Code::NotAcceptable, detail)
    })?;
    let from = first(request.headers(), &query)?;
    let follow = query.follow.unwrap_or(form == Form::ServerSent);
    // Says 404 before anything of a stream is sent.
    let checked = id.clone();
    blocking(app.node()?, move |inspector| inspector.actor(&checked)).await?;
    if form == Form::Array {
        return array(&app, id, from, &query).await;
    }
    let stream = EventStream {
        _place: app.long_request()?,
        commits: app.node()?.watch_commits(),
        phase: app.watch_phase(),
        app,
        id,
        next: from,
        left: query.limit.unwrap_or(usize::MAX),
        form,
        follow,
    };
    Ok(HttpResponse::Ok()
        .content_type(form.content_type())
        .streaming(stream.into_stream()))
}

/// The first event that is wanted: after `Last-Event-ID`, or `from`, or all.
fn first(headers: &HeaderMap, query: &EventsQuery) -> Result<u64, Problem> {
    let Some(last) = headers.get("last-event-id") else {
        return Ok(query.from.unwrap_or(1).max(1));
    };
    let seen = last.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    seen.map(|seen| seen.saturating_add(1)).ok_or_else(|| {
        Problem::new(
            Code::BadRequest,
            "Last-Event-ID must be the number of an event",
        )
    })
}

async fn array(
    app: &App,
    id: ActorId,
    from: u64,
    query: &EventsQuery,
) -> Result<HttpResponse, Problem> {
    if query.follow == Some(true) {
        let detail = "an array has an end: accept application/jsonl or text/event-stream to follow";
        return Err(Problem::new(Code::NotAcceptable, detail));
    }
    let limit = query.limit.unwrap_or(USUAL_LIMIT).min(MOST);
    let from = SequenceNumber::new(from).unwrap_or(SequenceNumber::FIRST);
    let page = blocking(app.node()?, move |inspector| {
        inspector.events(&id, from, limit)
    })
    .await?;
    json(&page)
}

/// A stream on its way.
struct EventStream {
    /// Its place among the long requests, given back at its end.
    _place: OwnedSemaphorePermit,
    app: Data<App>,
    id: ActorId,
    /// The next event to send.
    next: u64,
    /// How many more are wanted.
    left: usize,
    form: Form,
    /// Whether to wait for events that are not there yet.
    follow: bool,
    commits: watch::Receiver<u64>,
    phase: watch::Receiver<Phase>,
}

impl EventStream {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        unfold(Some(self), |stream| async {
            let mut stream = stream?;
            match stream.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(stream))),
                Ok(None) => None,
                // Breaks the connection: an end that looks orderly would be a lie.
                Err(problem) => Some((Err(problem), None)),
            }
        })
    }

    /// The next piece; `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        while self.left > 0 {
            self.commits.mark_unchanged();
            let page = match self.page().await {
                Err(problem) if self.follow && problem.code == Code::Unavailable => {
                    if *self.phase.borrow() == Phase::Draining {
                        return Ok(None);
                    }
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                page => page?,
            };
            if let Some(last) = page.last() {
                self.next = last.seq.saturating_add(1);
                self.left = self.left.saturating_sub(page.len());
                return self.framed(&page).map(Some);
            }
            if !self.follow {
                return Ok(None);
            }
            tokio::select! {
                moved = self.commits.changed() => {
                    moved.map_err(|_| draining())?;
                    tokio::time::sleep(PACE).await;
                }
                _ = self.phase.wait_for(|phase| *phase == Phase::Draining) => return Ok(None),
                () = tokio::time::sleep(HEARTBEAT) => {
                    return Ok(Some(Bytes::from_static(self.form.heartbeat())));
                }
            }
        }
        Ok(None)
    }

    async fn page(&self) -> Result<Vec<EventView>, Problem> {
        let from = SequenceNumber::new(self.next).unwrap_or(SequenceNumber::FIRST);
        let (id, limit) = (self.id.clone(), self.left.min(PAGE));
        blocking(self.app.node()?, move |inspector| {
            inspector.events(&id, from, limit)
        })
        .await
    }

    fn framed(&self, page: &[EventView]) -> Result<Bytes, Problem> {
        let mut bytes = Vec::new();
        for event in page {
            self.form
                .frame(event, &mut bytes)
                .map_err(|error| Problem::new(Code::Failed, error.to_string()))?;
        }
        Ok(bytes.into())
    }
}
