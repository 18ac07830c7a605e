//! A node: one data directory, its threads, and the ways in.

mod actor_ref;
mod builder;
mod effects;
mod handle;
mod keeper;
mod loader;
mod recovery;
mod shared;
mod snapshots;
mod threads;
mod timers;

pub use actor_ref::{ActorRef, Address, Ask};
pub use builder::NodeBuilder;
pub(crate) use effects::EffectJob;
pub use handle::{ActorHealth, Node};
pub(crate) use recovery::{PER_WORKER, RecoveryJob};
pub(crate) use shared::Shared;
