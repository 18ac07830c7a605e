//! Effects of one class do not wait for those of another, and each learns that the node stops.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, Command, Done, Effect, EffectClass, EffectContext, EffectError, Event, Handle, Live,
    Never, Node, NodeBuilder, Outcome, StatefulActor,
};

use crate::world::eventually;

/// Effects that have begun.
#[derive(Clone, Default)]
struct Began(Arc<AtomicUsize>);

impl Began {
    async fn wait(&self, count: usize) {
        eventually("it has begun", async || {
            self.0.load(Ordering::SeqCst) >= count
        })
        .await;
    }
}

#[derive(Event)]
#[event(prefix = "runner.")]
enum RunnerEvent {
    Asked(Asked),
    Ended(Ended),
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    how: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Runner {
    ended: Vec<String>,
}

impl StatefulActor for Runner {
    const KIND: &'static str = "runner";
    type Event = RunnerEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &RunnerEvent) {
        if let RunnerEvent::Ended(event) = event {
            self.ended.push(event.how.clone());
        }
    }
}

macro_rules! effect {
    ($effect:ident, $name:literal, $class:ident, $run:expr) => {
        #[derive(Debug, Serialize, Deserialize)]
        struct $effect {
            name: String,
        }

        impl Effect for $effect {
            const NAME: &'static str = $name;
            const CLASS: EffectClass = EffectClass::$class;
            type Output = String;

            async fn run(&self, cx: &EffectContext) -> Result<String, EffectError> {
                cx.resource::<Began>()?.0.fetch_add(1, Ordering::SeqCst);
                $run(self.name.clone(), cx.clone()).await
            }
        }

        impl Handle<Done<$effect>> for Runner {
            fn handle(live: &mut Live<'_, Self>, done: Done<$effect>) -> Result<(), Never> {
                let how = match done.outcome {
                    Outcome::Succeeded(how) => how,
                    other => format!("{other:?}"),
                };
                live.emit(RunnerEvent::Ended(Ended { how }));
                Ok(())
            }
        }
    };
}

fn at_once(name: String, _: EffectContext) -> Ready<Result<String, EffectError>> {
    ready(Ok(name))
}

/// Goes on until the node stops. One that is named so does not answer then, but at the next start.
async fn until_the_end(name: String, cx: EffectContext) -> Result<String, EffectError> {
    if name == "later" && cx.may_have_run() {
        return Ok("again".to_owned());
    }
    cx.stopping().await;
    assert!(cx.is_stopping());
    if name == "later" {
        return Err(EffectError::interrupted("the node stops"));
    }
    Ok(format!("{name} at the end"))
}

effect!(Quick, "quick", Short, at_once);
effect!(Slow, "slow", Long, until_the_end);
effect!(Urgent, "urgent", Urgent, at_once);

#[derive(Debug, Serialize, Deserialize, Command)]
struct Start {
    class: String,
    name: String,
}

impl Handle<Start> for Runner {
    fn handle(live: &mut Live<'_, Self>, Start { class, name }: Start) -> Result<(), Never> {
        live.emit(RunnerEvent::Asked(Asked { name: name.clone() }));
        match class.as_str() {
            "quick" => drop(live.run(Quick { name })),
            "slow" => drop(live.run(Slow { name })),
            _ => drop(live.run(Urgent { name })),
        }
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Vec<String>)]
struct Ends;

impl Handle<Ends> for Runner {
    fn handle(live: &mut Live<'_, Self>, _: Ends) -> Result<Vec<String>, Never> {
        Ok(live.ended.clone())
    }
}

async fn start(storage: &MemoryStorage) -> (Node, Began) {
    let began = Began::default();
    let node = NodeBuilder::from(storage.clone())
        .resource(began.clone())
        .config(|config| (config.effects, config.long_effects) = (1, 1))
        .register::<Runner>(|kind| kind.effect::<Quick>().effect::<Slow>().effect::<Urgent>())
        .start()
        .await;
    (node.unwrap(), began)
}

async fn begin(node: &Node, class: &str, name: &str) {
    let (class, name) = (class.to_owned(), name.to_owned());
    let runner = node.actor::<Runner>("a");
    runner.ask(Start { class, name }).await.unwrap();
}

async fn check_ends(node: &Node, expected: &[&str]) {
    let runner = node.actor::<Runner>("a");
    eventually("they have ended", async || {
        runner.ask(Ends).await.unwrap().len() >= expected.len()
    })
    .await;
    assert_eq!(runner.ask(Ends).await.unwrap(), expected);
}

#[tokio::test]
async fn short_and_urgent_effects_are_not_behind_long_ones() {
    let storage = MemoryStorage::new();
    let (node, began) = start(&storage).await;
    begin(&node, "slow", "first").await;
    began.wait(1).await;
    begin(&node, "slow", "second").await;
    begin(&node, "quick", "q").await;
    check_ends(&node, &["q"]).await;
    begin(&node, "urgent", "u").await;
    check_ends(&node, &["q", "u"]).await;
    node.shutdown().await.unwrap();
    // The first one was told and answered in time; the second one never had a place, and has it now.
    let (node, began) = start(&storage).await;
    check_ends(&node, &["q", "u", "first at the end"]).await;
    began.wait(1).await;
    node.shutdown().await.unwrap();
    let (node, _) = start(&storage).await;
    check_ends(&node, &["q", "u", "first at the end", "second at the end"]).await;
}

#[tokio::test]
async fn an_effect_that_the_end_of_the_node_interrupts_goes_on_at_the_next_start() {
    let storage = MemoryStorage::new();
    let (node, began) = start(&storage).await;
    begin(&node, "slow", "later").await;
    began.wait(1).await;
    node.shutdown().await.unwrap();
    let (node, _) = start(&storage).await;
    check_ends(&node, &["again"]).await;
}
