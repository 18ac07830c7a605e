//! The contract between an embedder's actor and the runtime.

use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_journal::ActorId;

use super::{Command, Event, Live};

/// State that is the fold of its events.
///
/// # Contract
/// * [`Handle::handle`] sees state, command and [`Live`]: no I/O, no clock of its own. After a crash
///   it may be asked again by a caller that was never answered.
/// * `apply` accepts every event that any released version journalled. It is total and deterministic:
///   recovery calls nothing else.
/// * What leaves the actor (reply, effect) leaves after the events are durable, never before.
///
/// | you do | the runtime does |
/// | --- | --- |
/// | return `Ok` after emitting | journals all of it at once, then replies |
/// | return `Ok` without emitting | replies once everything the answer rests on is durable |
/// | return `Err(rejection)` | replies with it; journals nothing |
/// | return `Err` after emitting | journals nothing, answers `Failed`, rebuilds the actor: a bug |
/// | panic | journals nothing, answers `Failed`, rebuilds the actor from the journal |
/// | panic again and again | holds the mailbox for a while, then sets the actor aside: [`Node::quarantine`](crate::Node::quarantine) |
/// | panic in a `Drop` | logs it; one while another panic is under way ends the process, as Rust has it |
pub trait StatefulActor: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// Stable name of this kind of actor, as it is journalled. Never derived from a Rust type name.
    const KIND: &'static str;

    /// Version of the state's serialised shape. Raise it when old snapshots no longer fit: they are
    /// then ignored and the state is replayed from its events.
    const STATE_VERSION: u32 = 1;

    /// Everything that can happen to it: an enum with `#[derive(Event)]`.
    type Event: Event;

    /// The state before the first event.
    fn new(id: &ActorId) -> Self;

    /// Takes one event into the state.
    fn apply(&mut self, event: &Self::Event);
}

/// How an actor answers one command.
pub trait Handle<C: Command>: StatefulActor {
    /// Decides: emits events, schedules, runs effects, and answers; or rejects and does none of it.
    ///
    /// # Errors
    /// The command's own rejection: state and journal are untouched.
    fn handle(live: &mut Live<'_, Self>, command: C) -> Result<C::Reply, C::Rejection>;
}
