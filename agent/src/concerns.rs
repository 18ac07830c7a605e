//! The concerns of the config file against those of the store, at every start.
//!
//! * A configured one is told its configuration; the actor journals it only if it differs.
//! * One that is not configured any more is paused: its state stays, and its schedule must not go on
//!   unseen. The pause carries a key of ours, so that a later start that finds the concern configured
//!   again resumes it, and leaves alone what an operator has paused.
//! * A name that now means another kind is an error: the old history would be mistaken for the new one's.

use futures_util::future::try_join_all;
use serde_json::json;
use steadfast::{ActorId, ActorSummary, AskError, Node, SequenceNumber};
use steadfast_actors::concern::SPACE;

use crate::ask::{blocking, describe};
use crate::config::Concern;
use crate::failure::asked;
use crate::kinds;
use crate::problem::{Code, Problem};

/// What the keys of our pauses begin with.
const KEY: &str = "steadfast-agent/not-configured/";
/// Events read at once, looking back for the pause.
const PAGE: u64 = 256;

/// Brings the node's concerns in line with the file. Called while the node holds back what was pending: a
/// tick that is overdue must not run by rules that are gone.
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
    let configured = concerns.iter().map(|concern| configure(node, concern));
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
        Ok(view) if view.paused => {
            tracing::info!(%actor, "not in the config file, and paused");
            return;
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%actor, %error, "not in the config file, and cannot be asked");
            return;
        }
    }
    let epoch = node.opened().map_or(0, |report| report.epoch.get());
    let key = Some(format!("{KEY}{epoch}"));
    match node
        .ask_json(actor, &summary.kind, "pause", json!({}), key)
        .await
    {
        Ok(_) => tracing::warn!(
            %actor,
            "not in the config file: paused; its state stays, and it goes on once it is configured again"
        ),
        Err(error) => {
            let problem = asked(actor.as_str(), error);
            tracing::error!(%actor, %problem, "not in the config file, and could not be paused");
        }
    }
}

async fn configure(node: &Node, concern: &Concern) -> Result<(), Problem> {
    let name = &concern.name;
    let actor = ActorId::new(SPACE, name)
        .map_err(|error| Problem::new(Code::Config, format!("concerns.{name}: {error}")))?;
    let (kind, body) = kinds::configuration(&concern.kind)?;
    match node.ask_json(&actor, kind, "configure", body, None).await {
        Ok(_) => {}
        Err(AskError::Rejected(reason)) => {
            return Err(Problem::new(
                Code::Config,
                format!("concerns.{name}: {reason}"),
            ));
        }
        Err(error @ AskError::Quarantined { .. }) => {
            // One bad actor must not keep the others from running.
            let problem = asked(actor.as_str(), error);
            tracing::error!(%actor, %problem, "not configured");
            return Ok(());
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
    if paused_by_us(node, &summary).await? {
        tracing::info!(%actor, "configured again: resumed");
        let resumed = node.ask_json(&actor, kind, "resume", json!({}), None).await;
        return resumed
            .map(drop)
            .map_err(|error| asked(actor.as_str(), error));
    }
    tracing::warn!(%actor, "paused by an operator: `steadfast resume {name}` lets it go on");
    Ok(())
}

/// Whether the pause that holds a concern is one of [`set_aside`].
async fn paused_by_us(node: &Node, summary: &ActorSummary) -> Result<bool, Problem> {
    let mut end = summary.seq;
    while end > 0 {
        let start = end.saturating_sub(PAGE).saturating_add(1).max(1);
        let (id, count) = (
            summary.actor.clone(),
            end.saturating_sub(start).saturating_add(1),
        );
        let from = SequenceNumber::new(start).unwrap_or(SequenceNumber::FIRST);
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let page = blocking(node, move |inspector| inspector.events(&id, from, limit)).await?;
        if let Some(pause) = page
            .iter()
            .rev()
            .find(|event| event.name.ends_with(".paused"))
        {
            let key = pause
                .command
                .as_ref()
                .and_then(|command| command.key.as_deref());
            return Ok(key.is_some_and(|key| key.starts_with(KEY)));
        }
        end = start.saturating_sub(1);
    }
    Ok(false)
}
