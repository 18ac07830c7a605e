//! Nothing leaves an actor before it is durable.

use futures_util::poll;
use steadfast::AskError;
use steadfast::journal::MemoryStorage;

use crate::probe::{Do, Notes, Probe, note, notes, start};
use crate::world::{pause, send};

#[tokio::test]
async fn answers_wait_for_the_commit() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let (probe, other) = (node.actor::<Probe>("a"), node.actor::<Probe>("b"));
    notes(&other).await;
    let paused = pause(&storage);
    let mut reply = send(probe.ask(note("one"))).await;
    let mut query = send(probe.ask(Notes)).await;
    let mut rejection = send(probe.ask(Do::Reject)).await;
    // Everything before this answer was handled.
    assert_eq!(
        probe.ask(Notes).dirty_ok().await,
        Ok(vec!["one".to_owned()])
    );
    assert!(poll!(&mut reply).is_pending());
    assert!(
        poll!(&mut query).is_pending(),
        "a state came out that a crash could take back"
    );
    assert!(
        poll!(&mut rejection).is_pending(),
        "a rejection rests on the state as well"
    );
    assert_eq!(
        notes(&other).await,
        Vec::<String>::new(),
        "another actor's state is durable"
    );
    paused.resume();
    assert_eq!(reply.await, Ok(1));
    assert_eq!(query.await, Ok(vec!["one".to_owned()]));
    assert_eq!(rejection.await, Err(AskError::Rejected("no".to_owned())));
}

#[tokio::test]
async fn an_actor_does_not_wait_for_the_disk_between_commands() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    let paused = pause(&storage);
    let mut asked = Vec::new();
    // Below the number of batches that a worker may have with the journal.
    for number in 1..=50 {
        asked.push(send(probe.ask(note(&number.to_string()))).await);
    }
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 50);
    paused.resume();
    for (number, asked) in (1..).zip(asked) {
        assert_eq!(asked.await, Ok(number));
    }
}

#[tokio::test]
async fn what_was_never_answered_may_be_gone_after_a_crash() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("kept")).await, Ok(1));
    let _paused = pause(&storage);
    let mut lost = send(probe.ask(note("lost"))).await;
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 2);
    assert!(poll!(&mut lost).is_pending());
    // A power cut: the node of before finds its journal dead, the next one takes over.
    storage.crash();
    assert_eq!(lost.await, Err(AskError::OutcomeUnknown));
    drop(node);
    let node = start(&storage).await;
    assert_eq!(notes(&node.actor("a")).await, ["kept"]);
}
