//! Effects in memory are bounded, and those that wait on disk are done all the same, each once.
//!
//! Regression: every pending effect had a task with its body, and all of them were started with the node. With a
//! downstream that is dead they grew until the process was killed, and so was each process after it.

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast::NodeBuilder;
use steadfast::testkit::{CommitFault, FakeEffect, FaultPlan, TestNode, crash_everywhere};

use crate::probe::{Do, Probe, notes, with_probe};
use crate::world::{HELD, Job, REPEATED};

const SECOND: Duration = Duration::from_secs(1);

fn job(after_crash: char, number: usize) -> Do {
    Do::Run {
        after_crash,
        text: number.to_string(),
        retries: 3,
    }
}

fn with_window(builder: NodeBuilder, window: usize) -> NodeBuilder {
    with_probe(builder).config(|config| config.effects_in_memory = window)
}

fn succeeding() -> FakeEffect<Job<REPEATED>> {
    FakeEffect::new().then_succeed(7)
}

async fn ask_jobs(node: &TestNode, numbers: std::ops::Range<usize>) {
    for number in numbers {
        // So that the rows of the table are not in the order in which they were asked for.
        let probe = node.actor::<Probe>(&format!("a{}", number % 7));
        probe.ask(job(REPEATED, number)).await.unwrap();
    }
}

/// How many outcomes there are in all; each of its own job.
async fn outcomes(node: &TestNode) -> usize {
    let (mut all, mut count) = (BTreeSet::new(), 0);
    for actor in 0..7 {
        let noted = notes(&node.actor::<Probe>(&format!("a{actor}"))).await;
        count += noted.len();
        all.extend(noted);
    }
    assert_eq!(all.len(), count, "one came twice");
    count
}

#[tokio::test]
async fn those_without_room_wait_on_disk() {
    let node = TestNode::new(|builder| with_window(builder, 16));
    let fake = node.fake(succeeding);
    fake.hold();
    ask_jobs(&node, 0..100).await;
    node.settle().await.unwrap();
    assert_eq!((fake.held(), fake.runs().len()), (16, 16));
    fake.release();
    node.settle().await.unwrap();
    assert_eq!((fake.runs().len(), outcomes(&node).await), (100, 100));
    // And all is as before.
    fake.hold();
    ask_jobs(&node, 100..110).await;
    node.settle().await.unwrap();
    assert_eq!(fake.held(), 10);
}

#[tokio::test]
async fn a_start_brings_as_many_into_memory_as_there_is_room_for() {
    let node = TestNode::new(|builder| with_window(builder, 16));
    let fake = node.fake(succeeding);
    fake.hold();
    ask_jobs(&node, 0..100).await;
    node.settle().await.unwrap();
    for _ in 0..2 {
        let before = fake.runs().len();
        node.reopen();
        node.settle().await.unwrap();
        assert_eq!((fake.held(), fake.runs().len()), (16, before + 16));
    }
    // Some come while others are read.
    fake.release();
    ask_jobs(&node, 100..150).await;
    node.settle().await.unwrap();
    assert_eq!(outcomes(&node).await, 150);
}

#[tokio::test]
async fn those_that_wait_to_be_tried_again_keep_their_room() {
    let node = TestNode::new(|builder| with_window(builder, 3));
    let fake = node.fake(|| succeeding().fail_times(40));
    ask_jobs(&node, 0..20).await;
    node.advance(60 * SECOND).await.unwrap();
    assert_eq!(outcomes(&node).await, 20);
    let runs = fake.runs();
    assert_eq!(runs.iter().filter(|run| run.attempt == 1).count(), 20);
}

/// The pass over the rows is another one in each generation of the journal.
#[tokio::test]
async fn a_journal_that_fails_loses_and_doubles_none() {
    let node = TestNode::new(|builder| with_window(builder, 4));
    let fake = node.fake(succeeding);
    fake.hold();
    ask_jobs(&node, 0..30).await;
    node.settle().await.unwrap();
    for round in 0..3 {
        let outcome = [CommitFault::Lost, CommitFault::Kept][round % 2];
        // The next write there is: of the outcomes that are let go.
        node.faults(&FaultPlan::new().sync_error(1, outcome));
        fake.release();
        node.advance(10 * SECOND).await.unwrap();
        fake.hold();
        ask_jobs(&node, 30 + 10 * round..40 + 10 * round).await;
        node.settle().await.unwrap();
    }
    fake.release();
    node.advance(60 * SECOND).await.unwrap();
    assert_eq!(outcomes(&node).await, 60);
}

#[test]
fn a_window_of_one_is_enough_over_crashes() {
    crash_everywhere(
        |builder| with_window(builder, 1),
        async |node| {
            node.fake(succeeding);
            for number in 0..3_u32 {
                let probe = node.actor::<Probe>("a");
                let key = number.to_string();
                let job = job(REPEATED, usize::try_from(number).unwrap_or(0));
                probe.ask(job).key(key).await?;
            }
            node.advance(SECOND).await
        },
        |node| {
            let mut noted = node.block_on(async { notes(&node.actor::<Probe>("a")).await });
            noted.sort();
            let expected = [0, 1, 2].map(|number| format!("{number}: Succeeded(7)"));
            assert_eq!(noted, expected);
        },
    );
}

/// Those that may run once only.
#[tokio::test]
async fn one_that_was_on_disk_was_not_begun() {
    let node = TestNode::new(|builder| with_window(builder, 2));
    let fake = node.fake(|| FakeEffect::<Job<HELD>>::new().then_succeed(7));
    fake.hold();
    let probe = node.actor::<Probe>("a");
    for number in 0..6 {
        probe.ask(job(HELD, number)).await.unwrap();
    }
    node.settle().await.unwrap();
    assert_eq!(fake.held(), 2);
    node.crash();
    fake.release();
    node.reopen();
    node.settle().await.unwrap();
    let noted = notes(&node.actor::<Probe>("a")).await;
    let of = |outcome: &str| noted.iter().filter(|text| text.ends_with(outcome)).count();
    assert_eq!((of("Unknown"), of("Succeeded(7)")), (2, 4), "{noted:?}");
}
