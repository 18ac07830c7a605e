//! An actor whose handler breaks again and again is set aside; the others do not notice. It is listed with
//! its reason, released when the cause is gone, and goes on with all that it had acknowledged.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, AskError, Command, Event, Handle, Live, Never, Node, StatefulActor};

/// The bug, until somebody fixes it.
static BUG: AtomicBool = AtomicBool::new(true);

#[derive(Event)]
enum ShelfEvent {
    Filled { jars: u64 },
}

#[derive(Serialize, Deserialize)]
struct Shelf(u64);

impl StatefulActor for Shelf {
    const KIND: &'static str = "shelf";
    type Event = ShelfEvent;

    fn new(_: &ActorId) -> Self {
        Self(0)
    }

    fn apply(&mut self, ShelfEvent::Filled { jars }: &ShelfEvent) {
        self.0 += jars;
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Fill(u64);

impl Handle<Fill> for Shelf {
    fn handle(shelf: &mut Live<'_, Self>, Fill(jars): Fill) -> Result<u64, Never> {
        let bug = BUG.load(Ordering::Relaxed) && shelf.0 == 13;
        assert!(!bug, "nobody thought of thirteen jars");
        shelf.emit(ShelfEvent::Filled { jars });
        Ok(shelf.0)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::in_memory()
        .register::<Shelf>(|kind| kind)
        .config(|config| config.quarantine_after_commands = 3);
    let node = node.start().await?;
    let (broken, sound) = (node.actor::<Shelf>("a"), node.actor::<Shelf>("b"));
    broken.ask(Fill(13)).await?;

    // Each failure writes nothing and is answered; the third in a row is one too many.
    let reason = loop {
        match broken.ask(Fill(1)).await {
            Err(AskError::Quarantined { reason, .. }) => break reason,
            Err(AskError::Failed { reason }) => println!("failed: {reason}"),
            other => println!("{other:?}"),
        }
    };
    println!("set aside: {reason}");
    assert_eq!(sound.ask(Fill(5)).await?, 5);

    let quarantine = node.quarantine();
    for shelf in quarantine.list().await? {
        println!("{} at event {}: {}", shelf.actor, shelf.seq, shelf.reason);
        BUG.store(false, Ordering::Relaxed);
        quarantine.release(&shelf.actor).await?;
    }
    assert_eq!(broken.ask(Fill(1)).await?, 14);
    println!("released: it has the 13 jars from before, and one more");
    Ok(node.shutdown().await?)
}
