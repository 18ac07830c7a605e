//! Money goes from one account to another exactly once, and comes back when the other one refuses it.
//! Withdrawal and message are one entry: there is no moment at which a crash loses either.

#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use serde::{Deserialize, Serialize};
use steadfast::{ActorId, Address, Command, Event, Handle, Live, Never, Node, Returned};

#[derive(Event)]
enum Money {
    Moved { cents: i64 },
}

#[derive(Serialize, Deserialize)]
struct Account(i64);

impl steadfast::StatefulActor for Account {
    const KIND: &'static str = "account";
    type Event = Money;
    fn new(_: &ActorId) -> Self {
        Self(100)
    }
    fn apply(&mut self, Money::Moved { cents }: &Money) {
        self.0 += cents;
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = i64, rejection = String)]
struct Deposit(i64);
impl Handle<Deposit> for Account {
    fn handle(account: &mut Live<'_, Self>, Deposit(cents): Deposit) -> Result<i64, String> {
        if account.0 + cents > 150 {
            return Err("150 is the most that fits".to_owned());
        }
        account.emit(Money::Moved { cents });
        Ok(account.0)
    }
}

#[derive(Serialize, Deserialize, Command)]
#[command(reply = i64, rejection = String)]
struct Transfer(i64, Address<Account>);
impl Handle<Transfer> for Account {
    fn handle(account: &mut Live<'_, Self>, Transfer(cents, to): Transfer) -> Result<i64, String> {
        if account.0 < cents {
            return Err("not that much is left".to_owned());
        }
        account.emit(Money::Moved { cents: -cents });
        account.send(&to, Deposit(cents)); // leaves once this command is durable
        Ok(account.0)
    }
}

impl Handle<Returned<Deposit>> for Account {
    fn handle(account: &mut Live<'_, Self>, back: Returned<Deposit>) -> Result<(), Never> {
        let Deposit(cents) = back.command;
        println!("{} refused {cents}: {}", back.to, back.rejection);
        account.emit(Money::Moved { cents });
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::in_memory() // Node::open("./data") keeps it on the disk
        .register::<Account>(|kind| kind.command::<Deposit>().sends::<Deposit>());
    let (node, id) = (node.start().await?, ActorId::new("account", "alice")?);
    let (alice, bob) = (node.actor::<Account>("alice"), Address::of("bob")?);
    assert_eq!(alice.ask(Transfer(40, bob.clone())).await?, 60);
    assert_eq!(alice.ask(Transfer(20, bob.clone())).await?, 40);

    let mut commits = node.watch_commits();
    while node.inspect()?.actor(&id)?.seq < 3 {
        commits.changed().await?; // until the second one has come back
    }
    let (alice, bob) = (alice.ask(Deposit(0)), node.at(&bob));
    assert_eq!((alice.await?, bob.ask(Deposit(0)).await?), (60, 140));
    Ok(node.shutdown().await?)
}
