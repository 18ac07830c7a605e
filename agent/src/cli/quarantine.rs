//! `quarantine`: actors that are set aside, and the ways back. Only a node knows of them.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use steadfast::ActorId;

use super::args::{Form, actor};
use super::control::node;
use super::inspect::text;
use super::output::Output;
use super::target::Target;
use crate::client::{Client, Patience, quarantine_path};
use crate::problem::{Exit, Problem};

/// What to do about actors that are set aside.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List them
    Ls,
    /// Show one of them
    Show {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
    },
    /// Let it try once more; the next failure sets it aside at once
    Retry {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
    },
    /// Drop for good what keeps it there, and let it try: what that meant is missing from then on
    Skip {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
    },
    /// Let it go with its failures forgotten
    Release {
        /// SPACE/KEY, or the name of a concern
        #[arg(value_parser = actor)]
        actor: ActorId,
    },
}

/// Does it.
pub(super) async fn quarantine(
    target: &Target,
    timeout: Duration,
    command: QuarantineCommand,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    match command {
        QuarantineCommand::Ls => list(&client, output).await?,
        QuarantineCommand::Show { actor } => show(&client, &actor, output).await?,
        QuarantineCommand::Retry { actor } => act(&client, &actor, "retry", output).await?,
        QuarantineCommand::Skip { actor } => act(&client, &actor, "skip", output).await?,
        QuarantineCommand::Release { actor } => act(&client, &actor, "release", output).await?,
    }
    Ok(Exit::Ok)
}

async fn list(client: &Client, output: Output) -> Result<(), Problem> {
    let all: Vec<Value> = client.get("/v1/quarantine", &[], Patience::Usual).await?;
    if output.form != Form::Table {
        return output.documents(&all);
    }
    if all.is_empty() {
        output.note("nothing is in quarantine");
        return Ok(());
    }
    let fields = ["actor", "kind", "since", "failures", "waiting", "reason"];
    let row = |one: &Value| fields.map(|name| one.get(name).map(text).unwrap_or_default());
    let header = ["ACTOR", "KIND", "SINCE", "FAILURES", "WAITING", "REASON"];
    output.table(&header, all.iter().map(|one| row(one).into()).collect())
}

async fn show(client: &Client, actor: &ActorId, output: Output) -> Result<(), Problem> {
    let one: Value = client
        .get(&quarantine_path(actor), &[], Patience::Usual)
        .await?;
    if output.form != Form::Table {
        return output.document(&one);
    }
    let fields = [
        "kind", "reason", "item", "failures", "since", "seq", "waiting",
    ];
    let row = |name: &&str| {
        let value = one.get(*name).filter(|value| !value.is_null())?;
        Some(vec![(*name).to_owned(), text(value)])
    };
    output.table(
        &["ACTOR", actor.as_str()],
        fields.iter().filter_map(row).collect(),
    )?;
    output.next(&format!("steadfast quarantine retry|skip|release {actor}"));
    Ok(())
}

async fn act(
    client: &Client,
    actor: &ActorId,
    action: &str,
    output: Output,
) -> Result<(), Problem> {
    let path = format!("{}/{action}", quarantine_path(actor));
    let done: Value = client.post(&path, &json!({}), Patience::Usual).await?;
    if output.form != Form::Table {
        return output.document(&done);
    }
    let skipped = done.get("skipped").and_then(Value::as_str);
    let what = match (action, skipped) {
        (_, Some(skipped)) => format!("skipped for good: {skipped}"),
        ("release", None) => "released".to_owned(),
        _ => "tries once more".to_owned(),
    };
    output.line(&format!("{actor}: {what}"))
}
