//! A node: one data directory, its threads, and the ways in.

mod actor_ref;
mod builder;
mod effects;
mod handle;
mod keeper;
mod quarantine;
mod recovery;
mod routes;
mod shared;
mod snapshots;
mod threads;

pub use actor_ref::{ActorRef, Address, Ask};
pub use builder::NodeBuilder;
pub(crate) use effects::EffectJob;
pub use handle::{ActorHealth, Node};
pub use quarantine::{QuarantineControl, Quarantined};
pub(crate) use recovery::{Held, PER_WORKER, RecoveryJob};
pub(crate) use shared::Shared;
