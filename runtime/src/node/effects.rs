//! Running effects: after the commit that holds their intent, on the node's own runtime, a bounded
//! number at a time.
//!
//! Invariant: one effect has one task at most. It is known from its launch until its outcome is consumed
//! by a durable entry; reloading pending effects starts only those whose task has ended. Tasks are bounded: who finds no
//! room waits in the table of the journal.

mod ledger;
mod pages;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use steadfast_journal::{ActorId, ActorNumber, failpoint, mutant};
use tokio::sync::oneshot;
use tracing::Instrument;

use self::ledger::{Claim, Ledger, Wish};
use super::Shared;
use super::permits::{Permit, Permits};
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

pub(super) type Name = (ActorNumber, EffectKey);

/// Runs the node's effects.
pub(crate) struct EffectRunner {
    /// Weak: the node's end is not to wait for an effect.
    shared: Weak<Shared>,
    permits: Permits,
    ledger: Ledger,
    /// Held by whoever reads a page of rows.
    reading: tokio::sync::Mutex<()>,
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
            ledger: Ledger::new(shared.config.effects_in_memory),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// How many effects execute at the moment.
    pub(crate) fn running(&self) -> usize {
        self.permits.running()
    }

    /// Starts the effect's task, unless it has one. `in_pass` if it was read from its row. False if there is no room.
    pub(crate) fn launch(self: &Arc<Self>, job: EffectJob, in_pass: bool) -> bool {
        let Some(shared) = self.shared.upgrade() else {
            return true;
        };
        if shared.is_stopping() {
            return true;
        }
        let name = (job.number, job.effect.key);
        let wish = Wish {
            name,
            generation: shared.generation(),
            bytes: job.effect.body.len(),
            urgent: class_of(&job) == EffectClass::Urgent,
            in_pass,
        };
        match self.ledger.claim(&wish, || job.clone()) {
            Claim::Granted => {}
            Claim::Needless => return true,
            Claim::TurnedAway => return false,
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
        shared.tasks.spawn(task.instrument(span));
        true
    }

    /// The effect's task is over.
    fn ended(self: &Arc<Self>, name: Name, handed_over: bool) {
        if let Some(job) = self.ledger.ended(name, handed_over) {
            // Or it waits with the others.
            self.launch(*job, false);
        }
        self.read_on();
    }

    /// The effect's outcome was consumed.
    pub(crate) fn consumed(&self, number: ActorNumber, key: EffectKey) {
        self.ledger.consumed((number, key));
    }

    /// Waits until no effect runs: all permits are back.
    pub(super) async fn wait_idle(&self) {
        self.permits.wait_idle().await;
    }

    async fn hand_over(&self, shared: &Arc<Shared>, job: EffectJob, outcome: RawOutcome) -> bool {
        self.ledger
            .handing_over((job.number, job.effect.key), shared.generation());
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
    async fn turn(&self, job: &EffectJob) -> Option<Permit<'_>> {
        let class = class_of(job);
        let activity = self.shared.upgrade().and_then(|shared| shared.activity());
        let in_turn = async {
            if !self.wait_until_due(job).await {
                return None;
            }
            self.permits.acquire(class, activity.as_ref()).await
        };
        // In this order: an effect that need not wait is not asked.
        tokio::select! {
            biased;
            permit = in_turn => permit,
            () = self.hurried(job) => {
                self.permits.acquire(EffectClass::Urgent, activity.as_ref()).await
            }
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
            let effect = &job.effect;
            // Of an earlier life there is only the wall clock's word, and that may have been set back since.
            let longest = effect.retry.longest_before(effect.attempt);
            let wait = effect.due.since(shared.clock.now()).min(longest);
            if wait.is_zero() {
                return true;
            }
            (shared.rest(wait), shared.stopping.subscribe())
        };
        tokio::select! {
            biased;
            () = sleep => true,
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }
}

fn class_of(job: &EffectJob) -> EffectClass {
    let entry = job.kind.effects.get(job.effect.name.as_str());
    entry.map_or(EffectClass::Short, |entry| entry.class)
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
            let written = mutant!("start_unwritten") || journal_step(shared, job, step).await;
            if !written {
                return Attempt::Abandoned;
            }
            job.effect.started = true;
            failpoint!("effect.started");
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
    failpoint!("effect.ran");
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
            error: text_of(&error),
            in_doubt: false,
        },
        Err(error) => Attempt::Over(given_up(job, text_of(&error), false)),
    }
}

/// As much of an error's text as is kept and told: each retry journals it, and whoever puts the last one into an
/// event must not have too large an entry for it.
const ERROR_TEXT: usize = 4 << 10;

fn text_of(error: &EffectError) -> String {
    let text = error.to_string();
    if text.len() <= ERROR_TEXT {
        return text;
    }
    let whole = (0..=ERROR_TEXT)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default();
    format!("{whole}... ({} bytes)", text.len())
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
            error: text_of(&error),
            in_doubt: true,
        },
        Err(error) => Attempt::Over(given_up(job, text_of(&error), true)),
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
            biased;
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
    let sent = port.control.send(Control::Answer(Arc::new(answer))).await;
    failpoint!("effect.handed_over");
    sent.is_ok()
}
