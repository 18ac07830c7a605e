//! The concerns of the config file against those of the store, at every start.
//!
//! * A configured one is told its configuration; the actor journals it only if it differs.
//! * One that is not configured any more is paused: its state stays, and its schedule must not go on
//!   unseen. The pause carries a key of ours, so that a later start that finds the concern configured
//!   again resumes it, and leaves alone what an operator has paused.
//! * A name that now means another kind is an error: the old history would be mistaken for the new one's.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use steadfast::{ActorId, ActorSummary, AskError, Inspector, Node, NodeError, SequenceNumber};
use steadfast_actors::concern::SPACE;

use crate::ask::{blocking, describe, patiently};
use crate::config::Concern;
use crate::detail;
use crate::failure::asked;
use crate::kinds;
use crate::problem::{Code, Problem};

/// How long a concern may take to answer a command.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How often a command is sent that finds no open ear or loses its answer.
const ATTEMPTS: u32 = 5;
/// Time between two of them.
const BETWEEN: Duration = Duration::from_millis(200);
/// What the keys of our pauses begin with.
const KEY: &str = "steadfast-agent/not-configured/";
/// Events read at once, looking back for the pause.
const PAGE: u64 = 256;

/// Brings the node's concerns in line with the file. Called while the node holds back what was pending: a
/// tick that is overdue must not run by rules that are gone. For that reason each concern is waited for, however long
/// its recovery takes.
///
/// # Errors
/// [`Code::Config`] for a name of another kind or a configuration that the concern refuses.
pub(crate) async fn align(node: &Node, concerns: &[Concern]) -> Result<(), Problem> {
    let stored = blocking(node, |inspector| inspector.actors(Some(SPACE))).await?;
    refuse_other_kinds(&stored, concerns)?;
    for summary in &stored {
        if !concerns
            .iter()
            .any(|concern| concern.name == summary.actor.key())
        {
            set_aside(node, summary).await;
        }
    }
    let configured = concerns
        .iter()
        .map(|concern| configure_at_start(node, concern));
    try_join_all(configured).await.map(drop)
}

fn refuse_other_kinds(stored: &[ActorSummary], concerns: &[Concern]) -> Result<(), Problem> {
    for concern in concerns {
        let (kind, _) = kinds::configuration(&concern.kind)?;
        let before = stored
            .iter()
            .find(|summary| summary.actor.key() == concern.name);
        if let Some(before) = before.filter(|before| before.kind != kind) {
            let name = &concern.name;
            let detail = format!(
                "concerns.{name}: the kind is {kind:?} in the file, but {name} has been of kind {:?} in this \
                 data directory: give the new concern another name",
                before.kind
            );
            return Err(Problem::new(Code::Config, detail).hint(format!("steadfast events {name}")));
        }
    }
    Ok(())
}

/// Holds a concern that is not configured any more. One that cannot be held does not keep the others from
/// running.
async fn set_aside(node: &Node, summary: &ActorSummary) {
    let actor = &summary.actor;
    match describe(node, summary).await {
        Ok(view) if view.paused && view.attention.is_none() => {
            tracing::info!(%actor, "not in the config file, and paused");
            return;
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%actor, %error, "not in the config file, and cannot be asked");
            return;
        }
    }
    match patiently(actor.as_str(), async || pause(node, summary).await).await {
        Ok(()) => tracing::warn!(
            %actor,
            "not in the config file: paused; its state stays, and it goes on once it is configured again"
        ),
        Err(problem) => {
            tracing::error!(%actor, %problem, "not in the config file, and could not be paused");
        }
    }
}

/// Pauses a concern, and has it tell others of the end of what they wait for, so that [`configure`] knows the pause for one of ours. Its key is of this moment of its
/// life, so that it takes effect once and a later one is another.
pub(crate) async fn pause(node: &Node, summary: &ActorSummary) -> Result<(), Problem> {
    let epoch = node.opened().map_or(0, |report| report.epoch.get());
    let key = Some(format!("{KEY}{epoch}/{}", summary.seq));
    let told = tell(
        node,
        &summary.actor,
        &summary.kind,
        "retire",
        json!({}),
        key,
    );
    told.await
        .map_err(|error| asked(summary.actor.as_str(), error))
}

/// Lets a concern go on.
pub(crate) async fn resume(node: &Node, actor: &ActorId, kind: &str) -> Result<(), Problem> {
    let told = tell(node, actor, kind, "resume", json!({}), None).await;
    told.map_err(|error| asked(actor.as_str(), error))
}

async fn configure_at_start(node: &Node, concern: &Concern) -> Result<(), Problem> {
    let name = &concern.name;
    let actor = ActorId::new(SPACE, name)
        .map_err(|error| Problem::new(Code::Config, format!("concerns.{name}: {error}")))?;
    let (kind, body) = kinds::configuration(&concern.kind)?;
    let configured = patiently(actor.as_str(), async || {
        configure(node, &actor, kind, body.clone()).await
    });
    match configured.await {
        Err(problem) if problem.code == Code::Quarantined => {
            // One bad actor must not keep the others from running.
            tracing::error!(%actor, %problem, "not configured");
            Ok(())
        }
        configured => configured,
    }
}

/// Tells a concern its configuration, and lets it go on if it was held for want of one.
pub(crate) async fn configure(
    node: &Node,
    actor: &ActorId,
    kind: &str,
    body: Value,
) -> Result<(), Problem> {
    let name = actor.key();
    match tell(node, actor, kind, "configure", body, None).await {
        Ok(()) => {}
        Err(AskError::Rejected(reason)) => {
            return Err(Problem::new(
                Code::Config,
                format!("concerns.{name}: {reason}"),
            ));
        }
        Err(error) => return Err(asked(actor.as_str(), error)),
    }
    let summary = {
        let actor = actor.clone();
        blocking(node, move |inspector| inspector.actor(&actor)).await?
    };
    let view = describe(node, &summary).await;
    if !view.map_err(|error| asked(actor.as_str(), error))?.paused {
        return Ok(());
    }
    if blocking(node, move |inspector| paused_by_us(inspector, &summary)).await? {
        tracing::info!(%actor, "configured again: resumed");
        return resume(node, actor, kind).await;
    }
    tracing::warn!(%actor, "paused by an operator: `steadfast resume {name}` lets it go on");
    Ok(())
}

/// Sends a command that may be sent twice until it is answered or refused for good.
async fn tell(
    node: &Node,
    actor: &ActorId,
    kind: &str,
    command: &str,
    body: Value,
    key: Option<String>,
) -> Result<(), AskError<Value>> {
    let mut attempt = 1;
    loop {
        let ask = node.ask_json(actor, kind, command, body.clone(), key.clone());
        match ask.deadline(ANSWER_WITHIN).await {
            Ok(_) => return Ok(()),
            Err(AskError::Overloaded { .. } | AskError::OutcomeUnknown) if attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(BETWEEN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the pause that holds a concern is one of [`pause`].
pub(crate) fn paused_by_us(
    inspector: &Inspector,
    summary: &ActorSummary,
) -> Result<bool, NodeError> {
    let mut end = summary.seq;
    while end > 0 {
        let start = end.saturating_sub(PAGE).saturating_add(1).max(1);
        let count = end.saturating_sub(start).saturating_add(1);
        let from = SequenceNumber::new(start).unwrap_or(SequenceNumber::FIRST);
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let page = detail::events_from(inspector, &summary.actor, from, limit)?;
        let pause = page
            .iter()
            .rev()
            .find(|event| event.name.ends_with(".paused"));
        if let Some(pause) = pause {
            let command = pause.command.as_ref();
            let key = command.and_then(|command| command.key.as_deref());
            return Ok(key.is_some_and(|key| key.starts_with(KEY)));
        }
        end = start.saturating_sub(1);
    }
    Ok(false)
}
