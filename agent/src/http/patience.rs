//! How long a connection is borne with. One that sends or reads a byte now and then would hold its place for ever: the
//! server below limits the time of a connection's first head alone.
//!
//! * From one request to the head of the next: [`BETWEEN`]. Then the connection ends.
//! * For a body: [`BODY`], in all. Then the request is refused.
//! * For who does not read what is sent to a port: [`STALLED`]. The socket is the owner's, whose pager may stand still.
//!
//! Invariant: [`Activity`] is waiting exactly while no request is handled and no answer is on its way. When the node
//! drains, a connection that has served and waits is ended.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::stream::{StreamExt, unfold};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::app::Phase;

/// Longest wait for the whole head of a request on an open connection; more than the five seconds of the server below
/// for one that says nothing.
const BETWEEN: Duration = Duration::from_secs(6);
/// Longest time for a whole body.
const BODY: Duration = Duration::from_secs(10);
/// Longest time in which a client takes nothing of what is sent to it.
pub(super) const STALLED: Duration = Duration::from_secs(10);

/// What goes on on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// Since when no request is handled; `None` while one is.
    waiting: Cell<Option<Instant>>,
    has_served: Cell<bool>,
    /// Who looks at the connection again when an answer ends while the node drains.
    waker: RefCell<Option<Waker>>,
}

/// A request that is handled, up to the last byte of its answer.
#[derive(Debug)]
struct Busy(Rc<Activity>);

impl Activity {
    fn begin(self: &Rc<Self>) -> Busy {
        self.waiting.set(None);
        Busy(Rc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.waiting.set(Some(Instant::now()));
        self.0.has_served.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

/// A stream that ends when the other side is too slow.
pub(super) struct Patient<T> {
    stream: T,
    pub(super) activity: Rc<Activity>,
    /// Ready once the node drains; then `None`.
    draining: Option<Pin<Box<dyn Future<Output = ()>>>>,
    waited: Pin<Box<Sleep>>,
    /// How long it may take nothing; `None` is for ever.
    stall: Option<Duration>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> fmt::Debug for Patient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient")
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

impl<T> Patient<T> {
    pub(super) fn new(
        stream: T,
        mut phase: watch::Receiver<Phase>,
        stall: Option<Duration>,
    ) -> Self {
        let activity = Activity {
            waiting: Cell::new(Some(Instant::now())),
            has_served: Cell::new(false),
            waker: RefCell::new(None),
        };
        let draining = async move {
            // The sender lives as long as the server; without it nothing goes on either.
            drop(phase.wait_for(|phase| *phase == Phase::Draining).await);
        };
        Self {
            stream,
            activity: Rc::new(activity),
            draining: Some(Box::pin(draining)),
            waited: Box::pin(sleep(BETWEEN)),
            stall,
            stalled: None,
        }
    }

    /// Whether nothing more is read: looked at when nothing is there.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(draining) = &mut self.draining
            && draining.as_mut().poll(cx).is_ready()
        {
            self.draining = None;
        }
        let drains = self.draining.is_none();
        loop {
            let waiting = self.activity.waiting.get();
            if drains && waiting.is_some() && self.activity.has_served.get() {
                return true;
            }
            if drains {
                self.activity.waker.replace(Some(cx.waker().clone()));
            }
            // While a request is handled, only to look again.
            let until = waiting.unwrap_or_else(Instant::now) + BETWEEN;
            if self.waited.deadline() != until {
                self.waited.as_mut().reset(until);
            }
            if self.waited.as_mut().poll(cx).is_pending() {
                return false;
            }
            if waiting.is_some() {
                return true;
            }
        }
    }

    fn unless_stalled<R>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let Some(stall) = self.stall.filter(|_| done.is_pending()) else {
            self.stalled = None;
            return done;
        };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() && self.is_over(cx) {
            // The end, as if the other side had said so.
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.unless_stalled(cx, shut)
    }
}

/// Notes on the connection that a request is handled, until its answer is sent, and limits the time of its body.
pub(super) async fn limit(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let busy = request.conn_data::<Rc<Activity>>().map(Activity::begin);
    let payload = request.take_payload();
    request.set_payload(in_time(payload));
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| BoxBody::new(Answering { body, _busy: busy })))
}

/// The same body, or an error once it takes too long.
fn in_time(payload: Payload) -> Payload {
    if matches!(payload, Payload::None) {
        return payload;
    }
    let until = Instant::now() + BODY;
    let chunks = unfold(Some(payload), move |payload| async move {
        let mut payload = payload?;
        if let Ok(chunk) = timeout_at(until, payload.next()).await {
            return Some((chunk?, Some(payload)));
        }
        let late = format!("it did not come within {BODY:?}");
        let late = io::Error::new(io::ErrorKind::TimedOut, late);
        Some((Err(PayloadError::Io(late)), None))
    });
    Payload::Stream {
        payload: Box::pin(chunks),
    }
}

/// An answer's body that knows when it was sent, or given up.
struct Answering {
    body: BoxBody,
    _busy: Option<Busy>,
}

impl MessageBody for Answering {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.body.as_pin_mut().poll_next(cx)
    }
}
