//! What the server counts of its own: requests by route, method and status.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    code: u16,
}

/// Counters of the server.
#[derive(Debug)]
pub(super) struct HttpMetrics {
    registry: Registry,
    requests: Family<Request, Counter>,
}

impl HttpMetrics {
    pub(super) fn new() -> Self {
        let requests = Family::<Request, Counter>::default();
        let mut registry = Registry::with_prefix("steadfast");
        registry.register(
            "http_requests",
            "HTTP requests by how they ended",
            requests.clone(),
        );
        Self { registry, requests }
    }

    /// Counts a request. The route is a pattern, never a path: labels stay bounded.
    pub(super) fn count(&self, route: Option<String>, method: &str, code: u16) {
        let route = route.unwrap_or_else(|| "none".to_owned());
        // Anybody can invent methods.
        let method = if matches!(method, "GET" | "POST" | "HEAD") {
            method
        } else {
            "other"
        };
        let request = Request {
            route,
            method: method.to_owned(),
            code,
        };
        self.requests.get_or_create_owned(&request).inc();
    }

    /// The node's metrics and the server's as one document.
    pub(super) fn text_after(&self, node: &str) -> String {
        let mut text = node.trim_end().trim_end_matches("# EOF").to_owned();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }
}
