//! `snapshot` and `replay`: states at rest, and whether they are what the events say.

use std::time::Duration;

use serde_json::{Value, json};
use steadfast::{ActorId, Divergence, Replay, SnapshotTaken};

use super::args::Form;
use super::control::node;
use super::output::Output;
use super::target::Target;
use crate::client::{Patience, Reader, actor_path};
use crate::problem::{Code, Exit, Problem};

/// Takes a snapshot of one actor, or of all.
pub(super) async fn snapshot(
    target: &Target,
    timeout: Duration,
    actor: Option<&ActorId>,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let Some(actor) = actor else {
        let report: Value = client
            .post("/v1/snapshots", &json!({}), Patience::Endless)
            .await?;
        return all(&report, output);
    };
    let path = format!("{}/snapshot", actor_path(actor));
    let taken: SnapshotTaken = client.post(&path, &json!({}), Patience::Endless).await?;
    if output.form != Form::Table {
        output.document(&taken)?;
    } else if taken.taken {
        output.line(&format!(
            "{actor}: snapshot after event {}, {} bytes",
            taken.seq, taken.bytes
        ))?;
    } else {
        output.line(&format!(
            "{actor}: the newest snapshot holds all {} events already",
            taken.seq
        ))?;
    }
    Ok(Exit::Ok)
}

fn all(report: &Value, output: Output) -> Result<Exit, Problem> {
    let number = |field: &str| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (taken, current, failed) = (number("taken"), number("current"), number("failed"));
    if output.form == Form::Table {
        output.line(&format!(
            "{taken} taken, {current} current already, {failed} failed"
        ))?;
    } else {
        output.document(report)?;
    }
    if failed == 0 {
        return Ok(Exit::Ok);
    }
    let failures = report.get("failures").and_then(Value::as_array);
    let mut problem = Problem::new(Code::Partial, format!("{failed} actor(s) got no snapshot"));
    problem.errors = failures.cloned().unwrap_or_default();
    for failure in &problem.errors {
        output.note(&failure.to_string());
    }
    Err(problem)
}

/// Rebuilds an actor from its first event and compares it with every shorter way to its state.
pub(super) async fn replay(
    target: Target,
    timeout: Duration,
    actor: &ActorId,
    to: Option<u64>,
    output: Output,
) -> Result<Exit, Problem> {
    let replay = Reader::open(target, timeout)
        .await?
        .replay(actor, to)
        .await?;
    if output.form == Form::Table {
        show(&replay, output)?;
    } else {
        output.document(&replay)?;
    }
    if replay.divergences.is_empty() {
        return Ok(Exit::Ok);
    }
    let detail = format!(
        "replaying the events of {actor} does not give its state: {} difference(s)",
        replay.divergences.len()
    );
    Err(Problem::new(Code::Divergence, detail).hint(format!("steadfast events {actor}")))
}

fn show(replay: &Replay, output: Output) -> Result<(), Problem> {
    for Divergence {
        against,
        path,
        replayed,
        found,
    } in &replay.divergences
    {
        let against = format!("{against:?}").to_lowercase();
        output.line(&format!(
            "{path}: {replayed} by replaying, {found} in the {against} state"
        ))?;
    }
    let compared = |name: &str, seq: Option<u64>| {
        seq.map_or_else(
            || format!("no {name} state to compare"),
            |seq| format!("{name} state after event {seq} compared"),
        )
    };
    output.line(&format!(
        "{}: {} events replayed; {}; {}",
        replay.actor,
        replay.seq,
        compared("snapshot", replay.snapshot),
        compared("live", replay.live)
    ))
}
