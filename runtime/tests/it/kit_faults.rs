//! A disk that misbehaves under a node of the test kit: the node comes back by itself, in virtual time.

use std::time::Duration;

use futures_util::poll;
use steadfast::AskError;
use steadfast::testkit::{CommitFault, FaultPlan, RowsOf, TestNode};

use crate::probe::{Do, Probe, note, notes, with_probe};
use crate::world::send;

const SECOND: Duration = Duration::from_secs(1);

fn node() -> TestNode {
    TestNode::new(with_probe)
}

async fn noted(node: &TestNode) -> Vec<String> {
    notes(&node.actor::<Probe>("a")).await
}

#[tokio::test]
async fn after_a_failed_sync_the_node_goes_on() {
    for (fate, expected) in [
        (CommitFault::Lost, vec!["one", "three"]),
        (CommitFault::Kept, vec!["one", "two", "three"]),
    ] {
        let node = node();
        let probe = node.actor::<Probe>("a");
        node.faults(&FaultPlan::new().sync_error(2, fate));
        probe.ask(note("one")).await.unwrap();
        assert_eq!(probe.ask(note("two")).await, Err(AskError::OutcomeUnknown));
        node.settle().await.unwrap();
        probe.ask(note("three")).await.unwrap();
        assert_eq!(noted(&node).await, expected);
    }
}

#[tokio::test]
async fn without_space_it_is_read_only_until_there_is_some() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    probe.ask(note("one")).await.unwrap();
    // The commit, and three attempts to open the journal again.
    node.faults(&FaultPlan::new().no_space(1, 4));
    assert_eq!(probe.ask(note("two")).await, Err(AskError::OutcomeUnknown));
    node.settle().await.unwrap();
    let refused = probe.ask(note("two")).await;
    assert!(
        matches!(refused, Err(AskError::ReadOnly { .. })),
        "{refused:?}"
    );
    node.advance(5 * SECOND).await.unwrap();
    probe.ask(note("two")).await.unwrap();
    assert_eq!(noted(&node).await, ["one", "two"]);
}

#[tokio::test]
async fn a_slow_disk_takes_virtual_time() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    node.faults(&FaultPlan::new().slow(SECOND));
    let mut one = send(probe.ask(note("one"))).await;
    node.settle().await.unwrap();
    assert!(poll!(&mut one).is_pending());
    let mut two = send(probe.ask(note("two"))).await;
    node.advance(SECOND).await.unwrap();
    assert_eq!(one.await, Ok(1));
    assert!(poll!(&mut two).is_pending());
    node.advance(SECOND).await.unwrap();
    assert_eq!(two.await, Ok(2));
}

#[tokio::test]
async fn a_slow_disk_that_fails_is_opened_again_in_virtual_time() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    let plan = FaultPlan::new().slow(SECOND);
    node.faults(&plan.sync_error(1, CommitFault::Lost));
    let one = send(probe.ask(note("one"))).await;
    node.advance(10 * SECOND).await.unwrap();
    assert_eq!(one.await, Err(AskError::OutcomeUnknown));
    let two = send(probe.ask(note("two"))).await;
    node.advance(SECOND).await.unwrap();
    assert_eq!(two.await, Ok(1));
}

#[tokio::test]
async fn held_commits_are_let_go_one_by_one_and_a_crash_takes_them() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    node.faults(&FaultPlan::new().held());
    let one = send(probe.ask(note("one"))).await;
    node.settle().await.unwrap();
    let two = send(probe.ask(note("two"))).await;
    node.settle().await.unwrap();
    node.let_go(1);
    assert_eq!(one.await, Ok(1));
    node.settle().await.unwrap();
    node.reopen();
    assert_eq!(two.await, Err(AskError::OutcomeUnknown));
    assert_eq!(noted(&node).await, ["one"]);
}

/// `settle` waited for ever: an actor that failed is rebuilt only once what it wrote before is durable, and commands
/// in its mailbox counted as something that goes on by itself meanwhile.
#[tokio::test]
async fn an_actor_to_be_rebuilt_behind_a_held_commit_is_at_rest() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    node.faults(&FaultPlan::new().held());
    let one = send(probe.ask(note("one"))).await;
    node.settle().await.unwrap();
    let failed = send(probe.ask(Do::NoteThenPanic)).await;
    let two = send(probe.ask(note("two"))).await;
    node.settle().await.unwrap();
    node.faults(&FaultPlan::new());
    assert_eq!(one.await, Ok(1));
    assert!(matches!(failed.await, Err(AskError::Failed { .. })));
    assert_eq!(two.await, Ok(2));
    assert_eq!(noted(&node).await, ["one", "two"]);
}

#[tokio::test]
async fn an_actor_that_cannot_be_read_comes_back() {
    let node = node();
    node.actor::<Probe>("a").ask(note("one")).await.unwrap();
    node.reopen();
    node.faults(&FaultPlan::new().read_errors(1));
    let probe = node.actor::<Probe>("a");
    let failed = probe.ask(note("two")).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    probe.ask(note("two")).await.unwrap();
    assert_eq!(noted(&node).await, ["one", "two"]);
}

#[tokio::test]
async fn a_replay_that_breaks_in_the_middle_begins_anew() {
    let node = node();
    for text in ["one", "two", "three"] {
        node.actor::<Probe>("a").ask(note(text)).await.unwrap();
    }
    node.reopen();
    node.faults(&FaultPlan::new().read_errors_behind(1, 2, RowsOf::Entries));
    let probe = node.actor::<Probe>("a");
    let failed = probe.ask(note("four")).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert_eq!(node.storage().met().broken_scans, 1);
    probe.ask(note("four")).await.unwrap();
    assert_eq!(noted(&node).await, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn what_found_no_space_may_be_there() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    let full = FaultPlan::new().no_space(1, 1);
    node.faults(&full.no_space_fate(CommitFault::Kept));
    assert_eq!(probe.ask(note("one")).await, Err(AskError::OutcomeUnknown));
    node.settle().await.unwrap();
    assert_eq!(noted(&node).await, ["one"]);
}

#[tokio::test]
async fn snapshots_that_are_lost_or_damaged_cost_a_longer_replay() {
    let node = TestNode::new(|node| with_probe(node).config(|config| config.snapshot_every = 2));
    for text in ["one", "two", "three", "four", "five"] {
        node.actor::<Probe>("a").ask(note(text)).await.unwrap();
    }
    // An orderly end waits for the thread that stores them.
    node.restart().await.unwrap();
    let all = ["one", "two", "three", "four", "five"];
    assert_eq!(noted(&node).await, all);
    let before = node.recoveries();
    assert_eq!(before.snapshots_passed_over, 0);
    let mut damaged = 0;
    for draw in 0..16 {
        damaged += u32::from(node.damage_a_snapshot(draw * 31));
        node.reopen();
        assert_eq!(noted(&node).await, all);
    }
    assert_eq!(damaged, 16);
    assert!(node.recoveries().snapshots_passed_over > 0);
    while node.lose_snapshots(1) > 0 {
        node.reopen();
        assert_eq!(noted(&node).await, all);
    }
}
