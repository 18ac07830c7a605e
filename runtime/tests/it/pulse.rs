//! Proof of life: the pulse comes round only if the workers and the journal's writer do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast::journal::MemoryStorage;
use steadfast::{AskError, Node};

use crate::probe::{Do, Probe, note, start};
use crate::world::{Gate, eventually, pause, send};

/// A pulse under way, and whether it has come round.
fn beat(node: &Node) -> (tokio::task::JoinHandle<()>, Arc<AtomicBool>) {
    let round = Arc::new(AtomicBool::new(false));
    let (node, seen) = (node.clone(), Arc::clone(&round));
    let beating = tokio::spawn(async move {
        node.pulse().await.unwrap();
        seen.store(true, Ordering::SeqCst);
    });
    (beating, round)
}

/// Time enough for a pulse that nothing holds up: another node's comes round.
async fn meanwhile() {
    let other = start(&MemoryStorage::new()).await;
    for _ in 0..20 {
        other.pulse().await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_works_has_a_pulse() {
    let node = start(&MemoryStorage::new()).await;
    node.pulse().await.unwrap();
    let head = *node.watch_commits().borrow();
    node.pulse().await.unwrap();
    assert_eq!(
        *node.watch_commits().borrow(),
        head,
        "a pulse writes nothing"
    );
}

#[tokio::test]
async fn a_worker_that_hangs_has_none() {
    let node = start(&MemoryStorage::new()).await;
    let (probe, gate) = (node.actor::<Probe>("a"), Gate::closed());
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let (beating, round) = beat(&node);
    meanwhile().await;
    assert!(!round.load(Ordering::SeqCst));
    gate.open();
    standing.await.unwrap();
    beating.await.unwrap();
}

#[tokio::test]
async fn a_writer_that_hangs_has_none() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let paused = pause(&storage);
    let probe = node.actor::<Probe>("a");
    let writing = send(probe.ask(note("one"))).await;
    // A pulse that overtakes the command finds nobody hanging.
    eventually("the writer hangs", async || storage.is_holding()).await;
    let (beating, round) = beat(&node);
    meanwhile().await;
    assert!(!round.load(Ordering::SeqCst));
    paused.resume();
    writing.await.unwrap();
    beating.await.unwrap();
}

#[tokio::test]
async fn a_journal_that_failed_is_no_hang_and_a_node_that_ended_is_no_life() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    storage.crash();
    assert_eq!(probe.ask(note("lost")).await, Err(AskError::OutcomeUnknown));
    node.pulse().await.unwrap();
    eventually("the journal is open again", async || {
        probe.ask(note("kept")).await.is_ok()
    })
    .await;
    node.pulse().await.unwrap();
    node.shutdown().await.unwrap();
    assert!(node.pulse().await.is_err());
}
