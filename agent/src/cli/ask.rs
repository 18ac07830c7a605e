//! `ask` and `tell`: a command by name, with JSON in and out.
//!
//! Both wait until the command was handled and everything that it wrote is durable. `tell` only leaves the
//! reply out: a command that was "sent" and may be lost would be of no use to a script.

use std::io::Read as _;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::ActorId;

use super::args::Form;
use super::control::node;
use super::output::Output;
use super::target::Target;
use crate::client::{Patience, actor_path};
use crate::problem::{Code, Exit, Problem};

/// What the answer may take beyond the time that the command has.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// Longest body that is read.
const MAX_BYTES: u64 = 4 << 20;

/// A command to send.
#[derive(Debug)]
pub(super) struct Asked {
    /// To whom.
    pub(super) actor: ActorId,
    /// Its name.
    pub(super) command: String,
    /// JSON, `@FILE`, or `-` for standard input.
    pub(super) body: String,
    /// So that it takes effect once however often it is sent.
    pub(super) key: Option<String>,
    /// Whether the reply is wanted.
    pub(super) wants_reply: bool,
}

/// Sends the command.
pub(super) async fn ask(
    target: &Target,
    timeout: Duration,
    asked: Asked,
    output: Output,
) -> Result<Exit, Problem> {
    let body = body(&asked.body)?;
    let client = node(target, timeout).await?;
    let mode = if asked.wants_reply { "ask" } else { "tell" };
    let path = format!("{}/commands?mode={mode}", actor_path(&asked.actor));
    let request = json!({
        "command": asked.command,
        "body": body,
        "key": asked.key,
        "timeout_ms": u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    });
    let patience = Patience::For(timeout.saturating_add(ON_THE_WAY));
    let reply: Value = client
        .post(&path, &request, patience)
        .await
        .map_err(|problem| lost(problem, &asked))?;
    if asked.wants_reply || output.form != Form::Table {
        output.document(&reply)?;
    } else {
        output.line(&format!("{}: {} done", asked.actor, asked.command))?;
    }
    Ok(Exit::Ok)
}

/// What a lost answer means.
fn lost(mut problem: Problem, asked: &Asked) -> Problem {
    if problem.code == Code::Unreachable {
        problem.detail = format!("{}: whether it was handled is not known", problem.detail);
        let again = if asked.key.is_some() {
            "ask"
        } else {
            "inspect"
        };
        return problem.hint(format!("steadfast {again} {}", asked.actor));
    }
    problem
}

fn body(text: &str) -> Result<Value, Problem> {
    let bytes = if text == "-" {
        read(std::io::stdin().lock(), "standard input")?
    } else if let Some(path) = text.strip_prefix('@') {
        let file = std::fs::File::open(path)
            .map_err(|error| Problem::new(Code::BadRequest, format!("{path}: {error}")))?;
        read(file, path)?
    } else {
        text.as_bytes().to_vec()
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail =
            format!("the body is no JSON: {error}; write JSON, @FILE, or - for standard input");
        Problem::new(Code::BadRequest, detail).hint("steadfast ask --help")
    })
}

fn read(from: impl std::io::Read, name: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::new(Code::BadRequest, format!("{name}: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Problem::new(
            Code::TooLarge,
            format!("{name} is longer than 4 MiB"),
        ));
    }
    Ok(bytes)
}
