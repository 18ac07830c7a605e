//! Effects run after their commit, are retried under a journalled policy, and are answered once,
//! whenever the node ends.

use std::sync::Arc;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{ActorRef, AskError, Node};
use tokio::sync::mpsc::Receiver;

use crate::probe::{Do, Notes, Probe, note, notes, start_with};
use crate::world::{
    Call, HELD, RECONCILED, REPEATED, Verdict, World, eventually, next, pause, send, world,
};

/// A storage, and nodes over it that come and go.
struct Bench {
    storage: MemoryStorage,
    world: Arc<World>,
    calls: Receiver<Call>,
    node: Option<Node>,
}

impl Bench {
    async fn new() -> Self {
        let (world, calls) = world();
        let mut bench = Self {
            storage: MemoryStorage::new(),
            world: Arc::new(world),
            calls,
            node: None,
        };
        bench.start().await;
        bench
    }

    async fn start(&mut self) {
        let world = World(self.world.0.clone());
        self.node = Some(start_with(&self.storage, |builder| builder.resource(world)).await);
    }

    /// Ends the node without any order, and starts another.
    async fn restart(&mut self) {
        self.node = None;
        self.start().await;
    }

    fn probe(&self) -> ActorRef<Probe> {
        self.node.as_ref().unwrap().actor("a")
    }

    async fn run(&self, after_crash: char, retries: u32) {
        let run = Do::Run {
            after_crash,
            text: "job".to_owned(),
            retries,
        };
        self.probe().ask(run).await.unwrap();
    }

    async fn next(&mut self) -> Call {
        next(&mut self.calls).await
    }

    /// It was answered so, and by nothing else.
    async fn check_done(&mut self, outcome: &str) {
        let probe = self.probe();
        let expected = [format!("job: {outcome}")];
        eventually(outcome, async || !notes(&probe).await.is_empty()).await;
        assert_eq!(notes(&probe).await, expected);
        self.restart().await;
        assert_eq!(notes(&self.probe()).await, expected);
        assert!(self.calls.try_recv().is_err(), "it ran again");
    }
}

/// Attempt, may have run, reconciling.
#[track_caller]
fn check_call(call: &Call, expected: (u32, bool, bool)) {
    assert_eq!(
        (call.attempt, call.may_have_run, call.reconciling),
        expected
    );
    assert_eq!(call.text, "job");
}

#[tokio::test]
async fn success_comes_back() {
    for after_crash in [REPEATED, RECONCILED, HELD] {
        let mut bench = Bench::new().await;
        bench.run(after_crash, 0).await;
        let call = bench.next().await;
        check_call(&call, (1, false, false));
        call.answer(Verdict::Succeed);
        bench.check_done("Succeeded(1)").await;
    }
}

#[tokio::test]
async fn failures_are_retried_under_the_same_name() {
    for after_crash in [REPEATED, RECONCILED, HELD] {
        let mut bench = Bench::new().await;
        bench.run(after_crash, 3).await;
        let call = bench.next().await;
        let id = call.id.clone();
        call.answer(Verdict::Fail);
        let call = bench.next().await;
        check_call(&call, (2, true, false));
        assert_eq!(call.id, id);
        call.answer(Verdict::Fail);
        let call = bench.next().await;
        check_call(&call, (3, true, false));
        call.answer(Verdict::Succeed);
        bench.check_done("Succeeded(3)").await;
    }
}

#[tokio::test]
async fn the_last_failure_comes_back() {
    let mut bench = Bench::new().await;
    bench.run(REPEATED, 1).await;
    bench.next().await.answer(Verdict::Fail);
    bench.next().await.answer(Verdict::Fail);
    bench
        .check_done("Failed { error: \"failed\", attempts: 2 }")
        .await;
}

#[tokio::test]
async fn a_fatal_failure_is_not_retried() {
    let mut bench = Bench::new().await;
    bench.run(REPEATED, 3).await;
    bench.next().await.answer(Verdict::FailForGood);
    bench
        .check_done("Failed { error: \"failed for good\", attempts: 1 }")
        .await;
}

#[tokio::test]
async fn a_panic_is_a_failure_of_what_may_be_repeated() {
    let mut bench = Bench::new().await;
    bench.run(REPEATED, 1).await;
    bench.next().await.answer(Verdict::Panic);
    let call = bench.next().await;
    check_call(&call, (2, true, false));
    call.answer(Verdict::Panic);
    bench
        .check_done("Failed { error: \"it panicked\", attempts: 2 }")
        .await;
}

/// A panic says as little as a crash about what was done before it.
#[tokio::test]
async fn a_panic_leaves_open_what_must_not_be_repeated() {
    let mut bench = Bench::new().await;
    bench.run(HELD, 3).await;
    bench.next().await.answer(Verdict::Panic);
    bench.check_done("Unknown").await;

    let mut bench = Bench::new().await;
    bench.run(RECONCILED, 3).await;
    bench.next().await.answer(Verdict::Panic);
    let call = bench.next().await;
    check_call(&call, (2, true, true));
    call.answer(Verdict::NotDone);
    let call = bench.next().await;
    check_call(&call, (2, true, false));
    call.answer(Verdict::Succeed);
    bench.check_done("Succeeded(2)").await;
}

#[tokio::test]
async fn nothing_runs_before_its_intent_is_durable() {
    let mut bench = Bench::new().await;
    let probe = bench.probe();
    let paused = pause(&bench.storage);
    let run = Do::Run {
        after_crash: REPEATED,
        text: "job".to_owned(),
        retries: 0,
    };
    let asked = send(probe.ask(run)).await;
    assert_eq!(probe.ask(Notes).dirty_ok().await, Ok(Vec::new()));
    assert!(bench.calls.try_recv().is_err());
    paused.resume();
    asked.await.unwrap();
    bench.next().await.answer(Verdict::Succeed);
    bench.check_done("Succeeded(1)").await;
}

#[tokio::test]
async fn a_crash_in_the_middle_repeats_what_may_be_repeated() {
    let mut bench = Bench::new().await;
    bench.run(REPEATED, 3).await;
    let cut_off = bench.next().await;
    bench.restart().await;
    let call = bench.next().await;
    check_call(&call, (1, true, false));
    assert_eq!(call.id, cut_off.id);
    call.answer(Verdict::Fail);
    let cut_off = bench.next().await;
    check_call(&cut_off, (2, true, false));
    bench.restart().await;
    let call = bench.next().await;
    check_call(&call, (2, true, false));
    call.answer(Verdict::Succeed);
    bench.check_done("Succeeded(2)").await;
}

#[tokio::test]
async fn a_crash_in_the_middle_has_the_world_asked() {
    let found = [
        (Verdict::Succeed, "Succeeded(0)"),
        (Verdict::Unknown, "Unknown"),
        (Verdict::FailForGood, "Unknown"),
        (Verdict::Fail, "Unknown"),
    ];
    for (verdict, outcome) in found {
        let mut bench = Bench::new().await;
        bench.run(RECONCILED, 0).await;
        let _cut_off = bench.next().await;
        bench.restart().await;
        let call = bench.next().await;
        check_call(&call, (1, true, true));
        call.answer(verdict);
        bench.check_done(outcome).await;
    }
}

#[tokio::test]
async fn what_was_not_done_is_done_then() {
    let mut bench = Bench::new().await;
    bench.run(RECONCILED, 0).await;
    let _cut_off = bench.next().await;
    bench.restart().await;
    bench.next().await.answer(Verdict::NotDone);
    let call = bench.next().await;
    check_call(&call, (1, true, false));
    call.answer(Verdict::Succeed);
    bench.check_done("Succeeded(1)").await;
}

/// Asking failed and was retried: the question is still open, so it must be asked again before the
/// effect is.
#[tokio::test]
async fn asking_the_world_is_retried_as_asking() {
    let mut bench = Bench::new().await;
    bench.run(RECONCILED, 3).await;
    let _cut_off = bench.next().await;
    bench.restart().await;
    bench.next().await.answer(Verdict::Fail);
    let call = bench.next().await;
    check_call(&call, (2, true, true));
    call.answer(Verdict::Succeed);
    bench.check_done("Succeeded(0)").await;
}

#[tokio::test]
async fn a_crash_in_the_middle_holds_what_must_not_be_repeated() {
    let mut bench = Bench::new().await;
    bench.run(HELD, 3).await;
    let _cut_off = bench.next().await;
    bench.restart().await;
    bench.check_done("Unknown").await;
}

#[tokio::test]
async fn a_crash_between_two_attempts_goes_on_with_the_next() {
    for after_crash in [RECONCILED, HELD] {
        let mut bench = Bench::new().await;
        bench.run(after_crash, 3).await;
        bench.next().await.answer(Verdict::Fail);
        let _second = bench.next().await;
        bench.storage.crash();
        bench.restart().await;
        if after_crash == HELD {
            bench.check_done("Unknown").await;
        } else {
            let call = bench.next().await;
            check_call(&call, (2, true, true));
            call.answer(Verdict::Succeed);
            bench.check_done("Succeeded(0)").await;
        }
    }
}

#[tokio::test]
async fn shutting_down_waits_for_what_runs() {
    let mut bench = Bench::new().await;
    bench.run(HELD, 0).await;
    let call = bench.next().await;
    let node = bench.node.take().unwrap();
    let down = tokio::spawn(async move { node.shutdown().await });
    call.answer(Verdict::Succeed);
    down.await.unwrap().unwrap();
    bench.start().await;
    bench.check_done("Succeeded(1)").await;
}

/// Regression: reloading pending effects after the journal was reopened started an effect again that was
/// still running, because only its end was looked at and not that its outcome was on its way.
#[tokio::test]
async fn an_effect_that_runs_while_the_journal_is_reopened_runs_once() {
    for after_crash in [REPEATED, RECONCILED, HELD] {
        let mut bench = Bench::new().await;
        bench.run(after_crash, 3).await;
        let call = bench.next().await;
        let other: ActorRef<Probe> = bench.node.as_ref().unwrap().actor("other");
        bench.storage.fail_next_commit(CommitFault::Lost);
        let lost = other.ask(note("lost")).await;
        assert_eq!(lost, Err(AskError::OutcomeUnknown));
        // Answered only once the journal is open again; its pending work is loaded by then or soon.
        assert_eq!(other.ask(note("open again")).await, Ok(1));
        bench.node.as_ref().unwrap().health().await;
        call.answer(Verdict::Succeed);
        bench.check_done("Succeeded(1)").await;
    }
}
