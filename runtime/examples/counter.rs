//! A durable counter in a plain tokio program: run it again and again, kill it in between; it goes on.
//!
//! `cargo run --example counter [DIR]`; without DIR it keeps its data in the system's temporary folder.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, Node, StatefulActor};

#[derive(Event)]
enum CounterEvent {
    Added { amount: u64 },
}

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: u64,
}

impl StatefulActor for Counter {
    const KIND: &'static str = "counter";
    type Event = CounterEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &CounterEvent) {
        match event {
            CounterEvent::Added { amount } => self.total += amount,
        }
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = u64)]
struct Add {
    amount: u64,
}

impl Handle<Add> for Counter {
    fn handle(counter: &mut Live<'_, Self>, add: Add) -> Result<u64, Never> {
        counter.emit(CounterEvent::Added { amount: add.amount });
        Ok(counter.total)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join("steadfast-counter"),
        Into::into,
    );
    let node = Node::open(&dir)
        .register::<Counter>(|kind| kind)
        .start()
        .await?;
    let visits = node.actor::<Counter>("visits");

    // The answer comes when the event is on the disk: from here on, no crash takes it back.
    let total = visits.ask(Add { amount: 1 }).await?;

    // With a key a command takes effect once, however often it is asked.
    let key = format!("visit after {total}");
    let first = visits.ask(Add { amount: 1 }).key(&key).await?;
    let retried = visits.ask(Add { amount: 1 }).key(&key).await?;
    assert_eq!((first, retried), (total + 1, total + 1));

    println!("{retried} visits in {}; run me again", dir.display());
    node.shutdown().await?;
    Ok(())
}
