//! How a run ended and why, for people. Read from the event that tells of its end.

use serde_json::Value;
use steadfast::ActorId;
use steadfast_actors::concern::Run;

use super::output::Output;
use crate::client::{Client, Patience, actor_path};
use crate::problem::Problem;

/// Events read at once.
const PAGE: usize = 200;
/// Lines of standard error that are shown.
const LINES: usize = 5;

/// Prints why `run`, which ended after event `before`, ended as it did, where there is something to say.
pub(super) async fn print(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    before: u64,
    output: Output,
) -> Result<(), Problem> {
    if let Some(end) = find(client, concern, run, before).await? {
        for (name, value) in said(&end) {
            output.line(&format!("  {name}: {value}"))?;
        }
    }
    Ok(())
}

/// What the event of the end of `run` says, which came after event `before`.
pub(super) async fn find(
    client: &Client,
    concern: &ActorId,
    run: &Run,
    before: u64,
) -> Result<Option<Value>, Problem> {
    let path = format!("{}/events", actor_path(concern));
    let mut next = before.saturating_add(1);
    loop {
        let query = [("from", next.to_string()), ("limit", PAGE.to_string())];
        let page: Vec<Value> = client.get(&path, &query, Patience::Usual).await?;
        let end = of_run(&page, run.id.as_str());
        if end.is_some() || page.is_empty() {
            return Ok(end.cloned());
        }
        next = next.saturating_add(page.len() as u64);
    }
}

/// What the event of the end of `run` says, if it is among these.
pub(super) fn of_run<'a>(events: &'a [Value], run: &str) -> Option<&'a Value> {
    let mut ends = events.iter().filter(|event| {
        event
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(|name| name.ends_with(".finished"))
    });
    ends.find_map(|event| {
        let data = event.get("data")?;
        (data.get("run")?.as_str()? == run).then_some(data)
    })
}

/// The reason, and of a program that did not succeed also its exit code and its last words.
pub(super) fn said(end: &Value) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    if let Some(reason) = end.get("reason").and_then(Value::as_str) {
        said.push(("reason", reason.to_owned()));
    }
    if end.get("outcome").and_then(Value::as_str) == Some("succeeded") {
        return said;
    }
    if let Some(code) = end.pointer("/report/exit_code").and_then(Value::as_i64) {
        said.push(("exit code", code.to_string()));
    }
    let stream = |part: &str| end.pointer(part).and_then(Value::as_str);
    let tail = stream("/report/stderr/tail").filter(|tail| !tail.is_empty());
    let text = tail.or_else(|| stream("/report/stderr/head"));
    let lines: Vec<&str> = text.unwrap_or_default().lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LINES));
    // What a program writes must not reach a terminal as a command to it.
    let plain = |line: &&str| line.chars().filter(|c| !c.is_control()).collect::<String>();
    said.extend(last.map(|line| ("stderr", plain(line))));
    said
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_words_of_a_program_are_shown_without_what_drives_a_terminal() {
        let end = json!({
            "run": "run_1", "outcome": "failed", "reason": "exit code 3",
            "report": {
                "exit_code": 3,
                "stderr": { "head": "1\n2\n3\n4\n5\n\u{1b}[2J6\n", "tail": "", "dropped": 0 },
            },
        });
        let events = [json!({ "name": "exec.finished", "data": end })];
        assert_eq!(of_run(&events, "run_2"), None);
        let said = said(of_run(&events, "run_1").unwrap());
        let lines: Vec<_> = said.iter().skip(2).map(|(_, line)| line.as_str()).collect();
        assert_eq!(said[0], ("reason", "exit code 3".to_owned()));
        assert_eq!(said[1], ("exit code", "3".to_owned()));
        assert_eq!(lines, ["2", "3", "4", "5", "[2J6"]);
    }
}
