//! Looking at a running node and its actors: what only a node knows, beside what its journal tells.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, EntryNumber};
use steadfast_snapshots::{Snapshot, SnapshotStore};
use tokio::sync::oneshot;

use super::{ActorHealth, Node, Shared};
use crate::error::NodeError;
use crate::host::{Progress, RecoverContext};
use crate::inspect::{Replay, StateView, unrecoverable};
use crate::worker::{Control, Looked};

/// How long a state that was seen in memory may take to become durable.
const DURABLE_WITHIN: Duration = Duration::from_secs(10);

/// How one actor in memory fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vitals {
    /// What it is doing.
    #[serde(flatten)]
    pub health: ActorHealth,
    /// Commands that wait for their turn.
    pub mailbox: usize,
    /// Failures since any command succeeded: of callers' commands, timers, messages and outcomes of effects.
    pub failures: u32,
}

/// What a node is busy with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTotals {
    /// Actors in memory.
    pub resident: usize,
    /// Actors that are being rebuilt or wait for that.
    pub recovering: usize,
    /// Actors that are set aside.
    pub quarantined: usize,
    /// Commands in all mailboxes.
    pub waiting: usize,
    /// Effects that execute at the moment.
    pub effects_running: usize,
}

/// A snapshot that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTaken {
    /// The actor.
    pub actor: ActorId,
    /// The newest event that it holds.
    pub seq: u64,
    /// Whether one was written; false where the newest one holds everything already.
    pub taken: bool,
    /// Its length in bytes; 0 where none was written.
    pub bytes: usize,
}

impl Node {
    /// How many actors are in memory and how they fare, without naming them.
    pub async fn totals(&self) -> NodeTotals {
        let shared = self.shared();
        let mut all = NodeTotals {
            effects_running: shared.effects.get().map_or(0, |effects| effects.running()),
            ..NodeTotals::default()
        };
        for port in &shared.ports {
            let (reply, answer) = oneshot::channel();
            // A worker that is gone has no actors.
            if port.control.send(Control::Totals(reply)).await.is_ok()
                && let Ok(totals) = answer.await
            {
                all.resident += totals.resident;
                all.recovering += totals.recovering;
                all.quarantined += totals.quarantined;
                all.waiting += totals.waiting;
            }
        }
        all
    }

    /// How one actor fares; `None` if nothing of it is in memory.
    pub async fn vitals(&self, actor: &ActorId) -> Option<Vitals> {
        let looked = self.look(actor, false).await?;
        Some(Vitals {
            health: looked.status.into(),
            mailbox: looked.mailbox,
            failures: looked.failures,
        })
    }

    async fn look(&self, actor: &ActorId, with_state: bool) -> Option<Looked> {
        let port = self.shared().worker_of(actor)?;
        let (reply, answer) = oneshot::channel();
        let look = Control::View {
            actor: actor.clone(),
            with_state,
            reply,
        };
        port.control.send(look).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Stores a snapshot of an actor as it is in the journal now, flushed to disk when this returns. Takes
    /// nothing from its worker: the state is recovered beside it.
    ///
    /// # Errors
    /// [`NodeError::NoActor`], [`NodeError::UnknownKind`], [`NodeError::Unrecoverable`], a store error, or
    /// [`NodeError::Stopped`] while the journal is reopened or the node ends.
    pub async fn snapshot(&self, actor: &ActorId) -> Result<SnapshotTaken, NodeError> {
        let (shared, actor) = (Arc::clone(self.shared()), actor.clone());
        self.blocking(move || snapshot_blocking(&shared, &actor))
            .await
    }

    /// [`Inspector::replay`](crate::Inspector::replay) that is compared with the actor's state in memory too,
    /// if it is there and `to` is `None`.
    ///
    /// # Errors
    /// As [`Inspector::replay`](crate::Inspector::replay).
    pub async fn replay(&self, actor: &ActorId, to: Option<u64>) -> Result<Replay, NodeError> {
        let live = match to {
            None => self.look(actor, true).await.and_then(|looked| looked.state),
            Some(_) => None,
        };
        let live = live.map(|(seq, state)| StateView {
            actor: actor.clone(),
            seq,
            state,
        });
        if let Some(live) = &live {
            self.until_durable(live).await;
        }
        let (inspector, actor) = (self.inspect()?, actor.clone());
        self.blocking(move || {
            let mut replay = inspector.replay(&actor, to)?;
            let compared = live.map(|live| inspector.compare_live(&mut replay, &live));
            match compared {
                // What was seen in memory was lost with a failed journal: there is nothing to compare.
                Some(Err(NodeError::NoEvent { .. })) | None => Ok(replay),
                Some(compared) => compared.map(|()| replay),
            }
        })
        .await
    }

    /// Waits until the journal holds what was seen in memory. After a failed write it never may.
    async fn until_durable(&self, live: &StateView) {
        let mut commits = self.watch_commits();
        let durable = async {
            loop {
                commits.mark_unchanged();
                let stored = self
                    .inspect()
                    .and_then(|inspector| inspector.actor(&live.actor));
                if stored.is_ok_and(|stored| stored.seq >= live.seq)
                    || commits.changed().await.is_err()
                {
                    return;
                }
            }
        };
        let waited = {
            // The timer belongs to the node's runtime; the caller's may have none.
            let _in_runtime = self.shared().tasks.enter();
            tokio::time::timeout(DURABLE_WITHIN, durable)
        };
        // Whether it is durable shows when the replay is compared.
        drop(waited.await);
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let done = self.shared().tasks.blocking(work).await;
        done.ok_or(NodeError::Stopped)?
    }
}

fn snapshot_blocking(shared: &Shared, actor: &ActorId) -> Result<SnapshotTaken, NodeError> {
    let journal = shared.journal().ok_or(NodeError::Stopped)?;
    let snapshots = shared.snapshots.reader().ok_or(NodeError::Stopped)?;
    let Some(row) = journal.actor(actor)? else {
        return Err(NodeError::NoActor {
            id: actor.to_string(),
        });
    };
    let Some(kind) = shared.registry.get(&row.kind) else {
        return Err(NodeError::UnknownKind {
            id: actor.to_string(),
            kind: row.kind,
        });
    };
    let clocks = shared.clocks();
    let cx = RecoverContext {
        id: actor,
        journal: journal.as_ref(),
        snapshots: &snapshots,
        limits: shared.config.key_limits(),
        clocks,
        ages: shared.ages(shared.worker_index(actor)),
        until: None,
        progress: &Progress::default(),
    };
    let recovered = (kind.recover)(&cx).map_err(|error| unrecoverable(actor, error))?;
    let resident = recovered.resident.as_ref();
    let (core, version) = (resident.core(), resident.state_version());
    let mut report = SnapshotTaken {
        actor: actor.clone(),
        seq: core.events,
        taken: false,
        bytes: 0,
    };
    let Some(entry) =
        EntryNumber::new(core.entry).filter(|_| core.entry > recovered.snapshot_entry)
    else {
        return Ok(report);
    };
    let stored = journal.entries(row.number, entry).next().transpose()?;
    let commit = stored.ok_or(NodeError::Stopped)?.commit;
    let state = resident
        .save(clocks)
        .map_err(|error| NodeError::Unrecoverable {
            id: actor.to_string(),
            seq: core.events,
            reason: format!("its state cannot be encoded: {error}"),
        })?;
    report.taken = true;
    report.bytes = state.len();
    let snapshot = Snapshot {
        actor: row.number,
        history: shared.history(),
        commit,
        entry,
        events: core.events,
        kind_version: version,
        state,
    };
    SnapshotStore::put_flushed(&snapshots, &snapshot)?;
    shared.metrics.snapshot(kind.name, "stored");
    Ok(report)
}
