//! Asking, telling, trying; deadlines; full mailboxes; names and kinds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, AskError, Command, Event, Handle, Live, Never, NodeBuilder, StatefulActor,
};

use crate::probe::{Do, Note, Notes, Probe, note, notes, start, start_with, with_probe};
use crate::world::{Gate, pause, send};

#[tokio::test]
async fn commands_of_one_caller_keep_their_order() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    for number in 0..500 {
        probe.tell(note(&number.to_string())).await.unwrap();
    }
    let expected: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(notes(&probe).await, expected);
}

#[tokio::test]
async fn a_name_that_is_none_is_an_answer() {
    let node = start(&MemoryStorage::new()).await;
    let failed = node.actor::<Probe>("").ask(Notes).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert!(node.actor::<Probe>("").address().is_none());
}

#[tokio::test]
async fn spaces_keep_actors_apart_and_addresses_find_them() {
    let node = start(&MemoryStorage::new()).await;
    let (here, there) = (
        node.actor::<Probe>("a"),
        node.actor_in::<Probe>("other", "a"),
    );
    assert_eq!(here.ask(note("here")).await, Ok(1));
    assert_eq!(there.ask(note("there")).await, Ok(1));
    let address = there.address().unwrap();
    assert_eq!(address.id(), &ActorId::new("other", "a").unwrap());
    assert_eq!(notes(&node.at(&address)).await, ["there"]);
}

#[tokio::test]
async fn json_in_and_out() {
    let node = start(&MemoryStorage::new()).await;
    let id = ActorId::new("probe", "a").unwrap();
    let ask = async |command: &str, body| node.ask_json(&id, "probe", command, body, None).await;
    assert_eq!(
        ask("do", "Reject".into()).await,
        Err(AskError::Rejected("no".into()))
    );
    let done = ask("tick", "by hand".into()).await;
    assert_eq!(done, Ok(serde_json::Value::Null));
    let wrong = ask("tick", 7.into()).await;
    assert!(matches!(wrong, Err(AskError::Failed { .. })), "{wrong:?}");
    let unknown = ask("note", "x".into()).await;
    assert!(
        matches!(unknown, Err(AskError::Failed { .. })),
        "{unknown:?}"
    );
    assert_eq!(notes(&node.actor("a")).await, ["by hand"]);
}

#[tokio::test]
async fn a_deadline_before_the_turn_means_never_handled() {
    let node = start(&MemoryStorage::new()).await;
    let (probe, gate) = (node.actor::<Probe>("a"), Gate::closed());
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let late = probe
        .ask(note("late"))
        .deadline(Duration::from_millis(1))
        .await;
    assert_eq!(late, Err(AskError::Expired));
    gate.open();
    assert_eq!(standing.await, Ok(()));
    assert_eq!(notes(&probe).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deadline_during_the_turn_leaves_the_outcome_open() {
    let storage = MemoryStorage::new();
    let node = start(&storage).await;
    let probe = node.actor::<Probe>("a");
    notes(&probe).await;
    let paused = pause(&storage);
    // On a busy machine the deadline may also pass before the turn: then it had no effect.
    while probe
        .ask(note("x"))
        .deadline(Duration::from_millis(50))
        .await
        != Err(AskError::OutcomeUnknown)
    {}
    paused.resume();
    assert_eq!(notes(&probe).await, ["x"]);
}

#[tokio::test]
async fn a_full_mailbox_refuses_those_who_only_try() {
    let storage = MemoryStorage::new();
    let node = start_with(&storage, |builder| {
        builder.config(|config| {
            config.mailbox_capacity = 2;
            config.waiting_capacity = 1;
        })
    })
    .await;
    let (probe, gate) = (node.actor::<Probe>("a"), Gate::closed());
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let (one, two) = (
        send(probe.try_ask(note("1"))).await,
        send(probe.try_ask(note("2"))).await,
    );
    let three = send(probe.try_ask(note("3"))).await;
    let (four, five) = (
        send(probe.ask(note("4"))).await,
        send(probe.ask(note("5"))).await,
    );
    gate.open();
    assert_eq!(standing.await, Ok(()));
    assert_eq!((one.await, two.await), (Ok(1), Ok(2)));
    assert!(matches!(three.await, Err(AskError::Overloaded { .. })));
    assert_eq!(four.await, Ok(3));
    assert!(
        matches!(five.await, Err(AskError::Overloaded { .. })),
        "beyond the room to wait"
    );
    assert_eq!(notes(&probe).await, ["1", "2", "4"]);
}

#[tokio::test]
async fn a_full_worker_makes_askers_wait() {
    let storage = MemoryStorage::new();
    let node = start_with(&storage, |builder| {
        builder.config(|config| config.worker_queue = 1)
    })
    .await;
    let (probe, gate) = (node.actor::<Probe>("a"), Gate::closed());
    let standing = send(probe.ask(Do::Stand(gate.number()))).await;
    gate.reached();
    let one = send(probe.ask(note("1"))).await;
    let two = send(probe.ask(note("2"))).await;
    let tried = probe.try_ask(note("3")).await;
    assert!(
        matches!(tried, Err(AskError::Overloaded { .. })),
        "{tried:?}"
    );
    gate.open();
    assert_eq!(standing.await, Ok(()));
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one, two), (Ok(1), Ok(2)));
}

/// Another kind of actor.
#[derive(Default, Serialize, Deserialize)]
struct Other;

#[derive(Event)]
enum NoEvent {}

impl StatefulActor for Other {
    const KIND: &'static str = "other";
    type Event = NoEvent;

    fn new(_: &ActorId) -> Self {
        Self
    }

    fn apply(&mut self, event: &NoEvent) {
        match *event {}
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
struct Hello;

impl Handle<Hello> for Other {
    fn handle(_: &mut Live<'_, Self>, _: Hello) -> Result<(), Never> {
        Ok(())
    }
}

#[tokio::test]
async fn one_name_has_one_kind() {
    let storage = MemoryStorage::new();
    let build = || with_probe(NodeBuilder::from(storage.clone())).register::<Other>(|kind| kind);
    let node = build().start().await.unwrap();
    let (probe, other) = (
        node.actor_in::<Probe>("s", "a"),
        node.actor_in::<Other>("s", "a"),
    );
    assert_eq!(probe.ask(note("mine")).await, Ok(1));
    let failed = other.ask(Hello).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert_eq!(probe.ask(note("still mine")).await, Ok(2));
    node.shutdown().await.unwrap();

    // The wrong kind comes first this time: it must not put the right one out of service.
    let node = build().start().await.unwrap();
    let (probe, other) = (
        node.actor_in::<Probe>("s", "a"),
        node.actor_in::<Other>("s", "a"),
    );
    let failed = other.ask(Hello).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert_eq!(probe.ask(note("as ever")).await, Ok(3));
}

#[tokio::test]
async fn a_kind_that_is_not_registered_names_the_missing_line() {
    let node = start(&MemoryStorage::new()).await;
    let Err(AskError::Failed { reason }) = node.actor::<Other>("a").ask(Hello).await else {
        panic!("it was answered");
    };
    assert!(
        reason.contains("\"other\"") && reason.contains(".register"),
        "{reason}"
    );
}

#[tokio::test]
async fn after_the_end_every_asker_is_told() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    node.shutdown().await.unwrap();
    assert_eq!(
        probe.ask(Note("x".to_owned())).await,
        Err(AskError::Stopped)
    );
    assert_eq!(probe.try_ask(Notes).await, Err(AskError::Stopped));
    assert_eq!(probe.tell(Notes).await, Err(AskError::Stopped));
}
