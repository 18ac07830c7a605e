//! A chore of one's own: a file that shows that this machine lives. Its schedule and runs are durable.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live};
use steadfast::{Never, Node, StatefulActor};

#[derive(Event)]
enum HeartEvent {
    Started,
    Finished(String),
}

#[derive(Default, Serialize, Deserialize)]
struct Heart(u64, bool); // runs so far, and whether one is going
impl StatefulActor for Heart {
    const KIND: &'static str = "heart";
    type Event = HeartEvent;
    fn new(_: &ActorId) -> Self {
        Self::default()
    }
    fn apply(&mut self, event: &HeartEvent) {
        self.1 = matches!(event, HeartEvent::Started);
        self.0 += u64::from(self.1);
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Beat;
impl Handle<Beat> for Heart {
    fn handle(heart: &mut Live<'_, Self>, _: Beat) -> Result<(), Never> {
        if heart.0 == 0 {
            heart.every("beat", Duration::from_millis(200), Beat);
        }
        if !heart.1 {
            heart.emit(HeartEvent::Started);
            heart.run(Write(heart.now().to_string()));
        }
        Ok(())
    }
}

/// Writing the same line twice does no harm: after a crash it simply runs again.
#[derive(Serialize, Deserialize)]
struct Write(String);
impl Effect for Write {
    const NAME: &'static str = "heart.write";
    type Output = ();
    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        let written = tokio::fs::write(&*cx.resource::<PathBuf>()?, &self.0).await;
        written.map_err(|error| EffectError::retryable(error.to_string()))
    }
}

/// `Started` and its effect are one entry: until this comes the effect is owed, over restarts too.
impl Handle<Done<Write>> for Heart {
    fn handle(heart: &mut Live<'_, Self>, done: Done<Write>) -> Result<(), Never> {
        heart.emit(HeartEvent::Finished(format!("{:?}", done.outcome)));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join("steadfast-heart");
    let node = Node::open(&dir).resource(dir.join("beat"));
    let node = node.register::<Heart>(|kind| kind.command::<Beat>().effect::<Write>());
    let (node, id) = (node.start().await?, ActorId::new("heart", "mine")?);
    node.actor::<Heart>("mine").ask(Beat).await?; // later ones come from the timer
    let (mut commits, seq) = (node.watch_commits(), node.inspect()?.actor(&id)?.seq);
    while node.inspect()?.actor(&id)?.seq < seq + 4 {
        commits.changed().await?;
    }
    node.shutdown().await?; // waits for a run that is going
    println!("alive at {}", std::fs::read_to_string(dir.join("beat"))?);
    Ok(())
}
