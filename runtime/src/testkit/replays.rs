//! The third law of a whole node: what each actor in memory is, is what its entries make of it.

use std::fmt;
use std::time::Duration;

use super::laws::Law;
use super::node::{TestNode, expect};
use crate::core::Kept;
use crate::error::NodeError;
use crate::model::Clock;
use crate::worker::Seen;

/// By how much a recovery may take a key for older than it is in memory.
const AGED: Duration = Duration::from_secs(3_600);

impl TestNode {
    /// Checks that what each actor in memory is, is what its entries make of it: replayed from zero, and from its
    /// snapshot on. That is its state, its numbers, its timers and effects, and the keys that it remembers. How many
    /// actors were compared: those in memory that have any entry. The node must be at rest;
    /// [`crash_everywhere`](super::crash_everywhere) does this by itself.
    #[track_caller]
    pub fn check_laws(&self) -> usize {
        let node = self.node();
        self.check_laws_of(self.block_on(node.seen()))
    }

    #[track_caller]
    pub(super) fn check_laws_of(&self, all: Vec<Seen>) -> usize {
        let node = self.node();
        let inspector = expect(node.inspect(), "reading states");
        let running = self.clock().running();
        let may_forget = running.saturating_add(AGED) >= node.key_window();
        let mut compared = 0;
        for seen in all {
            for (snapshots, how) in [
                (false, "all of its events"),
                (true, "its snapshot and tail"),
            ] {
                let recovered = match inspector.recovered(&seen.actor, snapshots) {
                    // It was looked at and has decided nothing.
                    Err(NodeError::NoActor { .. }) => continue,
                    recovered => expect(recovered, "recovering an actor"),
                };
                let core = recovered.resident.core();
                let replayed = Seen {
                    actor: seen.actor.clone(),
                    events: core.events,
                    state: recovered.resident.to_json().ok(),
                    kept: Kept::of(core, Duration::ZERO),
                };
                check_replay(&seen, replayed, may_forget, how);
                compared += usize::from(snapshots);
            }
        }
        compared
    }
}

#[track_caller]
fn check_replay(live: &Seen, mut replayed: Seen, may_forget: bool, how: &str) {
    let actor = &live.actor;
    if live.events != replayed.events {
        Law::Replay.broken(&format!(
            "{actor} has {} events in memory, and {} by {how}: a bug of steadfast, please report it",
            live.events, replayed.events
        ));
    }
    if live.state.is_some() && live.state != replayed.state {
        let shown = |state: &Option<serde_json::Value>| state.as_ref().map(ToString::to_string);
        Law::Replay.broken(&format!(
            "the state of {actor} in memory differs from what {how} make of it\nin memory: {}\nrecovered: {}",
            shown(&live.state).unwrap_or_default(),
            shown(&replayed.state).unwrap_or_default(),
        ));
    }
    let mut kept = live.kept.clone();
    if may_forget {
        kept.forget_as(&mut replayed.kept);
    }
    if kept != replayed.kept {
        broken_core(actor, &kept, &replayed.kept, how);
    }
}

#[track_caller]
fn broken_core(actor: &impl fmt::Display, live: &Kept, replayed: &Kept, how: &str) -> ! {
    Law::Replay.broken(&format!(
        "timers, effects, keys or numbers of {actor} differ from what {how} make of them: a bug of steadfast, please report it\nin memory: {live:?}\nrecovered: {replayed:?}"
    ))
}
