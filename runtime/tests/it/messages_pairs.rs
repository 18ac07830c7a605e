//! Pairs of sender and receiver do not hold each other up, whatever is wrong with one of them.

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{ActorId, Node, NodeBuilder};

use crate::bank::{
    Account, Balance, Count, Deposit, PassOn, Vault, bank, break_account, delivered, give,
    mend_account, open, set_aside, with_vaults,
};
use crate::world::eventually;

async fn received(node: &Node, key: &str) -> Vec<(String, u64)> {
    node.actor::<Account>(key)
        .ask(Balance)
        .await
        .unwrap()
        .received
}

/// One who sends much must not keep the only message of another waiting behind all of its own.
#[tokio::test]
async fn a_busy_sender_does_not_starve_the_others() {
    let node = bank(&MemoryStorage::new(), 2).await;
    break_account("wanted");
    let (busy, other) = (
        open(&node, "busy", 1_000, 1_000).await,
        open(&node, "calm", 10, 10).await,
    );
    open(&node, "wanted", 0, 10_000).await;
    for number in 0..400 {
        give(&busy, &["wanted"], number).await;
    }
    give(&other, &["wanted"], 7).await;
    let id = set_aside(&node, "wanted").await;
    mend_account("wanted");
    node.quarantine().release(&id).await.unwrap();
    delivered(&node).await;
    let all = received(&node, "wanted").await;
    let place = all.iter().position(|(from, _)| from == "calm").unwrap();
    assert!(place < 100, "it came as number {place} of {}", all.len());
    let busy = all.iter().filter(|(from, _)| from == "busy");
    assert!(busy.map(|(_, number)| *number).eq(0..400));
}

/// A message to an actor that is of another kind waits, and nobody else does.
#[tokio::test]
async fn a_message_for_another_kind_blocks_its_own_pair_only() {
    let storage = MemoryStorage::new();
    let node = with_vaults(NodeBuilder::from(storage.clone()))
        .start()
        .await
        .unwrap();
    let strongbox = node.actor_in::<Vault>("account", "strongbox");
    strongbox
        .ask(Deposit {
            cents: 5,
            number: 0,
        })
        .await
        .unwrap();
    let lost = open(&node, "lost", 10, 10).await;
    let passing = node.actor::<Vault>("passing");
    for _ in 0..10 {
        give(&lost, &["strongbox"], 0).await;
        passing
            .ask(PassOn(ActorId::new("account", "strongbox").unwrap()))
            .await
            .unwrap();
    }
    eventually("those for the vault arrive", async || {
        strongbox.ask(Count).await.unwrap() == 15
    })
    .await;
    eventually("the others wait", async || {
        node.pending_messages() == Some(10)
    })
    .await;
    node.shutdown().await.unwrap();
    let node = with_vaults(NodeBuilder::from(storage))
        .start()
        .await
        .unwrap();
    let passing = node.actor::<Vault>("passing");
    passing
        .ask(PassOn(ActorId::new("account", "strongbox").unwrap()))
        .await
        .unwrap();
    let strongbox = node.actor_in::<Vault>("account", "strongbox");
    eventually("those for the vault arrive after a restart", async || {
        strongbox.ask(Count).await.unwrap() == 16
    })
    .await;
    eventually("the others wait", async || {
        node.pending_messages() == Some(10)
    })
    .await;
}

/// The outbox still shows a skipped message until the skip is durable: a read must not bring it back.
#[tokio::test]
async fn a_message_that_is_skipped_after_a_failed_write_is_not_handled() {
    let storage = MemoryStorage::new();
    let node = bank(&storage, 2).await;
    break_account("skipped");
    let from = open(&node, "from", 100, 100).await;
    open(&node, "skipped", 0, 100).await;
    for number in 0..3 {
        give(&from, &["skipped"], number).await;
    }
    let id = set_aside(&node, "skipped").await;
    let before = node.opened().unwrap().epoch;
    storage.fail_next_commit(CommitFault::Lost);
    // Its outcome is unknown to us; what matters is that the journal is opened again.
    let given = crate::bank::Give {
        to: vec!["skipped".to_owned()],
        number: 3,
    };
    drop(from.ask(given).await);
    eventually("the journal is open again", async || {
        node.opened().is_ok_and(|report| report.epoch > before)
            && node.pending_messages() == Some(3)
    })
    .await;
    mend_account("skipped");
    node.quarantine().skip(&id).await.unwrap();
    delivered(&node).await;
    let numbers: Vec<u64> = received(&node, "skipped")
        .await
        .iter()
        .map(|(_, number)| *number)
        .collect();
    assert_eq!(numbers, [1, 2]);
}
