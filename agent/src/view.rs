//! Concerns as `ps` shows them: one shape, from a running node and from a directory at rest.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::{ActorSummary, Timestamp};
use steadfast_actors::concern::{Attention, ConcernStatus, ConcernView, Run};

/// What a concern is doing. The words are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Waiting for a tick or a trigger.
    Idle,
    /// A run is going.
    Running,
    /// Held until it is resumed.
    Paused,
    /// Set aside after failures.
    Quarantined,
    /// Being rebuilt from the journal.
    Recovering,
    /// No node runs it.
    Stopped,
}

impl Status {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Quarantined => "quarantined",
            Self::Recovering => "recovering",
            Self::Stopped => "stopped",
        }
    }
}

/// One line of `ps`. The fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConcernRow {
    /// `concern/NAME`.
    pub(crate) actor: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its newest event.
    pub(crate) seq: u64,
    /// What it is doing.
    pub(crate) status: Status,
    /// The newest run: the one that is going, else the one that ended last.
    pub(crate) last_run: Option<Run>,
    /// When the next tick is due.
    pub(crate) next_run: Option<Timestamp>,
    /// What it has found that somebody should look at; left out where there is nothing, or where it cannot be
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attention: Option<Attention>,
}

/// The part of a concern's state that lists need, as every kind keeps it.
#[derive(Debug, Default, Deserialize)]
struct StateFields {
    paused: bool,
    current: Option<Run>,
    last_run: Option<Run>,
    next_run: Option<Timestamp>,
}

impl ConcernRow {
    /// From the concern's own answer.
    #[expect(
        clippy::match_same_arms,
        reason = "the last arm is for variants of later versions only"
    )]
    pub(crate) fn described(summary: ActorSummary, view: ConcernView) -> Self {
        let status = match view.status {
            ConcernStatus::Running => Status::Running,
            ConcernStatus::Paused => Status::Paused,
            ConcernStatus::Idle => Status::Idle,
            // The concern may learn to say more than lists show.
            _ => Status::Idle,
        };
        let (last_run, next_run) = (view.current.or(view.last_run), view.next_run);
        Self {
            attention: view.attention,
            ..Self::new(summary, status, last_run, next_run)
        }
    }

    /// From the state as it is in the journal, which also tells the status where that is not known
    /// otherwise. A state that is no concern's has no runs.
    pub(crate) fn stored(
        summary: ActorSummary,
        status: Option<Status>,
        state: Option<Value>,
    ) -> Self {
        let fields: StateFields = state
            .and_then(|state| serde_json::from_value(state).ok())
            .unwrap_or_default();
        let status = status.unwrap_or(match (&fields.current, fields.paused) {
            (Some(_), _) => Status::Running,
            (None, true) => Status::Paused,
            (None, false) => Status::Idle,
        });
        Self::new(
            summary,
            status,
            fields.current.or(fields.last_run),
            fields.next_run,
        )
    }

    fn new(
        summary: ActorSummary,
        status: Status,
        last_run: Option<Run>,
        next_run: Option<Timestamp>,
    ) -> Self {
        let ActorSummary { actor, kind, seq } = summary;
        Self {
            actor: actor.to_string(),
            kind,
            seq,
            status,
            last_run,
            next_run,
            attention: None,
        }
    }

    /// The command to run next for what needs [attention](Self::attention), as a line for people.
    pub(crate) fn look(&self, attention: &Attention) -> String {
        let name = self.actor.strip_prefix("concern/").unwrap_or(&self.actor);
        format!("steadfast ask {name} {}", attention.query)
    }
}
