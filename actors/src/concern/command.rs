//! The commands that all concerns take, and what they answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Timestamp};

use super::{ConfigError, Run, Settings};

/// `configure`: what holds from now on. The body is the configuration itself. One that differs in
/// nothing changes nothing; another period starts the schedule anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Configure<C: Settings>(pub C);

// By hand: the derive refuses generic commands. Here one name does stand for one shape, as an actor has
// one kind and thereby one `C`.
impl<C: Settings> Command for Configure<C> {
    const NAME: &'static str = "configure";
    type Reply = ConfigureReply;
    type Rejection = ConfigError;
}

/// What came of a [`Configure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigureReply {
    /// Whether it differed from what held before.
    pub changed: bool,
}

/// `trigger`: start a run, or join the one that is going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Command)]
#[command(name = "trigger", reply = Triggered, rejection = TriggerRejection)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Only show what the run would do.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks, for the journal: a user or a program.
    #[serde(default)]
    pub by: String,
}

/// The run that a [`Trigger`] led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggered {
    /// The run.
    pub run: Run,
    /// Whether it was going already.
    pub joined: bool,
}

/// Why a [`Trigger`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TriggerRejection {
    /// It is paused.
    #[error("the concern is paused: resume it, then trigger again")]
    Paused,
    /// It has never been configured.
    #[error(
        "the concern has no configuration: add it to the config file and start the node with it"
    )]
    NotConfigured,
    /// A dry run cannot be joined as a real one, nor the other way round.
    #[error("a run of the other sort (dry or real) is going: trigger again when it has finished")]
    OtherSort,
}

/// `cancel`: end the run that is going before its work is done. The run ends when its kind can end it;
/// asked again, this is what the first one said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "cancel", reply = Run, rejection = CancelRejection)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Who asks, for the journal: a user or a program.
    #[serde(default)]
    pub by: String,
}

/// Why a [`Cancel`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CancelRejection {
    /// No run is going.
    #[error("no run is going: there is nothing to cancel")]
    NotRunning,
    /// Its kind has no way to stop.
    #[error("runs of this kind cannot be cancelled: wait for the end")]
    CannotStop,
}

/// `pause`: start nothing until [`Resume`]. A run under way completes; ticks that wait for its end are
/// forgotten. Pausing twice changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "pause")]
#[serde(deny_unknown_fields)]
pub struct Pause {}

/// `retire`: [`Pause`], because nothing names the concern any more. A run under way ends where its kind can end it, and what
/// others were told to be going on, such as an alert, they are told to be over. [`Resume`] takes it up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "retire")]
#[serde(deny_unknown_fields)]
pub struct Retire {}

/// `resume`: undo [`Pause`] and start the schedule anew. Resuming twice changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "resume")]
#[serde(deny_unknown_fields)]
pub struct Resume {}

/// `tick`: what the concern's timer sends. Sent by anybody else it does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "tick")]
#[serde(deny_unknown_fields)]
pub struct Tick {}

/// `describe`: what is known about the concern, whatever its kind. A query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Command)]
#[command(name = "describe", reply = ConcernView)]
#[serde(deny_unknown_fields)]
pub struct Describe {}

/// A concern as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcernView {
    /// Its name.
    pub actor: ActorId,
    /// Its kind.
    pub kind: String,
    /// What it is doing.
    pub status: ConcernStatus,
    /// Whether it was ever configured.
    pub configured: bool,
    /// Whether it is paused; a paused concern may still be completing a run.
    pub paused: bool,
    /// Time from one tick to the next; `None` runs by `cron` or by hand.
    pub every: Option<Duration>,
    /// Its cron expression; `None` runs by `every` or by hand.
    pub cron: Option<String>,
    /// How many ticks wait for the end of the run that is going.
    pub waiting: usize,
    /// The run that is going.
    pub current: Option<Run>,
    /// The run that ended last.
    pub last_run: Option<Run>,
    /// When the next tick is due.
    pub next_run: Option<Timestamp>,
    /// How many runs were started.
    pub runs: u64,
    /// Why somebody should look although all runs succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// What its kind has to say beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// What a concern has found that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What it is, for people: `1 target alerts, 2 notices unsent`.
    pub why: String,
    /// The command of the concern that tells more.
    pub query: String,
}

/// What a concern is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConcernStatus {
    /// Waiting for a tick or a trigger.
    Idle,
    /// A run is going.
    Running,
    /// Held until it is resumed, and nothing is going.
    Paused,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses<C: serde::de::DeserializeOwned + std::fmt::Debug>(body: &str) {
        let refused = serde_json::from_str::<C>(body).unwrap_err().to_string();
        assert!(refused.contains("unknown field"), "{refused}");
    }

    #[test]
    fn a_body_with_an_unknown_key_starts_no_real_run() {
        refuses::<Trigger>(r#"{"dry-run":true}"#);
        refuses::<Cancel>(r#"{"run":"run_1"}"#);
        refuses::<Pause>(r#"{"until":1}"#);
        refuses::<Retire>(r#"{"until":1}"#);
        refuses::<Resume>(r#"{"at":1}"#);
        refuses::<Tick>(r#"{"at":1}"#);
        refuses::<Describe>(r#"{"full":true}"#);
        assert!(
            serde_json::from_str::<Trigger>(r#"{"dry_run":true}"#)
                .unwrap()
                .dry_run
        );
    }
}
