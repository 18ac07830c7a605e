//! A failed write: nothing of it is believed, the journal is opened again, and keyed commands resolve to
//! exactly one execution.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{ActorRef, AskError, NodeBuilder};

use crate::bank::{Balance, Give, give, open, with_accounts};
use crate::probe::{Do, Notes, Probe, note, notes, start, start_with};
use crate::world::{Gate, REPEATED, Verdict, eventually, next, pause, send, world};

#[tokio::test]
async fn those_in_flight_are_told_and_their_retry_takes_effect_once() {
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        let storage = MemoryStorage::new();
        let node = start(&storage).await;
        let probe = node.actor::<Probe>("a");
        assert_eq!(probe.ask(note("before")).await, Ok(1));
        let paused = pause(&storage);
        storage.fail_next_commit(fault);
        let (one, two) = (
            probe.ask(note("one")).key("1"),
            probe.ask(note("two")).key("2"),
        );
        let (one, two) = (send(one).await, send(two).await);
        let query = send(probe.ask(Notes)).await;
        assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), 3);
        paused.resume();
        assert_eq!(one.await, Err(AskError::OutcomeUnknown));
        assert_eq!(two.await, Err(AskError::OutcomeUnknown));
        assert_eq!(query.await, Err(AskError::OutcomeUnknown));
        assert_eq!(probe.ask(note("one")).key("1").await, Ok(2), "{fault:?}");
        assert_eq!(probe.ask(note("two")).key("2").await, Ok(3), "{fault:?}");
        assert_eq!(notes(&probe).await, ["before", "one", "two"], "{fault:?}");
    }
}

#[tokio::test]
async fn commands_that_were_not_handled_yet_go_on() {
    let storage = MemoryStorage::new();
    // One write in flight holds everything else back.
    let node = start_with(&storage, |builder| {
        builder.config(|config| config.undurable_bytes = 1)
    })
    .await;
    let (probe, other) = (node.actor::<Probe>("a"), node.actor::<Probe>("b"));
    assert_eq!(
        (notes(&probe).await.len(), notes(&other).await.len()),
        (0, 0)
    );
    let gate = Gate::open_one();
    let paused = pause(&storage);
    storage.fail_next_commit(CommitFault::Lost);
    let lost = send(probe.ask(Do::NoteAndPass("lost".to_owned(), gate.number()))).await;
    gate.reached();
    let (same, another) = (
        send(probe.ask(note("same"))).await,
        send(other.ask(note("other"))).await,
    );
    paused.resume();
    assert_eq!(lost.await, Err(AskError::OutcomeUnknown));
    assert_eq!((same.await, another.await), (Ok(1), Ok(1)));
    assert_eq!(notes(&probe).await, ["same"]);
}

/// Many callers repeat keyed commands until they are answered, while the journal fails again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyed_commands_take_effect_once_through_many_failures() {
    let storage = MemoryStorage::new();
    let workers = NonZeroUsize::MIN.saturating_add(2);
    let node = start_with(&storage, |builder| {
        builder.config(|config| config.workers = workers)
    })
    .await;
    let faults = async {
        for round in 0..20 {
            let fault = [CommitFault::Lost, CommitFault::Kept][round % 2];
            let before = *node.watch_commits().borrow();
            storage.fail_next_commit(fault);
            eventually("commits go on", async || {
                *node.watch_commits().borrow() > before + 3
            })
            .await;
        }
    };
    let asking: Vec<_> = (0..8_u32)
        .map(|task| {
            let probe = node.actor::<Probe>(&(task % 3).to_string());
            let stopping = node.watch_stopping();
            tokio::spawn(async move {
                let mut asked = 0;
                while !*stopping.borrow() {
                    if !insist(&probe, &format!("{task}.{asked}")).await {
                        break;
                    }
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    faults.await;
    node.shutdown().await.unwrap();
    let mut acknowledged = 0;
    for task in asking {
        acknowledged += task.await.unwrap();
    }
    let node = start(&storage).await;
    let mut all = Vec::new();
    for key in ["0", "1", "2"] {
        all.extend(notes(&node.actor(key)).await);
    }
    let distinct: HashSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "a command took effect twice");
    // Each caller may have one that took effect and was not acknowledged before the end.
    assert!(
        (acknowledged..=acknowledged + 8).contains(&all.len()),
        "{acknowledged} of {}",
        all.len()
    );
    assert!(acknowledged > 50);
}

/// Asks until there is an answer. False at the node's end.
async fn insist(probe: &ActorRef<Probe>, text: &str) -> bool {
    loop {
        match probe.ask(note(text)).key(text).await {
            Ok(_) => return true,
            Err(AskError::OutcomeUnknown | AskError::ReadOnly { .. }) => {}
            Err(AskError::Stopped) => return false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn timers_go_on_after_a_failure() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    let period = Duration::from_millis(20);
    let every = Do::Every {
        timer: "t".to_owned(),
        period,
        text: "tick".to_owned(),
    };
    probe.ask(every).await.unwrap();
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        let had = probe.ask(Notes).await.map_or(0, |notes| notes.len());
        storage.fail_next_commit(fault);
        eventually("the timer goes on", async || {
            probe
                .ask(Notes)
                .await
                .is_ok_and(|notes| notes.len() > had + 3)
        })
        .await;
    }
}

#[tokio::test]
async fn an_effect_whose_intent_was_lost_never_runs() {
    for (fault, runs) in [(CommitFault::Lost, false), (CommitFault::Kept, true)] {
        let (storage, (world, mut calls)) = (MemoryStorage::new(), world());
        let node = start_with(&storage, |builder| builder.resource(world)).await;
        let probe = node.actor::<Probe>("a");
        notes(&probe).await;
        storage.fail_next_commit(fault);
        let run = Do::Run {
            after_crash: REPEATED,
            text: "job".to_owned(),
            retries: 0,
        };
        assert_eq!(probe.ask(run).await, Err(AskError::OutcomeUnknown));
        if runs {
            next(&mut calls).await.answer(Verdict::Succeed);
            eventually("it is answered", async || notes(&probe).await.len() == 1).await;
        } else {
            assert_eq!(probe.ask(note("after")).await, Ok(1));
            assert!(calls.try_recv().is_err());
        }
    }
}

/// The outcome's own commit fails: it is handed over again, by the same task or a new one.
#[tokio::test]
async fn an_outcome_whose_commit_failed_comes_again() {
    for fault in [CommitFault::Lost, CommitFault::Kept] {
        let (storage, (world, mut calls)) = (MemoryStorage::new(), world());
        let node = start_with(&storage, |builder| builder.resource(world)).await;
        let probe = node.actor::<Probe>("a");
        let run = Do::Run {
            after_crash: REPEATED,
            text: "job".to_owned(),
            retries: 0,
        };
        probe.ask(run).await.unwrap();
        let call = next(&mut calls).await;
        storage.fail_next_commit(fault);
        call.answer(Verdict::Succeed);
        // It may run a second time, where the first outcome was lost.
        eventually("it is answered", async || {
            if let Ok(call) = calls.try_recv() {
                assert!(call.may_have_run && fault == CommitFault::Lost);
                call.answer(Verdict::Succeed);
            }
            probe
                .ask(Notes)
                .await
                .is_ok_and(|notes| notes == ["job: Succeeded(1)"])
        })
        .await;
    }
}

#[tokio::test]
async fn work_that_is_held_is_started_once_though_the_journal_fails_meanwhile() {
    let storage = MemoryStorage::new();
    let build = || with_accounts(NodeBuilder::from(storage.clone())).hold_pending_work();
    let node = build().start().await.unwrap();
    let from = open(&node, "from", 10, 100).await;
    let to = open(&node, "to", 0, 100).await;
    give(&from, &["to", "to"], 1).await;
    storage.fail_next_commit(CommitFault::Lost);
    let lost = from.ask(Give {
        to: vec!["to".to_owned()],
        number: 3,
    });
    assert_eq!(lost.await, Err(AskError::OutcomeUnknown));
    assert_eq!(node.pending_messages(), None);
    // Whoever starts it while the journal is reopened is told, and it stays held.
    eventually("it starts", async || {
        let (one, other) =
            futures_util::future::join(node.start_pending_work(), node.start_pending_work()).await;
        one.is_ok() && other.is_ok()
    })
    .await;
    give(&from, &["to"], 3).await;
    eventually("all arrive", async || node.pending_messages() == Some(0)).await;
    let received = to.ask(Balance).await.unwrap().received;
    let numbers: Vec<u64> = received.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
