//! What a configuration would change: against the concerns of a store, and against the settings that a
//! process runs with.
//!
//! Invariant: making a plan writes nothing and asks no actor; a plan shows no secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steadfast::journal::Hash;
use steadfast::{ActorId, ActorSummary, Inspector};
use steadfast_actors::concern::SPACE;

use crate::concerns::paused_by_us;
use crate::config::{Concern, Config};
use crate::kinds;
use crate::problem::{Code, Problem};

/// Settings by dotted key.
pub(crate) type Settings = BTreeMap<String, Value>;

/// What a configuration would change. The fields are a contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The file it is about.
    pub(crate) file: String,
    /// Names the configuration; two that mean the same have the same.
    pub(crate) digest: String,
    /// Whether there is anything to change.
    pub(crate) changes: bool,
    /// The concerns, by name.
    pub(crate) concerns: Vec<ConcernPlan>,
    /// Settings that only a restart changes.
    pub(crate) restart: Vec<KeyChange>,
    /// Why the configuration cannot be taken over.
    pub(crate) refused: Vec<Refused>,
    /// Concerns that cannot be read: they are left as they are, and keep no other from its configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<Refused>,
}

/// What becomes of one concern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConcernPlan {
    /// Its name.
    pub(crate) concern: String,
    /// Its kind.
    pub(crate) kind: String,
    /// What is done about it.
    pub(crate) action: Action,
    /// The keys that change.
    pub(crate) keys: Vec<KeyChange>,
}

/// What is done about a concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It is new.
    Add,
    /// It is told its new configuration.
    Change,
    /// It is not configured any more: it stays, and starts no more runs.
    Pause,
    /// It is configured again: it goes on.
    Resume,
    /// Nothing.
    Unchanged,
}

/// A key with its value before and after; `null` where there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyChange {
    /// The dotted key.
    pub(crate) key: String,
    /// Before.
    pub(crate) old: Value,
    /// After.
    pub(crate) new: Value,
}

/// A concern that cannot be taken over, or cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// Its name.
    pub(crate) concern: String,
    /// Why.
    pub(crate) reason: String,
    /// The command to run next.
    pub(crate) next: String,
}

/// One step of taking a plan over, with all that doing and undoing it takes.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) actor: ActorId,
    pub(super) kind: String,
    pub(super) action: Action,
    /// What it is to be told; `null` for a pause.
    pub(super) config: Value,
    /// What holds until then; `null` for a new one.
    pub(super) before: Value,
}

/// A plan and its steps.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) steps: Vec<Step>,
}

/// What `wanted` would change in the store that `inspector` reads, and in a process that runs with
/// `settings`; `None` where no process runs. Blocks on the disk.
pub(super) fn make(
    inspector: &Inspector,
    wanted: &Config,
    settings: Option<&Settings>,
) -> Result<Planned, Problem> {
    let mut planned = Planned {
        plan: Plan {
            digest: digest(wanted)?,
            ..Plan::default()
        },
        steps: Vec::new(),
    };
    let stored = inspector.actors(Some(SPACE))?;
    for concern in &wanted.concerns {
        let before = stored
            .iter()
            .find(|summary| summary.actor.key() == concern.name);
        planned.configured(inspector, concern, before)?;
    }
    for summary in &stored {
        let name = summary.actor.key();
        if !wanted.concerns.iter().any(|concern| concern.name == name) {
            planned.gone(inspector, summary);
        }
    }
    let plan = &mut planned.plan;
    plan.concerns.sort_by(|a, b| a.concern.cmp(&b.concern));
    plan.restart = settings.map_or_else(Vec::new, |settings| {
        differences(settings, &self::settings(wanted))
    });
    plan.changes =
        !(planned.steps.is_empty() && plan.restart.is_empty() && plan.refused.is_empty());
    Ok(planned)
}

impl Planned {
    fn configured(
        &mut self,
        inspector: &Inspector,
        concern: &Concern,
        before: Option<&ActorSummary>,
    ) -> Result<(), Problem> {
        let (kind, config) = kinds::configuration(&concern.kind)?;
        let actor = ActorId::new(SPACE, &concern.name)
            .map_err(|error| Problem::new(Code::Config, error.to_string()))?;
        let Some(summary) = before else {
            self.add(actor, kind, Action::Add, Value::Null, config);
            return Ok(());
        };
        if summary.kind != kind {
            let reason = format!(
                "the kind is {kind:?} in the file, but it has been of kind {:?} in this data directory: give \
                 the new concern another name",
                summary.kind
            );
            self.refuse(&concern.name, reason, "events");
            return Ok(());
        }
        let view = match inspector.state(&summary.actor, None) {
            Ok(view) => view,
            // It runs nothing, and a start goes on without it too.
            Err(error) => {
                let left_out = refused(&concern.name, error.to_string(), "quarantine show");
                self.plan.left_out.push(left_out);
                return Ok(());
            }
        };
        let field = |name: &str| view.state.get(name).cloned().unwrap_or_default();
        let held = field("paused") == Value::Bool(true) && paused_by_us(inspector, summary)?;
        let old = field("config");
        let action = match (held, old == config) {
            (true, _) => Action::Resume,
            (false, true) => Action::Unchanged,
            (false, false) => Action::Change,
        };
        self.add(actor, kind, action, old, config);
        Ok(())
    }

    /// A concern of the store that is not configured. One that cannot be read runs nothing either.
    fn gone(&mut self, inspector: &Inspector, summary: &ActorSummary) {
        let Ok(view) = inspector.state(&summary.actor, None) else {
            return;
        };
        if view.state.get("paused") == Some(&Value::Bool(false)) {
            let before = view.state.get("config").cloned().unwrap_or_default();
            let (actor, kind) = (summary.actor.clone(), summary.kind.as_str());
            self.add(actor, kind, Action::Pause, before, Value::Null);
        }
    }

    fn add(&mut self, actor: ActorId, kind: &str, action: Action, before: Value, config: Value) {
        let keys = if action == Action::Pause {
            Vec::new()
        } else {
            differences(&flat(&before), &flat(&config))
        };
        self.plan.concerns.push(ConcernPlan {
            concern: actor.key().to_owned(),
            kind: kind.to_owned(),
            action,
            keys,
        });
        if action != Action::Unchanged {
            self.steps.push(Step {
                actor,
                kind: kind.to_owned(),
                action,
                config,
                before,
            });
        }
    }

    fn refuse(&mut self, concern: &str, reason: String, next: &str) {
        self.plan.refused.push(refused(concern, reason, next));
    }
}

fn refused(concern: &str, reason: String, next: &str) -> Refused {
    Refused {
        concern: concern.to_owned(),
        reason,
        next: format!("steadfast {next} {concern}"),
    }
}

/// What holds for the process as a whole, and only changes with it. Without secrets: it is journalled.
pub(crate) fn settings(config: &Config) -> Settings {
    // Every section is named, so that a new one cannot be forgotten.
    let Config {
        node,
        http,
        telemetry,
        concerns: _,
    } = config;
    let listen: Vec<String> = http.listen.iter().map(ToString::to_string).collect();
    let mut all = Settings::new();
    let mut set = |key: &str, value: Value| all.insert(key.to_owned(), masked(key, &value));
    set("node.name", node.name.as_str().into());
    if let Some(dir) = &node.data_dir {
        set("node.data_dir", dir.display().to_string().into());
    }
    for (label, value) in &node.labels {
        set(&format!("node.labels.{label}"), value.as_str().into());
    }
    set("http.listen", listen.into());
    let log = format!("{:?}", telemetry.log).to_lowercase();
    set("telemetry.log", log.into());
    all
}

/// Names what a configuration means, whatever it looks like.
fn digest(config: &Config) -> Result<String, Problem> {
    let mut concerns = serde_json::Map::new();
    for concern in &config.concerns {
        let (kind, settings) = kinds::configuration(&concern.kind)?;
        concerns.insert(
            concern.name.clone(),
            serde_json::json!({ "kind": kind, "settings": settings }),
        );
    }
    let whole = serde_json::json!({ "settings": settings(config), "concerns": concerns });
    Ok(Hash::of(whole.to_string().as_bytes()).to_string())
}

/// The value of a dotted key as it may be shown.
fn masked(key: &str, value: &Value) -> Value {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    crate::config::masked(&path, value.clone()).unwrap_or_default()
}

/// A table by dotted keys. What is not set is left out.
fn flat(value: &Value) -> Settings {
    fn walk(key: &str, value: &Value, all: &mut Settings) {
        match value {
            Value::Null => {}
            Value::Object(entries) => {
                for (name, value) in entries {
                    let separator = if key.is_empty() { "" } else { "." };
                    walk(&format!("{key}{separator}{name}"), value, all);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                all.insert(key.to_owned(), value.clone());
            }
        }
    }
    let mut all = Settings::new();
    walk("", value, &mut all);
    all
}

/// The keys whose values differ, without secrets.
pub(super) fn differences(old: &Settings, new: &Settings) -> Vec<KeyChange> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let changed = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    changed
        .map(|key| {
            let shown = |side: &Settings| {
                side.get(key)
                    .map_or(Value::Null, |value| masked(key, value))
            };
            KeyChange {
                key: key.clone(),
                old: shown(old),
                new: shown(new),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_by_dotted_key_and_hide_secrets() {
        let old =
            flat(&json!({ "a": 1, "b": { "c": [1], "token": "x" }, "gone": true, "n": null }));
        let new = flat(&json!({ "a": 1, "b": { "c": [2], "token": "y" }, "n": 2 }));
        let found: Vec<_> = differences(&old, &new)
            .into_iter()
            .map(|change| (change.key, change.old, change.new))
            .collect();
        let expected = [
            ("b.c".to_owned(), json!([1]), json!([2])),
            ("b.token".to_owned(), json!("***"), json!("***")),
            ("gone".to_owned(), json!(true), json!(null)),
            ("n".to_owned(), json!(null), json!(2)),
        ];
        assert_eq!(found, expected);
    }
}
