//! Looking at a node: pending work, actors of one space, snapshots by hand, replays that are compared.
//!
//! Method: as for snapshots, a program of now that makes something else of the same events than the one
//! of before shows which way a state was reached.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, Against, AskError, Command, Event, Handle, InvalidCommand, Live, Never, Node,
    NodeError, SequenceNumber, StatefulActor,
};

use crate::probe::{Do, Probe, note, start, start_with};
use crate::world::{self, Gate, REPEATED};

fn id(name: &str) -> ActorId {
    name.parse().unwrap()
}

#[tokio::test]
async fn actors_of_a_space_are_its_own_only() {
    let node = start(&MemoryStorage::new()).await;
    let spaces = ["a", "a-b", "a.b", "a0", "a_b", "b"];
    for space in spaces {
        for key in ["1", "2/x"] {
            let probe = node.actor_in::<Probe>(space, key);
            probe.ask(note("here")).await.unwrap();
        }
    }
    let inspector = node.inspect().unwrap();
    for space in spaces {
        let found = inspector.actors(Some(space)).unwrap();
        let names: Vec<String> = found.iter().map(|one| one.actor.to_string()).collect();
        assert_eq!(names, [format!("{space}/1"), format!("{space}/2/x")]);
    }
    assert_eq!(inspector.actors(Some("c")).unwrap(), []);
    let after = id("a/1");
    let rest = inspector.actors_after(Some("a"), Some(&after), 9).unwrap();
    assert_eq!((rest.len(), &rest[0].actor), (1, &id("a/2/x")));
    assert_eq!(inspector.actors(None).unwrap().len(), 2 * spaces.len());
}

#[tokio::test]
async fn a_page_of_large_events_ends_before_its_limit() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("large");
    let text = "x".repeat(1 << 20);
    for _ in 0..12 {
        probe.ask(note(&text)).await.unwrap();
    }
    let (inspector, actor) = (node.inspect().unwrap(), id("probe/large"));
    let (mut pages, mut next) = (Vec::new(), SequenceNumber::FIRST);
    loop {
        let page = inspector.events(&actor, next, 100).unwrap();
        let Some(last) = page.last() else { break };
        next = SequenceNumber::new(last.seq + 1).unwrap();
        pages.push(page.len());
    }
    assert_eq!(pages, [8, 4]);
}

#[tokio::test]
async fn pending_work_is_listed() {
    let (world, _calls) = world::world();
    let node = start_with(&MemoryStorage::new(), |builder| builder.resource(world)).await;
    let probe = node.actor::<Probe>("a");
    for (timer, hours) in [("late", 9), ("soon", 1)] {
        let set = Do::After {
            timer: timer.to_owned(),
            delay: Duration::from_secs(3600 * hours),
            text: String::new(),
        };
        probe.ask(set).await.unwrap();
    }
    let run = Do::Run {
        after_crash: REPEATED,
        text: "never answered".to_owned(),
        retries: 0,
    };
    probe.ask(run).key("once").await.unwrap();
    let inspector = node.inspect().unwrap();
    let pending = inspector.pending(&id("probe/a"), 1).unwrap();
    assert_eq!((pending.timer_count, pending.timers.len()), (2, 1));
    assert_eq!(pending.timers[0].name, "soon");
    assert_eq!(pending.timers[0].command, "tick");
    assert_eq!((pending.effect_count, pending.effects[0].attempt), (1, 1));
    assert_eq!((pending.keys, pending.snapshot), (1, None));
    let counts = inspector.pending_counts(100).unwrap();
    assert_eq!((counts.timers, counts.effects, counts.messages), (2, 1, 0));
    assert!(counts.complete);
    let counts = inspector.pending_counts(1).unwrap();
    assert_eq!((counts.timers, counts.complete), (1, false));
}

#[tokio::test]
async fn vitals_tell_of_a_mailbox_and_of_nobody() {
    let node = start(&MemoryStorage::new()).await;
    let probe = node.actor::<Probe>("a");
    assert_eq!(node.vitals(&id("probe/a")).await, None);
    probe.ask(note("here")).await.unwrap();
    let vitals = node.vitals(&id("probe/a")).await.unwrap();
    assert_eq!(vitals.health, steadfast::ActorHealth::Resident);
    assert_eq!((vitals.mailbox, vitals.failures), (0, 0));
    let totals = node.totals().await;
    assert_eq!((totals.resident, totals.waiting), (1, 0));
}

#[tokio::test]
async fn json_commands_are_checked_before_they_are_sent() {
    let node = start(&MemoryStorage::new()).await;
    let unknown = node.check_json("prob", "do", &Value::Null);
    let Err(InvalidCommand::UnknownKind { known, .. }) = unknown else {
        panic!("{unknown:?}")
    };
    assert_eq!(known, ["probe"]);
    let unknown = node.check_json("probe", "doo", &Value::Null).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "kind \"probe\" has no command \"doo\": it has do, tick"
    );
    let body = node.check_json("probe", "tick", &json!(7));
    assert!(matches!(body, Err(InvalidCommand::Body { .. })), "{body:?}");
    assert_eq!(node.check_json("probe", "tick", &json!("x")), Ok(()));
    assert!(node.inspect().unwrap().actors(None).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_command_past_its_deadline_is_not_handled() {
    let node = start(&MemoryStorage::new()).await;
    let (probe, actor) = (node.actor::<Probe>("a"), id("probe/a"));
    let gate = Gate::closed();
    let standing = tokio::spawn({
        let probe = probe.clone();
        let number = gate.number();
        async move { probe.ask(Do::Stand(number)).await }
    });
    tokio::task::block_in_place(|| gate.reached());
    let tick = node.ask_json(&actor, "probe", "tick", json!("late"), None);
    let late = tick.deadline(Duration::from_millis(1)).await;
    assert_eq!(late, Err(AskError::Expired));
    gate.open();
    standing.await.unwrap().unwrap();
    let patient = node.ask_json(&actor, "probe", "tick", json!("in time"), None);
    patient.deadline(Duration::from_secs(60)).await.unwrap();
    assert_eq!(crate::probe::notes(&probe).await, ["in time"]);
}

#[derive(Event)]
enum WordEvent {
    Said { word: String },
}

#[derive(Default, Serialize, Deserialize)]
struct Words<const NOW: bool> {
    words: Vec<String>,
}

impl<const NOW: bool> StatefulActor for Words<NOW> {
    const KIND: &'static str = "words";
    type Event = WordEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, WordEvent::Said { word }: &WordEvent) {
        let shown = if NOW {
            word.to_uppercase()
        } else {
            word.clone()
        };
        self.words.push(shown);
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Say(String);

impl<const NOW: bool> Handle<Say> for Words<NOW> {
    fn handle(words: &mut Live<'_, Self>, Say(word): Say) -> Result<(), Never> {
        words.emit(WordEvent::Said { word });
        Ok(())
    }
}

async fn open<A: StatefulActor>(dir: &Path) -> Node {
    let config = |config: &mut steadfast::Config| {
        config.snapshot_every = 0;
        config.workers = NonZeroUsize::MIN;
    };
    let builder = Node::open(dir).config(config).register::<A>(|kind| kind);
    builder.start().await.unwrap()
}

async fn say<A: Handle<Say>>(node: &Node, words: &[&str]) {
    for word in words {
        let say = Say((*word).to_owned());
        node.actor::<A>("w").ask(say).await.unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_by_hand_is_what_a_recovery_starts_from() {
    let dir = tempfile::tempdir().unwrap();
    let node = open::<Words<false>>(dir.path()).await;
    say::<Words<false>>(&node, &["a", "b"]).await;
    let taken = node.snapshot(&id("words/w")).await.unwrap();
    assert_eq!((taken.seq, taken.taken), (2, true));
    assert!(taken.bytes > 0);
    assert!(!node.snapshot(&id("words/w")).await.unwrap().taken, "twice");
    say::<Words<false>>(&node, &["c"]).await;
    let pending = node.inspect().unwrap().pending(&id("words/w"), 9).unwrap();
    let snapshot = pending.snapshot.unwrap();
    assert_eq!((snapshot.seq, snapshot.entries_after), (2, 1));
    let nobody = node.snapshot(&id("words/nobody")).await;
    assert!(matches!(nobody, Err(NodeError::NoActor { .. })));
    node.shutdown().await.unwrap();
    drop(node);

    let node = open::<Words<true>>(dir.path()).await;
    let state = node.inspect().unwrap().state(&id("words/w"), None).unwrap();
    assert_eq!(state.state, json!({ "words": ["a", "b", "C"] }));
}

#[tokio::test]
async fn a_replay_finds_what_a_snapshot_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let node = open::<Words<false>>(dir.path()).await;
    say::<Words<false>>(&node, &["a", "b"]).await;
    node.snapshot(&id("words/w")).await.unwrap();
    say::<Words<false>>(&node, &["c"]).await;
    let replay = node.replay(&id("words/w"), None).await.unwrap();
    assert_eq!(
        (replay.seq, replay.snapshot, replay.live),
        (3, Some(2), Some(3))
    );
    assert_eq!(replay.divergences, []);
    node.shutdown().await.unwrap();
    drop(node);

    let builder = Node::open(dir.path()).register::<Words<true>>(|kind| kind);
    let inspector = builder.inspect().unwrap();
    let replay = inspector.replay(&id("words/w"), None).unwrap();
    assert_eq!(
        (replay.seq, replay.snapshot, replay.live),
        (3, Some(2), None)
    );
    let paths: Vec<&str> = replay
        .divergences
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["/state/words/0", "/state/words/1"]);
    let first = &replay.divergences[0];
    assert_eq!(first.against, Against::Snapshot);
    assert_eq!((&first.replayed, &first.found), (&json!("A"), &json!("a")));
    // Before that snapshot there is nothing to compare with, and after the end nothing to replay.
    let early = inspector.replay(&id("words/w"), Some(1)).unwrap();
    assert_eq!((early.seq, early.snapshot), (1, None));
    assert_eq!(early.divergences, []);
    let beyond = inspector.replay(&id("words/w"), Some(4));
    assert!(matches!(beyond, Err(NodeError::NoEvent { newest: 3, .. })));
}

/// Counts on: an `apply` that breaks the one rule that it has.
static DRAWN: AtomicU64 = AtomicU64::new(0);

#[derive(Event)]
enum DrawEvent {
    Drawn,
}

#[derive(Default, Serialize, Deserialize)]
struct Fickle {
    number: u64,
}

impl StatefulActor for Fickle {
    const KIND: &'static str = "fickle";
    type Event = DrawEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, _: &DrawEvent) {
        self.number = DRAWN.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Draw {}

impl Handle<Draw> for Fickle {
    fn handle(fickle: &mut Live<'_, Self>, _: Draw) -> Result<(), Never> {
        fickle.emit(DrawEvent::Drawn);
        Ok(())
    }
}

#[tokio::test]
async fn a_replay_finds_a_live_state_that_is_not_what_its_events_say() {
    let builder = Node::in_memory().register::<Fickle>(|kind| kind);
    let node = builder.start().await.unwrap();
    node.actor::<Fickle>("f").ask(Draw {}).await.unwrap();
    let replay = node.replay(&id("fickle/f"), None).await.unwrap();
    assert_eq!((replay.seq, replay.live), (1, Some(1)));
    let [divergence] = replay.divergences.as_slice() else {
        panic!("{:?}", replay.divergences)
    };
    assert_eq!(
        (divergence.against, divergence.path.as_str()),
        (Against::Live, "/number")
    );
    assert_eq!(divergence.found, json!(0));
}
