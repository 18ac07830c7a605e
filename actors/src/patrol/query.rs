//! `targets`: what is known about each target.

use serde::{Deserialize, Serialize};
use steadfast::{Command, Handle, Live, Never, Timestamp};

use super::actor::Patrol;
use super::board::{TargetState, TargetStatus};
use super::config::Target;
use super::probe::Failure;

/// `targets`: what is known about each target. A query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "targets", reply = Vec<TargetView>)]
pub struct Targets {}

/// One target as it is shown. The fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetView {
    /// Its name.
    pub target: String,
    /// Where it is; `None` if it is not configured any more.
    pub url: Option<String>,
    /// What it is.
    pub state: TargetStatus,
    /// Since when it is that.
    pub since: Option<Timestamp>,
    /// How many checks in a row ended as the last one did.
    pub streak: u32,
    /// When the last check ended.
    pub checked: Option<Timestamp>,
    /// The status of its answer.
    pub last_status: Option<u16>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// When the first of its certificates expires, as far as the last check saw any.
    pub tls_expires: Option<Timestamp>,
    /// Why the last check failed.
    pub failure: Option<Failure>,
    /// How many notifications are not answered yet.
    pub unsent: u64,
}

impl Handle<Targets> for Patrol {
    fn handle(live: &mut Live<'_, Self>, _: Targets) -> Result<Vec<TargetView>, Never> {
        Ok(view(live))
    }
}

/// The configured targets in their order, then those that are left.
pub(super) fn view(patrol: &Patrol) -> Vec<TargetView> {
    let configured: Vec<Target> = patrol
        .config()
        .into_iter()
        .flat_map(super::PatrolConfig::all_targets)
        .collect();
    let known = &patrol.totals().targets;
    let mut views: Vec<TargetView> = configured
        .iter()
        .map(|target| one(target.name(), Some(&target.url), known.get(target.name())))
        .collect();
    let left = known
        .iter()
        .filter(|(name, _)| configured.iter().all(|target| target.name() != *name));
    views.extend(left.map(|(name, state)| one(name, None, Some(state))));
    views
}

fn one(name: &str, url: Option<&String>, state: Option<&TargetState>) -> TargetView {
    let last = state.map(|state| &state.last);
    TargetView {
        target: name.to_owned(),
        url: url.cloned(),
        state: state.map_or(TargetStatus::Unchecked, TargetState::status),
        since: state.map(TargetState::since),
        streak: state.map_or(0, TargetState::streak),
        checked: state.map(|state| state.checked),
        last_status: last.and_then(|last| last.status),
        latency_ms: last.map(|last| last.latency_ms),
        tls_expires: last.and_then(|last| last.tls_expires),
        failure: last.and_then(|last| last.failure.clone()),
        unsent: state.map_or(0, |state| state.queue.len() as u64),
    }
}
