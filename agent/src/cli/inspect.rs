//! `inspect`: one actor in full.

use std::time::Duration;

use serde_json::Value;
use steadfast::ActorId;

use super::args::Form;
use super::end;
use super::output::Output;
use super::target::Target;
use crate::client::Reader;
use crate::problem::{Exit, Problem};

/// Shows the actor, with its `events` newest events.
pub(super) async fn inspect(
    target: Target,
    timeout: Duration,
    actor: &ActorId,
    events: u64,
    output: Output,
) -> Result<Exit, Problem> {
    let mut reader = Reader::open(target, timeout).await?;
    let detail = reader.inspect(actor, events).await?;
    if output.form != Form::Table {
        output.document(&detail)?;
        return Ok(Exit::Ok);
    }
    let mut rows = summary(&detail);
    rows.extend(newest_end(&detail));
    output.table(&["ACTOR", actor.as_str()], rows)?;
    section(output, "TIMERS", &detail, "/pending/timers", timer)?;
    section(output, "EFFECTS", &detail, "/pending/effects", effect)?;
    section(output, "EVENTS", &detail, "/events", event)?;
    if let Some(state) = detail.get("state").filter(|state| !state.is_null()) {
        output.line("\nSTATE")?;
        output.document(state)?;
    }
    Ok(Exit::Ok)
}

fn summary(detail: &Value) -> Vec<Vec<String>> {
    let rows = [
        ("kind", "/kind"),
        ("seq", "/seq"),
        ("status", "/concern/status"),
        ("attention", "/concern/attention/why"),
        ("last run", "/concern/last_run/outcome"),
        ("next run", "/concern/next_run"),
        ("memory", "/live/status"),
        ("reason", "/live/reason"),
        ("mailbox", "/live/mailbox"),
        ("failures", "/live/failures"),
        ("timers", "/pending/timer_count"),
        ("effects", "/pending/effect_count"),
        ("keys", "/pending/keys"),
        ("snapshot at", "/pending/snapshot/seq"),
        ("problem", "/problem"),
    ];
    let shown = rows.iter().filter_map(|(name, pointer)| {
        let value = detail.pointer(pointer).filter(|value| !value.is_null())?;
        Some(vec![(*name).to_owned(), text(value)])
    });
    shown.collect()
}

/// Why the newest run ended as it did, where its end is among the events.
fn newest_end(detail: &Value) -> Vec<Vec<String>> {
    let run = detail
        .pointer("/concern/last_run/id")
        .and_then(Value::as_str);
    let events = detail.get("events").and_then(Value::as_array);
    let end = run.and_then(|run| end::of_run(events?, run));
    let said = end.map(end::said).unwrap_or_default();
    said.into_iter()
        .map(|(name, value)| vec![format!("last run's {name}"), value])
        .collect()
}

/// A list under a title; nothing where it is empty.
fn section(
    output: Output,
    title: &str,
    detail: &Value,
    pointer: &str,
    row: fn(&Value) -> Vec<String>,
) -> Result<(), Problem> {
    let items = detail.pointer(pointer).and_then(Value::as_array);
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(());
    };
    output.line("")?;
    output.table(&[title], items.iter().map(row).collect())
}

fn timer(timer: &Value) -> Vec<String> {
    ["due", "name", "command"]
        .map(|name| field(timer, name))
        .into()
}

fn effect(effect: &Value) -> Vec<String> {
    let attempt = format!("attempt {}", field(effect, "attempt"));
    vec![field(effect, "due"), field(effect, "name"), attempt]
}

fn event(event: &Value) -> Vec<String> {
    ["seq", "time", "name"]
        .map(|name| field(event, name))
        .into()
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).map(text).unwrap_or_default()
}

/// Text without its quotes; everything else as JSON.
pub(super) fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
