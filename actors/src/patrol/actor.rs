//! The actor: what a run's checks lead to, and the queues of notifications.

use std::collections::BTreeSet;

use steadfast::{
    Command as _, Done, Handle, KindBuilder, Live, Never, NodeBuilder, Outcome, Timestamp,
};
use tracing::{info, warn};

use super::board::{Board, Change, MOST_WAITING, Notice, Rule};
use super::config::{Notify, PatrolConfig};
use super::effect::{Check, SendNotice};
use super::event::{
    Alerted, CheckFailed, NotificationGivenUp, Notified, PatrolEvent, Readdressed, Reminded,
    Report, Resolved,
};
use super::probe::{Checked, Failure, FailureKind};
use super::query::{self, Targets};
use super::web::Web;
use crate::concern::{
    self, Attention, Concern, Finished, Kind, RunOutcome, StopReason, finish, stop,
};

#[cfg(test)]
mod tests;

/// A concern of kind `http-patrol`.
pub type Patrol = Concern<PatrolKind>;

/// What makes a [`Concern`] a patrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatrolKind {}

/// Adds patrols to a node, and the HTTP client that their effects work with.
#[must_use]
pub fn register(node: NodeBuilder) -> NodeBuilder {
    concern::register::<PatrolKind>(node.resource(Web::new()))
}

impl Kind for PatrolKind {
    const NAME: &'static str = "http-patrol";
    type Config = PatrolConfig;
    type Event = PatrolEvent;
    type Totals = Board;
    type Work = ();
    type Report = Report;

    fn effects(kind: KindBuilder<Patrol>) -> KindBuilder<Patrol> {
        kind.effect::<Check>()
            .effect::<SendNotice>()
            .command::<Targets>()
    }

    fn apply(patrol: &mut Patrol, event: &PatrolEvent) {
        match event {
            PatrolEvent::Configured(event) => patrol.configured(event),
            PatrolEvent::Paused(event) => patrol.paused(event),
            PatrolEvent::Resumed(event) => patrol.resumed(event),
            PatrolEvent::TickMissed(event) => patrol.tick_missed(event),
            PatrolEvent::TickSkipped(event) => patrol.tick_skipped(event),
            PatrolEvent::TickQueued(event) => patrol.tick_queued(event),
            PatrolEvent::Stopping(event) => patrol.stop_wanted(event),
            PatrolEvent::Started(event) => patrol.started(event, ()),
            PatrolEvent::CheckFailed(_) => {}
            PatrolEvent::Alerted(event) => patrol.totals.alerted(event),
            PatrolEvent::Resolved(event) => patrol.totals.resolved(event),
            PatrolEvent::Reminded(event) => patrol.totals.reminded(event),
            PatrolEvent::Readdressed(event) => patrol.totals.readdressed(event),
            PatrolEvent::Notified(event) => {
                patrol.totals.notified += 1;
                settled(patrol, &event.target, event.notice);
            }
            PatrolEvent::NotificationGivenUp(event) => {
                patrol.totals.given_up += 1;
                settled(patrol, &event.target, event.notice);
            }
            PatrolEvent::Finished(event) => finished(patrol, event),
        }
    }

    fn begin(live: &mut Live<'_, Patrol>) {
        let (Some(run), Some(config)) = (live.current(), live.config()) else {
            return;
        };
        let check = Check {
            run: run.id.clone(),
            probes: config.probes(),
            parallel: config.parallel,
        };
        live.run(check);
    }

    /// At once: whatever the checks under way bring is dropped.
    fn stop(live: &mut Live<'_, Patrol>) {
        let reason = live.stopping().map(ToString::to_string);
        finish(live, RunOutcome::Cancelled, reason, Report::default());
    }

    fn reconfigured(live: &mut Live<'_, Patrol>, before: Option<&PatrolConfig>) {
        let before = before.and_then(|config| config.notify.as_ref());
        let after = live.config().and_then(|config| config.notify.as_ref());
        let same = match (before, after) {
            (Some(before), Some(after)) => after.sends_like(before),
            // Without `notify`, what is under way goes on as it was asked for.
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if same {
            return;
        }
        let targets: Vec<String> = live.totals.targets.keys().cloned().collect();
        for target in targets {
            readdress(live, &target);
        }
    }

    /// No run comes that could find an alert to be over, and one under way could begin another.
    fn retired(live: &mut Live<'_, Patrol>) {
        let by = "the configuration, which names it no more".to_owned();
        stop(live, StopReason::Cancelled { by });
        let (Some(config), now) = (live.config().cloned(), live.now()) else {
            return;
        };
        end_alerts(live, &config, now, |_| true);
    }

    fn attention(patrol: &Patrol) -> Option<Attention> {
        let why = patrol.totals.attention()?;
        Some(Attention {
            why,
            query: Targets::NAME.to_owned(),
        })
    }

    /// `{"targets": [..]}`, as the query [`Targets`] answers.
    fn detail(patrol: &Patrol) -> Option<serde_json::Value> {
        let targets = serde_json::to_value(query::view(patrol)).ok()?;
        Some(serde_json::json!({ "targets": targets }))
    }
}

/// A dry run counts for nothing.
fn finished(patrol: &mut Patrol, event: &Finished<Report>) {
    if !patrol.is_dry_run() {
        for check in &event.report.targets {
            patrol.totals.checked(check, event.finished);
        }
        forget(patrol);
    }
    patrol.finished(event);
}

fn settled(patrol: &mut Patrol, target: &str, notice: u64) {
    patrol.totals.settled(target, notice);
    forget(patrol);
}

fn forget(patrol: &mut Patrol) {
    let configured: BTreeSet<String> = patrol
        .config()
        .into_iter()
        .flat_map(PatrolConfig::all_targets)
        .map(|target| target.name().to_owned())
        .collect();
    patrol.totals.forget(|name| configured.contains(name));
}

impl Handle<Done<Check>> for Patrol {
    fn handle(live: &mut Live<'_, Self>, done: Done<Check>) -> Result<(), Never> {
        let is_current = live
            .current()
            .is_some_and(|current| current.id == done.effect.run);
        if !is_current {
            return Ok(());
        }
        match done.outcome {
            Outcome::Succeeded(found) => checked(live, found),
            Outcome::Failed { error, .. } => {
                finish(live, RunOutcome::Failed, Some(error), Report::default());
            }
            Outcome::Unknown => {
                let reason = "nobody knows whether the targets were checked".to_owned();
                finish(live, RunOutcome::Unknown, Some(reason), Report::default());
            }
        }
        Ok(())
    }
}

/// Journals what the checks mean, and ends the run.
fn checked(live: &mut Live<'_, Patrol>, found: Vec<Checked>) {
    let Some(config) = live.config().cloned() else {
        return;
    };
    // What was taken out of the configuration meanwhile is nobody's any more.
    let mut found: Vec<Checked> = found
        .into_iter()
        .filter(|check| config.has_target(&check.target))
        .collect();
    let now = live.now();
    for check in &mut found {
        judge_certificate(&config, check, now);
    }
    if !live.is_dry_run() {
        for check in &found {
            transitions(live, &config, check, now);
        }
        end_alerts(live, &config, now, |name| !config.has_target(name));
        remind(live, &config, &found, now);
    }
    let failed = found.iter().filter(|check| !check.passed()).count();
    let report = Report {
        passed: count(found.len().saturating_sub(failed)),
        failed: count(failed),
        targets: found,
    };
    // A target that is down is what the run was to find out: it succeeded.
    let reason =
        (failed > 0).then(|| format!("{failed} of {} targets failed", report.targets.len()));
    finish(live, RunOutcome::Succeeded, reason, report);
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Here rather than in the effect, which has no clock.
fn judge_certificate(config: &PatrolConfig, check: &mut Checked, now: Timestamp) {
    let (Some(expires), Some(least)) = (check.tls_expires, config.tls_expiry_of(&check.target))
    else {
        return;
    };
    if check.passed() && expires < now.plus(least) {
        let detail = format!("a certificate expires at {expires}");
        check.failure = Some(Failure::new(FailureKind::Certificate, detail));
    }
}

fn transitions(
    live: &mut Live<'_, Patrol>,
    config: &PatrolConfig,
    check: &Checked,
    now: Timestamp,
) {
    let rule = Rule {
        alert_after: config.alert_after,
        resolve_after: config.resolve_after,
    };
    let state = live.totals.targets.get(&check.target);
    let changes = rule.judge(state, check.passed(), now);
    let target = || check.target.clone();
    for change in changes.into_iter().flatten() {
        match (change, &check.failure) {
            (Change::FirstFailure, Some(failure)) => live.emit(CheckFailed {
                target: target(),
                failure: failure.clone(),
            }),
            (Change::Alert { since, failures }, Some(failure)) => {
                warn!(actor = %live.id(), target = check.target, %failure, "alert");
                let event = Alerted {
                    target: target(),
                    since,
                    at: now,
                    failures,
                    failure: failure.clone(),
                    notice: next_notice(live, config),
                };
                live.emit(event);
                enqueued(live, config, &check.target);
            }
            (Change::Resolve { since, passes }, _) => {
                resolve(live, config, &check.target, (since, now, passes));
            }
            (Change::FirstFailure | Change::Alert { .. }, None) => {}
        }
    }
}

fn resolve(
    live: &mut Live<'_, Patrol>,
    config: &PatrolConfig,
    target: &str,
    (since, at, passes): (Timestamp, Timestamp, u32),
) {
    info!(actor = %live.id(), target, passes, "alert resolved");
    let event = Resolved {
        target: target.to_owned(),
        since,
        at,
        passes,
        notice: next_notice(live, config),
    };
    live.emit(event);
    enqueued(live, config, target);
}

/// Nobody shall wait for the end of an alert whose target is checked no more.
fn end_alerts(
    live: &mut Live<'_, Patrol>,
    config: &PatrolConfig,
    now: Timestamp,
    is_gone: impl Fn(&str) -> bool,
) {
    let gone: Vec<String> = live
        .totals
        .targets
        .iter()
        .filter(|(name, state)| state.is_alerting() && is_gone(name))
        .map(|(name, _)| name.clone())
        .collect();
    for target in gone {
        resolve(live, config, &target, (now, now, 0));
    }
}

/// One reminder for each period, and none while another notification of the target is on its way.
fn remind(live: &mut Live<'_, Patrol>, config: &PatrolConfig, found: &[Checked], now: Timestamp) {
    let Some(period) = config.notify.as_ref().and_then(|to| to.remind_every) else {
        return;
    };
    for check in found {
        let due = live.totals.targets.get(&check.target).is_some_and(|state| {
            // Told long after now is told before the wall clock was set back.
            let apart = |told: Timestamp| now.since(told).max(told.since(now));
            let told = state.told();
            state.queue.is_empty() && told.is_some_and(|told| apart(told) >= period.duration())
        });
        if due {
            let reason = match &check.failure {
                Some(failure) => failure.to_string(),
                None => "its last check passed".to_owned(),
            };
            let (target, at, notice) = (check.target.clone(), now, live.seq() + 1);
            live.emit(Reminded {
                target,
                at,
                reason,
                notice,
            });
            enqueued(live, config, &check.target);
        }
    }
}

/// The number of the notification that goes with the event that is emitted next.
fn next_notice(live: &Live<'_, Patrol>, config: &PatrolConfig) -> Option<u64> {
    config.notify.is_some().then(|| live.seq() + 1)
}

/// Something was put into the queue of `target`: sends it if it is the first, and keeps the queue within its
/// bound. What is given up is the oldest that waits, as the newest says what is true now.
fn enqueued(live: &mut Live<'_, Patrol>, config: &PatrolConfig, target: &str) {
    let Some(state) = live.totals.targets.get(target) else {
        return;
    };
    if state.queue.len() == 1 {
        send_first(live, config, target);
        return;
    }
    let waiting = state.queue.len().saturating_sub(1);
    let oldest = state.queue.get(1).map(|notice| notice.seq);
    if let Some(notice) = oldest.filter(|_| waiting > MOST_WAITING) {
        give_up(
            live,
            target,
            notice,
            "too many newer ones wait".to_owned(),
            0,
        );
    }
}

/// Asks for the effect that sends the first of the queue of `target`; without a webhook all of them are
/// given up.
fn send_first(live: &mut Live<'_, Patrol>, config: &PatrolConfig, target: &str) {
    while let Some((first, issue)) = first_of(live, target) {
        if let Some(to) = &config.notify {
            let url = config
                .all_targets()
                .find(|one| one.name() == target)
                .map(|one| one.url);
            live.run(SendNotice {
                to: Notify::clone(to),
                target: target.to_owned(),
                url,
                notice: first,
                issue,
            });
            return;
        }
        give_up(
            live,
            target,
            first.seq,
            "no `notify` is configured".to_owned(),
            0,
        );
    }
}

/// The first of the queue of `target`, and which request for it counts.
fn first_of(live: &Live<'_, Patrol>, target: &str) -> Option<(Notice, u32)> {
    let state = live.totals.targets.get(target)?;
    Some((state.queue.front()?.clone(), state.issue))
}

fn give_up(live: &mut Live<'_, Patrol>, target: &str, notice: u64, error: String, attempts: u32) {
    warn!(actor = %live.id(), target, notice, error, attempts, "notification given up");
    live.emit(NotificationGivenUp {
        target: target.to_owned(),
        notice,
        error,
        attempts,
    });
}

/// Sends the first of the queue of `target` anew, as is configured now.
fn readdress(live: &mut Live<'_, Patrol>, target: &str) {
    let Some(config) = live.config().cloned() else {
        return;
    };
    let Some(state) = live.totals.targets.get(target) else {
        return;
    };
    if let Some(notice) = state.queue.front().map(|first| first.seq) {
        let issue = state.issue.saturating_add(1);
        info!(actor = %live.id(), target, notice, "notification readdressed");
        let target = target.to_owned();
        live.emit(Readdressed {
            target: target.clone(),
            notice,
            issue,
        });
        send_first(live, &config, &target);
    }
}

/// Whether another way to send is configured than that of `sent`.
fn is_outdated(live: &Live<'_, Patrol>, sent: &Notify) -> bool {
    let configured = live.config().and_then(|config| config.notify.as_ref());
    configured.is_some_and(|to| !to.sends_like(sent))
}

impl Handle<Done<SendNotice>> for Patrol {
    fn handle(live: &mut Live<'_, Self>, done: Done<SendNotice>) -> Result<(), Never> {
        let SendNotice {
            to,
            target,
            notice,
            issue,
            ..
        } = done.effect;
        let counts = live.totals.targets.get(&target).is_some_and(|state| {
            let first = state.queue.front();
            state.issue == issue && first.is_some_and(|first| first.seq == notice.seq)
        });
        if !counts {
            return Ok(());
        }
        match done.outcome {
            Outcome::Succeeded(status) => live.emit(Notified {
                target: target.clone(),
                notice: notice.seq,
                status,
            }),
            // Asked for by a version that did not do so when the configuration changed.
            _ if is_outdated(live, &to) => {
                readdress(live, &target);
                return Ok(());
            }
            Outcome::Failed { error, attempts } => {
                give_up(live, &target, notice.seq, error, attempts);
            }
            Outcome::Unknown => {
                let error = "nobody knows whether it was answered".to_owned();
                give_up(live, &target, notice.seq, error, 0);
            }
        }
        if let Some(config) = live.config().cloned() {
            send_first(live, &config, &target);
        }
        Ok(())
    }
}
