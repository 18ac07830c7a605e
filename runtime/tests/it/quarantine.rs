//! Actors that are set aside: why, what becomes of what waits for them, and each way back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{AskError, Node, NodeError};

use crate::fragile::{
    Errands, Fragile, LookLater, RunAndLook, Said, Say, Switch, fragile, id, look, quarantined,
    said, until_said, until_set_aside,
};
use crate::world::{Hands, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn say(text: &str) -> Say {
    Say(text.to_owned())
}

async fn set_timer(node: &Node, switch: &Switch, again: bool) {
    let later = LookLater {
        timer: "tick".to_owned(),
        delay: SECOND,
        again,
        look: look(switch, "tick"),
    };
    node.actor::<Fragile<1>>("a").ask(later).await.unwrap();
}

#[tokio::test]
async fn a_timer_that_always_fails_sets_its_actor_aside_and_is_kept() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    actor.ask(say("one")).await.unwrap();
    set_timer(&node, &switch, false).await;
    let found = until_set_aside(&node, &clock, "a").await;
    assert_eq!(switch.looks(), 5);
    assert_eq!((found.failures, found.seq, found.waiting), (5, 1, 0));
    assert_eq!(found.item.as_deref(), Some("timer \"tick\""));
    assert_eq!(
        (found.actor.clone(), found.kind.as_str()),
        (id("a"), "fragile")
    );
    assert!(
        found.reason.contains("the switch is on"),
        "{}",
        found.reason
    );
    let all = node.quarantine().list().await.unwrap();
    assert_eq!(all, std::slice::from_ref(&found));
    let told = quarantined(actor.ask(Said).await);
    assert_eq!(told, (found.reason, 1));
    assert!(
        node.metrics()
            .contains("steadfast_quarantined{kind=\"fragile\"} 1"),
        "{}",
        node.metrics()
    );

    switch.off();
    node.quarantine().release(&id("a")).await.unwrap();
    until_said(&node, &clock, "a", &["one", "tick"]).await;
    assert_eq!(node.quarantine().list().await.unwrap(), []);
    assert!(
        node.metrics()
            .contains("steadfast_quarantined{kind=\"fragile\"} 0")
    );
    assert_eq!(switch.looks(), 6, "it was handled once more");
}

#[tokio::test]
async fn success_elsewhere_does_not_hide_work_that_never_succeeds() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    set_timer(&node, &switch, false).await;
    eventually("it is set aside", async || {
        clock.pass(SECOND, &node).await;
        matches!(actor.ask(Said).await, Err(AskError::Quarantined { .. }))
    })
    .await;
    assert_eq!(switch.looks(), 5);
}

#[tokio::test]
async fn a_retry_is_one_try() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    set_timer(&node, &switch, false).await;
    until_set_aside(&node, &clock, "a").await;
    node.quarantine().retry(&id("a")).await.unwrap();
    let found = until_set_aside(&node, &clock, "a").await;
    assert_eq!((switch.looks(), found.failures), (6, 6));
    switch.off();
    node.quarantine().retry(&id("a")).await.unwrap();
    until_said(&node, &clock, "a", &["tick"]).await;
    // The success ended the trial: one failure is one failure again.
    switch.set(true);
    let actor = node.actor::<Fragile<1>>("a");
    let failed = actor.ask(look(&switch, "x")).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert_eq!(actor.ask(Said).await, Ok(vec!["tick".to_owned()]));
}

#[tokio::test]
async fn a_skipped_timer_is_consumed_for_good() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    set_timer(&node, &switch, false).await;
    until_set_aside(&node, &clock, "a").await;
    let skipped = node.quarantine().skip(&id("a")).await.unwrap();
    assert_eq!(skipped, "timer \"tick\"");
    assert_eq!(said::<1>(&node, "a").await, Vec::<String>::new());
    drop(node);

    switch.off();
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    for _ in 0..5 {
        clock.pass(SECOND, &node).await;
    }
    assert_eq!(said::<1>(&node, "a").await, Vec::<String>::new());
    assert_eq!(switch.looks(), 5);
    assert!(
        node.inspect()
            .unwrap()
            .verify()
            .unwrap()
            .findings
            .is_empty()
    );
}

#[tokio::test]
async fn a_skipped_tick_of_a_repeating_timer_leaves_the_next() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    set_timer(&node, &switch, true).await;
    until_set_aside(&node, &clock, "a").await;
    node.quarantine().skip(&id("a")).await.unwrap();
    assert_eq!(said::<1>(&node, "a").await, Vec::<String>::new());
    switch.off();
    eventually("the next tick comes", async || {
        clock.pass(SECOND, &node).await;
        said::<1>(&node, "a").await.contains(&"tick".to_owned())
    })
    .await;
}

#[tokio::test]
async fn the_outcome_of_an_effect_is_kept_and_comes_again() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let errands = Errands::default();
    let builder = fragile::<1>(&storage, &clock).resource(errands.clone());
    let node = builder.start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    actor.ask(RunAndLook(look(&switch, "done"))).await.unwrap();
    let found = until_set_aside(&node, &clock, "a").await;
    assert_eq!((found.failures, found.waiting), (5, 1));
    assert_eq!(found.item.as_deref(), Some("outcome of effect 1.0"));
    switch.off();
    node.quarantine().release(&id("a")).await.unwrap();
    until_said(&node, &clock, "a", &["done"]).await;
    assert_eq!(errands.0.load(Ordering::SeqCst), 1, "it ran once");

    switch.set(true);
    actor.ask(RunAndLook(look(&switch, "again"))).await.unwrap();
    until_set_aside(&node, &clock, "a").await;
    let skipped = node.quarantine().skip(&id("a")).await.unwrap();
    assert_eq!(skipped, "outcome of effect 3.0");
    drop(node);
    switch.off();
    let node = fragile::<1>(&storage, &clock).resource(errands.clone());
    let node = node.start().await.unwrap();
    assert_eq!(said::<1>(&node, "a").await, ["done"]);
    assert_eq!(
        errands.0.load(Ordering::SeqCst),
        2,
        "it is not pending any more"
    );
}

#[tokio::test]
async fn a_journal_that_failed_meanwhile_does_not_lose_what_is_kept() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    set_timer(&node, &switch, false).await;
    until_set_aside(&node, &clock, "a").await;
    storage.fail_next_commit(CommitFault::Lost);
    let other = node.actor::<Fragile<1>>("b");
    assert_eq!(other.ask(say("x")).await, Err(AskError::OutcomeUnknown));
    eventually("the journal is open again", async || {
        other.ask(say("y")).await.is_ok()
    })
    .await;
    quarantined(node.actor::<Fragile<1>>("a").ask(Said).await);
    switch.off();
    node.quarantine().release(&id("a")).await.unwrap();
    until_said(&node, &clock, "a", &["tick"]).await;
}

/// Three events in the journal, the second of which the next version of the program cannot apply.
async fn poisoned(storage: &MemoryStorage, clock: &Hands) -> Node {
    let node = fragile::<1>(storage, clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    for text in ["one", "poison", "three"] {
        actor.ask(say(text)).await.unwrap();
    }
    // No snapshot: it would hold what cannot be applied any more.
    drop(node);
    fragile::<2>(storage, clock).start().await.unwrap()
}

#[tokio::test]
async fn a_poisoned_event_sets_its_actor_aside_at_each_first_use() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let mut node = poisoned(&storage, &clock).await;
    for _ in 0..2 {
        assert_eq!(node.quarantine().list().await.unwrap(), []);
        let told = quarantined(node.actor::<Fragile<2>>("a").ask(Said).await);
        assert_eq!(told, ("apply panicked: poison".to_owned(), 1));
        let found = node.quarantine().show(&id("a")).await.unwrap();
        assert_eq!(found.item.as_deref(), Some("event 2 \"fragile.said\""));
        node.quarantine().release(&id("a")).await.unwrap();
        quarantined(node.actor::<Fragile<2>>("a").ask(Said).await);
        drop(node);
        node = fragile::<2>(&storage, &clock).start().await.unwrap();
    }
}

#[tokio::test]
async fn a_skipped_event_is_never_applied_again_and_keeps_its_number() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let node = poisoned(&storage, &clock).await;
    let actor = node.actor::<Fragile<2>>("a");
    quarantined(actor.ask(Said).await);
    let skipped = node.quarantine().skip(&id("a")).await.unwrap();
    assert_eq!(skipped, "event 2 \"fragile.said\"");
    assert_eq!(said::<2>(&node, "a").await, ["one", "three"]);
    assert_eq!(actor.ask(say("four")).await, Ok(3));
    let inspector = node.inspect().unwrap();
    assert_eq!(
        inspector.actor(&id("a")).unwrap().seq,
        4,
        "no gap, no number twice"
    );
    let state = inspector.state(&id("a"), Some(3)).unwrap().state;
    assert_eq!(state, serde_json::json!({ "said": ["one", "three"] }));
    assert!(inspector.verify().unwrap().findings.is_empty());
    drop((inspector, node));
    let node = fragile::<2>(&storage, &clock).start().await.unwrap();
    assert_eq!(said::<2>(&node, "a").await, ["one", "three", "four"]);
    assert_eq!(node.quarantine().list().await.unwrap(), []);
}

#[tokio::test]
async fn each_poisoned_event_is_skipped_by_its_own_word() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<1>>("a");
    for text in ["poison 1", "two", "poison 3", "four"] {
        actor.ask(say(text)).await.unwrap();
    }
    drop(node);
    let node = fragile::<2>(&storage, &clock).start().await.unwrap();
    let actor = node.actor::<Fragile<2>>("a");
    for (seq, left) in [(1, 2), (3, 0)] {
        let (_, before) = quarantined(actor.ask(Said).await);
        assert_eq!(before + 1, seq);
        node.quarantine().skip(&id("a")).await.unwrap();
        assert_eq!(actor.ask(Said).await.is_err(), left > 0);
    }
    assert_eq!(said::<2>(&node, "a").await, ["two", "four"]);
}

#[tokio::test]
async fn a_skip_that_was_lost_with_the_journal_skipped_nothing() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let node = poisoned(&storage, &clock).await;
    let actor = node.actor::<Fragile<2>>("a");
    quarantined(actor.ask(Said).await);
    storage.fail_next_commit(CommitFault::Lost);
    let skipped = node.quarantine().skip(&id("a")).await;
    let Err(NodeError::NotSkipped { reason, .. }) = skipped else {
        panic!("{skipped:?}");
    };
    assert!(reason.contains("unknown"), "{reason}");
    quarantined(actor.ask(Said).await);
    node.quarantine().skip(&id("a")).await.unwrap();
    assert_eq!(said::<2>(&node, "a").await, ["one", "three"]);
}

#[tokio::test]
async fn what_is_not_there_cannot_be_looked_after() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let builder = fragile::<1>(&storage, &clock);
    let builder = builder.config(|config| config.quarantine_after_commands = 1);
    let node = builder.start().await.unwrap();
    let control = node.quarantine();
    for outcome in [
        control.show(&id("a")).await.map(drop),
        control.retry(&id("a")).await,
        control.release(&id("a")).await,
        control.skip(&id("a")).await.map(drop),
    ] {
        assert!(
            matches!(outcome, Err(NodeError::NotQuarantined { .. })),
            "{outcome:?}"
        );
    }
    let actor = node.actor::<Fragile<1>>("a");
    actor.ask(look(&switch, "x")).await.unwrap_err();
    let skipped = control.skip(&id("a")).await;
    let Err(NodeError::NotSkipped { reason, .. }) = skipped else {
        panic!("{skipped:?}");
    };
    assert!(reason.contains("release it instead"), "{reason}");
    control.release(&id("a")).await.unwrap();
    assert_eq!(actor.ask(Said).await, Ok(Vec::new()));
}
