//! An actor that fails where a test wants it to: its commands while a switch is on, its events in
//! another version of the program.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, AskError, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live,
    Never, Node, NodeBuilder, Quarantined, StatefulActor,
};

use crate::world::{Hands, eventually};

/// While it is on, those who look at it panic.
pub(crate) struct Switch(u64);

static NEXT: AtomicU64 = AtomicU64::new(1);
static ON: LazyLock<Mutex<HashSet<u64>>> = LazyLock::new(Mutex::default);
static LOOKS: LazyLock<Mutex<HashMap<u64, u32>>> = LazyLock::new(Mutex::default);

impl Switch {
    pub(crate) fn on() -> Self {
        let switch = Self(NEXT.fetch_add(1, Ordering::Relaxed));
        switch.set(true);
        switch
    }

    pub(crate) fn number(&self) -> u64 {
        self.0
    }

    pub(crate) fn off(&self) {
        self.set(false);
    }

    pub(crate) fn set(&self, on: bool) {
        let mut all = ON.lock().unwrap_or_else(PoisonError::into_inner);
        if on {
            all.insert(self.0);
        } else {
            all.remove(&self.0);
        }
    }

    /// How often somebody looked at it.
    pub(crate) fn looks(&self) -> u32 {
        let looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&self.0).copied().unwrap_or(0)
    }
}

fn look_at(switch: u64) {
    *LOOKS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(switch)
        .or_default() += 1;
    let on = ON
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(&switch);
    assert!(!on, "the switch is on");
}

#[derive(Event)]
#[event(prefix = "fragile.")]
pub(crate) enum FragileEvent {
    Said { text: String },
}

/// Keeps what was said. Version 2 of the program cannot apply what contains "poison".
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Fragile<const VERSION: u32> {
    said: Vec<String>,
}

impl<const VERSION: u32> StatefulActor for Fragile<VERSION> {
    const KIND: &'static str = "fragile";
    type Event = FragileEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &FragileEvent) {
        let FragileEvent::Said { text } = event;
        self.said.push(text.clone());
        assert!(VERSION == 1 || !text.contains("poison"), "{text}");
    }
}

/// Says something; tells how much was said.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = usize)]
pub(crate) struct Say(pub(crate) String);

impl<const VERSION: u32> Handle<Say> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, Say(text): Say) -> Result<usize, Never> {
        live.emit(FragileEvent::Said { text });
        Ok(live.said.len())
    }
}

/// What was said.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Vec<String>)]
pub(crate) struct Said;

impl<const VERSION: u32> Handle<Said> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, _: Said) -> Result<Vec<String>, Never> {
        Ok(live.said.clone())
    }
}

/// Looks at a switch, then says something.
#[derive(Debug, Clone, Serialize, Deserialize, Command)]
#[command(name = "look", rejection = String)]
pub(crate) struct Look {
    pub(crate) switch: u64,
    pub(crate) text: String,
}

pub(crate) fn look(switch: &Switch, text: &str) -> Look {
    Look {
        switch: switch.number(),
        text: text.to_owned(),
    }
}

impl<const VERSION: u32> Handle<Look> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, look: Look) -> Result<(), String> {
        look_at(look.switch);
        if look.text == "reject" {
            return Err("no".to_owned());
        }
        live.emit(FragileEvent::Said { text: look.text });
        Ok(())
    }
}

/// Has a timer look at a switch, once or again and again.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct LookLater {
    pub(crate) timer: String,
    pub(crate) delay: Duration,
    pub(crate) again: bool,
    pub(crate) look: Look,
}

impl<const VERSION: u32> Handle<LookLater> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, later: LookLater) -> Result<(), Never> {
        if later.again {
            live.every(&later.timer, later.delay, later.look);
        } else {
            live.after(&later.timer, later.delay, later.look);
        }
        Ok(())
    }
}

/// Has the handler of an effect's outcome look at a switch.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct RunAndLook(pub(crate) Look);

impl<const VERSION: u32> Handle<RunAndLook> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, RunAndLook(look): RunAndLook) -> Result<(), Never> {
        live.run(Errand(look));
        Ok(())
    }
}

/// An effect that is counted by the world.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Errand(Look);

/// How many errands ran.
#[derive(Clone, Default)]
pub(crate) struct Errands(pub(crate) std::sync::Arc<AtomicU64>);

impl Effect for Errand {
    const NAME: &'static str = "errand";
    type Output = ();

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        cx.resource::<Errands>()?.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl<const VERSION: u32> Handle<Done<Errand>> for Fragile<VERSION> {
    fn handle(live: &mut Live<'_, Self>, done: Done<Errand>) -> Result<(), Never> {
        look_at(done.effect.0.switch);
        live.emit(FragileEvent::Said {
            text: done.effect.0.text,
        });
        Ok(())
    }
}

/// A builder with one worker and a clock moved by hand.
pub(crate) fn fragile<const VERSION: u32>(storage: &MemoryStorage, clock: &Hands) -> NodeBuilder {
    NodeBuilder::from(storage.clone())
        .config(|config| config.workers = NonZeroUsize::MIN)
        .clock(clock.clone())
        .resource(Errands::default())
        .register::<Fragile<VERSION>>(|kind| {
            kind.command::<Look>()
                .command::<LookLater>()
                .effect::<Errand>()
        })
}

pub(crate) fn id(key: &str) -> ActorId {
    ActorId::new("fragile", key).unwrap()
}

pub(crate) async fn said<const VERSION: u32>(node: &Node, key: &str) -> Vec<String> {
    let actor = node.actor::<Fragile<VERSION>>(key);
    actor.ask(Said).await.unwrap()
}

/// Moves the clock until the actor is set aside.
pub(crate) async fn until_set_aside(node: &Node, clock: &Hands, key: &str) -> Quarantined {
    let id = id(key);
    eventually("it is set aside", async || {
        clock.pass(Duration::from_secs(1), node).await;
        node.quarantine().show(&id).await.is_ok()
    })
    .await;
    node.quarantine().show(&id).await.unwrap()
}

/// Moves the clock until the actor has said this.
pub(crate) async fn until_said(node: &Node, clock: &Hands, key: &str, expected: &[&str]) {
    let actor = node.actor::<Fragile<1>>(key);
    eventually("it is said", async || {
        clock.pass(Duration::from_secs(1), node).await;
        actor.ask(Said).await.is_ok_and(|said| said == expected)
    })
    .await;
}

/// What a caller is told.
#[track_caller]
pub(crate) fn quarantined<T: std::fmt::Debug, R: std::fmt::Debug>(
    answer: Result<T, AskError<R>>,
) -> (String, u64) {
    match answer {
        Err(AskError::Quarantined { reason, seq }) => (reason, seq),
        other => panic!("not in quarantine: {other:?}"),
    }
}
