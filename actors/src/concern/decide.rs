//! How every concern answers the commands of the shell.

use steadfast::{Handle, Live, Never, Timestamp};
use tracing::{info, warn};

use super::{
    Cancel, CancelRejection, Cause, Concern, ConcernView, ConfigError, Configure, ConfigureReply,
    Configured, Describe, Finished, Kind, Pause, Paused, Resume, Resumed, Retire, Run, RunId,
    RunOutcome, Settings, Started, StopReason, Stopping, Trigger, TriggerRejection, Triggered,
    tally, tick,
};

impl<K: Kind> Handle<Configure<K::Config>> for Concern<K> {
    fn handle(
        live: &mut Live<'_, Self>,
        Configure(config): Configure<K::Config>,
    ) -> Result<ConfigureReply, ConfigError> {
        config.check()?;
        if live.config.as_ref() == Some(&config) {
            return Ok(ConfigureReply { changed: false });
        }
        let after = config.schedule();
        let goes_on = live
            .state()
            .schedule()
            .is_some_and(|before| before.ticks_like(&after));
        let anchored = goes_on || live.paused;
        let next_run = if anchored {
            live.next_run
        } else {
            after.first(live.now())
        };
        info!(actor = %live.id(), "configured");
        let before = live.config.clone();
        live.emit(Configured { config, next_run });
        if !anchored {
            tick::arm(live);
        }
        K::reconfigured(live, before.as_ref());
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
        pause(live);
        Ok(())
    }
}

impl<K: Kind> Handle<Retire> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Retire) -> Result<(), Never> {
        pause(live);
        K::retired(live);
        Ok(())
    }
}

fn pause<K: Kind>(live: &mut Live<'_, Concern<K>>) {
    if !live.paused {
        info!(actor = %live.id(), "paused");
        live.emit(Paused {});
        tick::disarm(live);
    }
}

impl<K: Kind> Handle<Resume> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Resume) -> Result<(), Never> {
        if live.paused {
            info!(actor = %live.id(), "resumed");
            let schedule = live.state().schedule().unwrap_or_default();
            let next_run = schedule.first(live.now());
            live.emit(Resumed { next_run });
            tick::arm(live);
        }
        Ok(())
    }
}

impl<K: Kind> Handle<Cancel> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, cancel: Cancel) -> Result<Run, CancelRejection> {
        let run = live.current.clone().ok_or(CancelRejection::NotRunning)?;
        if !K::Config::STOPS {
            return Err(CancelRejection::CannotStop);
        }
        stop(live, StopReason::Cancelled { by: cancel.by });
        Ok(run)
    }
}

impl<K: Kind> Handle<Describe> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Describe) -> Result<ConcernView, Never> {
        let schedule = live.state().schedule().unwrap_or_default();
        Ok(ConcernView {
            actor: live.actor.clone(),
            kind: K::NAME.to_owned(),
            status: live.status(),
            configured: live.config.is_some(),
            paused: live.paused,
            every: schedule.every,
            cron: schedule.cron,
            waiting: live.waiting.len(),
            current: live.current.clone(),
            last_run: live.last_run.clone(),
            next_run: live.next_run,
            runs: live.runs,
            attention: K::attention(live),
            detail: K::detail(live),
        })
    }
}

/// Has the current run end soon, once.
pub(crate) fn stop<K: Kind>(live: &mut Live<'_, Concern<K>>, reason: StopReason) {
    let Some(run) = live.current.as_ref().map(|run| run.id.clone()) else {
        return;
    };
    if live.stopping.is_none() {
        info!(actor = %live.id(), %run, %reason, "run is being stopped");
        live.emit(Stopping { run, reason });
        K::stop(live);
    }
}

/// Starts a run: `started` and its first effect in one entry, so that neither is there without the other.
pub(super) fn start<K: Kind>(
    live: &mut Live<'_, Concern<K>>,
    cause: Cause,
    dry_run: bool,
    next_run: Option<Timestamp>,
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

/// Tells the log and the metrics how a run ended.
fn told<K: Kind>(live: &Live<'_, Concern<K>>, run: &RunId, outcome: RunOutcome, reason: &str) {
    let actor = live.id();
    if outcome.needs_somebody() {
        warn!(%actor, %run, %outcome, reason, "run finished");
    } else {
        info!(%actor, %run, %outcome, reason, "run finished");
    }
    if !live.is_dry_run() {
        tally::count(K::NAME, outcome);
    }
}

/// Ends the current run, and starts that of the tick that waited for this; nothing happens where no run is
/// going.
pub(crate) fn finish<K: Kind>(
    live: &mut Live<'_, Concern<K>>,
    outcome: RunOutcome,
    reason: Option<String>,
    report: K::Report,
) {
    let Some(run) = live.current.clone() else {
        return;
    };
    told(
        live,
        &run.id,
        outcome,
        reason.as_deref().unwrap_or_default(),
    );
    let finished = live.now();
    live.emit(Finished {
        run: run.id,
        outcome,
        started: run.started,
        finished,
        reason,
        report,
    });
    if let Some(due) = live.waiting.front().copied() {
        let dry_run = live.config.as_ref().is_some_and(Settings::dry_run);
        let next_run = live.next_run;
        start(live, Cause::Tick { due }, dry_run, next_run);
    }
}
