//! Snapshots save replaying and never change a state.
//!
//! Method: the program of before and the program of now differ in what `apply` makes of an event, so
//! that a state shows which events were replayed and which came from a snapshot.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Clock, Command, Event, Handle, Live, Never, Node, StatefulActor, SystemClock,
    Timestamp,
};
use tempfile::TempDir;

#[derive(Event)]
enum WordEvent {
    Said { word: String },
}

#[derive(Default, Serialize, Deserialize)]
struct Words<const NOW: bool, const VERSION: u32> {
    words: Vec<String>,
}

type Before = Words<false, 1>;
type Now = Words<true, 1>;
type NowOtherwise = Words<true, 2>;

impl<const NOW: bool, const VERSION: u32> StatefulActor for Words<NOW, VERSION> {
    const KIND: &'static str = "words";
    const STATE_VERSION: u32 = VERSION;
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
#[command(reply = String)]
struct Say(Option<String>);

impl<const NOW: bool, const VERSION: u32> Handle<Say> for Words<NOW, VERSION> {
    fn handle(words: &mut Live<'_, Self>, say: Say) -> Result<String, Never> {
        if let Some(word) = say.0 {
            words.emit(WordEvent::Said { word });
        }
        Ok(words.words.concat())
    }
}

async fn start<A: StatefulActor>(dir: &Path, snapshot_every: u64) -> Node {
    let config = |config: &mut steadfast::Config| {
        config.snapshot_every = snapshot_every;
        config.workers = NonZeroUsize::MIN;
    };
    let builder = Node::open(dir).config(config).register::<A>(|kind| kind);
    builder.start().await.unwrap()
}

/// Says a to e, one by one, in a node that is then shut down or dropped.
async fn say(dir: &Path, snapshot_every: u64) {
    let node = start::<Before>(dir, snapshot_every).await;
    let words = node.actor::<Before>("w");
    for word in ["a", "b", "c", "d", "e"] {
        words.ask(Say(Some(word.to_owned()))).await.unwrap();
    }
    node.shutdown().await.unwrap();
}

async fn read<A: Handle<Say>>(dir: &Path) -> String {
    let node = start::<A>(dir, 0).await;
    let read = node.actor::<A>("w").ask(Say(None)).await.unwrap();
    node.shutdown().await.unwrap();
    read
}

#[tokio::test]
async fn a_restart_replays_what_comes_after_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    // One is taken at every second entry; what is left at the end is saved as well.
    say(dir.path(), 2).await;
    assert_eq!(read::<Now>(dir.path()).await, "abcde");
    let node = start::<Before>(dir.path(), 0).await;
    node.actor::<Before>("w")
        .ask(Say(Some("f".to_owned())))
        .await
        .unwrap();
    node.shutdown().await.unwrap();
    assert_eq!(read::<Now>(dir.path()).await, "abcdeF");
}

/// Regression: at the orderly end the snapshots of all changed actors came at once, and those that found the queue
/// full were dropped, which was most of them; the next start replayed what need not have been.
#[tokio::test]
async fn an_orderly_end_saves_all_actors_that_changed() {
    const ACTORS: usize = 600;
    let dir = tempfile::tempdir().unwrap();
    let node = start::<Before>(dir.path(), 10).await;
    for actor in 0..ACTORS {
        let words = node.actor::<Before>(&actor.to_string());
        words.tell(Say(Some("x".repeat(32 << 10)))).await.unwrap();
    }
    // An answer of the one worker comes behind all that was told before.
    node.actor::<Before>("w").ask(Say(None)).await.unwrap();
    node.shutdown().await.unwrap();
    let metrics = node.metrics();
    let count = |outcome: &str| {
        let name = format!("steadfast_snapshots_total{{kind=\"all\",outcome=\"{outcome}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    assert_eq!(
        (count("stored"), count("dropped")),
        (ACTORS, 0),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_snapshot_of_another_state_version_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    say(dir.path(), 2).await;
    assert_eq!(read::<NowOtherwise>(dir.path()).await, "ABCDE");
}

#[tokio::test]
async fn without_snapshots_everything_is_replayed() {
    let dir = tempfile::tempdir().unwrap();
    say(dir.path(), 0).await;
    assert_eq!(read::<Now>(dir.path()).await, "ABCDE");
}

#[tokio::test]
async fn deleting_all_snapshots_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    say(dir.path(), 2).await;
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    assert_eq!(
        read::<Now>(dir.path()).await,
        "ABCDE",
        "they were used all the same"
    );
    std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    assert_eq!(read::<Before>(dir.path()).await, "abcde");
}

#[tokio::test]
async fn damaged_snapshots_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    say(dir.path(), 2).await;
    for file in std::fs::read_dir(dir.path().join("snapshots")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"damaged").unwrap();
        }
    }
    assert_eq!(read::<Before>(dir.path()).await, "abcde");
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let path = file.unwrap().path();
            copy(&path, &to.join(path.file_name().unwrap()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

async fn say_each(node: &Node, speakers: &[&str], word: &str) {
    for name in speakers {
        let say = Say(Some(word.to_owned()));
        node.actor::<Before>(name).ask(say).await.unwrap();
    }
}

/// A day later.
struct Later(SystemClock);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.now().as_micros() + 86_400_000_000)
    }

    fn running(&self) -> Duration {
        self.0.running()
    }
}

/// What "w" is after "a" to "f" were said, "f" was lost with everything of its time but the snapshots, and the actors in
/// `speakers` said "x" on the next day, one after the other.
async fn restored(speakers: &[&str]) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let older = tempfile::tempdir().unwrap();
    let restored = ["journal", "index", "mark"];
    say(dir.path(), 2).await;
    for name in restored {
        copy(&dir.path().join(name), &older.path().join(name));
    }
    // A snapshot of what is to be lost, beside one of what is not.
    let node = start::<Before>(dir.path(), 1).await;
    say_each(&node, &["w"], "f").await;
    node.shutdown().await.unwrap();
    for name in ["journal", "index"] {
        std::fs::remove_dir_all(dir.path().join(name)).unwrap();
    }
    for name in restored {
        copy(&older.path().join(name), &dir.path().join(name));
    }
    let builder = Node::open(dir.path()).config(|config| {
        config.snapshot_every = 0;
        config.workers = NonZeroUsize::MIN;
    });
    let builder = builder.register::<Before>(|kind| kind);
    let later = builder.clock(Later(SystemClock::new()));
    let node = later.start().await.unwrap();
    say_each(&node, speakers, "x").await;
    node.shutdown().await.unwrap();
    let read = read::<Now>(dir.path()).await;
    (dir, read)
}

/// After a restore of everything but the snapshots an actor came back as what it was in the lost timeline, as soon as
/// the journal had come past the commit that its snapshot names: history and commit were compared, and both were right.
/// What it had acknowledged since the restore was invisible, and its numbers got a gap.
#[tokio::test]
async fn a_snapshot_of_a_lost_timeline_is_left_out_when_its_commit_comes_again() {
    // Its own entry is of another commit; of the same one, in the place of "f"; and it has none.
    let cases: [(&[&str], &str); 3] = [
        (&["o", "o", "w"], "abcdeX"),
        (&["w", "o", "o"], "abcdeX"),
        (&["o", "o", "o"], "abcde"),
    ];
    for (speakers, expected) in cases {
        let (dir, read_now) = restored(speakers).await;
        assert_eq!(
            read_now, expected,
            "the older snapshot counts: {speakers:?}"
        );
        let node = start::<Before>(dir.path(), 0).await;
        say_each(&node, &["w"], "y").await;
        node.shutdown().await.unwrap();
        std::fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
        let whole = format!("{}y", expected.to_lowercase());
        assert_eq!(read::<Before>(dir.path()).await, whole, "{speakers:?}");
    }
}
