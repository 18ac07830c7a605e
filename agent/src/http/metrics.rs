//! What the agent counts of its own: requests by route, method and status; concerns by what they do, their runs by
//! how they ended, reloads.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use steadfast_actors::concern::ended_runs;

use crate::reload::Reloads;
use crate::status::ConcernCounts;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindOutcome {
    kind: &'static str,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

/// Counters of the agent.
#[derive(Debug)]
pub(super) struct HttpMetrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    runs: Family<KindOutcome, Counter>,
    reloads: Family<Outcome, Counter>,
    concerns: Family<Status, Gauge>,
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
        let (runs, reloads, concerns) = (Family::default(), Family::default(), Family::default());
        registry.register(
            "concern_runs",
            "Runs of concerns by how they ended",
            Family::clone(&runs),
        );
        registry.register(
            "reloads",
            "Reloads of the configuration by what became of them",
            Family::clone(&reloads),
        );
        registry.register(
            "concerns",
            "Concerns by what they do, as `steadfast status` counts them",
            Family::clone(&concerns),
        );
        Self {
            registry,
            requests,
            runs,
            reloads,
            concerns,
        }
    }

    /// Takes over what is counted elsewhere; `concerns` is what is known of them just now.
    pub(super) fn update(&self, reloads: Reloads, concerns: Option<&ConcernCounts>) {
        for ended in ended_runs() {
            let labels = KindOutcome {
                kind: ended.kind,
                outcome: ended.outcome.to_string(),
            };
            raise(&self.runs.get_or_create_owned(&labels), ended.count);
        }
        for (outcome, count) in reloads.by_outcome() {
            let counter = self.reloads.get_or_create_owned(&Outcome { outcome });
            raise(&counter, count);
        }
        for (status, count) in concerns.into_iter().flat_map(ConcernCounts::by_status) {
            let gauge = self.concerns.get_or_create_owned(&Status { status });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
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

/// Brings a counter to `count`, which only rises.
fn raise(counter: &Counter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}
