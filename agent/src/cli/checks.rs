//! What the checks of a patrol's run found, for people.

use serde_json::Value;
use steadfast::{ActorId, Timestamp};
use steadfast_actors::concern::Run;
use steadfast_actors::patrol::{Checked, Report};

use super::end;
use super::output::Output;
use super::show::moment;
use crate::client::Client;
use crate::problem::Problem;

/// Prints one line for each target that `run` checked, which ended after event `before`.
pub(super) async fn print(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    before: u64,
    output: Output,
) -> Result<(), Problem> {
    let end = end::find(client, concern, run, before).await?;
    for check in end
        .and_then(report)
        .into_iter()
        .flat_map(|report| report.targets)
    {
        output.line(&line(&check))?;
    }
    Ok(())
}

/// The report in what the event of a run's end says.
fn report(mut end: Value) -> Option<Report> {
    serde_json::from_value(end.get_mut("report")?.take()).ok()
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
