//! Stateful actors with event sourcing: what a node acknowledged survives `kill -9`.
//!
//! # Layout
//! * The model, which embedders implement: [`StatefulActor`], [`Handle`], [`Live`], [`Command`], [`Event`],
//!   [`Effect`].
//! * The node, which runs it: [`Node`], [`NodeBuilder`], [`ActorRef`], [`Config`].
//! * Looking at what is durable: [`Inspector`].

#[cfg(test)]
extern crate self as steadfast;

mod config;
mod core;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod inspect;
mod memory;
mod metrics;
mod model;
mod node;
mod resources;
pub mod testkit;
mod worker;

pub use config::Config;
pub use error::{AskError, NodeError};
pub use host::{KindBuilder, Priority};
pub use inspect::{
    ActorSummary, Against, CommandView, Divergence, EffectView, EventView, Inspector,
    PendingCounts, PendingView, Replay, SnapshotView, StateView, TimerView,
};
pub use model::{
    Address, AfterCrash, BootId, CatchUp, Clock, Command, Cron, CronError, Done, Effect,
    EffectClass, EffectContext, EffectError, EffectId, Event, EventError, Fired, Handle, Live,
    Never, Outcome, Reconciled, RetryPolicy, Returned, Sleep, StatefulActor, SystemClock, Timer,
    Timestamp,
};
pub use node::{
    ActorHealth, ActorRef, Answering, Ask, InvalidCommand, JsonAsk, Node, NodeBuilder, NodeTotals,
    QuarantineControl, Quarantined, SnapshotTaken, Vitals,
};
pub use steadfast_journal as journal;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub use steadfast_journal::failpoints;
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub use steadfast_journal::mutants;
pub use steadfast_journal::{ActorId, InvalidActorId, SequenceNumber};
pub use steadfast_macros::{Command, Event};

/// The Rust of the book is compiled and run with the tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/concepts.md")]
    mod concepts {}
    #[doc = include_str!("../../docs/embedding.md")]
    mod embedding {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
}

/// What the derives expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use {rmp_serde, serde, serde_json};
}
