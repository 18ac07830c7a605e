//! Running effects: after the commit that holds their intent, on the node's own runtime, a bounded
//! number at a time.
//!
//! Invariant: one effect has one task at most. It is known from its launch until its outcome is consumed
//! by a durable entry; reloading pending effects starts only those whose task has ended.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use steadfast_journal::{ActorId, ActorNumber};
use tokio::sync::{SemaphorePermit, oneshot};
use tracing::Instrument;

use super::Shared;
use super::permits::Permits;
use crate::core::{EffectKey, PendingEffect};
use crate::host::{EffectEntry, EffectStep, KindEntry, RawOutcome, RawReconciled, Step, Stepped};
use crate::model::{AfterCrash, EffectClass, EffectContext, EffectError};
use crate::worker::{Answer, Control, Envelope, Internal};

/// A pending effect with all that running it takes.
#[derive(Debug, Clone)]
pub(crate) struct EffectJob {
    pub(crate) actor: ActorId,
    pub(crate) kind: Arc<KindEntry>,
    pub(crate) number: ActorNumber,
    pub(crate) effect: PendingEffect,
    /// Whether it was found in the journal: an attempt may have run before.
    pub(crate) resumed: bool,
}

type Name = (ActorNumber, EffectKey);

/// Runs the node's effects.
pub(crate) struct EffectRunner {
    /// Weak: the node's end is not to wait for an effect.
    shared: Weak<Shared>,
    permits: Permits,
    ledger: Mutex<Ledger>,
}

/// What is known of effects that are not over.
#[derive(Default)]
struct Ledger {
    /// Effects that have a task, or an outcome under way.
    known: HashMap<Name, Known>,
    /// While pending effects are read from the journal: those that were consumed since, whose rows may have been read
    /// before.
    consumed: Option<HashSet<Name>>,
}

/// Pending effects are being read from the journal.
pub(super) struct Reading<'a>(&'a EffectRunner);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.ledger().consumed = None;
    }
}

/// How far an effect is.
enum Known {
    /// It has a task, begun in this generation of the journal. If the journal was reopened meanwhile,
    /// this is to be started when the task ends.
    Running {
        generation: u64,
        then: Option<Box<EffectJob>>,
    },
    /// Its outcome was handed to its actor, in this generation of the journal.
    HandedOver { generation: u64 },
}

/// How an attempt ended.
enum Attempt {
    Over(RawOutcome),
    Again {
        error: String,
        /// Whether it may have done its work all the same, so that the world has to be asked first.
        in_doubt: bool,
    },
    /// The node stops, or the journal failed: the effect stays pending.
    Abandoned,
}

impl EffectRunner {
    pub(super) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::downgrade(shared),
            permits: Permits::new(&shared.config),
            ledger: Mutex::default(),
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is dropped, an effect that is over is not started on the word of a row. One at a time.
    pub(super) fn reading(&self) -> Reading<'_> {
        self.ledger().consumed = Some(HashSet::new());
        Reading(self)
    }

    /// How many effects execute at the moment.
    pub(crate) fn running(&self) -> usize {
        self.permits.running()
    }

    /// Starts the effect's task, unless it has one.
    pub(crate) fn launch(self: &Arc<Self>, job: EffectJob) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if shared.is_stopping() {
            return;
        }
        let name = (job.number, job.effect.key);
        if !self.claim(name, shared.generation(), || job.clone()) {
            return;
        }
        let runner = Arc::clone(self);
        let busy = shared.busy();
        let span = tracing::debug_span!("effect", actor = %job.actor, effect = job.effect.name);
        let task = async move {
            // A panic of ours must not leave the effect behind as running for ever.
            let life = AssertUnwindSafe(runner.live(job)).catch_unwind().await;
            runner.ended(name, life.unwrap_or(false));
            drop(busy);
        };
        shared.runtime.spawn(task.instrument(span));
    }

    /// Whether the effect is to be given a task now; from then on it is known.
    fn claim(&self, name: Name, current: u64, again: impl FnOnce() -> EffectJob) -> bool {
        let Ledger { known, consumed } = &mut *self.ledger();
        if consumed.as_ref().is_some_and(|over| over.contains(&name)) {
            return false;
        }
        match known.get_mut(&name) {
            Some(Known::Running { generation, then }) => {
                if *generation != current {
                    *then = Some(Box::new(again()));
                }
                return false;
            }
            Some(Known::HandedOver { generation }) if *generation == current => return false,
            Some(Known::HandedOver { .. }) | None => {}
        }
        let begun = Known::Running {
            generation: current,
            then: None,
        };
        known.insert(name, begun);
        true
    }

    /// The effect's outcome is about to be handed over in the current generation: whoever reloaded the
    /// effect so far need not start it again.
    fn handing_over(&self, name: Name, current: u64) {
        if let Some(Known::Running { generation, then }) = self.ledger().known.get_mut(&name) {
            *generation = current;
            *then = None;
        }
    }

    /// The effect's task is over.
    fn ended(self: &Arc<Self>, name: Name, handed_over: bool) {
        let next = {
            let Ledger { known, .. } = &mut *self.ledger();
            match known.remove(&name) {
                // Reloaded since: the task ended without outcome, or the outcome went down with the
                // journal's old generation.
                Some(Known::Running {
                    then: Some(job), ..
                }) => Some(job),
                Some(Known::Running {
                    then: None,
                    generation,
                }) if handed_over => {
                    known.insert(name, Known::HandedOver { generation });
                    None
                }
                Some(Known::Running { then: None, .. } | Known::HandedOver { .. }) | None => None,
            }
        };
        if let Some(job) = next {
            self.launch(*job);
        }
    }

    /// The effect's outcome was consumed.
    pub(crate) fn consumed(&self, number: ActorNumber, key: EffectKey) {
        let mut ledger = self.ledger();
        ledger.known.remove(&(number, key));
        if let Some(consumed) = &mut ledger.consumed {
            consumed.insert((number, key));
        }
    }

    /// Waits until no effect runs: all permits are back.
    pub(super) async fn wait_idle(&self) {
        self.permits.wait_idle().await;
    }

    async fn hand_over(&self, shared: &Arc<Shared>, job: EffectJob, outcome: RawOutcome) -> bool {
        self.handing_over((job.number, job.effect.key), shared.generation());
        hand_over(shared, job, outcome).await
    }

    /// An effect's whole life. True if its outcome was handed to the actor.
    async fn live(&self, mut job: EffectJob) -> bool {
        loop {
            let Some(permit) = self.turn(&job).await else {
                return false;
            };
            let Some(shared) = self.shared.upgrade() else {
                return false;
            };
            if shared.is_stopping() {
                return false;
            }
            let attempt = attempt(&shared, &mut job).await;
            let handed = match attempt {
                Attempt::Over(outcome) => return self.hand_over(&shared, job, outcome).await,
                Attempt::Abandoned => return false,
                Attempt::Again { error, in_doubt } => {
                    schedule_again(&shared, &mut job, error, in_doubt).await
                }
            };
            drop(permit);
            match handed {
                Scheduled::Yes => {}
                Scheduled::No => return false,
                Scheduled::Over(outcome) => return self.hand_over(&shared, job, outcome).await,
            }
        }
    }

    /// Waits for the next attempt's time and place, unless the effect hurries. `None` if the node stops.
    async fn turn(&self, job: &EffectJob) -> Option<SemaphorePermit<'_>> {
        let entry = job.kind.effects.get(job.effect.name.as_str());
        let class = entry.map_or(EffectClass::Short, |entry| entry.class);
        let in_turn = async {
            if !self.wait_until_due(job).await {
                return None;
            }
            self.permits.acquire(class).await
        };
        // In this order: an effect that need not wait is not asked.
        tokio::select! {
            biased;
            permit = in_turn => permit,
            () = self.hurried(job) => self.permits.acquire(EffectClass::Urgent).await,
        }
    }

    async fn hurried(&self, job: &EffectJob) {
        let hurry = self.shared.upgrade().and_then(|shared| {
            let entry = job.kind.effects.get(job.effect.name.as_str())?;
            let cx = context(&shared, job);
            Some((entry.hurry)(job.effect.body.clone(), cx))
        });
        if let Some(hurry) = hurry
            && AssertUnwindSafe(hurry).catch_unwind().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// False if the node stops first.
    async fn wait_until_due(&self, job: &EffectJob) -> bool {
        let (sleep, mut stopping) = {
            let Some(shared) = self.shared.upgrade() else {
                return false;
            };
            let wait = job
                .effect
                .due
                .since(shared.clock.now())
                .min(job.effect.retry.max.saturating_mul(2));
            if wait.is_zero() {
                return true;
            }
            (shared.rest(wait), shared.stopping.subscribe())
        };
        tokio::select! {
            () = sleep => true,
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }
}

fn context(shared: &Shared, job: &EffectJob) -> EffectContext {
    EffectContext {
        id: shared.effect_id(&job.actor, job.effect.key),
        attempt: job.effect.attempt,
        resumed: job.resumed,
        resources: Arc::clone(&shared.resources),
        draining: shared.draining.subscribe(),
        drain: shared.config.drain_timeout,
    }
}

async fn attempt(shared: &Arc<Shared>, job: &mut EffectJob) -> Attempt {
    let Some(entry) = job.kind.effects.get(job.effect.name.as_str()).copied() else {
        return Attempt::Abandoned;
    };
    let in_doubt = job.effect.started;
    let cx = context(shared, job);
    match job.effect.after_crash {
        AfterCrash::Retry => execute(entry, job, cx).await,
        AfterCrash::Hold if in_doubt => Attempt::Over(RawOutcome::Unknown),
        AfterCrash::Reconcile if in_doubt => reconcile(entry, job, cx).await,
        AfterCrash::Hold | AfterCrash::Reconcile => {
            // Journalled first, so that an intent without a start simply runs.
            let step = Step::Start {
                attempt: job.effect.attempt,
            };
            if !journal_step(shared, job, step).await {
                return Attempt::Abandoned;
            }
            job.effect.started = true;
            execute(entry, job, cx).await
        }
    }
}

async fn execute(entry: EffectEntry, job: &EffectJob, cx: EffectContext) -> Attempt {
    let draining = cx.draining.clone();
    let running = (entry.run)(job.effect.body.clone(), cx);
    let Ok(result) = AssertUnwindSafe(running).catch_unwind().await else {
        return panicked(job);
    };
    match result {
        Ok(output) => Attempt::Over(RawOutcome::Succeeded(output)),
        Err(error) if error.is_interrupted() && *draining.borrow() => {
            tracing::info!(
                actor = %job.actor, effect = job.effect.name, %error,
                "an effect is interrupted by the end of the node; it goes on at the next start"
            );
            Attempt::Abandoned
        }
        Err(error) if error.is_retryable() => Attempt::Again {
            error: error.to_string(),
            in_doubt: false,
        },
        Err(error) => Attempt::Over(given_up(job, error.to_string(), false)),
    }
}

/// A panic says as little as a crash about what was done before it.
fn panicked(job: &EffectJob) -> Attempt {
    match job.effect.after_crash {
        AfterCrash::Hold => Attempt::Over(given_up(job, "it panicked".to_owned(), true)),
        policy @ (AfterCrash::Retry | AfterCrash::Reconcile) => Attempt::Again {
            error: "it panicked".to_owned(),
            in_doubt: policy == AfterCrash::Reconcile,
        },
    }
}

async fn reconcile(entry: EffectEntry, job: &mut EffectJob, cx: EffectContext) -> Attempt {
    let asking = (entry.reconcile)(job.effect.body.clone(), cx.clone());
    let found = AssertUnwindSafe(asking).catch_unwind().await;
    match found.unwrap_or_else(|_| Err(EffectError::retryable("reconciling panicked"))) {
        Ok(RawReconciled::Done(output)) => Attempt::Over(RawOutcome::Succeeded(output)),
        Ok(RawReconciled::Unknown) => Attempt::Over(RawOutcome::Unknown),
        // The start is journalled already; running now is what it stands for.
        Ok(RawReconciled::NotDone) => execute(entry, job, cx).await,
        Err(error) if error.is_retryable() => Attempt::Again {
            error: error.to_string(),
            in_doubt: true,
        },
        Err(error) => Attempt::Over(given_up(job, error.to_string(), true)),
    }
}

/// What the actor is told when there is no further attempt.
fn given_up(job: &EffectJob, error: String, in_doubt: bool) -> RawOutcome {
    if in_doubt {
        tracing::error!(
            actor = %job.actor, effect = job.effect.name, error,
            "what became of an effect cannot be found out; it is not repeated"
        );
        return RawOutcome::Unknown;
    }
    RawOutcome::Failed {
        error,
        attempts: job.effect.attempt,
    }
}

/// What became of a failed attempt.
enum Scheduled {
    Yes,
    No,
    Over(RawOutcome),
}

/// Journals the next attempt, or gives up.
async fn schedule_again(
    shared: &Arc<Shared>,
    job: &mut EffectJob,
    error: String,
    in_doubt: bool,
) -> Scheduled {
    let attempt = job.effect.attempt;
    let Some(wait) = job.effect.retry.wait_after(attempt, shared.next_seed()) else {
        return Scheduled::Over(given_up(job, error, in_doubt));
    };
    shared.metrics.effect(job.kind.name, "retried");
    tracing::info!(
        actor = %job.actor, effect = job.effect.name, attempt, error,
        next_attempt_ms = wait.as_millis(), "effect failed; it is tried again"
    );
    let next = attempt.saturating_add(1);
    if !journal_step(
        shared,
        job,
        Step::Retry {
            attempt: next,
            wait,
            error,
            in_doubt,
        },
    )
    .await
    {
        return Scheduled::No;
    }
    job.effect.attempt = next;
    job.effect.started = in_doubt;
    job.effect.due = shared.clock.now().plus(wait);
    Scheduled::Yes
}

/// How long after a refused step the actor is asked again.
const STEP_AGAIN: Duration = Duration::from_secs(1);

/// Has the actor journal a step. True once it is durable; false if the effect is not pending any more, or
/// will be loaded anew, or the node ends.
async fn journal_step(shared: &Arc<Shared>, job: &EffectJob, step: Step) -> bool {
    let mut stopping = shared.stopping.subscribe();
    loop {
        match offer_step(shared, job, step.clone()).await {
            Stepped::Durable => return true,
            Stepped::Dropped => return false,
            Stepped::Refused => {}
        }
        tokio::select! {
            () = shared.rest(STEP_AGAIN) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return false,
        }
    }
}

async fn offer_step(shared: &Arc<Shared>, job: &EffectJob, step: Step) -> Stepped {
    let (done, is_done) = oneshot::channel();
    let invoke = Box::new(EffectStep {
        key: job.effect.key,
        step,
        lent: shared.lend(),
        done: Some(done),
    });
    let envelope = Envelope::owed(
        job.actor.clone(),
        Arc::clone(&job.kind),
        invoke,
        Internal::Step,
    );
    let Some(port) = shared.worker_of(&job.actor) else {
        return Stepped::Dropped;
    };
    let sent = port.control.send(Control::Deliver(envelope)).await;
    shared.lent();
    if sent.is_err() {
        return Stepped::Dropped;
    }
    is_done.await.unwrap_or(Stepped::Dropped)
}

async fn hand_over(shared: &Arc<Shared>, job: EffectJob, outcome: RawOutcome) -> bool {
    let label = match &outcome {
        RawOutcome::Succeeded(_) => "ok",
        RawOutcome::Failed { .. } => "error",
        RawOutcome::Unknown => "unknown",
    };
    shared.metrics.effect(job.kind.name, label);
    let Some(port) = shared.worker_of(&job.actor) else {
        return false;
    };
    let answer = Answer {
        actor: job.actor.clone(),
        kind: job.kind,
        number: job.number,
        name: job.effect.name,
        key: job.effect.key,
        body: job.effect.body,
        outcome,
    };
    port.control
        .send(Control::Answer(Arc::new(answer)))
        .await
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Regression: the rows of pending effects were read, an effect's outcome was consumed and the effect forgotten,
    /// and then it was started again on the word of its row.
    #[test]
    fn what_is_over_is_not_started_on_the_word_of_a_row_read_before() {
        let runner = Arc::new(EffectRunner {
            shared: Weak::new(),
            permits: Permits::new(&Config::default()),
            ledger: Mutex::default(),
        });
        let name = (ActorNumber::FIRST, EffectKey { entry: 1, index: 0 });
        let claim = || runner.claim(name, 2, || panic!("it is of this generation"));
        assert!(claim(), "nobody knows it");
        let reading = runner.reading();
        runner.handing_over(name, 2);
        runner.ended(name, true);
        assert!(!claim(), "its outcome is under way");
        runner.consumed(name.0, name.1);
        assert!(!claim(), "it is over");
        drop(reading);
        assert!(runner.ledger().consumed.is_none() && runner.ledger().known.is_empty());
    }
}
