//! The test kit on effects: fakes, their waits in virtual time, and crashes at every write and in the
//! middle of an attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::testkit::{
    CommitFault, CrashPlan, Crashed, FakeEffect, FaultPlan, TestNode, crash_everywhere,
};
use steadfast::{AskError, Effect, EffectError, Reconciled};

use crate::probe::{Do, Probe, note, notes, with_probe};
use crate::world::{HELD, Job, RECONCILED, REPEATED, send};

const SECOND: Duration = Duration::from_secs(1);

fn run(after_crash: char, retries: u32) -> Do {
    Do::Run {
        after_crash,
        text: "job".to_owned(),
        retries,
    }
}

async fn noted(node: &TestNode) -> Vec<String> {
    notes(&node.actor::<Probe>("a")).await
}

fn succeeding<E: Effect<Output = u32>>() -> FakeEffect<E> {
    FakeEffect::new().then_succeed(7)
}

/// A fake whose world remembers whether any attempt did its work.
fn remembered() -> FakeEffect<Job<RECONCILED>> {
    let fake = succeeding();
    let world = fake.clone();
    fake.reconciles(move |_, _| {
        let done = world.runs().iter().any(|run| run.ended && !run.reconciling);
        std::future::ready(Ok(if done {
            Reconciled::Done(7)
        } else {
            Reconciled::NotDone
        }))
    })
}

async fn one_job(node: &TestNode, after_crash: char) -> Result<(), Crashed> {
    let probe = node.actor::<Probe>("a");
    probe.ask(run(after_crash, 1)).key("run").await?;
    node.advance(SECOND).await
}

#[test]
fn a_job_that_is_repeated_is_answered_once_over_crashes() {
    crash_everywhere(
        with_probe,
        async |node| {
            node.fake(|| {
                FakeEffect::<Job<REPEATED>>::new()
                    .fail_times(1)
                    .then_succeed(7)
            });
            one_job(node, REPEATED).await
        },
        |node| {
            let runs = node.fake(FakeEffect::<Job<REPEATED>>::new).runs();
            assert!(runs.iter().all(|run| run.id == runs[0].id && run.ended));
            assert_eq!(node.block_on(noted(node)), ["job: Succeeded(7)"]);
        },
    );
}

#[test]
fn a_job_that_is_reconciled_does_its_work_once_over_crashes() {
    crash_everywhere(
        with_probe,
        async |node| {
            node.fake(remembered);
            one_job(node, RECONCILED).await
        },
        |node| {
            let runs = node.fake(remembered).runs();
            let worked = runs.iter().filter(|run| !run.reconciling).count();
            assert_eq!(worked, 1, "{runs:?}");
            assert_eq!(node.block_on(noted(node)), ["job: Succeeded(7)"]);
        },
    );
}

#[test]
fn a_job_that_is_held_runs_once_or_is_unknown_over_crashes() {
    crash_everywhere(
        with_probe,
        async |node| {
            node.fake(succeeding::<Job<HELD>>);
            one_job(node, HELD).await
        },
        |node| {
            assert!(node.fake(succeeding::<Job<HELD>>).runs().len() <= 1);
            let noted = node.block_on(noted(node));
            let honest = ["job: Succeeded(7)", "job: Unknown"];
            assert!(
                noted.len() == 1 && honest.contains(&&*noted[0]),
                "{noted:?}"
            );
        },
    );
}

/// The control: a job that is repeated although it must not be is found.
#[test]
#[should_panic(expected = "it ran twice")]
fn a_job_that_runs_twice_is_found() {
    crash_everywhere(
        with_probe,
        async |node| {
            node.fake(succeeding::<Job<REPEATED>>);
            one_job(node, REPEATED).await
        },
        |node| {
            let runs = node.fake(succeeding::<Job<REPEATED>>).runs();
            assert!(runs.len() == 1, "it ran twice");
        },
    );
}

#[tokio::test]
async fn retries_wait_in_virtual_time() {
    let node = TestNode::new(with_probe);
    let fake = node.fake(|| {
        FakeEffect::<Job<REPEATED>>::new()
            .fail_times(3)
            .then_succeed(7)
    });
    // Waits of 1, 2 and 4 ms, each 90 to 110 %.
    node.actor::<Probe>("a")
        .ask(run(REPEATED, 3))
        .await
        .unwrap();
    for (passes, attempts) in [(0, 1), (2, 2), (3, 3), (5, 4)] {
        node.advance(Duration::from_millis(passes)).await.unwrap();
        assert_eq!(fake.runs().len(), attempts);
    }
    assert_eq!(noted(&node).await, ["job: Succeeded(7)"]);
}

/// Found by killing a process whose wall clock was ten years ahead: in the next life its effects, first attempts too,
/// waited for twice the longest wait of their policy, ten minutes. The time at which an attempt is due is one of
/// the wall clock, and its bound had nothing to do with what the attempt really had to wait.
#[tokio::test]
async fn a_wall_clock_that_is_set_back_over_a_crash_holds_no_job() {
    const TEN_YEARS: Duration = Duration::from_secs(315_576_000);
    let node = TestNode::new(with_probe);
    let fake = node.fake(|| {
        let fake = FakeEffect::<Job<REPEATED>>::new().fail_times(1);
        fake.then_succeed(7)
    });
    node.clock().jump_wall_forward(TEN_YEARS);
    let probe = node.actor::<Probe>("a");
    // One that is tried again after a millisecond, and one that was not finished.
    probe.ask(run(REPEATED, 1)).await.unwrap();
    node.settle().await.unwrap();
    fake.hold();
    probe.ask(run(REPEATED, 1)).await.unwrap();
    node.settle().await.unwrap();
    assert_eq!((fake.runs().len(), fake.held()), (2, 1));
    node.crash();
    node.clock().jump_wall_back(TEN_YEARS);
    fake.release();
    node.reopen();
    node.settle().await.unwrap();
    assert_eq!(noted(&node).await, ["job: Succeeded(7)"]);
    node.advance(Duration::from_millis(2)).await.unwrap();
    assert_eq!(noted(&node).await.len(), 2);
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_job() {
    for (after_crash, runs, outcome) in [
        (REPEATED, 2, "job: Succeeded(7)"),
        (RECONCILED, 3, "job: Succeeded(7)"),
        (HELD, 1, "job: Unknown"),
    ] {
        let node = TestNode::new(with_probe);
        let ran = match after_crash {
            REPEATED => cut_off(&node, succeeding::<Job<REPEATED>>, REPEATED).await,
            RECONCILED => cut_off(&node, remembered, RECONCILED).await,
            _ => cut_off(&node, succeeding::<Job<HELD>>, HELD).await,
        };
        assert_eq!(ran, runs, "{after_crash:?}");
        assert_eq!(noted(&node).await, [outcome]);
    }
}

/// Crashes while the job is held; how often anything ran.
async fn cut_off<E: Effect>(
    node: &TestNode,
    make: impl FnOnce() -> FakeEffect<E>,
    after_crash: char,
) -> usize {
    let fake = node.fake(make);
    fake.hold();
    let probe = node.actor::<Probe>("a");
    probe.ask(run(after_crash, 0)).await.unwrap();
    node.settle().await.unwrap();
    assert_eq!(fake.held(), 1);
    node.crash();
    fake.release();
    node.reopen();
    node.settle().await.unwrap();
    assert!(!fake.runs()[0].ended, "the first attempt was cut off");
    fake.runs().len()
}

#[tokio::test]
async fn a_job_takes_virtual_time_and_a_panic_counts_as_a_failure() {
    let node = TestNode::new(with_probe);
    let fake = FakeEffect::<Job<REPEATED>>::new().panic_once();
    let fake = node.fake(|| fake.then_succeed(7).takes(10 * SECOND));
    node.actor::<Probe>("a")
        .ask(run(REPEATED, 1))
        .await
        .unwrap();
    node.advance(19 * SECOND).await.unwrap();
    assert_eq!((noted(&node).await.len(), fake.runs().len()), (0, 2));
    node.advance(2 * SECOND).await.unwrap();
    assert_eq!(noted(&node).await, ["job: Succeeded(7)"]);
}

#[tokio::test]
async fn released_jobs_are_done_when_the_node_is_at_rest() {
    let node = TestNode::new(with_probe);
    let fake = node.fake(succeeding::<Job<REPEATED>>);
    fake.hold();
    let probe = node.actor::<Probe>("a");
    for _ in 0..5 {
        probe.ask(run(REPEATED, 0)).await.unwrap();
    }
    node.settle().await.unwrap();
    assert_eq!((fake.held(), noted(&node).await.len()), (5, 0));
    fake.release();
    node.settle().await.unwrap();
    assert_eq!((fake.held(), noted(&node).await.len()), (0, 5));
}

#[tokio::test]
async fn a_fake_does_what_the_test_says() {
    let node = TestNode::new(with_probe);
    node.fake(|| {
        let fake = FakeEffect::<Job<REPEATED>>::new().fail_for_good();
        fake.then(|job, cx| async move {
            let length = u32::try_from(job.text.len()).unwrap();
            Ok(length * 10 + cx.attempt())
        })
    });
    let probe = node.actor::<Probe>("a");
    for _ in 0..2 {
        probe.ask(run(REPEATED, 5)).await.unwrap();
        node.settle().await.unwrap();
    }
    let noted = noted(&node).await;
    assert!(noted[0].contains("Failed"), "{noted:?}");
    assert_eq!(noted[1], "job: Succeeded(31)");
}

#[test]
fn a_fake_without_a_script_is_a_witness() {
    let node = TestNode::new(with_probe);
    node.block_on(async {
        let fake = node.fake(FakeEffect::<Job<REPEATED>>::new);
        node.actor::<Probe>("a")
            .ask(run(REPEATED, 0))
            .await
            .unwrap();
        node.settle().await.unwrap();
        assert_eq!(fake.runs().len(), 1);
        let noted = noted(&node).await;
        assert!(noted[0].contains("no resource"), "{noted:?}");
    });
}

/// Two crashes, and a note beside the job.
#[test]
fn pairs_of_crashes() {
    let plan = CrashPlan::default().seed(7).pairs(100);
    plan.run(
        with_probe,
        async |node| {
            node.fake(remembered);
            let probe = node.actor::<Probe>("a");
            probe.ask(note("before")).key("before").await?;
            one_job(node, RECONCILED).await
        },
        |node| {
            assert_eq!(node.block_on(noted(node)), ["before", "job: Succeeded(7)"]);
        },
    );
}

#[test]
fn one_pair_can_be_repeated() {
    let crashes = [(2, CommitFault::Kept), (1, CommitFault::Lost)];
    CrashPlan::default().only(crashes).run(
        with_probe,
        async |node| {
            node.fake(remembered);
            one_job(node, RECONCILED).await
        },
        |node| assert_eq!(node.block_on(noted(node)), ["job: Succeeded(7)"]),
    );
}

/// Regression: a retry journals the text of the error. One that was longer than an entry may be was refused as too
/// large, the effect's task ended, and the effect stood still until the next restart.
#[tokio::test]
async fn an_error_of_any_length_is_cut_and_the_job_goes_on() {
    let node = TestNode::new(|node| with_probe(node).config(|config| config.entry_bytes = 1 << 20));
    let fake = node.fake(|| {
        FakeEffect::<Job<REPEATED>>::new().then(|_, cx| async move {
            // Two bytes a letter, and the cut falls into the middle of one.
            let text = format!("{}{}", cx.attempt(), "ä".repeat(1 << 20));
            Err(if cx.attempt() < 3 {
                EffectError::retryable(text)
            } else {
                EffectError::fatal(text)
            })
        })
    });
    let probe = node.actor::<Probe>("a");
    probe.ask(run(REPEATED, 5)).await.unwrap();
    node.advance(SECOND).await.unwrap();
    assert_eq!(fake.runs().len(), 3);
    let noted = noted(&node).await;
    let error = format!("3{}... (2097153 bytes)", "ä".repeat(2_047));
    let outcome = format!("job: Failed {{ error: {error:?}, attempts: 3 }}");
    assert_eq!(noted, [outcome]);
}

/// Regression: an effect that was pending when `entry_bytes` was lowered below its body could journal no retry, and
/// stood still. What its outcome wants to write is another matter: that sets the actor aside, with the reason.
#[tokio::test]
async fn a_job_larger_than_an_entry_may_be_now_is_tried_again() {
    let limit = Arc::new(AtomicUsize::new(1 << 20));
    let now = Arc::clone(&limit);
    let node = TestNode::new(move |node| {
        let bytes = now.load(Ordering::SeqCst);
        with_probe(node).config(move |config| config.entry_bytes = bytes)
    });
    let fake = node.fake(|| {
        let fake = FakeEffect::<Job<REPEATED>>::new().fail_times(2);
        fake.then_succeed(7)
    });
    fake.hold();
    let large = Do::Run {
        after_crash: REPEATED,
        text: "x".repeat(5_000),
        retries: 5,
    };
    node.actor::<Probe>("a").ask(large).await.unwrap();
    node.settle().await.unwrap();
    limit.store(1_000, Ordering::SeqCst);
    node.crash();
    fake.release();
    node.reopen();
    node.advance(60 * SECOND).await.unwrap();
    // One was cut off, two failed.
    assert_eq!(fake.runs().len(), 4);
    let told = node.actor::<Probe>("a").ask(note("more")).await;
    let Err(AskError::Quarantined { reason, .. }) = told else {
        panic!("{told:?}");
    };
    assert!(reason.contains("the limit is 1000"), "{reason}");
}

/// A step on its way to the actor was once taken for rest: the clock moved on before the retry was waited
/// for.
#[tokio::test]
async fn a_step_under_way_is_no_rest() {
    for _ in 0..200 {
        let node = TestNode::new(with_probe);
        node.fake(|| {
            FakeEffect::<Job<REPEATED>>::new()
                .fail_times(1)
                .then_succeed(7)
        });
        one_job(&node, REPEATED).await.unwrap();
        assert_eq!(noted(&node).await, ["job: Succeeded(7)"]);
    }
}

/// It counted as busy, and whoever waited for rest waited for ever: the one place belongs to an effect whose start is
/// with a held commit.
#[tokio::test]
async fn an_effect_that_waits_for_a_place_behind_a_held_commit_is_at_rest() {
    let node = TestNode::new(|node| with_probe(node).config(|config| config.effects = 1));
    node.fake(succeeding::<Job<HELD>>);
    let probe = node.actor::<Probe>("a");
    node.faults(&FaultPlan::new().held());
    let first = send(probe.ask(run(HELD, 1))).await;
    let second = send(probe.ask(run(HELD, 1))).await;
    node.settle().await.unwrap();
    // One after the other, as far as a commit allows each.
    for _ in 0..12 {
        node.let_go(1);
        node.settle().await.unwrap();
    }
    first.await.unwrap();
    second.await.unwrap();
    node.faults(&FaultPlan::new());
    assert_eq!(noted(&node).await.len(), 2);
}
