//! Everything that an asker can get instead of a reply, and what is on disk afterwards.
//!
//! Method: a node over a real directory; after each refusal the node is gone without ceremony and the
//! directory is read by a new one.

use std::time::Duration;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{AskError, Node, NodeBuilder};

use crate::probe::{Do, Notes, Probe, note, notes, start, start_with, with_probe};
use crate::world::{Gate, pause, send};

/// A directory with a node that holds one note of actor `a`.
async fn one_note(change: impl FnOnce(NodeBuilder) -> NodeBuilder) -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let node = change(with_probe(Node::open(dir.path())));
    let node = node.start().await.unwrap();
    assert_eq!(node.actor::<Probe>("a").ask(note("one")).await, Ok(1));
    (dir, node)
}

/// What a new node finds of actor `a`, and that nothing is damaged.
async fn on_disk(dir: &tempfile::TempDir, node: Node) -> Vec<String> {
    drop(node);
    let node = with_probe(Node::open(dir.path())).start().await.unwrap();
    assert!(
        node.inspect()
            .unwrap()
            .verify()
            .unwrap()
            .findings
            .is_empty()
    );
    notes(&node.actor("a")).await
}

#[tokio::test]
async fn rejected_and_failed_and_too_large_and_key_reused_write_nothing() {
    let (dir, node) = one_note(|builder| builder.config(|config| config.entry_bytes = 1_000)).await;
    let probe = node.actor::<Probe>("a");
    let commits = *node.watch_commits().borrow();
    let rejected = probe.ask(Do::Reject).await;
    assert_eq!(rejected, Err(AskError::Rejected("no".to_owned())));
    let failed = probe.ask(Do::NoteThenPanic).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    let too_large = probe.ask(Do::NoteBytes(1_000)).await;
    assert!(
        matches!(too_large, Err(AskError::TooLarge { limit: 1_000, .. })),
        "{too_large:?}"
    );
    assert_eq!(*node.watch_commits().borrow(), commits);
    assert_eq!(probe.ask(note("two")).key("k").await, Ok(2));
    let reused = probe.ask(note("three")).key("k").await;
    assert_eq!(reused, Err(AskError::KeyReused));
    assert_eq!(on_disk(&dir, node).await, ["one", "two"]);
}

#[tokio::test]
async fn overloaded_and_expired_were_never_handled() {
    let (dir, node) =
        one_note(|builder| builder.config(|config| config.mailbox_capacity = 1)).await;
    let (probe, gate) = (node.actor::<Probe>("a"), Gate::closed());
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let (two, three) = (
        send(probe.try_ask(note("two"))).await,
        send(probe.try_ask(note("three"))).await,
    );
    let late = probe.ask(note("late")).deadline(Duration::from_millis(1));
    assert_eq!(late.await, Err(AskError::Expired));
    gate.open();
    assert_eq!((standing.await, two.await), (Ok(()), Ok(2)));
    let refused = three.await;
    assert!(
        matches!(refused, Err(AskError::Overloaded { .. })),
        "{refused:?}"
    );
    assert_eq!(on_disk(&dir, node).await, ["one", "two"]);
}

#[tokio::test]
async fn stopped_was_never_handled() {
    let (dir, node) = one_note(|builder| builder).await;
    let probe = node.actor::<Probe>("a");
    node.shutdown().await.unwrap();
    assert_eq!(probe.ask(note("two")).await, Err(AskError::Stopped));
    assert_eq!(on_disk(&dir, node).await, ["one"]);
}

#[tokio::test]
async fn quarantined_was_never_handled() {
    let (dir, node) =
        one_note(|builder| builder.config(|config| config.quarantine_after_commands = 1)).await;
    let probe = node.actor::<Probe>("a");
    let failed = probe.ask(Do::Panic).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    let refused = probe.ask(note("two")).await;
    let Err(AskError::Quarantined { reason, seq: 1 }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("as asked"), "{reason}");
    assert_eq!(on_disk(&dir, node).await, ["one"]);
}

/// In memory, where a journal can be made to fail; what stands for the disk outlives the node all the same.
#[tokio::test]
async fn an_unknown_outcome_is_either_and_its_key_says_which() {
    for (fault, kept) in [(CommitFault::Lost, false), (CommitFault::Kept, true)] {
        let storage = MemoryStorage::new();
        let node = start(&storage).await;
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("one")).await, Ok(1));
        let paused = pause(&storage);
        storage.fail_next_commit(fault);
        let unknown = send(probe.ask(note("two")).key("k")).await;
        assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 2);
        paused.resume();
        assert_eq!(unknown.await, Err(AskError::OutcomeUnknown));
        drop(node);
        let node = start(&storage).await;
        let probe = node.actor::<Probe>("a");
        assert_eq!(notes(&probe).await.len(), 1 + usize::from(kept));
        assert_eq!(probe.ask(note("two")).key("k").await, Ok(2));
        assert_eq!(notes(&probe).await, ["one", "two"]);
    }
}

#[tokio::test]
async fn read_only_was_never_handled() {
    let storage = MemoryStorage::new();
    let node = start_with(&storage, |builder| builder).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).await, Ok(1));
    storage.refuse_to_open(true);
    storage.fail_next_commit(CommitFault::Lost);
    assert_eq!(probe.ask(note("two")).await, Err(AskError::OutcomeUnknown));
    crate::world::eventually("the node is read-only", async || node.read_only().is_some()).await;
    let refused = probe.ask(note("three")).await;
    assert!(
        matches!(refused, Err(AskError::ReadOnly { .. })),
        "{refused:?}"
    );
    drop(node);
    storage.refuse_to_open(false);
    let node = start(&storage).await;
    assert_eq!(notes(&node.actor("a")).await, ["one"]);
}
