//! A keyed command takes effect once, however often it is asked.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::poll;
use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::testkit::TestNode;
use steadfast::{AskError, Command, Handle, Live, Never};

use crate::probe::{Do, Notes, Probe, ProbeEvent, note, notes, start, with_probe};
use crate::world::{pause, send};

#[tokio::test]
async fn a_retry_gets_the_same_reply() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
    assert_eq!(probe.ask(note("two")).await, Ok(2));
    assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
    assert_eq!(notes(&probe).await, ["one", "two"]);
}

#[tokio::test]
async fn a_key_stands_for_one_command() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
    assert_eq!(
        probe.ask(note("two")).key("k").await,
        Err(AskError::KeyReused)
    );
    let other = probe.ask(Do::NoteBytes(1)).key("k").await;
    assert_eq!(other, Err(AskError::KeyReused));
    assert_eq!(notes(&probe).await, ["one"]);
}

/// Notes how many different things were ordered.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = usize)]
struct Order {
    lines: HashMap<String, u32>,
}

impl Handle<Order> for Probe {
    fn handle(probe: &mut Live<'_, Self>, order: Order) -> Result<usize, Never> {
        let text = format!("{} lines", order.lines.len());
        probe.emit(ProbeEvent::Noted { text });
        Ok(order.lines.len())
    }
}

/// Regression: a command with a `HashMap` that was made anew for its retry iterated in another order, had another
/// fingerprint for it, and the retry was told `KeyReused`.
#[tokio::test]
async fn a_retry_is_known_though_its_map_iterates_in_another_order() {
    let node = TestNode::new(with_probe);
    let order = |lines: u32| Order {
        lines: (0..lines).map(|sku| (format!("sku-{sku}"), sku)).collect(),
    };
    for reopen in [false, true] {
        let probe = node.actor::<Probe>("a");
        for _ in 0..5 {
            assert_eq!(probe.ask(order(50)).key("order-77").await, Ok(50));
        }
        let other = probe.ask(order(51)).key("order-77").await;
        assert_eq!(other, Err(AskError::KeyReused));
        assert_eq!(notes(&probe).await, ["50 lines"]);
        if !reopen {
            node.reopen();
        }
    }
}

#[tokio::test]
async fn keys_belong_to_one_actor() {
    let node = start(&MemoryStorage::new()).await;
    assert_eq!(
        node.actor::<Probe>("a").ask(note("one")).key("k").await,
        Ok(1)
    );
    assert_eq!(
        node.actor::<Probe>("b").ask(note("two")).key("k").await,
        Ok(1)
    );
}

#[tokio::test]
async fn a_rejection_is_not_remembered() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    let rejected = probe.ask(Do::Reject).key("k").await;
    assert_eq!(rejected, Err(AskError::Rejected("no".to_owned())));
    assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
}

#[tokio::test]
async fn keys_outlive_a_restart() {
    let storage = MemoryStorage::new();
    for clean in [true, false] {
        let node = start(&storage).await;
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
        if clean {
            node.shutdown().await.unwrap();
        }
    }
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
    assert_eq!(
        probe.ask(note("two")).key("k").await,
        Err(AskError::KeyReused)
    );
    assert_eq!(notes(&probe).await, ["one"]);
}

#[tokio::test]
async fn keys_outlive_passivation() {
    for snapshot_every in [0, 1] {
        let node = TestNode::new(move |builder| {
            with_probe(builder).config(|config| config.snapshot_every = snapshot_every)
        });
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
        probe.ask(Do::NoteAndLeave("two".to_owned())).await.unwrap();
        node.settle().await.unwrap();
        assert!(node.node().health().await.is_empty());
        assert_eq!(probe.ask(note("one")).key("k").await, Ok(1));
        assert_eq!(notes(&probe).await, ["one", "two"]);
    }
}

/// Regression: the limit on how much a restart ages a key was applied to every recovery, so that a key
/// came back with most of its time whenever its actor had left memory.
#[tokio::test]
async fn a_key_expires_though_its_actor_left_memory() {
    let node = TestNode::new(with_probe);
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("daily")).key("k").await, Ok(1));
    probe.ask(Do::NoteAndLeave("two".to_owned())).await.unwrap();
    node.settle().await.unwrap();
    assert!(node.node().health().await.is_empty());
    let day = Duration::from_secs(24 * 3600);
    node.advance(day + Duration::from_secs(60)).await.unwrap();
    assert_eq!(probe.ask(note("daily")).key("k").await, Ok(3));
}

const HOUR: Duration = Duration::from_secs(3600);
const TWO_DAYS: Duration = Duration::from_secs(48 * 3600);

/// A node with a probe, which takes a snapshot whenever its actor leaves memory, or never.
fn probes(snapshots: bool) -> TestNode {
    TestNode::new(move |builder| {
        with_probe(builder).config(|config| config.snapshot_every = u64::from(snapshots))
    })
}

/// Its actor leaves memory, and the key's command is asked again.
async fn again_from_the_journal(node: &TestNode) -> usize {
    let probe = node.actor::<Probe>("a");
    let leave = Do::NoteAndLeave("something else".to_owned());
    probe.ask(leave).await.unwrap();
    node.settle().await.unwrap();
    assert!(node.node().health().await.is_empty());
    probe.ask(note("pay")).key("order-77").await.unwrap()
}

/// Regression: the node started while the wall clock was two days ahead, and then it was set right. What was written
/// from then on had a wall time before the start, was taken for an earlier life's, and aged by an hour more than
/// the node was up: after 23 hours a key of a moment ago was forgotten with its actor's next recovery.
#[tokio::test]
async fn a_wall_clock_that_is_set_back_forgets_no_key() {
    for snapshots in [false, true] {
        let node = probes(snapshots);
        node.clock().jump_wall_forward(TWO_DAYS);
        node.reopen();
        node.clock().jump_wall_back(TWO_DAYS);
        node.advance(30 * HOUR).await.unwrap();
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("pay")).key("order-77").await, Ok(1));
        assert_eq!(again_from_the_journal(&node).await, 1);
        node.advance(23 * HOUR).await.unwrap();
        assert_eq!(again_from_the_journal(&node).await, 1);
        node.advance(HOUR).await.unwrap();
        assert_eq!(again_from_the_journal(&node).await, 5, "its day is over");
    }
}

/// Regression: a node was up for days, and somebody set the wall clock ahead by more than one. Every key that was
/// written before was that much older at its actor's next recovery, also one of a minute ago.
#[tokio::test]
async fn a_wall_clock_that_is_set_ahead_forgets_no_key() {
    for snapshots in [false, true] {
        let node = probes(snapshots);
        node.advance(72 * HOUR).await.unwrap();
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("pay")).key("order-77").await, Ok(1));
        let leave = Do::NoteAndLeave("something else".to_owned());
        probe.ask(leave).await.unwrap();
        node.settle().await.unwrap();
        node.clock().jump_wall_forward(TWO_DAYS);
        let again = probe.ask(note("pay")).key("order-77").await;
        assert_eq!(again, Ok(1));
        // Nor does a restart age it by more than an hour, whatever the clocks say.
        node.crash();
        node.clock().jump_wall_forward(TWO_DAYS);
        node.reopen();
        assert_eq!(again_from_the_journal(&node).await, 1);
        node.advance(24 * HOUR).await.unwrap();
        assert_eq!(again_from_the_journal(&node).await, 5, "its day is over");
    }
}

/// Regression: a key that was taken by a command that is not durable yet was refused at once, on the
/// word of something that a crash could take back.
#[tokio::test]
async fn a_reused_key_is_refused_only_once_its_first_use_is_durable() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    notes(&probe).await;
    let paused = pause(&storage);
    let first = send(probe.ask(note("one")).key("k")).await;
    let mut other = send(probe.ask(note("other")).key("k")).await;
    // Everything before this answer was handled.
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 1);
    assert!(poll!(&mut other).is_pending());
    paused.resume();
    assert_eq!(
        (first.await, other.await),
        (Ok(1), Err(AskError::KeyReused))
    );
}

#[tokio::test]
async fn a_retry_while_the_first_is_in_flight_waits_for_it() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    let paused = pause(&storage);
    let mut first = send(probe.ask(note("one")).key("k")).await;
    let mut retry = send(probe.ask(note("one")).key("k")).await;
    let mut hasty = send(probe.ask(note("one")).key("k").dirty_ok()).await;
    // Everything before this answer was handled.
    assert_eq!(
        probe.ask(Notes).dirty_ok().await,
        Ok(vec!["one".to_owned()])
    );
    assert!(poll!(&mut first).is_pending());
    assert!(
        poll!(&mut retry).is_pending(),
        "a reply came before it was durable"
    );
    assert!(
        poll!(&mut hasty).is_pending(),
        "a reply came before it was durable"
    );
    paused.resume();
    assert_eq!(
        (first.await, retry.await, hasty.await),
        (Ok(1), Ok(1), Ok(1))
    );
    assert_eq!(notes(&probe).await, ["one"]);
}

#[tokio::test]
async fn the_window_has_a_count_and_a_time() {
    let node = TestNode::new(|builder| {
        with_probe(builder).config(|config| {
            config.keys = 2;
            config.key_window = Duration::from_secs(60);
        })
    });
    let probe = node.actor::<Probe>("a");
    for key in ["1", "2", "3"] {
        probe.ask(note(key)).key(key).await.unwrap();
    }
    assert_eq!(probe.ask(note("2")).key("2").await, Ok(2));
    assert_eq!(
        probe.ask(note("1")).key("1").await,
        Ok(4),
        "the oldest was forgotten"
    );
    node.advance(Duration::from_secs(61)).await.unwrap();
    assert_eq!(
        probe.ask(note("1")).key("1").await,
        Ok(5),
        "all were forgotten"
    );
}
