//! Accounts that send money to each other: what the tests of messages run.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, ActorRef, Address, Command, Event, Handle, Live, Never, Node, NodeBuilder, Returned,
    StatefulActor,
};

use crate::world;

/// Accounts that panic when somebody deposits. Shared by all tests: each uses names of its own.
static BROKEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

pub(crate) fn break_account(key: &str) {
    let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    broken.get_or_insert_default().insert(key.to_owned());
}

pub(crate) fn mend_account(key: &str) {
    let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    broken.get_or_insert_default().remove(key);
}

fn is_broken(key: &str) -> bool {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    broken.as_ref().is_some_and(|broken| broken.contains(key))
}

#[derive(Event)]
#[event(prefix = "account.")]
pub(crate) enum AccountEvent {
    Opened {
        cents: u64,
        limit: u64,
    },
    Sent {
        cents: u64,
    },
    Received {
        cents: u64,
        from: String,
        number: u64,
    },
    TakenBack {
        cents: u64,
        why: String,
    },
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) cents: u64,
    /// Most that it takes.
    pub(crate) limit: u64,
    /// Who sent, and the number it gave, in order.
    pub(crate) received: Vec<(String, u64)>,
    pub(crate) taken_back: Vec<String>,
}

impl StatefulActor for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { cents, limit } => (self.cents, self.limit) = (*cents, *limit),
            AccountEvent::Sent { cents } => self.cents -= cents,
            AccountEvent::Received {
                cents,
                from,
                number,
            } => {
                self.cents += cents;
                self.received.push((from.clone(), *number));
            }
            AccountEvent::TakenBack { cents, why } => {
                self.cents += cents;
                self.taken_back.push(why.clone());
            }
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Open {
    pub(crate) cents: u64,
    pub(crate) limit: u64,
}

impl Handle<Open> for Account {
    fn handle(account: &mut Live<'_, Self>, Open { cents, limit }: Open) -> Result<(), Never> {
        account.emit(AccountEvent::Opened { cents, limit });
        Ok(())
    }
}

/// Sends one cent each to these accounts, numbered on from `number`, and stops at a gate if there is one.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(rejection = String)]
pub(crate) struct Give {
    pub(crate) to: Vec<String>,
    pub(crate) number: u64,
}

impl Handle<Give> for Account {
    fn handle(account: &mut Live<'_, Self>, Give { to, number }: Give) -> Result<(), String> {
        let cents = to.len() as u64;
        if account.cents < cents {
            return Err("overdrawn".to_owned());
        }
        account.emit(AccountEvent::Sent { cents });
        for (number, to) in (number..).zip(&to) {
            let to = Address::<Self>::of(to).unwrap();
            account.send(&to, Deposit { cents: 1, number });
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Command)]
#[command(rejection = String)]
pub(crate) struct Deposit {
    pub(crate) cents: u64,
    pub(crate) number: u64,
}

/// A deposit of this number stops at the gate of the same number.
pub(crate) const AT_GATE: u64 = 1 << 40;

impl Handle<Deposit> for Account {
    fn handle(account: &mut Live<'_, Self>, deposit: Deposit) -> Result<(), String> {
        let Deposit { cents, number } = deposit;
        if number >= AT_GATE {
            world::pass(number - AT_GATE);
        }
        assert!(!is_broken(account.id().key()), "as asked");
        if account.cents + cents > account.limit {
            return Err(format!("{} is full", account.id().key()));
        }
        let from = account.sender().map_or("nobody", ActorId::key).to_owned();
        account.emit(AccountEvent::Received {
            cents,
            from,
            number,
        });
        Ok(())
    }
}

impl Handle<Returned<Deposit>> for Account {
    fn handle(account: &mut Live<'_, Self>, back: Returned<Deposit>) -> Result<(), Never> {
        let why = format!(
            "{} from {}: {}",
            back.command.number, back.to, back.rejection
        );
        account.emit(AccountEvent::TakenBack {
            cents: back.command.cents,
            why,
        });
        Ok(())
    }
}

/// What an account holds, and what came to it.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Statement)]
pub(crate) struct Balance;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub(crate) cents: u64,
    pub(crate) received: Vec<(String, u64)>,
    pub(crate) taken_back: Vec<String>,
}

impl Handle<Balance> for Account {
    fn handle(account: &mut Live<'_, Self>, _: Balance) -> Result<Statement, Never> {
        Ok(Statement {
            cents: account.cents,
            received: account.received.clone(),
            taken_back: account.taken_back.clone(),
        })
    }
}

pub(crate) fn with_accounts(builder: NodeBuilder) -> NodeBuilder {
    builder.register::<Account>(|kind| {
        kind.command::<Open>()
            .command::<Deposit>()
            .command::<Give>()
            .sends::<Deposit>()
    })
}

/// A node over `storage` with `workers` workers that runs accounts.
pub(crate) async fn bank(storage: &MemoryStorage, workers: usize) -> Node {
    let workers = NonZeroUsize::new(workers).unwrap();
    with_accounts(NodeBuilder::from(storage.clone()))
        .config(|config| config.workers = workers)
        .start()
        .await
        .unwrap()
}

/// An open account.
pub(crate) async fn open(node: &Node, key: &str, cents: u64, limit: u64) -> ActorRef<Account> {
    let account = node.actor::<Account>(key);
    account.ask(Open { cents, limit }).await.unwrap();
    account
}

pub(crate) async fn give(from: &ActorRef<Account>, to: &[&str], number: u64) {
    let to = to.iter().map(|key| (*key).to_owned()).collect();
    from.ask(Give { to, number }).await.unwrap();
}

/// Another kind of actor that takes deposits, and passes them on to its like.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Vault {
    cents: u64,
}

impl StatefulActor for Vault {
    const KIND: &'static str = "vault";
    type Event = AccountEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, event: &AccountEvent) {
        if let AccountEvent::Received { cents, .. } = event {
            self.cents += cents;
        }
    }
}

impl Handle<Deposit> for Vault {
    fn handle(vault: &mut Live<'_, Self>, deposit: Deposit) -> Result<(), String> {
        let Deposit { cents, number } = deposit;
        let from = vault.sender().map_or("nobody", ActorId::key).to_owned();
        vault.emit(AccountEvent::Received {
            cents,
            from,
            number,
        });
        Ok(())
    }
}

impl Handle<Returned<Deposit>> for Vault {
    fn handle(_: &mut Live<'_, Self>, _: Returned<Deposit>) -> Result<(), Never> {
        Ok(())
    }
}

/// Sends a cent to the vault with this name.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct PassOn(pub(crate) ActorId);

impl Handle<PassOn> for Vault {
    fn handle(vault: &mut Live<'_, Self>, PassOn(to): PassOn) -> Result<(), Never> {
        vault.send(
            &Address::<Self>::from(to),
            Deposit {
                cents: 1,
                number: 0,
            },
        );
        Ok(())
    }
}

/// What a vault holds.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = u64)]
pub(crate) struct Count;

impl Handle<Count> for Vault {
    fn handle(vault: &mut Live<'_, Self>, _: Count) -> Result<u64, Never> {
        Ok(vault.cents)
    }
}

pub(crate) fn with_vaults(builder: NodeBuilder) -> NodeBuilder {
    with_accounts(builder).register::<Vault>(|kind| {
        kind.command::<Deposit>()
            .command::<PassOn>()
            .sends::<Deposit>()
    })
}

/// Waits until no message is under way.
pub(crate) async fn delivered(node: &Node) {
    world::eventually("all messages are taken", async || {
        node.pending_messages() == Some(0)
    })
    .await;
}

/// Waits until an account is in quarantine.
pub(crate) async fn set_aside(node: &Node, key: &str) -> ActorId {
    let id = ActorId::new("account", key).unwrap();
    world::eventually("the actor is set aside", async || {
        let all = node.quarantine().list().await.unwrap();
        all.iter().any(|quarantined| quarantined.actor == id)
    })
    .await;
    id
}
