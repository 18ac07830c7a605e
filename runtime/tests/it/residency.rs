//! Memory: who stays, who leaves, who comes back first, and recoveries that take long.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, AskError, Command, Event, Handle, Live, Never, Node, NodeBuilder, StatefulActor,
};

use crate::probe::{Probe, note, notes, start, start_with};
use crate::world::{Gate, Hands, eventually, pass, send};

/// A figure among the node's metrics; 0 where it was never counted.
fn figure(node: &Node, name: &str) -> u64 {
    let text = node.metrics();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// About what one probe with a note of 1,000 bytes is estimated at: 1 KiB and twice its encoded form.
const ONE: usize = 3_300;

#[tokio::test]
async fn a_budget_for_ten_of_a_thousand_actors_is_kept_and_every_answer_is_right() {
    for snapshot_every in [0, 5] {
        let storage = MemoryStorage::new();
        let node = start_with(&storage, |builder| {
            builder.config(|config| {
                config.resident_bytes = 10 * ONE;
                config.snapshot_every = snapshot_every;
            })
        })
        .await;
        let text = |actor: usize, round: usize| format!("{actor}-{round}-{}", "x".repeat(450));
        for round in 0..2 {
            for actor in 0..1_000 {
                let probe = node.actor::<Probe>(&actor.to_string());
                assert_eq!(probe.ask(note(&text(actor, round))).await, Ok(round + 1));
                let resident = figure(&node, "steadfast_resident_bytes");
                // The one that was just asked may not have had its commit settled yet.
                assert!(resident <= 12 * ONE as u64, "{resident} bytes in memory");
            }
        }
        for actor in (0..1_000).rev() {
            let probe = node.actor::<Probe>(&actor.to_string());
            assert_eq!(notes(&probe).await, [text(actor, 0), text(actor, 1)]);
        }
        let evicted = figure(&node, "steadfast_evictions_total");
        assert!(evicted > 2_900, "{evicted} actors left");
        let here = figure(&node, "steadfast_actors");
        assert!((1..=20).contains(&here), "{here} actors are in memory");
    }
}

#[tokio::test]
async fn those_used_last_stay() {
    let clock = Hands::default();
    let node = start_with(&MemoryStorage::new(), |builder| {
        builder
            .clock(clock.clone())
            .config(|config| config.resident_bytes = 40 * ONE)
    })
    .await;
    let text = "x".repeat(1_000);
    let often = node.actor::<Probe>("often");
    often.ask(note(&text)).await.unwrap();
    for actor in 0..500 {
        clock.advance(Duration::from_millis(1));
        let probe = node.actor::<Probe>(&actor.to_string());
        probe.ask(note(&text)).await.unwrap();
        clock.advance(Duration::from_millis(1));
        assert_eq!(notes(&often).await.len(), 1);
    }
    let brought = figure(&node, "steadfast_replay_duration_seconds_count");
    assert_eq!(
        brought, 501,
        "each came once, and the one used often never left"
    );
}

/// Actors that leave before they have written enough for a snapshot would be replayed from the start, again
/// and again.
#[tokio::test]
async fn an_actor_that_was_only_replayed_is_saved_when_it_leaves() {
    let storage = MemoryStorage::new();
    let node = start_with(&storage, |builder| {
        builder.config(|config| config.snapshot_every = 0)
    })
    .await;
    for number in 0..100 {
        let probe = node.actor::<Probe>("a");
        probe.ask(note(&number.to_string())).await.unwrap();
    }
    drop(node);
    let node = start_with(&storage, |builder| {
        builder.config(|config| {
            config.resident_bytes = ONE;
            config.snapshot_every = 200;
        })
    })
    .await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(notes(&probe).await.len(), 100);
    let replayed = figure(&node, "steadfast_replay_events_total");
    assert_eq!(replayed, 100);
    eventually("it is found saved", async || {
        for other in ["b", "c"] {
            notes(&node.actor(other)).await;
            node.actor::<Probe>(other)
                .ask(note(&"x".repeat(2_000)))
                .await
                .unwrap();
        }
        let before = figure(&node, "steadfast_replay_duration_seconds_count");
        let events = figure(&node, "steadfast_replay_events_total");
        assert_eq!(notes(&probe).await.len(), 100);
        let came_back = figure(&node, "steadfast_replay_duration_seconds_count") > before;
        came_back && figure(&node, "steadfast_replay_events_total") == events
    })
    .await;
}

#[tokio::test]
async fn warming_brings_actors_into_memory_before_they_are_asked() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    for actor in 0..100 {
        let probe = node.actor::<Probe>(&actor.to_string());
        probe.ask(note("x")).await.unwrap();
    }
    node.shutdown().await.unwrap();
    let node = start(&storage).await;
    let ids = (0..200).map(|actor| ActorId::new("probe", &actor.to_string()).unwrap());
    assert_eq!(
        node.warm(ids).await.unwrap(),
        100,
        "the others are not there"
    );
    let brought = || figure(&node, "steadfast_replay_duration_seconds_count");
    eventually("they are in memory", async || brought() == 100).await;
    assert_eq!(notes(&node.actor("7")).await, ["x"]);
    assert_eq!(brought(), 100, "it was there already");
}

#[tokio::test]
async fn warming_ends_where_the_budget_does() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let text = "x".repeat(1_000);
    for actor in 0..100 {
        let probe = node.actor::<Probe>(&actor.to_string());
        probe.ask(note(&text)).await.unwrap();
    }
    drop(node);
    let node = start_with(&storage, |builder| {
        builder.config(|config| config.resident_bytes = 20 * ONE)
    })
    .await;
    let ids = (0..100).map(|actor| ActorId::new("probe", &actor.to_string()).unwrap());
    node.warm(ids).await.unwrap();
    eventually("it has ended", async || {
        figure(&node, "steadfast_actors") >= 15
    })
    .await;
    for actor in 0..100 {
        assert_eq!(notes(&node.actor(&actor.to_string())).await.len(), 1);
    }
    assert!(figure(&node, "steadfast_resident_bytes") <= 22 * ONE as u64);
}

/// Its replay stops at a gate.
#[derive(Default, Serialize, Deserialize)]
struct Slow {
    events: u64,
}

#[derive(Event)]
#[event(prefix = "slow.")]
enum SlowEvent {
    /// Applying it again passes this gate.
    Passed { gate: u64 },
}

/// Emits so many events that pass the gate in a replay.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Emit {
    gate: u64,
    events: u64,
}

impl StatefulActor for Slow {
    const KIND: &'static str = "slow";
    type Event = SlowEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &SlowEvent) {
        let SlowEvent::Passed { gate } = event;
        let name = std::thread::current().name().unwrap_or("").to_owned();
        if name.starts_with("steadfast-recovery") {
            pass(*gate);
        }
        self.events += 1;
    }
}

impl Handle<Emit> for Slow {
    fn handle(live: &mut Live<'_, Self>, emit: Emit) -> Result<u64, Never> {
        for _ in 0..emit.events {
            live.emit(SlowEvent::Passed { gate: emit.gate });
        }
        Ok(live.events)
    }
}

fn slow(storage: &MemoryStorage, clock: &Hands) -> NodeBuilder {
    NodeBuilder::from(storage.clone())
        .config(|config| {
            config.workers = NonZeroUsize::MIN;
            config.snapshot_every = 0;
        })
        .clock(clock.clone())
        .register::<Slow>(|kind| kind)
}

/// A node with an actor `a` whose replay stops at the gate.
async fn with_gate(storage: &MemoryStorage, clock: &Hands, gate: &Gate, entries: u64) -> Node {
    let node = slow(storage, clock).start().await.unwrap();
    for _ in 0..entries {
        let emit = Emit {
            gate: gate.number(),
            events: 1,
        };
        node.actor::<Slow>("a").ask(emit).await.unwrap();
    }
    drop(node);
    slow(storage, clock).start().await.unwrap()
}

const NOTHING: Emit = Emit { gate: 0, events: 0 };

#[tokio::test]
async fn a_recovery_that_takes_long_is_counted_and_callers_give_up_in_time() {
    let (storage, clock, gate) = (MemoryStorage::new(), Hands::default(), Gate::closed());
    let node = with_gate(&storage, &clock, &gate, 1).await;
    let actor = node.actor::<Slow>("a");
    let waiting = send(actor.ask(NOTHING)).await;
    gate.reached();
    let late = actor.ask(NOTHING).deadline(Duration::from_millis(1)).await;
    assert_eq!(late, Err(AskError::Expired));
    assert_eq!(figure(&node, "steadfast_recovery_overdue_total"), 0);
    clock.advance(Duration::from_secs(31));
    eventually("it is counted", async || {
        figure(&node, "steadfast_recovery_overdue_total") == 1
    })
    .await;
    gate.open();
    assert_eq!(waiting.await, Ok(1));
}

#[tokio::test]
async fn the_end_of_a_node_does_not_wait_for_the_rest_of_a_replay() {
    let (storage, clock, gate) = (MemoryStorage::new(), Hands::default(), Gate::closed());
    let node = with_gate(&storage, &clock, &gate, 100).await;
    let actor = node.actor::<Slow>("a");
    let waiting = send(actor.ask(NOTHING)).await;
    gate.reached();
    let stopping = node.watch_stopping();
    let ending = std::thread::Builder::new()
        .spawn(move || drop(node))
        .unwrap();
    eventually("the node ends", async || *stopping.borrow()).await;
    assert_eq!(waiting.await, Err(AskError::Stopped));
    gate.open();
    ending.join().unwrap();
    // 100 entries were there, and whoever comes next finds them all.
    let node = slow(&storage, &clock).start().await.unwrap();
    assert_eq!(node.actor::<Slow>("a").ask(NOTHING).await, Ok(100));
}

/// With one recovery thread, which is busy: who comes to wait is served before who is only to be warm.
#[tokio::test]
async fn who_waits_comes_before_who_is_to_be_warm() {
    let (storage, clock, gate) = (MemoryStorage::new(), Hands::default(), Gate::closed());
    let node = slow(&storage, &clock).start().await.unwrap();
    let (open, warm) = (Gate::open_one(), Gate::closed());
    for key in ["b", "c", "d", "e", "f", "g"] {
        let gate = if key == "g" { &open } else { &warm }.number();
        let emit = Emit { gate, events: 1 };
        node.actor::<Slow>(key).ask(emit).await.unwrap();
    }
    drop(node);
    let node = with_gate(&storage, &clock, &gate, 1).await;
    let here = node.actor::<Slow>("here");
    here.ask(NOTHING).await.unwrap();
    let busy = node.actor::<Slow>("a");
    let busy = send(busy.ask(NOTHING)).await;
    gate.reached();
    let ids = ["b", "c", "d", "e", "f"].map(|key| ActorId::new("slow", key).unwrap());
    assert_eq!(node.warm(ids).await.unwrap(), 5);
    let wanted = node.actor::<Slow>("g");
    let wanted = send(wanted.ask(NOTHING)).await;
    // Who is answered came later: the one before is in its mailbox.
    here.ask(NOTHING).await.unwrap();
    gate.open();
    // Were a warming one first, it would stand at its gate now.
    assert_eq!((busy.await, wanted.await), (Ok(1), Ok(1)));
    warm.open();
    eventually("all are in memory", async || {
        figure(&node, "steadfast_replay_duration_seconds_count") == 8
    })
    .await;
    assert_eq!(node.quarantine().list().await.unwrap(), []);
}

#[tokio::test]
async fn recoveries_go_on_one_by_one_where_each_is_over_the_limit() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    for actor in 0..50 {
        let probe = node.actor::<Probe>(&actor.to_string());
        probe.ask(note(&"x".repeat(1_000))).await.unwrap();
    }
    drop(node);
    let node = start_with(&storage, |builder| {
        builder.config(|config| {
            config.workers = NonZeroUsize::new(3).unwrap();
            config.recovery_bytes = 1;
        })
    })
    .await;
    let mut asking = tokio::task::JoinSet::new();
    for actor in 0..50 {
        let probe = node.actor::<Probe>(&actor.to_string());
        asking.spawn(async move { notes(&probe).await.len() });
    }
    let all = asking.join_all().await;
    assert_eq!(all, vec![1; 50]);
}
