//! How every concern answers the commands of the shell.

use steadfast::{Handle, Live, Never};
use tracing::info;

use super::schedule::is_late;
use super::{
    Cause, Concern, ConcernView, ConfigError, Configure, ConfigureReply, Configured, Describe,
    Finished, Kind, Missed, Pause, Paused, Resume, Resumed, Run, RunId, RunOutcome, Settings,
    Started, Tick, TickMissed, TickSkipReason, TickSkipped, Trigger, TriggerRejection, Triggered,
};

/// The durable timer of the schedule.
const TIMER: &str = "tick";

impl<K: Kind> Handle<Configure<K::Config>> for Concern<K> {
    fn handle(
        live: &mut Live<'_, Self>,
        Configure(config): Configure<K::Config>,
    ) -> Result<ConfigureReply, ConfigError> {
        config.validate()?;
        if live.config.as_ref() == Some(&config) {
            return Ok(ConfigureReply { changed: false });
        }
        let before = live.state().schedule().and_then(|schedule| schedule.every);
        let after = config.schedule().every;
        let anchored = before == after || live.paused;
        let next_run = if anchored {
            live.next_run
        } else {
            after.map(|period| live.now().plus(period))
        };
        info!(actor = %live.id(), "configured");
        live.emit(Configured { config, next_run });
        if !anchored {
            arm(live);
        }
        Ok(ConfigureReply { changed: true })
    }
}

impl<K: Kind> Handle<Trigger> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, trigger: Trigger) -> Result<Triggered, TriggerRejection> {
        let config = live
            .config
            .as_ref()
            .ok_or(TriggerRejection::NotConfigured)?;
        if live.paused {
            return Err(TriggerRejection::Paused);
        }
        let dry_run = trigger.dry_run || config.dry_run();
        if let Some(run) = &live.current {
            if live.dry_run != dry_run {
                return Err(TriggerRejection::OtherSort);
            }
            return Ok(Triggered {
                run: run.clone(),
                joined: true,
            });
        }
        let next_run = live.next_run;
        let run = start(live, Cause::Trigger { by: trigger.by }, dry_run, next_run);
        Ok(Triggered { run, joined: false })
    }
}

impl<K: Kind> Handle<Pause> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Pause) -> Result<(), Never> {
        if !live.paused {
            info!(actor = %live.id(), "paused");
            live.emit(Paused {});
            live.cancel(TIMER);
        }
        Ok(())
    }
}

impl<K: Kind> Handle<Resume> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Resume) -> Result<(), Never> {
        if live.paused {
            info!(actor = %live.id(), "resumed");
            let period = live.state().schedule().and_then(|schedule| schedule.every);
            live.emit(Resumed {
                next_run: period.map(|period| live.now().plus(period)),
            });
            arm(live);
        }
        Ok(())
    }
}

impl<K: Kind> Handle<Tick> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Tick) -> Result<(), Never> {
        let (Some(fired), Some(schedule)) = (live.fired().cloned(), live.state().schedule()) else {
            return Ok(());
        };
        let Some(period) = schedule.every.filter(|_| !live.paused) else {
            return Ok(());
        };
        let (due, next_run) = (fired.due, fired.next);
        let late = is_late(&fired, period);
        if late {
            let (count, policy) = (fired.missed.saturating_add(1), schedule.missed);
            info!(actor = %live.id(), %due, count, ?policy, "tick missed");
            live.emit(TickMissed {
                due,
                count,
                policy,
                next_run,
            });
        }
        if late && schedule.missed == Missed::Skip {
            return Ok(());
        }
        if live.current.is_some() {
            info!(actor = %live.id(), %due, "tick skipped: the run before is still going");
            live.emit(TickSkipped {
                due,
                reason: TickSkipReason::Running,
                next_run,
            });
            return Ok(());
        }
        let dry_run = live.config.as_ref().is_some_and(Settings::dry_run);
        start(live, Cause::Tick { due }, dry_run, next_run);
        Ok(())
    }
}

impl<K: Kind> Handle<Describe> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Describe) -> Result<ConcernView, Never> {
        Ok(ConcernView {
            actor: live.actor.clone(),
            kind: K::NAME.to_owned(),
            status: live.status(),
            configured: live.config.is_some(),
            paused: live.paused,
            every: live.state().schedule().and_then(|schedule| schedule.every),
            current: live.current.clone(),
            last_run: live.last_run.clone(),
            next_run: live.next_run,
            runs: live.runs,
        })
    }
}

/// Sets the timer of the schedule, first due one period from now, or forgets it.
fn arm<K: Kind>(live: &mut Live<'_, Concern<K>>) {
    match live.state().schedule().and_then(|schedule| schedule.every) {
        Some(period) => live.every(TIMER, period, Tick {}),
        None => live.cancel(TIMER),
    }
}

/// Starts a run: `started` and its first effect in one entry, so that neither is there without the other.
fn start<K: Kind>(
    live: &mut Live<'_, Concern<K>>,
    cause: Cause,
    dry_run: bool,
    next_run: Option<steadfast::Timestamp>,
) -> Run {
    let started = live.now();
    let id = RunId::new(started, [live.random(), live.random()]);
    info!(actor = %live.id(), run = %id, %cause, dry_run, "run started");
    live.emit(Started {
        run: id.clone(),
        started,
        cause,
        dry_run,
        next_run,
    });
    K::begin(live);
    Run {
        id,
        actor: live.id().clone(),
        started,
        finished: None,
        outcome: None,
    }
}

/// Ends the current run; nothing happens where there is none.
pub(crate) fn finish<K: Kind>(
    live: &mut Live<'_, Concern<K>>,
    outcome: RunOutcome,
    reason: Option<String>,
    report: K::Report,
) {
    let Some(run) = live.current.clone() else {
        return;
    };
    let reason_text = reason.as_deref().unwrap_or_default();
    info!(actor = %live.id(), run = %run.id, %outcome, reason = reason_text, "run finished");
    let finished = live.now();
    live.emit(Finished {
        run: run.id,
        outcome,
        started: run.started,
        finished,
        reason,
        report,
    });
}
