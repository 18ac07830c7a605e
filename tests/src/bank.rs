//! Accounts that send money to each other: each transfer leaves a trace at both ends, so that every
//! loss, doubling and change of order shows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{
    ActorId, Address, AskError, Command, Event, Handle, Live, Never, Node, NodeBuilder, Returned,
    StatefulActor,
};

use crate::dice::mix;
use crate::plan::{operation, task_of};
use crate::record::Record;
use crate::tally::Added;
use crate::{Options, TASKS};

/// Accounts that transfers run between.
pub const ACCOUNTS: u64 = 100;
/// What each begins with.
pub const FIRST_CENTS: u64 = 1_000;
/// Most that an account takes: so low that much comes back.
const FULL: u64 = 2_500;
/// Answers between two lines about progress.
const PROGRESS: u64 = 1_000;
/// How long a task that was refused lets others go first.
const PAUSE: Duration = Duration::from_millis(5);

/// What happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Event)]
#[event(prefix = "bank.")]
pub enum BankEvent {
    /// Money is on its way to another account.
    Sent {
        /// By this transfer.
        op: u64,
        /// So much.
        cents: u64,
    },
    /// Money came.
    Received {
        /// By this transfer.
        op: u64,
        /// So much.
        cents: u64,
    },
    /// Money that the other account did not take is here again.
    TakenBack {
        /// By this transfer.
        op: u64,
        /// So much.
        cents: u64,
    },
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// What is here.
    pub cents: u64,
    /// How often anything happened.
    pub events: u64,
}

impl StatefulActor for Bank {
    const KIND: &'static str = "bank";
    type Event = BankEvent;

    fn new(_: &ActorId) -> Self {
        Self {
            cents: FIRST_CENTS,
            events: 0,
        }
    }

    fn apply(&mut self, event: &BankEvent) {
        self.events += 1;
        match event {
            BankEvent::Sent { cents, .. } => self.cents -= cents,
            BankEvent::Received { cents, .. } | BankEvent::TakenBack { cents, .. } => {
                self.cents += cents;
            }
        }
    }
}

/// What a transfer does. Everything follows from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Where the money is.
    pub from: u64,
    /// Where it goes; sometimes the same account.
    pub to: u64,
    /// How much.
    pub cents: u64,
}

impl Transfer {
    /// What transfer `op` does.
    #[must_use]
    pub const fn of(op: u64) -> Self {
        let dice = mix(op ^ 0xba2c);
        Self {
            from: dice % ACCOUNTS,
            to: (dice >> 16) % ACCOUNTS,
            cents: 1 + (dice >> 32) % 400,
        }
    }
}

/// The name of an account.
#[must_use]
pub fn account_key(number: u64) -> String {
    format!("{number:03}")
}

/// Starts a transfer.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "start", reply = u64, rejection = Refused)]
pub struct StartTransfer {
    /// Which one.
    pub op: u64,
}

/// Money for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Command)]
#[command(name = "take", rejection = Refused)]
pub struct Take {
    /// By this transfer.
    pub op: u64,
    /// So much.
    pub cents: u64,
}

/// Why there is no transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// There is not enough.
    Overdrawn,
    /// There would be too much.
    Full,
}

impl Handle<StartTransfer> for Bank {
    fn handle(
        bank: &mut Live<'_, Self>,
        StartTransfer { op }: StartTransfer,
    ) -> Result<u64, Refused> {
        let Transfer { to, cents, .. } = Transfer::of(op);
        if bank.cents < cents {
            return Err(Refused::Overdrawn);
        }
        bank.emit(BankEvent::Sent { op, cents });
        let to = Address::<Self>::of(&account_key(to)).unwrap();
        bank.send(&to, Take { op, cents });
        if op.is_multiple_of(7) {
            bank.stop();
        }
        Ok(bank.seq())
    }
}

impl Handle<Take> for Bank {
    fn handle(bank: &mut Live<'_, Self>, Take { op, cents }: Take) -> Result<(), Refused> {
        if bank.cents + cents > FULL {
            return Err(Refused::Full);
        }
        bank.emit(BankEvent::Received { op, cents });
        if op.is_multiple_of(11) {
            bank.stop();
        }
        Ok(())
    }
}

impl Handle<Returned<Take>> for Bank {
    fn handle(bank: &mut Live<'_, Self>, returned: Returned<Take>) -> Result<(), Never> {
        let Take { op, cents } = returned.command;
        bank.emit(BankEvent::TakenBack { op, cents });
        Ok(())
    }
}

/// What an account holds.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(name = "show", reply = Bank)]
pub struct Show;

impl Handle<Show> for Bank {
    fn handle(bank: &mut Live<'_, Self>, _: Show) -> Result<Bank, Never> {
        Ok(bank.state().clone())
    }
}

/// A node for accounts over `dir` that passivates, recovers and snapshots all the time.
#[must_use]
pub fn bank_node(dir: &Path) -> NodeBuilder {
    Node::open(dir)
        .register::<Bank>(|kind| {
            kind.command::<StartTransfer>()
                .command::<Take>()
                .command::<Show>()
                .sends::<Take>()
        })
        .config(|config| {
            config.passivate_after = Duration::from_millis(50);
            config.snapshot_every = 16;
        })
}

/// Tasks that transfer money until the node stops.
pub struct Transfers {
    node: Node,
    record: Arc<Record>,
    options: Options,
    say: fn(String),
    answers: AtomicU64,
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfers").finish_non_exhaustive()
    }
}

impl Transfers {
    /// Transfers on `node`. Tells its progress to `say`.
    pub fn new(node: Node, record: Arc<Record>, options: Options, say: fn(String)) -> Arc<Self> {
        Arc::new(Self {
            node,
            record,
            options,
            say,
            answers: AtomicU64::new(0),
        })
    }

    /// Runs all tasks until the node stops; at first they ask the transfers `again`.
    pub async fn run(self: Arc<Self>, again: Vec<u64>) {
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let own = again.iter().copied().filter(|op| task_of(*op) == task);
            tasks.push(tokio::spawn(Arc::clone(&self).task(task, own.collect())));
        }
        for task in tasks {
            task.await.unwrap();
        }
    }

    async fn task(self: Arc<Self>, task: u64, again: Vec<u64>) {
        for op in again {
            self.settle(op).await;
        }
        let mut count = 0;
        while !*self.node.watch_stopping().borrow() {
            self.settle(operation(self.options.life, task, count)).await;
            count += 1;
        }
    }

    /// Asks until there is an answer, or the node stops.
    pub async fn settle(&self, op: u64) {
        let account = self.node.actor::<Bank>(&account_key(Transfer::of(op).from));
        loop {
            self.record.tried(op);
            let asked = account.ask(StartTransfer { op }).key(format!("t-{op}"));
            match asked.await {
                Ok(seq) => {
                    self.record.acknowledged(op, Added { seq, sum: 0 });
                    return self.note_answer();
                }
                Err(AskError::Rejected(_)) => {
                    self.record.refused(op, "rejected");
                    return self.note_answer();
                }
                Err(AskError::OutcomeUnknown) => self.record.unknown(op),
                Err(AskError::Stopped) => return self.record.refused(op, "stopped"),
                Err(
                    AskError::Overloaded { .. } | AskError::ReadOnly { .. } | AskError::Expired,
                ) => {
                    self.record.refused(op, "later");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(
                    error @ (AskError::Quarantined { .. }
                    | AskError::KeyReused
                    | AskError::TooLarge { .. }
                    | AskError::Failed { .. }),
                ) => return self.record.wrong(&format!("transfer {op}: {error}")),
            }
            if *self.node.watch_stopping().borrow() {
                return;
            }
        }
    }

    fn note_answer(&self) {
        let count = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(PROGRESS) {
            (self.say)(format!("answers {count}"));
        }
    }
}
