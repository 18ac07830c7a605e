//! One actor in full: what `inspect` shows, from a running node and from a directory at rest.

use serde::Serialize;
use serde_json::Value;
use steadfast::{
    ActorId, EventView, Inspector, NodeError, PendingView, SequenceNumber, StateView, Vitals,
};

use crate::view::ConcernRow;

/// Timers and effects that are named, of each.
const PENDING: usize = 20;

/// Events that are looked through for the end of the newest run.
const LOOK_BACK: u64 = 64;

/// One actor in full. The fields are a contract.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Detail {
    /// `SPACE/KEY`.
    pub(crate) actor: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its newest event.
    pub(crate) seq: u64,
    /// What lists show of it; `null` for what is no concern.
    pub(crate) concern: Option<ConcernRow>,
    /// How it fares in memory; `null` if it is not there.
    pub(crate) live: Option<Vitals>,
    /// What it is still owed; `null` where it cannot be rebuilt.
    pub(crate) pending: Option<PendingView>,
    /// Its state, a concern's configuration in it; `null` where it cannot be rebuilt.
    pub(crate) state: Option<Value>,
    /// Why it cannot be rebuilt.
    pub(crate) problem: Option<String>,
    /// Its newest events.
    pub(crate) events: Vec<EventView>,
}

/// Up to `limit` events from `from` on, however many pages they come in. Blocks on the disk.
pub(crate) fn events_from(
    inspector: &Inspector,
    id: &ActorId,
    from: SequenceNumber,
    limit: usize,
) -> Result<Vec<EventView>, NodeError> {
    let mut found = Vec::new();
    loop {
        let next = from.get().saturating_add(found.len() as u64);
        let left = limit.saturating_sub(found.len());
        let Some(next) = SequenceNumber::new(next).filter(|_| left > 0) else {
            return Ok(found);
        };
        let page = inspector.events(id, next, left)?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// Why run `run` ended as it did, where there is something to say and its end is among the newest events.
/// Blocks on the disk.
pub(crate) fn reason(
    inspector: &Inspector,
    id: &ActorId,
    run: &str,
) -> Result<Option<String>, NodeError> {
    let newest = inspector.actor(id)?.seq;
    let first = newest.saturating_sub(LOOK_BACK).saturating_add(1);
    let from = SequenceNumber::new(first).unwrap_or(SequenceNumber::FIRST);
    let page = inspector.events(id, from, usize::try_from(LOOK_BACK).unwrap_or(usize::MAX))?;
    let end = page.iter().find(|event| {
        event.name.ends_with(".finished")
            && event.data.get("run").and_then(Value::as_str) == Some(run)
    });
    let reason = end.and_then(|event| event.data.get("reason")?.as_str());
    Ok(reason.map(str::to_owned))
}

/// Reads what is stored of an actor, with its `events` newest events. Blocks on the disk.
pub(crate) fn read(inspector: &Inspector, id: &ActorId, events: u64) -> Result<Detail, NodeError> {
    let summary = inspector.actor(id)?;
    let rebuilt = inspector
        .state(id, None)
        .and_then(|state| Ok((state, inspector.pending(id, PENDING)?)));
    let (state, pending, problem) = match rebuilt {
        Ok((StateView { state, .. }, pending)) => (Some(state), Some(pending), None),
        // It still has events to look at.
        Err(error @ (NodeError::UnknownKind { .. } | NodeError::Unrecoverable { .. })) => {
            (None, None, Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let first = summary.seq.saturating_sub(events).saturating_add(1);
    let from = SequenceNumber::new(first).unwrap_or(SequenceNumber::FIRST);
    let limit = usize::try_from(events).unwrap_or(usize::MAX);
    let newest = if limit == 0 {
        Vec::new()
    } else {
        events_from(inspector, id, from, limit)?
    };
    Ok(Detail {
        actor: summary.actor.to_string(),
        kind: summary.kind,
        seq: summary.seq,
        concern: None,
        live: None,
        pending,
        state,
        problem,
        events: newest,
    })
}
