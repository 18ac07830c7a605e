//! Commands that show something: `ps`, `state`, `verify`.

use std::time::Duration;

use serde_json::Value;
use steadfast::{ActorId, Timestamp};
use steadfast_actors::concern::Run;

use super::args::Form;
use super::output::Output;
use super::target::Target;
use crate::client::Reader;
use crate::problem::{Code, Exit, Problem};
use crate::view::{ConcernRow, Status};

/// `ps`: the concerns.
pub(super) async fn ps(target: Target, timeout: Duration, output: Output) -> Result<Exit, Problem> {
    let rows = Reader::open(target, timeout).await?.concerns().await?;
    if output.form != Form::Table {
        output.documents(&rows)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        output.note(
            "no concerns yet: name one in the config file, then `steadfast run --config FILE`",
        );
        return Ok(Exit::Ok);
    }
    let mut header = vec![
        "CONCERN", "KIND", "STATUS", "SEQ", "LAST RUN", "OUTCOME", "NEXT RUN",
    ];
    let mut cells: Vec<Vec<String>> = rows.iter().map(ps_cells).collect();
    // Only where there is something: most of the time nothing needs anybody.
    if rows.iter().any(|row| row.attention.is_some()) {
        header.push("ATTENTION");
        for (cells, row) in cells.iter_mut().zip(&rows) {
            let why = row.attention.as_ref().map(|found| found.why.clone());
            cells.push(or_dash(why));
        }
    }
    output.table(&header, cells)?;
    if rows.iter().all(|row| row.status == Status::Stopped) {
        let start = output.found("steadfast run --config FILE");
        output.note(&format!("no node runs here: {start}"));
    }
    Ok(Exit::Ok)
}

fn ps_cells(row: &ConcernRow) -> Vec<String> {
    let run = row.last_run.as_ref();
    let name = row.actor.strip_prefix("concern/").unwrap_or(&row.actor);
    vec![
        name.to_owned(),
        row.kind.clone(),
        row.status.word().to_owned(),
        row.seq.to_string(),
        or_dash(run.map(|run| moment(run.finished.unwrap_or(run.started)))),
        or_dash(run.map(outcome)),
        or_dash(row.next_run.map(moment)),
    ]
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

/// How a run ended, in a word.
pub(super) fn outcome(run: &Run) -> String {
    run.outcome
        .map_or_else(|| "unfinished".to_owned(), |outcome| outcome.to_string())
}

/// A time to the second, as people read it.
pub(super) fn moment(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// `state`: the state of an actor.
pub(super) async fn state(
    target: Target,
    timeout: Duration,
    actor: &ActorId,
    at: Option<u64>,
    output: Output,
) -> Result<Exit, Problem> {
    let view = Reader::open(target, timeout)
        .await?
        .state(actor, at)
        .await?;
    if output.form == Form::Table {
        let seq = view.get("seq").unwrap_or(&Value::Null);
        output.line(&format!("{actor} after event {seq}"))?;
        output.document(view.get("state").unwrap_or(&Value::Null))?;
    } else {
        output.document(&view)?;
    }
    Ok(Exit::Ok)
}

/// `verify`: a full check.
pub(super) async fn verify(
    target: Target,
    timeout: Duration,
    output: Output,
) -> Result<Exit, Problem> {
    let report = Reader::open(target, timeout).await?.verify().await?;
    let findings = report
        .get("findings")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if output.form == Form::Table {
        verify_for_people(&report, output)?;
    } else {
        output.document(&report)?;
    }
    if findings == 0 {
        return Ok(Exit::Ok);
    }
    let detail = format!("{findings} finding(s): what is stored is not all that was acknowledged");
    Err(Problem::new(Code::Integrity, detail)
        .hint("keep a copy of the data directory before anything else: cp -a DIR DIR.copy"))
}

fn verify_for_people(report: &Value, output: Output) -> Result<(), Problem> {
    let number = |field: &str| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    let findings = report.get("findings").and_then(Value::as_array);
    for finding in findings.into_iter().flatten() {
        output.line(&format!(
            "finding: {}",
            finding.as_str().unwrap_or_default()
        ))?;
    }
    output.line(&format!(
        "{}: {} commits, {} entries, {} events of {} actors checked",
        if findings.is_none_or(Vec::is_empty) {
            "ok"
        } else {
            "damaged"
        },
        number("commits"),
        number("entries"),
        number("events"),
        number("actors"),
    ))
}
