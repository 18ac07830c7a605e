//! What a run found, for people: what a dry run selected, what a patrol saw. Read back from the events of that
//! run.

use serde_json::Value;
use steadfast::ActorId;
use steadfast_actors::concern::Run;

use super::output::{Output, one_line};
use super::{checks, end};
use crate::client::{Client, Patience, actor_path, concern_path};
use crate::problem::{Code, Problem};
use crate::view::ConcernRow;

/// Events read at once.
const PAGE: usize = 200;
/// Files that are named; the others are counted.
const NAMED: u64 = 50;

/// A concern before a run is asked for.
#[derive(Debug)]
pub(super) struct Before {
    kind: String,
    /// Its newest event: what comes after it belongs to what is asked next.
    seq: u64,
    /// The run that was going.
    going: Option<Run>,
}

impl Before {
    /// Whether `run` was going already.
    pub(super) fn had(&self, run: &Run) -> bool {
        self.going.as_ref().is_some_and(|going| going.id == run.id)
    }
}

/// What is to be known of a concern before a run is asked for whose findings are shown.
pub(super) async fn before(client: &Client, concern: &ActorId) -> Result<Before, Problem> {
    let row: ConcernRow = client
        .get(&concern_path(concern), &[], Patience::Usual)
        .await?;
    let ConcernRow {
        kind,
        seq,
        last_run,
        ..
    } = row;
    let going = last_run.filter(|run| run.finished.is_none());
    Ok(Before { kind, seq, going })
}

/// Prints what `run` found, where its kind finds something.
pub(super) async fn show(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    dry_run: bool,
    before: &Before,
    output: Output,
) -> Result<(), Problem> {
    let shown = match before.kind.as_str() {
        "cleanup" if dry_run => print(client, concern, run, before.seq, output).await,
        "http-patrol" => checks::print(client, concern, run, before.seq, output).await,
        _ => Ok(()),
    };
    let shown = match shown {
        Ok(()) => end::print(client, concern, run, before.seq, output).await,
        shown => shown,
    };
    match shown {
        // Events are not read over a port: the run has ended all the same.
        Err(problem) if problem.code == Code::Forbidden => {
            output.note(&format!(
                "what the run found is not shown: {}",
                problem.detail
            ));
            Ok(())
        }
        shown => shown,
    }?;
    attention(client, concern, output).await
}

/// Says what needs somebody although the run has succeeded.
async fn attention(client: &Client, concern: &ActorId, output: Output) -> Result<(), Problem> {
    let path = concern_path(concern);
    let row: ConcernRow = client.get(&path, &[], Patience::Usual).await?;
    if let Some(found) = &row.attention {
        output.line(&format!("{}: {}", row.actor, found.why))?;
        output.line(&format!("  next: {}", output.found(&row.look(found))))?;
    }
    Ok(())
}

/// Prints the files that `run` selected, which began after event `before`.
async fn print(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    before: u64,
    output: Output,
) -> Result<(), Problem> {
    let path = format!("{}/events", actor_path(concern));
    let (mut files, mut bytes, mut next) = (0_u64, 0_u64, before.saturating_add(1));
    loop {
        let query = [("from", next.to_string()), ("limit", PAGE.to_string())];
        let page: Vec<Value> = client.get(&path, &query, Patience::Usual).await?;
        for file in page.iter().flat_map(|event| previewed(event, run)) {
            let size = file.get("bytes").and_then(Value::as_u64).unwrap_or(0);
            if files < NAMED {
                let name = one_line(file.get("path").and_then(Value::as_str).unwrap_or("?"));
                output.line(&format!("would remove {name} ({size} bytes)"))?;
            }
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(size);
        }
        next = next.saturating_add(page.len() as u64);
        if page.is_empty() {
            break;
        }
    }
    let all = if files > NAMED {
        format!(
            "; all of them: steadfast events {} --from {}",
            concern.key(),
            before.saturating_add(1)
        )
    } else {
        String::new()
    };
    output.line(&format!(
        "would remove {files} files, {bytes} bytes in all{all}"
    ))
}

/// The files that an event of `run` names as selected.
fn previewed<'a>(event: &'a Value, run: &Run) -> impl Iterator<Item = &'a Value> {
    let name = event
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let data = event.get("data");
    let of_run = data
        .and_then(|data| data.get("run"))
        .and_then(Value::as_str)
        == Some(run.id.as_str());
    let files = data
        .and_then(|data| data.get("files"))
        .and_then(Value::as_array);
    files
        .filter(|_| of_run && name.ends_with(".previewed"))
        .into_iter()
        .flatten()
}
