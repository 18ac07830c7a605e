//! Into memory and out of it: passivation, the end of a node, its next start.

use std::time::Duration;

use futures_util::poll;
use steadfast::journal::MemoryStorage;
use steadfast::testkit::{FaultPlan, SimNode, TestNode};
use steadfast::{AskError, Node};

use crate::probe::{Do, Notes, Probe, note, notes, start, start_with, with_probe};
use crate::world::{HELD, Hands, Verdict, eventually, next, pause, send, world};

#[tokio::test]
async fn an_idle_actor_leaves_memory_and_loses_nothing() {
    let node = TestNode::new(|builder| {
        with_probe(builder).config(|config| config.passivate_after = Duration::from_secs(60))
    });
    let probe = node.actor::<Probe>("a");
    for number in 1..=3 {
        assert_eq!(probe.ask(note(&number.to_string())).await, Ok(number));
        node.advance(Duration::from_secs(59)).await.unwrap();
        assert_eq!(node.node().health().await.len(), 1);
        node.advance(Duration::from_secs(1)).await.unwrap();
        assert_eq!(node.node().health().await.len(), 0);
    }
    assert_eq!(notes(&probe).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn an_actor_that_leaves_all_the_time_keeps_the_order() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    let mut expected = Vec::new();
    for number in 0..100 {
        let text = number.to_string();
        if number % 3 == 0 {
            probe.tell(Do::NoteAndLeave(text.clone())).await.unwrap();
        } else if number % 10 == 0 {
            probe.ask(note(&text)).await.unwrap();
        } else {
            probe.tell(note(&text)).await.unwrap();
        }
        expected.push(text);
    }
    assert_eq!(notes(&probe).await, expected);
}

#[tokio::test]
async fn an_actor_with_a_write_in_flight_does_not_leave() {
    let node = TestNode::new(with_probe);
    let probe = node.actor::<Probe>("a");
    let paused = pause(node.storage());
    let leaving = send(probe.ask(Do::NoteAndLeave("one".to_owned()))).await;
    assert_eq!(
        probe.ask(Notes).dirty_ok().await,
        Ok(vec!["one".to_owned()])
    );
    let next = send(probe.ask(note("two"))).await;
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 2);
    paused.resume();
    assert_eq!((leaving.await, next.await), (Ok(()), Ok(2)));
    node.settle().await.unwrap();
    assert!(node.node().health().await.is_empty(), "it leaves after all");
    assert_eq!(notes(&probe).await, ["one", "two"]);
}

#[tokio::test]
async fn shutting_down_finishes_what_was_accepted() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    let paused = pause(&storage);
    let mut accepted = Vec::new();
    for number in 0..10 {
        accepted.push(send(probe.ask(note(&number.to_string()))).await);
    }
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 10);
    let mut down = Box::pin(node.shutdown());
    assert!(poll!(&mut down).is_pending());
    paused.resume();
    down.await.unwrap();
    for (number, asked) in (1..).zip(accepted) {
        assert_eq!(asked.await, Ok(number));
    }
    assert_eq!(notes(&start(&storage).await.actor("a")).await.len(), 10);
}

/// Regression: a worker kept one of those who wait for its end. The second call took the place of the first, which
/// was dropped, and the first took that for the end: it closed the journal under what was still to be done.
#[test]
fn a_second_shutdown_does_not_cut_the_first_one_short() {
    let sim = SimNode::new(7, with_probe);
    sim.block_on(async {
        let probe = sim.actor::<Probe>("a");
        assert_eq!(probe.ask(note("one")).await, Ok(1));
        sim.faults(&FaultPlan::new().held());
        let accepted = send(probe.ask(note("two"))).await;
        sim.settle().await.unwrap();
        let node = sim.node();
        let mut first = Box::pin(node.shutdown());
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(node.shutdown());
        assert!(poll!(&mut second).is_pending());
        sim.settle().await.unwrap();
        let (first_ended, second_ended) = (poll!(&mut first), poll!(&mut second));
        assert!(first_ended.is_pending() && second_ended.is_pending());
        sim.let_go(1);
        sim.settle().await.unwrap();
        assert_eq!(accepted.await, Ok(2));
        first.await.unwrap();
        second.await.unwrap();
    });
}

#[tokio::test]
async fn shutting_down_starts_nothing_and_takes_what_was_under_way() {
    let (storage, clock) = (MemoryStorage::new(), Hands::default());
    let (world, mut calls) = world();
    let node = start_with(&storage, |builder| {
        builder.resource(world).clock(clock.clone())
    })
    .await;
    let probe = node.actor::<Probe>("a");
    let tick = Do::After {
        timer: "t".to_owned(),
        delay: Duration::from_secs(1),
        text: "tick".to_owned(),
    };
    probe.ask(tick).await.unwrap();
    let job = Do::Run {
        after_crash: HELD,
        text: "job".to_owned(),
        retries: 0,
    };
    probe.ask(job).await.unwrap();
    let call = next(&mut calls).await;
    let paused = pause(&storage);
    let accepted = send(probe.ask(note("one"))).await;
    assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 1);

    let mut down = Box::pin(node.shutdown());
    assert!(poll!(&mut down).is_pending());
    assert_eq!(probe.ask(note("two")).await, Err(AskError::Stopped));
    clock.advance(Duration::from_secs(2));
    node.wake().await;
    paused.resume();
    assert_eq!(accepted.await, Ok(1));
    node.wake().await;
    call.answer(Verdict::Succeed);
    down.await.unwrap();

    let node = start_with(&storage, |builder| {
        builder.clock(clock.clone()).hold_pending_work()
    })
    .await;
    let kept = notes(&node.actor("a")).await;
    assert_eq!(kept, ["one", "job: Succeeded(1)"]);
}

/// Whoever asks while the node ends is told the truth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_amid_commands_tells_everybody_the_truth() {
    for clean in [true, false] {
        let storage = MemoryStorage::new();
        let node = start(&storage).await;
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let probe = node.actor::<Probe>("a");
                tokio::spawn(async move {
                    let (mut done, mut unknown) = (0, 0);
                    loop {
                        match probe.ask(note("x")).await {
                            Ok(_) => done += 1,
                            Err(AskError::OutcomeUnknown) => unknown += 1,
                            Err(AskError::Stopped) => return (done, unknown),
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            })
            .collect();
        eventually("it is busy", async || *node.watch_commits().borrow() > 20).await;
        if clean {
            node.shutdown().await.unwrap();
        }
        drop(node);
        let (mut done, mut unknown) = (0, 0);
        for task in asking {
            let counts = task.await.unwrap();
            done += counts.0;
            unknown += counts.1;
        }
        assert!(!clean || unknown == 0, "accepted work was left in doubt");
        let kept = notes(&start(&storage).await.actor("a")).await.len();
        assert!(
            (done..=done + unknown).contains(&kept),
            "{done}, {unknown} in doubt, {kept} kept"
        );
    }
}

#[tokio::test]
async fn a_node_that_was_just_dropped_leaves_its_directory_free() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        let node = with_probe(Node::open(dir.path())).start().await.unwrap();
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("x")).await, Ok(number));
        drop(node);
    }
}

#[tokio::test]
async fn a_directory_has_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = with_probe(Node::open(dir.path())).start().await.unwrap();
    let error = with_probe(Node::open(dir.path()))
        .start()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    node.shutdown().await.unwrap();
    with_probe(Node::open(dir.path())).start().await.unwrap();
}
