//! `plan` and `reload`: what another configuration would change, and taking it over.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Form;
use super::check::load;
use super::control::{node, who};
use super::output::Output;
use super::target::Target;
use crate::client::{Access, Patience, connect, no_node};
use crate::problem::{Code, Exit, Problem};
use crate::reload::{Action, ConcernPlan, Draft, KeyChange, Plan, plan_at_rest, refused};

/// Longest time that a reload takes, as every concern that it asks has its own limit.
const RELOAD_WITHIN: Duration = Duration::from_secs(120);

/// Shows what the node's config file would change, or what `file` would. Without a node, what a start with
/// `file` would change.
pub(super) async fn plan(
    target: &Target,
    timeout: Duration,
    file: Option<&Path>,
    output: Output,
) -> Result<Exit, Problem> {
    let plan = match (connect(target, timeout).await?, file) {
        (Access::Node(client), file) => {
            let draft = file.map(draft).transpose()?;
            client
                .post(
                    "/v1/config/plan",
                    &json!({ "draft": draft }),
                    Patience::Usual,
                )
                .await?
        }
        (Access::Directory(dir), Some(file)) => {
            let config = load(file, output)?;
            plan_at_rest(&dir, file, &config)?
        }
        (Access::Directory(dir), None) => {
            return Err(no_node(&dir).hint("steadfast plan --config FILE"));
        }
    };
    show(&plan, output)?;
    if let Some(problem) = refused(&plan) {
        return Err(problem);
    }
    if !plan.changes {
        return Ok(Exit::Ok);
    }
    if plan.restart.is_empty() {
        output.next("steadfast reload");
    } else {
        output.note("next: restart the node: `steadfast reload` changes all of it or nothing");
    }
    Ok(Exit::Changes)
}

/// A file as the node is sent it: it reads no files for others.
fn draft(file: &Path) -> Result<Draft, Problem> {
    let unreadable = |error: std::io::Error| {
        let detail = format!("{}: {error}", file.display());
        Problem::new(Code::Config, detail)
    };
    let real = file.canonicalize().map_err(unreadable)?;
    let text = std::fs::read_to_string(&real).map_err(unreadable)?;
    let directory = real.parent().and_then(Path::to_str).map(str::to_owned);
    Ok(Draft {
        name: file.display().to_string(),
        directory,
        text,
    })
}

/// Has the node take its config file over.
pub(super) async fn reload(
    target: &Target,
    timeout: Duration,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let patience = Patience::For(timeout.max(RELOAD_WITHIN));
    let plan: Plan = client
        .post("/v1/reload", &json!({ "by": who() }), patience)
        .await?;
    show(&plan, output)?;
    if output.form == Form::Table {
        output.line(&format!("{}: this is what the node runs by", plan.file))?;
    }
    match plan.left_out.first() {
        None => Ok(Exit::Ok),
        Some(one) => {
            let detail = format!(
                "{} concern(s) cannot be read and were left as they are, {} for one; all others run by the file",
                plan.left_out.len(),
                one.concern
            );
            Err(Problem::new(Code::Partial, detail).hint(one.next.clone()))
        }
    }
}

fn show(plan: &Plan, output: Output) -> Result<(), Problem> {
    if output.form != Form::Table {
        return output.document(plan);
    }
    for concern in &plan.concerns {
        show_concern(concern, output)?;
    }
    for KeyChange { key, old, new } in &plan.restart {
        output.line(&format!("! {key}: {old} -> {new}, by a restart only"))?;
    }
    for one in &plan.refused {
        output.line(&format!("x {}: {}", one.concern, one.reason))?;
    }
    for one in &plan.left_out {
        output.line(&format!(
            "! {}: left as it is: {}; next: {}",
            one.concern,
            one.reason,
            output.found(&one.next)
        ))?;
    }
    let unchanged = plan
        .concerns
        .iter()
        .filter(|one| one.action == Action::Unchanged)
        .count();
    let changed = plan.concerns.len().saturating_sub(unchanged);
    output.line(&format!(
        "{}: {changed} concern(s) to change, {unchanged} unchanged",
        plan.file
    ))
}

fn show_concern(concern: &ConcernPlan, output: Output) -> Result<(), Problem> {
    let ConcernPlan {
        concern,
        kind,
        action,
        keys,
    } = concern;
    let (sign, what) = match action {
        Action::Add => ("+", "is new"),
        Action::Change => ("~", "changes"),
        Action::Pause => ("-", "is not configured any more: paused"),
        Action::Resume => (">", "is configured again: goes on"),
        Action::Unchanged => return Ok(()),
    };
    output.line(&format!("{sign} {concern} ({kind}) {what}"))?;
    for KeyChange { key, old, new } in keys {
        let line = match (old, new) {
            (Value::Null, new) => format!("    {key} = {new}"),
            (old, Value::Null) => format!("    {key}: {old} -> the default"),
            (old, new) => format!("    {key}: {old} -> {new}"),
        };
        output.line(&line)?;
    }
    Ok(())
}
