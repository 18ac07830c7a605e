//! Failures in a row: pauses, the room behind them, and when it becomes quarantine.

use std::time::Duration;

use steadfast::AskError;
use steadfast::journal::MemoryStorage;

use crate::fragile::{Fragile, Said, Say, Switch, fragile, id, look, quarantined};
use crate::world::{Hands, send, send_off};

const LONG: Duration = Duration::from_secs(31);

#[tokio::test]
async fn a_second_failure_in_a_row_holds_the_mailbox_for_a_while() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    actor.ask(look(&switch, "x")).await.unwrap_err();
    assert_eq!(actor.ask(Said).await, Ok(vec![]), "one is no reason");
    actor.ask(look(&switch, "x")).await.unwrap_err();
    actor.ask(look(&switch, "x")).await.unwrap_err();
    let held = send(actor.ask(Said)).await;
    // The clock stands: whatever the worker does now, the mailbox is held.
    let other = node.actor::<Fragile<1>>("b");
    assert_eq!(other.ask(Said).await, Ok(vec![]), "others go on");
    clock.pass(Duration::from_millis(49), &node).await;
    let held = send_again(held).await;
    clock.pass(Duration::from_millis(51), &node).await;
    assert_eq!(held.await, Ok(vec![]));
}

/// Still not answered.
async fn send_again<T>(mut asked: T) -> T
where
    T: Future + Unpin,
{
    assert!(futures_util::poll!(&mut asked).is_pending());
    asked
}

#[tokio::test]
async fn a_held_mailbox_is_bounded() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let builder = fragile::<1>(&storage, &clock).config(|config| {
        config.mailbox_capacity = 2;
        config.waiting_capacity = 0;
    });
    let node = builder.start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    for _ in 0..2 {
        actor.ask(look(&switch, "x")).await.unwrap_err();
    }
    let (one, two) = (
        send(actor.ask(Said)).await,
        send(actor.ask(Say("two".to_owned()))).await,
    );
    let three = actor.ask(Said).await;
    let Err(AskError::Overloaded { retry_after }) = three else {
        panic!("{three:?}");
    };
    assert!(retry_after >= Duration::from_millis(50), "{retry_after:?}");
    clock.pass(LONG, &node).await;
    assert_eq!((one.await, two.await), (Ok(vec![]), Ok(1)));
}

#[tokio::test]
async fn ten_commands_that_fail_in_a_row_set_their_actor_aside() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    let fail = async || {
        // Whatever follows from the last failure has followed.
        node.health().await;
        let failing = send_off(actor.ask(look(&switch, "x"))).await;
        clock.pass(LONG, &node).await;
        let failed = failing.await;
        assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    };
    for _ in 0..9 {
        fail().await;
    }
    // A rejection is no failure: it ends the row.
    switch.off();
    node.health().await;
    let rejected = send_off(actor.ask(look(&switch, "reject"))).await;
    clock.pass(LONG, &node).await;
    assert_eq!(rejected.await, Err(AskError::Rejected("no".to_owned())));
    switch.set(true);
    for _ in 0..10 {
        fail().await;
    }
    let (reason, seq) = quarantined(actor.ask(Said).await);
    assert!(reason.ends_with("(10 times in a row)"), "{reason}");
    assert_eq!(seq, 0);
    let found = node.quarantine().show(&id("a")).await.unwrap();
    assert_eq!(found.item.as_deref(), Some("command \"look\" of a caller"));
    node.quarantine().release(&id("a")).await.unwrap();
    assert_eq!(actor.ask(Say("well".to_owned())).await, Ok(1));
}

#[tokio::test]
async fn a_caller_who_wants_too_much_sets_nobody_aside() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let builder = fragile::<1>(&storage, &clock).config(|config| config.entry_bytes = 1_000);
    let node = builder.start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    for _ in 0..30 {
        let refused = actor.ask(Say("x".repeat(1_000))).await;
        assert!(
            matches!(refused, Err(AskError::TooLarge { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(actor.ask(Said).await, Ok(vec![]));
}

/// The pause must not keep what was accepted from being finished.
#[tokio::test]
async fn an_orderly_end_does_not_wait_for_a_pause() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    for _ in 0..2 {
        actor.ask(look(&switch, "x")).await.unwrap_err();
    }
    let held = send(actor.ask(Say("accepted".to_owned()))).await;
    // Who is answered came later: the one before is in its mailbox.
    node.actor::<Fragile<1>>("b").ask(Said).await.unwrap();
    node.shutdown().await.unwrap();
    assert_eq!(held.await, Ok(1));
}
