//! An effect that fails twice, is retried with growing waits, and succeeds; its outcome comes back as a
//! command. The attempts are journalled: the node is restarted in between, and the next one goes on.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live};
use steadfast::{KindBuilder, Never, NodeBuilder, Outcome, StatefulActor, journal::MemoryStorage};

#[derive(Serialize, Deserialize)]
struct Mail(String);

impl Effect for Mail {
    const NAME: &'static str = "mail";
    type Output = u32;

    async fn run(&self, cx: &EffectContext) -> Result<u32, EffectError> {
        let attempt = cx.attempt();
        println!("attempt {attempt}: mail to {} (id {})", self.0, cx.id());
        let busy = || EffectError::retryable("the server is busy");
        (attempt >= 3).then_some(attempt).ok_or_else(busy)
    }
}

#[derive(Event)]
enum OrderEvent {
    Confirmed { attempts: u32 },
}

#[derive(Serialize, Deserialize)]
struct Order(u32);

impl StatefulActor for Order {
    const KIND: &'static str = "order";
    type Event = OrderEvent;

    fn new(_: &ActorId) -> Self {
        Self(0)
    }

    fn apply(&mut self, OrderEvent::Confirmed { attempts }: &OrderEvent) {
        self.0 = *attempts;
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Place;

impl Handle<Place> for Order {
    fn handle(order: &mut Live<'_, Self>, _: Place) -> Result<(), Never> {
        order.run(Mail("alice@example.com".to_owned()));
        Ok(())
    }
}

impl Handle<Done<Mail>> for Order {
    fn handle(order: &mut Live<'_, Self>, done: Done<Mail>) -> Result<(), Never> {
        if let Outcome::Succeeded(attempts) = done.outcome {
            order.emit(OrderEvent::Confirmed { attempts });
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = MemoryStorage::new(); // Node::open("./data") keeps it on the disk
    let node = || NodeBuilder::from(storage.clone());
    let node = || node().register::<Order>(KindBuilder::effect::<Mail>);
    let first = node().start().await?;
    first.actor::<Order>("o-1").ask(Place).await?;
    first.shutdown().await?; // attempts go on where they stood
    let (second, order) = (node().start().await?, ActorId::new("order", "o-1")?);
    let mut commits = second.watch_commits();
    while second.inspect()?.state(&order, None)?.state != 3 {
        commits.changed().await?;
    }
    println!("the order was confirmed after three attempts");
    Ok(second.shutdown().await?)
}
