//! The actor `agent/config`: which configuration the node runs with, since when, and who changed what.
//!
//! A reload is journalled before its first step (`config.begun`) and after its last (`config.applied`, or
//! `config.undone`). One that begun and did neither was cut off; the next start reads the file again, brings
//! all concerns in line with it, and says so with an `applied` of its own.

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Command, Event, Handle, KindBuilder, Live, Never, Node, NodeBuilder, StatefulActor,
    Timestamp,
};

use super::plan::{Action, ConcernPlan, KeyChange, Plan, Settings, differences};
use crate::concerns::ANSWER_WITHIN;
use crate::problem::{Code, Problem};

/// The space of actors that are the agent's own.
pub(super) const SPACE: &str = "agent";
/// The key of this one.
pub(super) const KEY: &str = "config";

/// What brought a configuration in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Via {
    /// The node started with it.
    Start,
    /// `steadfast reload`.
    Command,
    /// SIGHUP.
    Signal,
}

/// What changes, as it is journalled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Names the configuration.
    pub(super) digest: String,
    /// The file it is from.
    pub(super) file: String,
    /// Who asked for it.
    pub(super) by: String,
    /// How.
    pub(super) via: Via,
    /// The concerns that change.
    pub(super) concerns: Vec<ConcernPlan>,
    /// The settings of the node that change; only a start does that.
    pub(super) settings: Vec<KeyChange>,
}

impl Change {
    pub(super) fn of(plan: &Plan, by: &str, via: Via) -> Self {
        let changed = |one: &&ConcernPlan| one.action != Action::Unchanged;
        Self {
            digest: plan.digest.clone(),
            file: plan.file.clone(),
            by: by.to_owned(),
            via,
            concerns: plan.concerns.iter().filter(changed).cloned().collect(),
            settings: plan.restart.clone(),
        }
    }
}

/// What happens to the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(prefix = "config.")]
pub(super) enum ConfigEvent {
    /// A reload is about to take its first step.
    Begun(Change),
    /// All of it holds.
    Applied {
        /// What changed.
        change: Change,
        /// What holds for the node as a whole.
        settings: Settings,
        /// When it was taken over.
        at: Timestamp,
    },
    /// A reload failed on its way, and what it had done was taken back.
    Undone {
        /// The configuration that was not taken over.
        digest: String,
        /// Why.
        reason: String,
    },
}

/// The configuration that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Holds {
    digest: String,
    file: String,
    by: String,
    via: Via,
}

/// The state of `agent/config`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ConfigLog {
    /// What holds; `None` before the first start has succeeded.
    holds: Option<Holds>,
    /// When it was taken over.
    since: Option<Timestamp>,
    /// What holds for the node as a whole.
    settings: Settings,
    /// A reload that begun and has not ended.
    under_way: Option<String>,
    /// How many configurations held so far.
    count: u64,
}

impl StatefulActor for ConfigLog {
    const KIND: &'static str = "agent-config";
    type Event = ConfigEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &ConfigEvent) {
        match event {
            ConfigEvent::Begun(change) => self.under_way = Some(change.digest.clone()),
            ConfigEvent::Undone { .. } => self.under_way = None,
            ConfigEvent::Applied {
                change,
                settings,
                at,
            } => {
                self.since = Some(*at);
                self.holds = Some(Holds {
                    digest: change.digest.clone(),
                    file: change.file.clone(),
                    by: change.by.clone(),
                    via: change.via,
                });
                self.settings.clone_from(settings);
                self.under_way = None;
                self.count = self.count.saturating_add(1);
            }
        }
    }
}

/// Adds the actor to a node. Its commands are not registered by name: nobody else is to send them.
pub(crate) fn register(node: NodeBuilder) -> NodeBuilder {
    node.register::<ConfigLog>(|kind: KindBuilder<ConfigLog>| kind)
}

/// `begin`: a reload is about to take its first step.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Begin(Change);

impl Handle<Begin> for ConfigLog {
    fn handle(log: &mut Live<'_, Self>, Begin(change): Begin) -> Result<(), Never> {
        log.emit(ConfigEvent::Begun(change));
        Ok(())
    }
}

/// `apply`: all of a configuration holds. One that held already, whole, is not journalled again.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Apply {
    change: Change,
    settings: Settings,
}

impl Handle<Apply> for ConfigLog {
    fn handle(log: &mut Live<'_, Self>, apply: Apply) -> Result<(), Never> {
        let Apply {
            mut change,
            settings,
        } = apply;
        let holds = log.holds.as_ref().map(|holds| holds.digest.as_str());
        let news = holds != Some(change.digest.as_str()) || !change.concerns.is_empty();
        if !news && log.under_way.is_none() {
            return Ok(());
        }
        if log.holds.is_some() {
            change.settings = differences(&log.settings, &settings);
        }
        let at = log.now();
        log.emit(ConfigEvent::Applied {
            change,
            settings,
            at,
        });
        Ok(())
    }
}

/// `undo`: what was begun was taken back.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Undo {
    digest: String,
    reason: String,
}

impl Handle<Undo> for ConfigLog {
    fn handle(log: &mut Live<'_, Self>, undo: Undo) -> Result<(), Never> {
        let Undo { digest, reason } = undo;
        if log.under_way.as_deref() == Some(digest.as_str()) {
            log.emit(ConfigEvent::Undone { digest, reason });
        }
        Ok(())
    }
}

pub(super) async fn begin(node: &Node, change: Change) -> Result<(), Problem> {
    tell(node, Begin(change)).await
}

pub(super) async fn apply(node: &Node, change: Change, settings: Settings) -> Result<(), Problem> {
    tell(node, Apply { change, settings }).await
}

pub(super) async fn undo(node: &Node, digest: String, reason: String) -> Result<(), Problem> {
    tell(node, Undo { digest, reason }).await
}

async fn tell<C>(node: &Node, command: C) -> Result<(), Problem>
where
    C: Command<Reply = (), Rejection = Never>,
    ConfigLog: Handle<C>,
{
    let log = node.actor_in::<ConfigLog>(SPACE, KEY);
    let told = log.ask(command).deadline(ANSWER_WITHIN).await;
    told.map_err(|error| {
        let detail = format!("{SPACE}/{KEY} did not journal the change: {error}");
        Problem::new(Code::Unavailable, detail)
    })
}
