//! A durable counter in a plain tokio program: run it again and again, kill it in between; it goes on.

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Event, Handle, Live, Never, Node, StatefulActor};

#[derive(Debug, Event)]
enum CounterEvent {
    Added { amount: u64 },
}

#[derive(Debug, Default, Serialize, Deserialize)]
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

#[derive(Debug, Serialize, Deserialize, Command)]
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
    let dir = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "counter-data".to_owned());
    let node = Node::open(dir)
        .register::<Counter>(|kind| kind.command::<Add>())
        .start()
        .await?;
    let counter = node.actor::<Counter>("visits");
    let total = counter.ask(Add { amount: 1 }).await?;
    let again = counter
        .ask(Add { amount: 1 })
        .key(format!("visit-{total}"))
        .await?;
    println!("{total} visits, then {again}; run me again");
    node.shutdown().await?;
    Ok(())
}
