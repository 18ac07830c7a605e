//! Actors side by side: one that fails, is slow, or is of a kind with workers or a priority of its own,
//! takes nothing from the others.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, AskError, Command, Event, Handle, Live, Never, Node, NodeBuilder, Priority,
    StatefulActor,
};

use crate::fragile::{Fragile, Said, Say, fragile, id};
use crate::probe::{Do, Probe, note, notes, start_with, with_probe};
use crate::world::{Gate, Hands, eventually, pass, send};

/// Actors in the isolation test.
const ACTORS: usize = 1_000;

async fn say_to_all(node: &Node, text: &str) -> (usize, usize) {
    let mut asking = tokio::task::JoinSet::new();
    for key in 0..ACTORS {
        let actor = node.actor::<Fragile<2>>(&key.to_string());
        let text = text.to_owned();
        asking.spawn(async move { actor.ask(Say(text)).await });
    }
    let (mut answered, mut refused) = (0, 0);
    while let Some(answer) = asking.join_next().await {
        match answer.unwrap() {
            Ok(_) => answered += 1,
            Err(AskError::Quarantined { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    (answered, refused)
}

#[tokio::test]
async fn one_poisoned_actor_of_a_thousand_takes_nothing_from_the_others() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let bad = node.actor::<Fragile<1>>("500");
    bad.ask(Say("poison".to_owned())).await.unwrap();
    drop(node);

    let node = fragile::<2>(&storage, &clock).start().await.unwrap();
    for round in 0..20 {
        let answered = say_to_all(&node, &round.to_string()).await;
        assert_eq!(answered, (ACTORS - 1, 1), "round {round}");
    }
    let aside = node.quarantine().list().await.unwrap();
    let aside: Vec<&ActorId> = aside.iter().map(|found| &found.actor).collect();
    assert_eq!(aside, [&id("500")]);

    node.quarantine().skip(&id("500")).await.unwrap();
    assert_eq!(say_to_all(&node, "last").await, (ACTORS, 0));
    let rounds: Vec<String> = (0..20).map(|round| round.to_string()).collect();
    for key in 0..ACTORS {
        let said = node.actor::<Fragile<2>>(&key.to_string()).ask(Said).await;
        let mut expected = if key == 500 { vec![] } else { rounds.clone() };
        expected.push("last".to_owned());
        assert_eq!(said, Ok(expected), "actor {key}");
    }
}

static ORDER: AtomicU64 = AtomicU64::new(0);

/// Draws the next number when it is handled: its place among all.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Draw;

/// Stops at a gate.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Stop(u64);

#[derive(Event)]
enum NoEvent {}

/// Actors of three kinds that differ in their priority, or in whose workers they use.
macro_rules! kind {
    ($name:ident, $kind:literal) => {
        #[derive(Default, Serialize, Deserialize)]
        struct $name;

        impl StatefulActor for $name {
            const KIND: &'static str = $kind;
            type Event = NoEvent;

            fn new(_: &ActorId) -> Self {
                Self
            }

            fn apply(&mut self, event: &NoEvent) {
                match *event {}
            }
        }

        impl Handle<Draw> for $name {
            fn handle(_: &mut Live<'_, Self>, _: Draw) -> Result<u64, Never> {
                Ok(ORDER.fetch_add(1, Ordering::SeqCst))
            }
        }

        impl Handle<Stop> for $name {
            fn handle(_: &mut Live<'_, Self>, Stop(gate): Stop) -> Result<(), Never> {
                pass(gate);
                Ok(())
            }
        }
    };
}

kind!(Urgent, "urgent");
kind!(Usual, "usual");
kind!(Background, "background");

async fn draw<A: Handle<Draw>>(node: &Node, key: &str) -> tokio::task::JoinHandle<u64> {
    let actor = node.actor::<A>(key);
    // In memory already, so that only turns are compared.
    let asked = tokio::spawn(async move { actor.ask(Draw).await.unwrap() });
    tokio::task::yield_now().await;
    asked
}

#[tokio::test]
async fn urgent_actors_have_their_turns_first_and_nobody_starves() {
    let node = NodeBuilder::from(MemoryStorage::new())
        .config(|config| config.workers = NonZeroUsize::MIN)
        .register::<Urgent>(|kind| kind.priority(Priority::High))
        .register::<Usual>(|kind| kind)
        .register::<Background>(|kind| kind.priority(Priority::Low))
        .start()
        .await
        .unwrap();
    let keys: Vec<String> = (0..64).map(|key| key.to_string()).collect();
    for key in &keys {
        node.actor::<Urgent>(key).ask(Draw).await.unwrap();
        node.actor::<Usual>(key).ask(Draw).await.unwrap();
        node.actor::<Background>(key).ask(Draw).await.unwrap();
    }
    let gate = Gate::closed();
    let holder = node.actor::<Usual>("holder");
    let standing = send(holder.ask(Stop(gate.number()))).await;
    gate.reached();
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for key in &keys {
        low.push(draw::<Background>(&node, key).await);
    }
    for key in &keys {
        high.push(draw::<Urgent>(&node, key).await);
    }
    gate.open();
    standing.await.unwrap();
    let mut places = (Vec::new(), Vec::new());
    for asked in low {
        places.0.push(asked.await.unwrap());
    }
    for asked in high {
        places.1.push(asked.await.unwrap());
    }
    // All are answered, and those who came last overtook those who came first.
    let last_urgent = places.1.iter().max().unwrap();
    let behind = places.0.iter().filter(|place| *place > last_urgent).count();
    assert!(behind >= 32, "only {behind} of 64 were overtaken");
    assert!(
        places.0.is_sorted() && places.1.is_sorted(),
        "within a class first come is first served"
    );
}

#[tokio::test]
async fn a_kind_with_workers_of_its_own_is_not_held_up_by_others() {
    let build = |storage: &MemoryStorage| {
        with_probe(NodeBuilder::from(storage.clone()))
            .register::<Urgent>(|kind| kind.workers(NonZeroUsize::MIN))
    };
    let node = build(&MemoryStorage::new()).start().await.unwrap();
    let gate = Gate::closed();
    let probe = node.actor::<Probe>("a");
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    node.actor::<Urgent>("a").ask(Draw).await.unwrap();
    // In another space it is among the others.
    let elsewhere = node.actor_in::<Urgent>("elsewhere", "a");
    let waiting = send(elsewhere.ask(Draw)).await;
    gate.open();
    standing.await.unwrap();
    waiting.await.unwrap();
}

/// Whoever asks for a name, as whatever kind, must reach the same worker: there is one mailbox.
#[tokio::test]
async fn a_name_asked_for_as_two_kinds_has_one_worker() {
    let storage = MemoryStorage::new();
    let node = with_probe(NodeBuilder::from(storage))
        .register::<Urgent>(|kind| kind.workers(NonZeroUsize::new(2).unwrap()))
        .start()
        .await
        .unwrap();
    for key in 0..20 {
        let key = key.to_string();
        let probe = node.actor_in::<Probe>("urgent", &key);
        assert_eq!(probe.ask(note("mine")).await, Ok(1));
        let other = node.actor_in::<Urgent>("urgent", &key).ask(Draw).await;
        assert!(matches!(other, Err(AskError::Failed { .. })), "{other:?}");
        assert_eq!(notes(&probe).await, ["mine"]);
    }
}

#[tokio::test]
async fn slow_handlers_are_counted_by_name() {
    let clock = Hands::default();
    let node = start_with(&MemoryStorage::new(), |builder| {
        builder.clock(clock.clone())
    })
    .await;
    let gate = Gate::closed();
    let probe = node.actor::<Probe>("a");
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    clock.advance(Duration::from_millis(51));
    gate.open();
    standing.await.unwrap();
    let counted = "steadfast_slow_handlers_total{kind=\"probe\",command=\"do\"} 1";
    eventually("it is counted", async || node.metrics().contains(counted)).await;
}

/// Goes off when it is dropped on a thread that is armed: that of a worker.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic while one is under way would end the process.
        assert!(std::thread::panicking() || !ARMED.get(), "dropped");
    }
}

thread_local! {
    static ARMED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Its state, commands and replies cannot be dropped in peace.
#[derive(Serialize, Deserialize)]
struct Grudging {
    bomb: Bomb,
}

#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Bomb)]
struct Provoke {
    bomb: Bomb,
    fail: bool,
}

/// From now on what is dropped on the worker's thread goes off.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Arm(bool);

impl StatefulActor for Grudging {
    const KIND: &'static str = "grudging";
    type Event = NoEvent;

    fn new(_: &ActorId) -> Self {
        Self { bomb: Bomb }
    }

    fn apply(&mut self, event: &NoEvent) {
        match *event {}
    }
}

impl Handle<Provoke> for Grudging {
    fn handle(live: &mut Live<'_, Self>, provoke: Provoke) -> Result<Bomb, Never> {
        let armed = ARMED.replace(false);
        let bomb = live.bomb.clone();
        let fail = provoke.fail;
        drop(provoke);
        ARMED.set(armed);
        // Then what is left to drop is the state.
        assert!(!fail, "as asked");
        Ok(bomb)
    }
}

impl Handle<Arm> for Grudging {
    fn handle(_: &mut Live<'_, Self>, Arm(armed): Arm) -> Result<(), Never> {
        ARMED.set(armed);
        Ok(())
    }
}

#[tokio::test]
async fn a_drop_that_panics_does_not_take_the_worker_down() {
    let node = with_probe(NodeBuilder::from(MemoryStorage::new()))
        .register::<Grudging>(|kind| kind)
        .start()
        .await
        .unwrap();
    let grudging = node.actor::<Grudging>("a");
    let provoke = |fail| Provoke { bomb: Bomb, fail };
    grudging.ask(Arm(true)).await.unwrap();
    // The state, when its actor is rebuilt.
    let failed = grudging.ask(provoke(true)).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    // The answer nobody waits for.
    grudging.tell(provoke(false)).await.unwrap();
    // The command that is not handled, and its answer.
    let (gate, probe) = (Gate::closed(), node.actor::<Probe>("a"));
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let late = grudging
        .ask(provoke(false))
        .deadline(Duration::from_millis(1));
    assert_eq!(late.await, Err(AskError::Expired));
    gate.open();
    standing.await.unwrap();
    grudging.ask(Arm(false)).await.unwrap();
    assert_eq!(
        notes(&probe).await,
        Vec::<String>::new(),
        "the worker lives"
    );
    grudging.ask(Arm(true)).await.unwrap();
    // All states, at the end.
    node.shutdown().await.unwrap();
}
