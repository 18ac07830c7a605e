//! What is known about each target, and what one more check means for it. Pure.
//!
//! ```text
//!        fails           fails, the n-th            passes           passes, the m-th
//!   ok ───────▶ failing ───────────────▶ alerting ───────▶ recovering ───────────────▶ ok
//!    ▲            │ passes                   ▲      fails │
//!    └────────────┘                          └────────────┘
//! ```
//! n is `alert_after`, m is `resolve_after`. Alerting and recovering are one alert: only its begin and its
//! end are told.
//!
//! Invariants: the fold counts and does not judge, so that another rule in a later version changes nothing
//! that was decided; the first notice of each queue, and no other, has an effect pending whose outcome counts.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use steadfast::Timestamp;

use super::event::{Alerted, Readdressed, Reminded, Resolved};
use super::probe::{Checked, Failure};

#[cfg(test)]
mod tests;

/// Most notices of one target that wait for the one that is being sent.
pub(super) const MOST_WAITING: usize = 8;

/// What a patrol knows and counts over all its runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Board {
    /// The targets by name. One that is not configured any more stays until its notices are sent.
    pub(super) targets: BTreeMap<String, TargetState>,
    /// Alerts so far.
    pub(super) alerts: u64,
    /// Notifications that were answered.
    pub(super) notified: u64,
    /// Notifications that were given up.
    pub(super) given_up: u64,
}

/// What is known about one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TargetState {
    /// Passed checks in a row; one of the two counters is 0.
    passes: u32,
    /// Failed checks in a row.
    fails: u32,
    /// When the first of them ended.
    streak_since: Timestamp,
    /// When the last of them ended.
    pub(super) checked: Timestamp,
    alert: Option<Alert>,
    pub(super) last: Checked,
    /// Notices in the order in which they are sent.
    pub(super) queue: VecDeque<Notice>,
    /// Which request for the first of them counts: one whose address is not configured any more does not.
    #[serde(default)]
    pub(super) issue: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Alert {
    since: Timestamp,
    /// When somebody was last told to be told: the alert itself, or a reminder.
    told: Timestamp,
}

/// What the receiver is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The sequence number of the event that it is about.
    pub seq: u64,
    /// What the target is now.
    pub state: NoticeState,
    /// Since when.
    pub since: Timestamp,
    /// When that was decided.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether the receiver has been told before.
    pub reminder: bool,
}

/// What a [`Notice`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// The target is not as it should be.
    Alerting,
    /// It is again, or it is not checked any more.
    Resolved,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetStatus {
    /// No run has checked it yet.
    Unchecked,
    /// Its last check passed.
    Ok,
    /// Its last check failed, and that was not often enough for an alert.
    Failing,
    /// It failed often enough, and fails.
    Alerting,
    /// It alerts, and its last check passed.
    Recovering,
}

/// How many checks in a row change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) alert_after: u32,
    pub(super) resolve_after: u32,
}

/// What a check changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// A target begins to fail.
    FirstFailure,
    /// An alert begins.
    Alert { since: Timestamp, failures: u32 },
    /// An alert ends.
    Resolve { since: Timestamp, passes: u32 },
}

impl Rule {
    /// What a check that ended `now` changes for a target in this state; at most a first failure and an
    /// alert at once.
    pub(super) fn judge(
        self,
        state: Option<&TargetState>,
        passed: bool,
        now: Timestamp,
    ) -> [Option<Change>; 2] {
        let same = |state: &TargetState| if passed { state.passes } else { state.fails };
        let in_a_row = state.map_or(0, same).saturating_add(1);
        let alerting = state.is_some_and(|state| state.alert.is_some());
        let goes_on = in_a_row > 1;
        let since = state
            .filter(|_| goes_on)
            .map_or(now, |state| state.streak_since);
        if passed {
            let resolve = Change::Resolve {
                since,
                passes: in_a_row,
            };
            let resolves = alerting && in_a_row >= self.resolve_after;
            return [None, resolves.then_some(resolve)];
        }
        let first = !alerting && !goes_on;
        let alert = !alerting && in_a_row >= self.alert_after;
        let failures = in_a_row;
        [
            first.then_some(Change::FirstFailure),
            alert.then_some(Change::Alert { since, failures }),
        ]
    }
}

impl TargetState {
    /// What it is.
    pub(super) fn status(&self) -> TargetStatus {
        match (&self.alert, self.passes > 0) {
            (Some(_), true) => TargetStatus::Recovering,
            (Some(_), false) => TargetStatus::Alerting,
            (None, true) => TargetStatus::Ok,
            (None, false) => TargetStatus::Failing,
        }
    }

    /// Since when it is that.
    pub(super) fn since(&self) -> Timestamp {
        match &self.alert {
            Some(alert) if self.passes == 0 => alert.since,
            Some(_) | None => self.streak_since,
        }
    }

    /// How many checks in a row ended as the last one did.
    pub(super) fn streak(&self) -> u32 {
        self.passes.max(self.fails)
    }

    /// Whether an alert is on.
    pub(super) fn is_alerting(&self) -> bool {
        self.alert.is_some()
    }

    /// When somebody was last asked to be told of the alert that is on.
    pub(super) fn told(&self) -> Option<Timestamp> {
        self.alert.as_ref().map(|alert| alert.told)
    }
}

impl Board {
    /// What somebody should know: targets that alert, and notices that nobody has taken yet.
    pub(super) fn attention(&self) -> Option<String> {
        let alerting = self.targets.values().filter(|state| state.is_alerting());
        let unsent: usize = self.targets.values().map(|state| state.queue.len()).sum();
        let parts = [
            match alerting.count() {
                0 => None,
                1 => Some("1 target alerts".to_owned()),
                targets => Some(format!("{targets} targets alert")),
            },
            match unsent {
                0 => None,
                1 => Some("1 notice unsent".to_owned()),
                notices => Some(format!("{notices} notices unsent")),
            },
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The fold.
impl Board {
    /// Takes one check in that ended `at`.
    pub(super) fn checked(&mut self, check: &Checked, at: Timestamp) {
        let passed = check.passed();
        let state = self.target(&check.target, check, at);
        let same = if passed { state.passes } else { state.fails };
        if same == 0 {
            state.streak_since = at;
        }
        let in_a_row = same.saturating_add(1);
        (state.passes, state.fails) = if passed { (in_a_row, 0) } else { (0, in_a_row) };
        state.checked = at;
        state.last = check.clone();
    }

    fn target(&mut self, name: &str, check: &Checked, at: Timestamp) -> &mut TargetState {
        self.targets
            .entry(name.to_owned())
            .or_insert_with(|| TargetState {
                passes: 0,
                fails: 0,
                streak_since: at,
                checked: at,
                alert: None,
                last: check.clone(),
                queue: VecDeque::new(),
                issue: 0,
            })
    }

    pub(super) fn alerted(&mut self, event: &Alerted) {
        self.alerts += 1;
        let check = Checked {
            target: event.target.clone(),
            status: None,
            latency_ms: 0,
            tls_expires: None,
            failure: Some(event.failure.clone()),
        };
        let state = self.target(&event.target, &check, event.at);
        state.alert = Some(Alert {
            since: event.since,
            told: event.at,
        });
        if let Some(seq) = event.notice {
            state.queue.push_back(Notice {
                seq,
                state: NoticeState::Alerting,
                since: event.since,
                at: event.at,
                reason: in_words(&event.failure, event.failures),
                reminder: false,
            });
        }
    }

    pub(super) fn resolved(&mut self, event: &Resolved) {
        let Some(state) = self.targets.get_mut(&event.target) else {
            return;
        };
        state.alert = None;
        if let Some(seq) = event.notice {
            let reason = match event.passes {
                0 => "it is not checked any more".to_owned(),
                1 => "a check passed".to_owned(),
                passes => format!("{passes} checks in a row passed"),
            };
            state.queue.push_back(Notice {
                seq,
                state: NoticeState::Resolved,
                since: event.since,
                at: event.at,
                reason,
                reminder: false,
            });
        }
    }

    pub(super) fn reminded(&mut self, event: &Reminded) {
        let Some(state) = self.targets.get_mut(&event.target) else {
            return;
        };
        let Some(alert) = &mut state.alert else {
            return;
        };
        alert.told = event.at;
        let since = alert.since;
        state.queue.push_back(Notice {
            seq: event.notice,
            state: NoticeState::Alerting,
            since,
            at: event.at,
            reason: event.reason.clone(),
            reminder: true,
        });
    }

    pub(super) fn readdressed(&mut self, event: &Readdressed) {
        if let Some(state) = self.targets.get_mut(&event.target) {
            state.issue = event.issue;
        }
    }

    /// A notice is off the queue, wherever it stood.
    pub(super) fn settled(&mut self, target: &str, seq: u64) {
        if let Some(state) = self.targets.get_mut(target) {
            state.queue.retain(|notice| notice.seq != seq);
        }
    }

    /// Forgets what is not checked any more, once nothing is to be said about it.
    pub(super) fn forget(&mut self, is_checked: impl Fn(&str) -> bool) {
        self.targets.retain(|name, state| {
            is_checked(name) || state.is_alerting() || !state.queue.is_empty()
        });
    }
}

fn in_words(failure: &Failure, failures: u32) -> String {
    match failures {
        1 => failure.to_string(),
        _ => format!("{failure} ({failures} checks in a row)"),
    }
}
