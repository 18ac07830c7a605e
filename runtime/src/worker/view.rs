//! What a worker tells about the actors in its memory to those who only look.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use steadfast_journal::ActorId;

use super::run::Worker;
use super::slot::{ActorStatus, State};

/// One actor in memory.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) status: ActorStatus,
    /// Commands that wait for their turn.
    pub(crate) mailbox: usize,
    /// Failures of the runtime's own work in a row.
    pub(crate) failures: u32,
    /// Its newest event and its state, if it was wanted and is in memory. May not be durable yet.
    pub(crate) state: Option<(u64, Value)>,
}

/// The actors of one worker by how they fare.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkerTotals {
    pub(crate) resident: usize,
    pub(crate) recovering: usize,
    pub(crate) quarantined: usize,
    /// Commands in all mailboxes.
    pub(crate) waiting: usize,
}

impl Worker {
    /// One actor; `None` if nothing of it is in memory.
    pub(super) fn view(&self, actor: &ActorId, with_state: bool) -> Option<Looked> {
        let slot = self.slots.find(actor).and_then(|key| self.slots.get(key))?;
        let state = match &slot.state {
            State::Live(resident) if with_state => {
                // The state's own `Serialize` must not take the worker down with it.
                let json = catch_unwind(AssertUnwindSafe(|| resident.to_json()));
                let json = json.ok().and_then(Result::ok);
                json.map(|state| (resident.core().events, state))
            }
            State::Live(_)
            | State::Cold
            | State::Recovering
            | State::Broken
            | State::Quarantined(_) => None,
        };
        Some(Looked {
            status: slot.status()?,
            mailbox: slot.mailbox.len(),
            failures: slot
                .trouble
                .as_ref()
                .map_or(0, |trouble| trouble.failures()),
            state,
        })
    }

    /// All actors in memory and how they fare.
    pub(super) fn statuses(&self) -> Vec<(ActorId, ActorStatus)> {
        let all = self.slots.iter();
        all.filter_map(|(_, slot)| Some((slot.id.clone(), slot.status()?)))
            .collect()
    }

    pub(super) fn totals(&self) -> WorkerTotals {
        let mut totals = WorkerTotals::default();
        for (_, slot) in self.slots.iter() {
            totals.waiting += slot.mailbox.len();
            match slot.status() {
                Some(ActorStatus::Resident) => totals.resident += 1,
                Some(ActorStatus::Recovering) => totals.recovering += 1,
                Some(ActorStatus::Quarantined { .. }) => totals.quarantined += 1,
                None => {}
            }
        }
        totals
    }
}
