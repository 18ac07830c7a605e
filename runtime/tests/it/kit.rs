//! The test kit, on scenarios that a crash may cut anywhere.

use std::time::Duration;

use futures_util::poll;
use steadfast::testkit::{
    CommitFault, CrashPlan, Crashed, START, TestNode, VirtualClock, crash_everywhere,
};
use steadfast::{AskError, Clock, Node, NodeBuilder};

use crate::probe::{Do, Probe, note, notes, with_probe};
use crate::world::{pause, send};

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

/// What is not in memory is not compared: whoever relies on the check looks at the number.
#[test]
fn laws_are_checked_of_the_actors_in_memory() {
    let node = node();
    assert_eq!(node.check_laws(), 0);
    for (key, compared) in [("a", 1), ("b", 2)] {
        let noted = node.actor::<Probe>(key);
        node.block_on(async { noted.ask(note("one")).key("k").await })
            .unwrap();
        assert_eq!(node.check_laws(), compared);
    }
    node.reopen();
    assert_eq!(node.check_laws(), 0);
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

/// A period that goes on over crashes and orderly ends: no tick is lost, none comes twice.
#[test]
fn periods_over_crashes_and_restarts() {
    let ticks = |notes: &[String]| -> u64 {
        let missed = |note: &String| note.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        notes.iter().map(|note| 1 + missed(note)).sum()
    };
    crash_everywhere(
        with_snapshots,
        async |node| {
            let every = Do::Every {
                timer: "every".to_owned(),
                period: 10 * SECOND,
                text: "every".to_owned(),
            };
            node.actor::<Probe>("a").ask(every).key("set").await?;
            node.advance(25 * SECOND).await?;
            node.restart().await?;
            node.advance(20 * SECOND).await
        },
        |node| {
            let notes = node.block_on(noted(node));
            let passed = node.clock().running().as_secs();
            // Set at the start, or after the first crash if that took the setting with it.
            assert_eq!(ticks(&notes), passed / 10, "{notes:?}");
        },
    );
}

#[tokio::test]
async fn deadlines_pass_in_virtual_time() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    let paused = pause(node.storage());
    let mut late = send(probe.ask(note("one")).deadline(SECOND)).await;
    node.advance(Duration::from_millis(999)).await.unwrap();
    assert!(poll!(&mut late).is_pending());
    node.advance(Duration::from_millis(1)).await.unwrap();
    assert_eq!(late.await, Err(AskError::OutcomeUnknown));
    paused.resume();
    assert_eq!(noted(&node).await, ["one"]);
}

/// Regression: a worker woke every hour on its way, so that years took minutes.
#[tokio::test]
async fn years_are_skipped() {
    let node = node();
    let probe = node.actor::<Probe>("a");
    let (years, many) = (
        20 * 365 * 24 * 3600 * SECOND,
        100 * 365 * 24 * 3600 * SECOND,
    );
    probe.ask(after("t", years, "tick")).await.unwrap();
    node.advance(many).await.unwrap();
    assert_eq!(noted(&node).await, ["tick from t, missed 0"]);
}

/// A node of its own, without the kit around it, goes by the clock as well.
#[tokio::test]
async fn a_virtual_clock_serves_any_node() {
    let clock = VirtualClock::new();
    let builder = with_probe(Node::in_memory()).clock(clock.clone());
    let node = builder.start().await.unwrap();
    let mut commits = node.watch_commits();
    let probe = node.actor::<Probe>("a");
    probe.ask(after("t", 10 * SECOND, "tick")).await.unwrap();
    // Answered behind the worker's own arming of the timer.
    assert!(notes(&probe).await.is_empty());
    commits.borrow_and_update();
    clock.advance(10 * SECOND);
    commits.changed().await.unwrap();
    assert_eq!(notes(&probe).await, ["tick from t, missed 0"]);
}

#[test]
fn a_wall_clock_that_jumps_takes_no_running_time_along() {
    let clock = VirtualClock::new();
    clock.advance(10 * SECOND);
    clock.jump_wall_forward(3600 * SECOND);
    assert_eq!(clock.now(), START.plus(3610 * SECOND));
    clock.jump_wall_back(7200 * SECOND);
    assert_eq!(clock.now().since(START), Duration::ZERO);
    clock.set_wall(START);
    clock.advance(SECOND);
    assert_eq!(clock.now(), START.plus(SECOND));
    assert_eq!(clock.running(), 11 * SECOND);
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

/// More timers than fit into memory: the rest is fetched before the clock moves past it.
#[tokio::test]
async fn timers_on_disk_come_in_time() {
    let node =
        TestNode::new(|builder| with_probe(builder).config(|config| config.timer_window = 16));
    let probe = node.actor::<Probe>("a");
    let (hour, count) = (3600 * SECOND, 40);
    for number in 1..=count {
        let name = number.to_string();
        probe.ask(after(&name, number * hour, &name)).await.unwrap();
    }
    node.advance(10 * hour).await.unwrap();
    assert_eq!(noted(&node).await.len(), 10);
    node.reopen();
    node.advance(30 * hour).await.unwrap();
    let noted = noted(&node).await;
    let number = |note: &String| note.split(' ').next().unwrap().parse::<u32>().unwrap();
    let fired: Vec<u32> = noted.iter().map(number).collect();
    assert_eq!(fired, (1..=count).collect::<Vec<_>>());
}
