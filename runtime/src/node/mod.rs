//! A node: one data directory, its threads, and the ways in.

mod actor_ref;
mod answering;
mod builder;
mod effects;
mod ending;
mod flow;
mod handle;
mod hooks;
mod json;
mod keeper;
mod lane;
mod loader;
mod look;
mod mail;
mod permits;
mod pulse;
mod quarantine;
mod quiet;
mod recovery;
mod routes;
mod shared;
mod snapshots;
mod start;
mod tasks;
mod threads;
mod timers;

pub use actor_ref::{ActorRef, Ask};
pub use answering::Answering;
pub use builder::NodeBuilder;
pub(crate) use effects::EffectJob;
pub use handle::{ActorHealth, Node};
pub(crate) use hooks::{Activity, Hooks, Lent, Witness};
pub use json::{InvalidCommand, JsonAsk};
pub use look::{NodeTotals, SnapshotTaken, Vitals};
pub(crate) use mail::{Letters, MailPage};
pub use quarantine::{QuarantineControl, Quarantined};
pub(crate) use recovery::{Held, PER_WORKER, RecoveryJob};
pub(crate) use shared::Shared;
pub(crate) use snapshots::Room;
pub(crate) use tasks::Turns;

use crate::host::Priority;
use crate::worker::Ready;
