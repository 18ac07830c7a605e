//! What a full check found, as JSON: the same from a node and from a directory.

use serde_json::{Value, json};
use steadfast::journal::VerifyReport;

/// The report as scripts read it.
pub(crate) fn verify_json(report: &VerifyReport) -> Value {
    json!({
        "ok": report.findings.is_empty(),
        "commits": report.commits,
        "entries": report.entries,
        "events": report.events,
        "actors": report.actors,
        "findings": report.findings,
    })
}
