//! What an actor is still owed, timers and effects, and what of it is at rest.
//!
//! A file of its own because nothing of it is needed to read states and events.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, Table};

use super::Inspector;
use crate::core::{Core, timer_place};
use crate::error::NodeError;
use crate::model::Timestamp;

/// Rows counted at once.
const PAGE: usize = 1_024;

/// The pending work of one actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// The actor.
    pub actor: ActorId,
    /// Its newest event; 0 before the first.
    pub seq: u64,
    /// Its pending timers, the next one first; as many as were asked for.
    pub timers: Vec<TimerView>,
    /// How many pending timers it has.
    pub timer_count: usize,
    /// Its effects without outcome, the oldest first; as many as were asked for.
    pub effects: Vec<EffectView>,
    /// How many effects without outcome it has.
    pub effect_count: usize,
    /// How many keys of commands it remembers.
    pub keys: usize,
    /// The snapshot that a recovery would start from.
    pub snapshot: Option<SnapshotView>,
}

/// A pending timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerView {
    /// Its name within the actor.
    pub name: String,
    /// When it is due.
    pub due: Timestamp,
    /// The command that it sends.
    pub command: String,
}

/// An effect without outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectView {
    /// Its name.
    pub name: String,
    /// The attempt that runs next or runs now, from 1.
    pub attempt: u32,
    /// Whether an attempt was journalled as started and may have done its work.
    pub started: bool,
    /// It does not run before this time.
    pub due: Timestamp,
    /// The event that asked for it.
    pub cause: Option<u64>,
}

/// A snapshot at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotView {
    /// The newest event that it holds.
    pub seq: u64,
    /// Entries that a recovery replays after it.
    pub entries_after: u64,
}

/// How much work is pending on the whole node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCounts {
    /// Pending timers.
    pub timers: usize,
    /// Effects without outcome.
    pub effects: usize,
    /// Messages on their way to other actors.
    pub messages: usize,
    /// Whether these are all: a count ends where it was told to.
    pub complete: bool,
}

impl Inspector {
    /// The pending work of an actor; of its timers and its effects up to `most` each.
    ///
    /// # Errors
    /// As [`state`](Inspector::state).
    pub fn pending(&self, id: &ActorId, most: usize) -> Result<PendingView, NodeError> {
        let row = self.row(id)?;
        let recovered = self.recover(&row, self.journal.as_ref(), &self.snapshots, None)?;
        let core = recovered.resident.core();
        let snapshot = self
            .snapshots
            .load(row.number, &|meta| {
                // The one that recovery believed.
                meta.entry.get() == recovered.snapshot_entry
                    && self.journal.contains(meta.history, meta.commit)
                    && meta.kind_version == recovered.resident.state_version()
            })
            .snapshot
            .map(|snapshot| SnapshotView {
                seq: snapshot.events,
                entries_after: core.entry.saturating_sub(snapshot.entry.get()),
            });
        let (mut timers, mut effects) = (timers(core), effects(core));
        timers.truncate(most);
        effects.truncate(most);
        Ok(PendingView {
            actor: row.id,
            seq: core.events,
            timers,
            timer_count: core.timers.len(),
            effects,
            effect_count: core.effects.len(),
            keys: core.keys.len(Duration::ZERO),
            snapshot,
        })
    }

    /// How much work is pending on the whole node. Stops at `most` of each sort.
    ///
    /// # Errors
    /// A store error.
    pub fn pending_counts(&self, most: usize) -> Result<PendingCounts, NodeError> {
        let [timers, effects, messages] = [Table::Timers, Table::Effects, Table::Outbox]
            .map(|table| self.count_rows(table, most));
        let (timers, effects, messages) = (timers?, effects?, messages?);
        Ok(PendingCounts {
            timers,
            effects,
            messages,
            complete: timers.max(effects).max(messages) < most,
        })
    }

    fn count_rows(&self, table: Table, most: usize) -> Result<usize, NodeError> {
        let (mut count, mut after) = (0_usize, None::<Vec<u8>>);
        while count < most {
            let page = self.journal.rows(table, after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            // The table of timers has rows about clocks as well.
            let is_work = |key: &[u8]| table != Table::Timers || timer_place(key).is_some();
            let work = page.iter().filter(|(key, _)| is_work(key)).count();
            count = count.saturating_add(work);
        }
        Ok(count.min(most))
    }
}

/// The pending timers, the next one first.
pub(super) fn timers(core: &Core) -> Vec<TimerView> {
    let view = |timer: &crate::core::PendingTimer| TimerView {
        name: timer.name.clone(),
        due: timer.due.wall,
        command: timer.command.clone(),
    };
    let mut views: Vec<_> = core.timers.values().map(view).collect();
    views.sort_by(|a, b| (a.due, &a.name).cmp(&(b.due, &b.name)));
    views
}

/// The effects without outcome, the oldest first.
pub(super) fn effects(core: &Core) -> Vec<EffectView> {
    let view = |effect: &crate::core::PendingEffect| EffectView {
        name: effect.name.clone(),
        attempt: effect.attempt,
        started: effect.started,
        due: effect.due,
        cause: effect.cause.as_ref().and_then(|seq| seq.parse().ok()),
    };
    core.effects.values().map(view).collect()
}
