//! Skipping by hand, and keeping, what cannot even be handed to its actor: work whose command or effect is
//! not registered any more, and outcomes that do not decode.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, Address, Command, Done, Effect, EffectContext, EffectError, Handle, KindBuilder, Live,
    Never, Node, NodeBuilder, Outcome,
};

use crate::bank::{Account, AccountEvent, Balance, Deposit, bank, open};
use crate::fragile::{Fragile, LookLater, RunAndLook, Say, Switch, fragile, id, look, said};
use crate::world::{Hands, eventually};

const SECOND: Duration = Duration::from_secs(1);

async fn until_set_aside(node: &Node, id: &ActorId) -> String {
    eventually("it is set aside", async || {
        node.wake().await;
        node.quarantine().show(id).await.is_ok()
    })
    .await;
    node.quarantine().show(id).await.unwrap().reason
}

/// The actor under test, where neither its timer's command nor its effect is registered any more.
async fn without(storage: &MemoryStorage, clock: &Hands) -> Node {
    NodeBuilder::from(storage.clone())
        .clock(clock.clone())
        .register::<Fragile<1>>(KindBuilder::command::<LookLater>)
        .start()
        .await
        .unwrap()
}

/// It is skipped, for good: the next node has nothing to set aside either.
async fn check_skipped(storage: &MemoryStorage, clock: &Hands, what: &str) {
    let node = without(storage, clock).await;
    clock.pass(2 * SECOND, &node).await;
    let reason = until_set_aside(&node, &id("a")).await;
    assert!(reason.contains("not registered"), "{reason}");
    assert_eq!(node.quarantine().skip(&id("a")).await.unwrap(), what);
    let say = Say("one".to_owned());
    assert_eq!(node.actor::<Fragile<1>>("a").ask(say).await, Ok(1));
    drop(node);
    let node = without(storage, clock).await;
    clock.pass(2 * SECOND, &node).await;
    assert_eq!(said::<1>(&node, "a").await, ["one"]);
    assert_eq!(node.quarantine().list().await.unwrap(), []);
}

#[tokio::test]
async fn a_timer_whose_command_is_not_registered_is_skipped() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let later = LookLater {
        timer: "tick".to_owned(),
        delay: SECOND,
        again: false,
        look: look(&switch, "tick"),
    };
    node.actor::<Fragile<1>>("a").ask(later).await.unwrap();
    drop(node);
    check_skipped(&storage, &clock, "timer \"tick\"").await;
}

#[tokio::test]
async fn an_effect_that_is_not_registered_is_skipped() {
    let (storage, clock, switch) = (MemoryStorage::new(), Hands::default(), Switch::on());
    let node = fragile::<1>(&storage, &clock).start().await.unwrap();
    let run = RunAndLook(look(&switch, "done"));
    node.actor::<Fragile<1>>("a").ask(run).await.unwrap();
    drop(node);
    check_skipped(&storage, &clock, "outcome of effect 1.0").await;
}

/// Not registered with the accounts that get it.
#[derive(Debug, Serialize, Deserialize, Command)]
struct Odd;

impl Handle<Odd> for Account {
    fn handle(_: &mut Live<'_, Self>, _: Odd) -> Result<(), Never> {
        Ok(())
    }
}

/// Sends a deposit, something odd, and another deposit.
#[derive(Debug, Serialize, Deserialize, Command)]
struct GiveOddly(String);

impl Handle<GiveOddly> for Account {
    fn handle(account: &mut Live<'_, Self>, GiveOddly(to): GiveOddly) -> Result<(), Never> {
        let to = Address::<Self>::of(&to).unwrap();
        account.emit(AccountEvent::Sent { cents: 2 });
        let one = |number| Deposit { cents: 1, number };
        account.send(&to, one(1));
        account.send(&to, Odd);
        account.send(&to, one(2));
        Ok(())
    }
}

#[tokio::test]
async fn a_message_whose_command_is_not_registered_is_skipped_and_the_next_comes() {
    let storage = MemoryStorage::new();
    let one = NonZeroUsize::MIN;
    let builder = NodeBuilder::from(storage.clone()).config(|config| config.workers = one);
    let builder = builder.register::<Account>(|kind| {
        let kind = kind.command::<Deposit>().sends::<Deposit>();
        kind.command::<Odd>()
    });
    let node = builder.hold_pending_work().start().await.unwrap();
    let from = open(&node, "from", 10, 100).await;
    open(&node, "to", 0, 100).await;
    from.ask(GiveOddly("to".to_owned())).await.unwrap();
    drop((from, node));
    let node = bank(&storage, 2).await;
    let to = node.actor::<Account>("to");
    let id = ActorId::new("account", "to").unwrap();
    let reason = until_set_aside(&node, &id).await;
    assert!(reason.contains("not registered"), "{reason}");
    let skipped = node.quarantine().skip(&id).await.unwrap();
    assert!(skipped.contains("message"), "{skipped}");
    eventually("all others arrive", async || {
        node.pending_messages() == Some(0)
    })
    .await;
    let received = to.ask(Balance).await.unwrap().received;
    let numbers: Vec<u64> = received.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(node.quarantine().list().await.unwrap(), []);
}

/// Whether outcomes of [`Survey`] decode.
static LEGIBLE: AtomicBool = AtomicBool::new(false);
static SURVEYS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Serialize, Deserialize)]
struct Survey;

#[derive(Debug, Clone, Serialize)]
struct Found(u32);

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if LEGIBLE.load(Ordering::SeqCst) {
            Ok(Self(number))
        } else {
            Err(serde::de::Error::custom("illegible"))
        }
    }
}

impl Effect for Survey {
    const NAME: &'static str = "survey";
    type Output = Found;

    async fn run(&self, _: &EffectContext) -> Result<Found, EffectError> {
        Ok(Found(1 + SURVEYS.fetch_add(1, Ordering::SeqCst)))
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
struct RunSurvey;

impl Handle<RunSurvey> for Account {
    fn handle(account: &mut Live<'_, Self>, _: RunSurvey) -> Result<(), Never> {
        account.run(Survey);
        Ok(())
    }
}

impl Handle<Done<Survey>> for Account {
    fn handle(account: &mut Live<'_, Self>, done: Done<Survey>) -> Result<(), Never> {
        let Outcome::Succeeded(Found(number)) = done.outcome else {
            panic!("{:?}", done.outcome);
        };
        let cents = u64::from(number);
        account.emit(AccountEvent::Opened { cents, limit: 0 });
        Ok(())
    }
}

#[tokio::test]
async fn the_outcome_of_an_effect_that_does_not_decode_is_kept_and_can_be_skipped() {
    let node = NodeBuilder::from(MemoryStorage::new())
        .register::<Account>(KindBuilder::effect::<Survey>)
        .start()
        .await
        .unwrap();
    let account = node.actor::<Account>("a");
    let id = ActorId::new("account", "a").unwrap();
    account.ask(RunSurvey).await.unwrap();
    let reason = until_set_aside(&node, &id).await;
    assert!(reason.contains("illegible"), "{reason}");
    assert_eq!(node.quarantine().show(&id).await.unwrap().waiting, 1);
    node.quarantine().release(&id).await.unwrap();
    until_set_aside(&node, &id).await;
    LEGIBLE.store(true, Ordering::SeqCst);
    node.quarantine().release(&id).await.unwrap();
    let balance = async || account.ask(Balance).await.unwrap().cents;
    eventually("the outcome comes", async || balance().await == 1).await;

    LEGIBLE.store(false, Ordering::SeqCst);
    account.ask(RunSurvey).await.unwrap();
    until_set_aside(&node, &id).await;
    node.quarantine().skip(&id).await.unwrap();
    assert_eq!(balance().await, 1);
    node.wake().await;
    assert_eq!(balance().await, 1, "it is not pending any more");
    assert_eq!(SURVEYS.load(Ordering::SeqCst), 2, "each ran once");
}
