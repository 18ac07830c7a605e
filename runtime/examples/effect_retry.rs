//! An effect that fails twice, is retried with growing waits, and succeeds; its outcome comes back as a
//! command. Retries are journalled: the node ends after attempt 1, and the next one goes on with 2.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live, Never,
    NodeBuilder, NodeError, Outcome, RetryPolicy, StatefulActor, journal::MemoryStorage,
};
use tokio::sync::mpsc::{Sender, channel};

#[derive(Serialize, Deserialize)]
struct Mail(String);

impl Effect for Mail {
    const NAME: &'static str = "mail";
    type Output = ();

    fn retry(&self) -> RetryPolicy {
        let first = std::time::Duration::from_millis(50);
        RetryPolicy {
            first,
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, cx: &EffectContext) -> Result<(), EffectError> {
        println!(
            "attempt {} of {}: mail to {}",
            cx.attempt(),
            cx.id(),
            self.0
        );
        let attempts = cx.resource::<Sender<u32>>()?;
        let told = attempts.send(cx.attempt()).await;
        told.map_err(|_| EffectError::fatal("nobody listens"))?;
        if cx.attempt() < 3 {
            Err(EffectError::retryable("busy"))
        } else {
            Ok(())
        }
    }
}

#[derive(Event)]
enum OrderEvent {
    Placed,
    Confirmed { by_mail: bool },
}

#[derive(Default, Serialize, Deserialize)]
struct Order {
    confirmed: bool,
}

impl StatefulActor for Order {
    const KIND: &'static str = "order";
    type Event = OrderEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &OrderEvent) {
        self.confirmed |= matches!(event, OrderEvent::Confirmed { by_mail: true });
    }
}

#[derive(Serialize, Deserialize, Command)]
struct Place;

impl Handle<Place> for Order {
    fn handle(order: &mut Live<'_, Self>, _: Place) -> Result<(), Never> {
        order.emit(OrderEvent::Placed);
        order.run(Mail("alice@example.com".to_owned()));
        Ok(())
    }
}

impl Handle<Done<Mail>> for Order {
    fn handle(order: &mut Live<'_, Self>, done: Done<Mail>) -> Result<(), Never> {
        let by_mail = matches!(done.outcome, Outcome::Succeeded(()));
        order.emit(OrderEvent::Confirmed { by_mail });
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = MemoryStorage::new(); // Node::open("./data") keeps it on the disk
    let (attempts, mut attempted) = channel::<u32>(8);
    let start = async || -> Result<_, NodeError> {
        let node = NodeBuilder::from(storage.clone()).resource(attempts.clone());
        node.register::<Order>(|order| order.effect::<Mail>())
            .start()
            .await
    };
    let node = start().await?;
    node.actor::<Order>("o-1").ask(Place).await?;
    assert_eq!(attempted.recv().await, Some(1));
    node.shutdown().await?;
    println!("the node is down; starting it again");

    let node = start().await?;
    assert_eq!(
        (attempted.recv().await, attempted.recv().await),
        (Some(2), Some(3))
    );
    let (order, mut commits) = (ActorId::new("order", "o-1")?, node.watch_commits());
    let confirmed = || Ok::<_, NodeError>(node.inspect()?.state(&order, None)?.state);
    while confirmed()? != serde_json::json!({ "confirmed": true }) {
        commits.changed().await?;
    }
    println!("the order is confirmed");
    Ok(node.shutdown().await?)
}
