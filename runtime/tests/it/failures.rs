//! What a handler does wrong costs its own command and nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorHealth, ActorId, AskError, Command, Event, Handle, Live, Never, NodeBuilder, NodeError,
    StatefulActor,
};

use crate::probe::{Do, Notes, Probe, note, notes, start, start_with, with_probe};
use crate::world::{Gate, Hands, REPEATED, eventually, pause, send, send_off, world};

fn reason<T: std::fmt::Debug, R: std::fmt::Debug>(answer: Result<T, AskError<R>>) -> String {
    match answer {
        Err(AskError::Failed { reason }) => reason,
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn a_rejection_writes_nothing() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    let before = *node.watch_commits().borrow();
    let rejected = probe.ask(Do::Reject).await;
    assert_eq!(rejected, Err(AskError::Rejected("no".to_owned())));
    assert_eq!(*node.watch_commits().borrow(), before);
    let missing = node
        .inspect()
        .unwrap()
        .actor(&ActorId::new("probe", "a").unwrap());
    assert!(
        matches!(missing, Err(NodeError::NoActor { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_failed_command_leaves_the_state_as_it_was() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    let bad = [
        (Do::NoteThenReject, "rejected after it had emitted"),
        (Do::Panic, "panicked: as asked"),
        (Do::NoteThenPanic, "panicked: as asked"),
        (Do::PanicInApply, "panicked: a poisoned event"),
        (
            Do::SetUnregisteredTimer,
            "command \"note\" is not registered for \"probe\": add .command",
        ),
        (
            Do::RunUnregisteredEffect,
            "effect \"unregistered job\" is not registered for \"probe\": add .effect",
        ),
    ];
    let mut expected = Vec::new();
    for (what, why) in bad {
        let text = format!("before {what:?}");
        probe.ask(note(&text)).await.unwrap();
        expected.push(text);
        let reason = reason(probe.ask(what).await);
        assert!(reason.contains(why), "{why:?} is not in {reason:?}");
        assert_eq!(notes(&probe).await, expected);
    }
}

#[tokio::test]
async fn a_command_that_writes_too_much_writes_nothing() {
    let node = start_with(&MemoryStorage::new(), |builder| {
        builder.config(|config| config.entry_bytes = 1_000)
    })
    .await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(probe.ask(note("one")).await, Ok(1));
    let refused = probe.ask(Do::NoteBytes(1_000)).await;
    let Err(AskError::TooLarge {
        bytes,
        limit: 1_000,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert!(bytes > 1_000);
    assert_eq!(probe.ask(note("two")).await, Ok(2));
}

/// Ten commands in flight, a panic, ten more behind it.
#[tokio::test]
async fn a_panic_amid_commands_in_flight_loses_and_doubles_nothing() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    for what in [Do::Panic, Do::NoteThenPanic, Do::PanicInApply] {
        let had = notes(&probe).await.len();
        let paused = pause(&storage);
        let mut before = Vec::new();
        for number in 0..10 {
            before.push(send(probe.ask(note(&number.to_string()))).await);
        }
        assert_eq!(probe.ask(Notes).dirty_ok().await.unwrap().len(), had + 10);
        let bad = send_off(probe.ask(what)).await;
        let mut after = Vec::new();
        for number in 10..20 {
            after.push(send(probe.ask(note(&number.to_string()))).await);
        }
        reason(bad.await);
        paused.resume();
        for (number, asked) in before.into_iter().chain(after).enumerate() {
            assert_eq!(asked.await, Ok(had + number + 1));
        }
        let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(notes(&probe).await.split_off(had), expected);
    }
}

#[tokio::test]
async fn a_panic_concerns_one_actor() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let (probe, other) = (node.actor::<Probe>("a"), node.actor::<Probe>("b"));
    let gate = Gate::closed();
    let standing = send(other.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let bad = send_off(probe.ask(Do::Panic)).await;
    let good = send(other.ask(note("good"))).await;
    gate.open();
    assert_eq!((standing.await, good.await), (Ok(()), Ok(1)));
    reason(bad.await);
}

#[tokio::test]
async fn what_is_registered_twice_does_not_start() {
    let twice = with_probe(NodeBuilder::from(MemoryStorage::new())).register::<Probe>(|kind| kind);
    let error = twice.start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "kind \"probe\" is registered twice: remove one"
    );
    let twice = NodeBuilder::from(MemoryStorage::new())
        .register::<Probe>(|kind| kind.command::<Do>().command::<Do>());
    let error = twice.start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "command \"probe.do\" is registered twice: remove one"
    );
}

/// The probe in a program that knows none of its events.
#[derive(Default, Serialize, Deserialize)]
struct Stranger;

#[derive(Event)]
enum StrangeEvent {}

impl StatefulActor for Stranger {
    const KIND: &'static str = "probe";
    type Event = StrangeEvent;

    fn new(_: &ActorId) -> Self {
        Self
    }

    fn apply(&mut self, event: &StrangeEvent) {
        match *event {}
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
struct Hello;

impl Handle<Hello> for Stranger {
    fn handle(_: &mut Live<'_, Self>, _: Hello) -> Result<(), Never> {
        Ok(())
    }
}

#[tokio::test]
async fn an_unknown_event_sets_its_actor_aside() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    node.actor::<Probe>("a").ask(note("one")).await.unwrap();
    node.shutdown().await.unwrap();

    let node = NodeBuilder::from(storage.clone()).register::<Stranger>(|kind| kind);
    let node = node.start().await.unwrap();
    let refused = node.actor::<Stranger>("a").ask(Hello).await;
    let Err(AskError::Quarantined { reason, seq: 0 }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        reason.contains("\"probe.noted\" version 1 is not known"),
        "{reason}"
    );
    assert_eq!(
        node.actor::<Stranger>("b").ask(Hello).await,
        Ok(()),
        "another one serves"
    );
    node.shutdown().await.unwrap();

    let node = start(&storage).await;
    assert_eq!(
        notes(&node.actor("a")).await,
        ["one"],
        "nothing was lost by it"
    );
}

#[tokio::test]
async fn pending_work_without_its_registration_sets_its_actor_aside() {
    let (storage, hands) = (MemoryStorage::new(), Hands::default());
    let ((world, _calls), clock) = (world(), hands.clone());
    let node = start_with(&storage, |builder| builder.resource(world).clock(clock)).await;
    let run = Do::Run {
        after_crash: REPEATED,
        text: "job".to_owned(),
        retries: 0,
    };
    node.actor::<Probe>("effect").ask(run).await.unwrap();
    let minute = Duration::from_secs(60);
    let after = Do::After {
        timer: "t".to_owned(),
        delay: minute,
        text: "tick".to_owned(),
    };
    node.actor::<Probe>("timer").ask(after).await.unwrap();
    drop(node);

    hands.advance(minute);
    let node = NodeBuilder::from(storage.clone()).clock(hands);
    let node = node.register::<Probe>(|kind| kind).start().await.unwrap();
    for (key, missing) in [("effect", ".effect::<..>()"), ("timer", ".command::<..>()")] {
        let id = ActorId::new("probe", key).unwrap();
        let says = |health: &ActorHealth| matches!(health, ActorHealth::Quarantined { reason, .. } if reason.contains(missing));
        eventually(missing, async || {
            node.health()
                .await
                .iter()
                .any(|(actor, health)| *actor == id && says(health))
        })
        .await;
        let refused = node.actor::<Probe>(key).ask(Notes).await;
        assert!(
            matches!(refused, Err(AskError::Quarantined { .. })),
            "{refused:?}"
        );
    }
    node.shutdown().await.unwrap();
}
