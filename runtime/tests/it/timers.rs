//! Timers are durable, never early, and tell what was missed.

use std::time::Duration;

use steadfast::journal::MemoryStorage;
use steadfast::{ActorRef, Node};

use crate::probe::{Do, Notes, Probe, notes, start, start_with};
use crate::world::{Hands, eventually, pause, send};

const SECOND: Duration = Duration::from_secs(1);

fn after(timer: &str, delay: Duration, text: &str) -> Do {
    Do::After {
        timer: timer.to_owned(),
        delay,
        text: text.to_owned(),
    }
}

fn every(timer: &str, period: Duration, text: &str) -> Do {
    Do::Every {
        timer: timer.to_owned(),
        period,
        text: text.to_owned(),
    }
}

async fn start_at(storage: &MemoryStorage, hands: &Hands) -> (Node, ActorRef<Probe>) {
    let clock = hands.clone();
    let node = start_with(storage, |builder| builder.clock(clock)).await;
    let probe = node.actor("a");
    (node, probe)
}

async fn noted(probe: &ActorRef<Probe>, expected: &[&str]) {
    eventually(&format!("notes {expected:?}"), async || {
        notes(probe).await == expected
    })
    .await;
}

#[tokio::test]
async fn by_the_systems_clock() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    probe
        .ask(after("t", Duration::from_millis(1), "tick"))
        .await
        .unwrap();
    noted(&probe, &["tick from t, missed 0"]).await;
}

#[tokio::test]
async fn fires_once_and_not_before_it_is_due() {
    let hands = Hands::default();
    let (node, probe) = start_at(&MemoryStorage::new(), &hands).await;
    probe.ask(after("t", 10 * SECOND, "tick")).await.unwrap();
    hands.pass(9 * SECOND, &node).await;
    assert_eq!(notes(&probe).await, Vec::<String>::new());
    hands.pass(SECOND, &node).await;
    noted(&probe, &["tick from t, missed 0"]).await;
    hands.pass(100 * SECOND, &node).await;
    assert_eq!(notes(&probe).await.len(), 1);
}

#[tokio::test]
async fn repeats_and_counts_what_it_missed() {
    let hands = Hands::default();
    let (node, probe) = start_at(&MemoryStorage::new(), &hands).await;
    probe.ask(every("t", 10 * SECOND, "tick")).await.unwrap();
    let mut expected = Vec::new();
    for (passed, missed) in [(10, 0), (10, 0), (35, 2), (5, 0)] {
        hands.pass(passed * SECOND, &node).await;
        expected.push(format!("tick from t, missed {missed}"));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        noted(&probe, &expected).await;
    }
    hands.pass(9 * SECOND, &node).await;
    assert_eq!(
        notes(&probe).await.len(),
        4,
        "the next one is due after ten seconds"
    );
}

#[tokio::test]
async fn cancelling_and_replacing() {
    let hands = Hands::default();
    let (node, probe) = start_at(&MemoryStorage::new(), &hands).await;
    probe.ask(after("gone", 10 * SECOND, "gone")).await.unwrap();
    probe
        .ask(every("gone too", SECOND, "gone too"))
        .await
        .unwrap();
    probe
        .ask(after("moved", 10 * SECOND, "early"))
        .await
        .unwrap();
    for timer in ["gone", "gone too", "never set"] {
        probe
            .ask(Do::Cancel {
                timer: timer.to_owned(),
            })
            .await
            .unwrap();
    }
    probe
        .ask(after("moved", 30 * SECOND, "late"))
        .await
        .unwrap();
    hands.pass(29 * SECOND, &node).await;
    assert_eq!(notes(&probe).await, Vec::<String>::new());
    hands.pass(SECOND, &node).await;
    noted(&probe, &["late from moved, missed 0"]).await;
}

/// The cancelling comes first in the mailbox, though the timer was due before it was handled.
#[tokio::test]
async fn cancel_wins_where_it_came_first() {
    let (storage, hands) = (MemoryStorage::new(), Hands::default());
    let (node, probe) = start_at(&storage, &hands).await;
    probe.ask(after("t", SECOND, "tick")).await.unwrap();
    let paused = pause(&storage);
    let cancelled = send(probe.ask(Do::Cancel {
        timer: "t".to_owned(),
    }))
    .await;
    assert_eq!(probe.ask(Notes).dirty_ok().await, Ok(Vec::new()));
    hands.pass(SECOND, &node).await;
    paused.resume();
    assert_eq!(cancelled.await, Ok(()));
    hands.pass(SECOND, &node).await;
    assert_eq!(notes(&probe).await, Vec::<String>::new());
}

#[tokio::test]
async fn over_a_restart_they_tell_what_was_missed() {
    let (storage, hands) = (MemoryStorage::new(), Hands::default());
    for clean in [true, false] {
        let had = {
            let (node, probe) = start_at(&storage, &hands).await;
            let had = notes(&probe).await.len();
            probe
                .ask(every("every", 10 * SECOND, "tick"))
                .await
                .unwrap();
            probe.ask(after("once", 10 * SECOND, "once")).await.unwrap();
            probe
                .ask(after("later", 60 * SECOND, "later"))
                .await
                .unwrap();
            if clean {
                node.shutdown().await.unwrap();
            }
            had
        };
        hands.advance(35 * SECOND);
        let (node, probe) = start_at(&storage, &hands).await;
        eventually("two timers fire", async || {
            notes(&probe).await.len() == had + 2
        })
        .await;
        let mut fired = notes(&probe).await.split_off(had);
        fired.sort();
        assert_eq!(
            fired,
            ["once from once, missed 0", "tick from every, missed 2"]
        );
        hands.pass(5 * SECOND, &node).await;
        eventually("the next tick", async || {
            notes(&probe).await.len() == had + 3
        })
        .await;
        assert_eq!(
            notes(&probe).await.pop().unwrap(),
            "tick from every, missed 0"
        );
        for timer in ["every", "later"] {
            probe
                .ask(Do::Cancel {
                    timer: timer.to_owned(),
                })
                .await
                .unwrap();
        }
        node.shutdown().await.unwrap();
    }
    hands.advance(1_000 * SECOND);
    let (_node, probe) = start_at(&storage, &hands).await;
    assert_eq!(notes(&probe).await.len(), 6, "nothing is pending any more");
}

#[tokio::test]
async fn a_passivated_actor_comes_back_for_its_timer() {
    let hands = Hands::default();
    let (node, probe) = start_at(&MemoryStorage::new(), &hands).await;
    probe.ask(after("t", SECOND, "tick")).await.unwrap();
    probe
        .ask(Do::NoteAndLeave("leaving".to_owned()))
        .await
        .unwrap();
    eventually("the actor leaves memory", async || {
        node.health().await.is_empty()
    })
    .await;
    hands.pass(SECOND, &node).await;
    noted(&probe, &["leaving", "tick from t, missed 0"]).await;
}
