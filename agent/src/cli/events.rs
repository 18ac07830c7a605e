//! `events`: what happened to an actor, as far as it is stored and, with `--follow`, as it goes on.

use std::time::Duration;

use serde_json::Value;
use steadfast::{ActorId, SequenceNumber};

use super::args::Form;
use super::output::Output;
use super::target::Target;
use crate::client::Reader;
use crate::problem::{Code, Exit, Problem};

/// Events read at once.
const PAGE: usize = 500;
/// Longest data of one event in the form for people, in characters.
const WIDTH: usize = 100;

/// Which events are asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// Whose.
    pub(super) actor: ActorId,
    /// From which on.
    pub(super) from: u64,
    /// Whether to wait for more.
    pub(super) follow: bool,
}

/// Prints the events that are asked for.
pub(super) async fn events(
    target: Target,
    timeout: Duration,
    asked: Asked,
    output: Output,
) -> Result<Exit, Problem> {
    if asked.follow && output.form == Form::Json {
        let detail = "events that never end are no JSON document";
        let hint = format!("steadfast events {} --follow -o jsonl", asked.actor);
        return Err(Problem::new(Code::BadRequest, detail).hint(hint));
    }
    let mut reader = Reader::open(target, timeout).await?;
    let mut printer = Printer::new(output);
    let next = stored(&mut reader, &asked, &mut printer).await?;
    printer.finish()?;
    if asked.follow {
        return follow(&reader, &asked.actor, next, &mut printer).await;
    }
    if printer.printed == 0 {
        output.note(&format!(
            "no events from {} on: steadfast state {}",
            asked.from, asked.actor
        ));
    }
    Ok(Exit::Ok)
}

/// Prints what is stored and returns the number of the next event.
async fn stored(reader: &mut Reader, asked: &Asked, printer: &mut Printer) -> Result<u64, Problem> {
    let mut next = asked.from;
    loop {
        let Some(from) = SequenceNumber::new(next) else {
            return Ok(next);
        };
        let page = reader.events(&asked.actor, from, PAGE).await?;
        for event in &page {
            printer.print(event)?;
        }
        next = next.saturating_add(page.len() as u64);
        if page.is_empty() {
            return Ok(next);
        }
    }
}

async fn follow(
    reader: &Reader,
    actor: &ActorId,
    mut next: u64,
    printer: &mut Printer,
) -> Result<Exit, Problem> {
    reader
        .node()?
        .follow(actor, next, |event| {
            next = next.saturating_add(1);
            printer.print(&event)
        })
        .await?;
    let detail = format!("the node ended the stream before event {next}: it is draining");
    Err(Problem::new(Code::Unreachable, detail)
        .hint(format!("steadfast events {actor} --from {next} --follow")))
}

/// Prints events in the form that was asked for, one after the other.
#[derive(Debug)]
struct Printer {
    output: Output,
    printed: u64,
}

impl Printer {
    fn new(output: Output) -> Self {
        Self { output, printed: 0 }
    }

    fn print(&mut self, event: &Value) -> Result<(), Problem> {
        let first = self.printed == 0;
        self.printed += 1;
        match self.output.form {
            Form::Jsonl => self.output.document(event),
            Form::Json => self
                .output
                .line(&format!("{}{event}", if first { "[ " } else { ", " })),
            Form::Table => {
                if first {
                    let (seq, time, name) = ("SEQ", "TIME", "EVENT");
                    self.output
                        .line(&format!("{seq:>6}  {time:<20}  {name:<24}  DATA"))?;
                }
                self.output.line(&for_people(event))
            }
        }
    }

    /// Closes what `print` opened.
    fn finish(&self) -> Result<(), Problem> {
        match (self.output.form, self.printed) {
            (Form::Json, 0) => self.output.line("[]"),
            (Form::Json, _) => self.output.line("]"),
            (Form::Jsonl | Form::Table, _) => Ok(()),
        }
    }
}

fn for_people(event: &Value) -> String {
    let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default();
    let seq = event.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let time = match text("time").split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text("time").to_owned(),
    };
    let data = event.get("data").map(Value::to_string).unwrap_or_default();
    let mut shown: String = data.chars().take(WIDTH).collect();
    if shown.len() < data.len() {
        shown.push('…');
    }
    format!("{seq:>6}  {time:<20}  {:<24}  {shown}", text("name"))
        .trim_end()
        .to_owned()
}
