//! What the effects work with: the network, or what a test puts in its place.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use steadfast::EffectError;

use super::config::Notify;
use super::http::Http;
use super::message::Message;
use super::probe::{Checked, Probe};

/// What asks targets and posts notifications.
pub(super) trait Wire: Send + Sync {
    /// Asks one target. Takes no longer than the probe's timeout.
    fn check<'a>(&'a self, probe: &'a Probe) -> BoxFuture<'a, Checked>;

    /// Posts one notification; the status of an answer that is taken for one.
    fn post<'a>(
        &'a self,
        to: &'a Notify,
        message: Message<'a>,
    ) -> BoxFuture<'a, Result<u16, EffectError>>;
}

/// The HTTP client of a node's patrols: a resource of the node.
#[derive(Clone)]
pub struct Web(Arc<dyn Wire>);

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Web").finish_non_exhaustive()
    }
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

impl Web {
    /// The network. Nothing is read or connected to before it is needed.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Http::default()))
    }

    /// What a test puts in its place.
    #[cfg(test)]
    pub(super) fn of(wire: Arc<dyn Wire>) -> Self {
        Self(wire)
    }

    /// Checks all, `parallel` at a time. The answers come in the order of the probes.
    pub(super) async fn check_all(&self, probes: Vec<Probe>, parallel: u32) -> Vec<Checked> {
        let parallel = usize::try_from(parallel.max(1)).unwrap_or(1);
        let checks = probes.into_iter().map(|probe| {
            let wire = Arc::clone(&self.0);
            async move { wire.check(&probe).await }
        });
        stream::iter(checks).buffered(parallel).collect().await
    }

    pub(super) async fn post(&self, to: &Notify, message: Message<'_>) -> Result<u16, EffectError> {
        self.0.post(to, message).await
    }
}
