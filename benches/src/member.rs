//! An actor that counts what happened to it, in a program with a bug that comes and goes.
//!
//! With the bug [`POISONED`] and [`UNREADABLE`] panic at each command, and nobody can apply what [`Poison`]
//! emitted. All others do not notice.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};

/// Key of the actor whose handler has the bug.
pub const POISONED: &str = "poisoned";
/// Key of another; once it took [`Poison`], it cannot be replayed either.
pub const UNREADABLE: &str = "unreadable";
/// Start of the panics that are wanted.
pub const WANTED: &str = "poisoned:";

static BUG: AtomicBool = AtomicBool::new(false);

/// Whether the program has the bug from now on.
pub fn set_bug(bug: bool) {
    BUG.store(bug, Ordering::SeqCst);
}

fn has_bug() -> bool {
    BUG.load(Ordering::SeqCst)
}

/// What happens to a [`Member`].
#[derive(Debug, Event)]
pub enum MemberEvent {
    /// It counted.
    Counted,
    /// What the program with the bug cannot apply.
    Poisoned,
}

/// Counts what happened to it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Member {
    events: u64,
}

impl StatefulActor for Member {
    const KIND: &'static str = "member";
    type Event = MemberEvent;

    fn new(_: &ActorId) -> Self {
        Self { events: 0 }
    }

    fn apply(&mut self, event: &MemberEvent) {
        match event {
            MemberEvent::Counted => {}
            MemberEvent::Poisoned => assert!(!has_bug(), "{WANTED} in apply"),
        }
        self.events += 1;
    }
}

/// Counts once more, and tells how far that is.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Count;

impl Handle<Count> for Member {
    fn handle(member: &mut Live<'_, Self>, _: Count) -> Result<u64, Never> {
        let breaks = has_bug() && [POISONED, UNREADABLE].contains(&member.id().key());
        assert!(!breaks, "{WANTED} in handle");
        member.emit(MemberEvent::Counted);
        Ok(member.events)
    }
}

/// Emits what the program with the bug cannot apply.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub struct Poison;

impl Handle<Poison> for Member {
    fn handle(member: &mut Live<'_, Self>, _: Poison) -> Result<u64, Never> {
        member.emit(MemberEvent::Poisoned);
        Ok(member.events)
    }
}
