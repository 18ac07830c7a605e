//! Pending effects from the journal: all of them where it is opened, and those that found no room, as it becomes free.
//!
//! Method: one pass over the rows after the other, each as far as there is room, until one ends during which nobody
//! was turned away. A pass that was stopped goes on where it was; who was turned away meanwhile is found by the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use steadfast_journal::{ActorNumber, Journal, Row, Table};

use super::ledger::Place;
use super::{EffectJob, EffectRunner};
use crate::core::{EffectRow, decode_row};
use crate::error::NodeError;
use crate::host::Source;
use crate::node::Shared;
use crate::worker::Control;

/// Rows read at once.
const PAGE: usize = 1_024;

/// What became of a page.
enum Page {
    More,
    /// There is no room for one of its rows: the pass is stopped before it.
    Full,
    Done,
}

impl EffectRunner {
    /// Starts the effects found in a journal that was opened, as many as there is room for.
    pub(in crate::node) async fn load(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        generation: u64,
        journal: &Arc<dyn Journal>,
    ) -> Result<(), NodeError> {
        self.ledger.begin(generation);
        let read = self.read(shared, generation, journal).await;
        self.ledger.rests(generation);
        self.read_on();
        read
    }

    /// Reads on in a task of its own, if rows wait and there is room.
    pub(in crate::node) fn read_on(self: &Arc<Self>) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let current = shared.generation();
        let may = !shared.is_stopping() && !shared.holds_pending_work();
        if !may || !self.ledger.reads_on(current) {
            return;
        }
        let (runner, busy) = (Arc::clone(self), shared.busy());
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            let reading = AssertUnwindSafe(runner.read_current(&shared, current));
            let read = reading.catch_unwind().await;
            runner.ledger.rests(current);
            match read {
                Ok(Ok(())) => runner.read_on(),
                Ok(Err(NodeError::Stopped)) => {}
                // The effects behind would never run.
                Ok(Err(error)) => shared.generation_failed(current, error.to_string()),
                Err(_) => {
                    let reason = "reading pending effects panicked".to_owned();
                    shared.generation_failed(current, reason);
                }
            }
            drop(busy);
        });
    }

    async fn read_current(&self, shared: &Arc<Shared>, generation: u64) -> Result<(), NodeError> {
        let (_, journal) = shared.open_journal().ok_or(NodeError::Stopped)?;
        self.read(shared, generation, &journal).await
    }

    async fn read(
        &self,
        shared: &Arc<Shared>,
        generation: u64,
        journal: &Arc<dyn Journal>,
    ) -> Result<(), NodeError> {
        while let Page::More = self.read_page(shared, generation, journal).await? {}
        Ok(())
    }

    async fn read_page(
        &self,
        shared: &Arc<Shared>,
        generation: u64,
        journal: &Arc<dyn Journal>,
    ) -> Result<Page, NodeError> {
        let _one = self.reading.lock().await;
        if shared
            .open_journal()
            .is_none_or(|(open, _)| open != generation)
        {
            // Whoever opens the next generation waits for this reference, and loads all there is.
            return Err(NodeError::Stopped);
        }
        let Some(Place { after, first }) = self.ledger.place(generation) else {
            return Ok(Page::Done);
        };
        // Before the rows are read, until all of them were looked at.
        let _reading = self.ledger.reading();
        let rows = shared.rows(journal, Table::Effects, after, PAGE).await?;
        if rows.is_empty() {
            let again = self.ledger.pass_ended(generation);
            return Ok(if again { Page::More } else { Page::Done });
        }
        for row in rows {
            let key = row.0.clone();
            if !self.take_row(shared, row, first).await? {
                return Ok(Page::Full);
            }
            self.ledger.passed(generation, key);
        }
        Ok(Page::More)
    }

    /// Starts the effect of a row, unless it is known. False if there is no room for it. What is wrong with a row is
    /// said in the `first` pass alone.
    async fn take_row(
        &self,
        shared: &Arc<Shared>,
        (key, value): Row,
        first: bool,
    ) -> Result<bool, NodeError> {
        let number = key.get(0..8).and_then(actor_number);
        let row = decode_row::<EffectRow>(&value);
        let (Some(number), Ok(row)) = (number, row) else {
            if first {
                tracing::error!(
                    "a row of the table of effects does not decode; run `steadfast verify`"
                );
            }
            return Ok(true);
        };
        let kind = shared.registry.get(&row.kind).cloned();
        let job = kind.map(|kind| EffectJob {
            actor: row.actor.clone(),
            kind,
            number,
            effect: row.effect.clone(),
            resumed: true,
        });
        match job {
            Some(job) if job.is_registered() => Ok(shared.launch_row(job)),
            Some(job) if first => report(shared, job).await.map(|()| true),
            None if first => {
                let EffectRow {
                    actor,
                    kind,
                    effect,
                } = row;
                tracing::error!(%actor, kind, effect = effect.name, "an effect waits for a kind that is not registered: add .register::<..>() where the node is built");
                Ok(true)
            }
            Some(_) | None => Ok(true),
        }
    }
}

impl EffectJob {
    fn is_registered(&self) -> bool {
        self.kind.effects.contains_key(self.effect.name.as_str())
    }
}

/// An effect waits that its kind does not know: the actor is set aside.
async fn report(shared: &Shared, job: EffectJob) -> Result<(), NodeError> {
    let EffectJob {
        actor,
        kind,
        effect,
        ..
    } = job;
    let reason = format!(
        "effect {:?} waits and is not registered: add .effect::<..>() to kind {:?}",
        effect.name, kind.name
    );
    let Some(port) = shared.worker_of(&actor) else {
        return Ok(());
    };
    let set_aside = Control::Quarantine {
        actor,
        kind,
        reason,
        source: Some(Source::Effect { key: effect.key }),
    };
    let sent = port.control.send(set_aside).await;
    sent.map_err(|_| NodeError::Stopped)
}

fn actor_number(bytes: &[u8]) -> Option<ActorNumber> {
    ActorNumber::new(u64::from_be_bytes(bytes.try_into().ok()?))
}
