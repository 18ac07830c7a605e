//! Whether a node of the test kit has come to rest.
//!
//! Method: every worker is asked, behind all that it was sent before, to do what is due and to say what
//! is left. The node is quiet when nobody has anything left and nothing happened since the first was
//! asked; otherwise the next thing that happens is waited for. Nothing sleeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::hooks::Hooks;
use super::{Node, Shared, loader};
use crate::model::Clock;
use crate::worker::{Control, Report, Seen};

/// Real time without any progress after which a test is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A node that has come to rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet {
    /// When it goes on by itself, on the running clock.
    pub(crate) next: Option<Duration>,
}

impl Node {
    /// Waits until the node is at rest. `Err` names what has not moved for a minute of real time.
    pub(crate) async fn quiet(&self) -> Result<Quiet, String> {
        let shared = self.shared();
        let Some(hooks) = &shared.hooks else {
            return Err("it is no node of the test kit".to_owned());
        };
        let mut pulse = hooks.activity.watch();
        loop {
            let seen = *pulse.borrow_and_update();
            let busy = match look(shared, hooks).await {
                Ok(quiet) if *pulse.borrow() == seen => return Ok(quiet),
                Ok(_) => continue,
                Err(busy) => busy,
            };
            if *pulse.borrow() == seen {
                progress(shared, &mut pulse, busy).await?;
            }
        }
    }

    /// Idle time before an actor leaves memory.
    pub(crate) fn passivate_after(&self) -> Duration {
        self.shared().config.passivate_after
    }

    /// How long a key is remembered.
    pub(crate) fn key_window(&self) -> Duration {
        self.shared().config.key_window
    }

    /// The actors in memory.
    pub(crate) async fn seen(&self) -> Vec<Seen> {
        let mut all = Vec::new();
        for port in &self.shared().ports {
            let (reply, answer) = oneshot::channel();
            // A worker that is gone has no actors.
            if port.control.send(Control::States(reply)).await.is_ok() {
                all.extend(answer.await.unwrap_or_default());
            }
        }
        all
    }
}

async fn progress(
    shared: &Shared,
    pulse: &mut watch::Receiver<u64>,
    busy: &'static str,
) -> Result<(), String> {
    let waited = {
        // The timer belongs to the node's runtime; the caller's may have none.
        let _in_runtime = shared.tasks.enter();
        tokio::time::timeout(STUCK, pulse.changed())
    };
    match waited.await {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "the node does not come to rest: {busy}, and nothing has moved for {STUCK:?}"
        )),
    }
}

/// Asks everybody once. `Err` says what is under way.
async fn look(shared: &Arc<Shared>, hooks: &Hooks) -> Result<Quiet, &'static str> {
    // First: what became durable before it is with the workers by now.
    let disk_waits = hooks.storage.is_holding();
    let unloaded = loader::bring_due(shared).await;
    let mut next = unloaded.map(|wait| hooks.clock.running().saturating_add(wait));
    let (mut busy, mut in_flight) = (None, false);
    for port in &shared.ports {
        if port.commands.capacity() < port.commands.max_capacity() {
            busy = Some("commands are on their way to a worker");
        }
        let (reply, answer) = oneshot::channel();
        if port.control.send(Control::Look(reply)).await.is_err() {
            continue;
        }
        // A worker that is gone has nothing left.
        let report: Report = answer.await.unwrap_or_default();
        busy = busy.or(report.busy);
        in_flight |= report.in_flight;
        next = next.into_iter().chain(report.next).min();
    }
    if in_flight && !disk_waits {
        busy = Some("a commit is under way");
    }
    // Opening the journal writes as well.
    let keeper_waits = disk_waits && !shared.is_open();
    if hooks.activity.busy() > usize::from(keeper_waits) {
        busy = Some("an effect runs, or the journal is being reopened");
    }
    if !shared.is_open() && !hooks.activity.keeper_is_resting() && !keeper_waits {
        busy = Some("the journal is being reopened");
    }
    // Last: what nobody is busy with any more may wait for a moment.
    next = next.into_iter().chain(hooks.clock.next_due()).min();
    busy.map_or(Ok(Quiet { next }), Err)
}

impl Shared {
    /// Whether the newest generation of the journal is open and not known to have failed.
    fn is_open(&self) -> bool {
        let failed = self.failures.borrow().generation;
        self.is_stopping() || (self.journal().is_some() && failed < self.generation())
    }
}
