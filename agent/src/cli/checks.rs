//! What the checks of a patrol's run found, for people.

use serde_json::Value;
use steadfast::{ActorId, Timestamp};
use steadfast_actors::concern::Run;
use steadfast_actors::patrol::{Checked, Report};

use super::output::Output;
use super::show::moment;
use crate::client::{Client, Patience, actor_path};
use crate::problem::Problem;

/// Events read at once.
const PAGE: usize = 200;

/// Prints one line for each target that `run` checked, which ended after event `before`.
pub(super) async fn print(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    before: u64,
    output: Output,
) -> Result<(), Problem> {
    let path = format!("{}/events", actor_path(concern));
    let mut next = before.saturating_add(1);
    loop {
        let query = [("from", next.to_string()), ("limit", PAGE.to_string())];
        let page: Vec<Value> = client.get(&path, &query, Patience::Usual).await?;
        if let Some(report) = page.iter().find_map(|event| report(event, run)) {
            for check in &report.targets {
                output.line(&line(check))?;
            }
            return Ok(());
        }
        next = next.saturating_add(page.len() as u64);
        if page.is_empty() {
            return Ok(());
        }
    }
}

/// The report of `run`, if that is what this event ended.
fn report(event: &Value, run: &Run) -> Option<Report> {
    let data = event.get("data")?;
    let ended = event.get("name")? == "patrol.finished" && data.get("run")? == run.id.as_str();
    let report = ended.then(|| data.get("report"))??;
    serde_json::from_value(report.clone()).ok()
}

fn line(check: &Checked) -> String {
    let Checked {
        target,
        latency_ms,
        tls_expires,
        ..
    } = check;
    let valid = tls_expires.map_or_else(String::new, |end: Timestamp| {
        format!(", certificate until {}", moment(end))
    });
    match (&check.failure, check.status) {
        (Some(failure), _) => format!("{target}: failed: {failure} ({latency_ms} ms{valid})"),
        (None, Some(status)) => format!("{target}: {status} in {latency_ms} ms{valid}"),
        (None, None) => format!("{target}: passed in {latency_ms} ms{valid}"),
    }
}
