//! The test kit, on scenarios that a crash may cut anywhere.

use std::time::Duration;

use steadfast::testkit::{CommitFault, CrashPlan, Crashed, TestNode, crash_everywhere};
use steadfast::{AskError, NodeBuilder};

use crate::probe::{Do, Probe, note, notes, with_probe};

const SECOND: Duration = Duration::from_secs(1);

fn node() -> TestNode {
    TestNode::new(with_probe)
}

fn with_snapshots(builder: NodeBuilder) -> NodeBuilder {
    with_probe(builder).config(|config| config.snapshot_every = 3)
}

fn after(timer: &str, delay: Duration, text: &str) -> Do {
    Do::After {
        timer: timer.to_owned(),
        delay,
        text: text.to_owned(),
    }
}

async fn noted(node: &TestNode) -> Vec<String> {
    notes(&node.actor::<Probe>("a")).await
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let node = node();
    node.block_on(async {
        node.actor::<Probe>("a").ask(note("one")).await.unwrap();
        node.reopen();
        assert_eq!(noted(&node).await, ["one"]);
        node.restart().await.unwrap();
        assert_eq!(noted(&node).await, ["one"]);
    });
}

#[tokio::test]
async fn a_failing_write_has_two_fates() {
    for (fate, expected) in [
        (CommitFault::Lost, vec!["one"]),
        (CommitFault::Kept, vec!["one", "two"]),
    ] {
        let node = node();
        let probe = node.actor::<Probe>("a");
        node.crash_after(2, fate);
        probe.ask(note("one")).await.unwrap();
        assert_eq!(probe.ask(note("two")).await, Err(AskError::OutcomeUnknown));
        assert!(node.settle().await.unwrap_err().is_crash());
        node.reopen();
        assert_eq!(noted(&node).await, expected);
    }
}

#[tokio::test]
async fn time_passes_only_when_told_and_all_that_falls_due_is_done_in_order() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    probe.ask(after("late", 20 * SECOND, "late")).await.unwrap();
    probe.ask(after("soon", SECOND, "soon")).await.unwrap();
    let every = Do::Every {
        timer: "every".to_owned(),
        period: 8 * SECOND,
        text: "every".to_owned(),
    };
    probe.ask(every).await.unwrap();
    node.advance(Duration::from_millis(999)).await.unwrap();
    assert!(noted(&node).await.is_empty());
    node.advance(19 * SECOND + Duration::from_millis(1))
        .await
        .unwrap();
    let every = "every from every, missed 0";
    let expected = [
        "soon from soon, missed 0",
        every,
        every,
        "late from late, missed 0",
    ];
    assert_eq!(noted(&node).await, expected);
}

#[test]
fn keyed_commands_with_snapshots() {
    crash_everywhere(
        with_snapshots,
        async |node| {
            for text in ["1", "2", "3", "4", "5", "6", "7", "8"] {
                node.actor::<Probe>("a").ask(note(text)).key(text).await?;
            }
            Ok(())
        },
        |node| {
            let notes = node.block_on(noted(node));
            assert_eq!(notes, ["1", "2", "3", "4", "5", "6", "7", "8"]);
        },
    );
}

#[test]
fn timers_over_crashes() {
    crash_everywhere(
        with_snapshots,
        async |node| {
            let probe = node.actor::<Probe>("a");
            let once = after("once", 10 * SECOND, "once");
            probe.ask(once).key("set").await?;
            node.advance(30 * SECOND).await
        },
        |node| {
            let notes = node.block_on(noted(node));
            assert_eq!(notes.len(), 1, "{notes:?}");
        },
    );
}

/// The control: without a key, a retry doubles a deposit, and the kit says at which write.
#[test]
#[should_panic(
    expected = "repeat it with CrashPlan::default().seed(1).only([(1, CommitFault::Kept)])"
)]
fn a_command_without_a_key_is_found() {
    crash_everywhere(
        with_probe,
        async |node| {
            node.actor::<Probe>("a").ask(note("one")).await?;
            Ok(())
        },
        |node| assert_eq!(node.block_on(noted(node)), ["one"]),
    );
}

#[test]
fn one_case_can_be_repeated() {
    let plan = CrashPlan::default().only([(1, CommitFault::Lost)]);
    plan.run(
        with_probe,
        async |node| {
            node.actor::<Probe>("a").ask(note("one")).await?;
            Ok(())
        },
        |node| assert_eq!(node.block_on(noted(node)), ["one"]),
    );
}

#[test]
#[should_panic(expected = "rejected: \"no\"")]
fn a_rejection_is_a_fault_of_the_scenario() {
    crash_everywhere(
        with_probe,
        async |node| -> Result<(), Crashed> {
            node.actor::<Probe>("a").ask(Do::Reject).await?;
            Ok(())
        },
        |_| {},
    );
}
