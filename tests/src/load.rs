//! The load: tasks that ask, wait, and write down what they were told.
//!
//! Half of the operations carry a key. Those of unknown outcome are asked again, in this life or the
//! next; some that were answered are asked again as well, and must get the same answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::{AskError, Node};

use crate::dice::Dice;
use crate::plan::{Plan, operation, task_of};
use crate::record::Record;
use crate::tally::{Add, Added, Peek, Tally, TooMuch};

/// Tasks that ask at the same time.
pub const TASKS: u64 = 64;
/// Answers or refusals between two lines about progress.
const PROGRESS: u64 = 1_000;
/// How long a task that was refused lets others go first.
const PAUSE: Duration = Duration::from_millis(5);

/// How a load runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Which life of the program this is, from 1.
    pub life: u64,
    /// For everything that is random and not part of a plan.
    pub seed: u64,
    /// Bytes that each operation carries to no use.
    pub note: usize,
}

/// What the system says where a process may open no more.
pub const TOO_MANY_FILES: &str = "Too many open files";

/// What a load says while it runs.
type Say = Box<dyn Fn(String) + Send + Sync>;

/// Runs operations against a node.
pub struct Load {
    node: Node,
    record: Arc<Record>,
    options: Options,
    say: Say,
    answers: AtomicU64,
    refusals: AtomicU64,
    /// The trouble that was told last, until there is an answer again.
    trouble: Mutex<String>,
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Load {
    /// A load on `node`. Tells its progress to `say`.
    pub fn new(
        node: Node,
        record: Arc<Record>,
        options: Options,
        say: impl Fn(String) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            node,
            record,
            options,
            say: Box::new(say),
            answers: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            trouble: Mutex::default(),
        })
    }

    /// Runs all tasks until the node stops; at first they ask the operations `again`.
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
        let Options { life, seed, .. } = self.options;
        let mut dice = Dice::new(seed ^ operation(life, task, 0));
        for op in again {
            self.settle(op, None).await;
        }
        let mut count = 0;
        while !*self.node.watch_stopping().borrow() {
            let op = operation(life, task, count);
            count += 1;
            let deadline = (dice.roll(10) == 0).then(|| Duration::from_millis(1 + dice.roll(20)));
            let answered = self.settle(op, deadline).await;
            if answered && Plan::of(op).keyed {
                match dice.roll(40) {
                    0..2 => drop(self.settle(op, None).await),
                    2 => self.reuse_key(op).await,
                    _ => {}
                }
            }
        }
    }

    /// Asks until there is an answer; without a key once. True if it was done.
    pub async fn settle(&self, op: u64, mut deadline: Option<Duration>) -> bool {
        loop {
            self.record.tried(op);
            let answer = self.ask(op, deadline).await;
            match &answer {
                Ok(added) => {
                    self.record.acknowledged(op, *added);
                    self.note_answer();
                    return true;
                }
                Err(AskError::OutcomeUnknown) => {
                    self.record.unknown(op);
                    if deadline.take().is_none() {
                        self.note_trouble("the outcome is unknown");
                    }
                    if !Plan::of(op).keyed || *self.node.watch_stopping().borrow() {
                        return false;
                    }
                }
                Err(AskError::Rejected(_) | AskError::Expired | AskError::Stopped) => {
                    self.record.refused(op, "as it may be");
                    return false;
                }
                Err(error @ (AskError::Overloaded { .. } | AskError::ReadOnly { .. })) => {
                    self.record.refused(op, &error.to_string());
                    let is_news = self.note_trouble(&error.to_string());
                    self.note_progress("refusals", &self.refusals);
                    if is_news && matches!(error, AskError::ReadOnly { .. }) {
                        self.peek_meanwhile(op).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                    return false;
                }
                // Bringing the actor into memory failed: its handler never ran.
                Err(AskError::Failed { reason }) if reason.contains(TOO_MANY_FILES) => {
                    self.record.refused(op, reason);
                    tokio::time::sleep(PAUSE).await;
                    return false;
                }
                Err(
                    error @ (AskError::Quarantined { .. }
                    | AskError::KeyReused
                    | AskError::TooLarge { .. }
                    | AskError::Failed { .. }),
                ) => {
                    self.record.wrong(&format!("operation {op}: {error}"));
                    return false;
                }
            }
        }
    }

    async fn ask(&self, op: u64, deadline: Option<Duration>) -> Result<Added, AskError<TooMuch>> {
        let plan = Plan::of(op);
        let actor = self.node.actor::<Tally>(&plan.actor_key());
        let note = "x".repeat(self.options.note);
        let mut asking = actor.ask(Add { op, note });
        if plan.keyed {
            asking = asking.key(Plan::key(op));
        }
        if let Some(deadline) = deadline {
            asking = asking.deadline(deadline);
        }
        asking.await
    }

    /// A key that was answered must not work for another command.
    async fn reuse_key(&self, op: u64) {
        let actor = self.node.actor::<Tally>(&Plan::of(op).actor_key());
        let other = Add {
            op,
            note: "another body".to_owned(),
        };
        let answer = actor.ask(other).key(Plan::key(op)).await;
        if let Ok(added) = answer {
            let text = format!("operation {op}: its key was used for another body: {added:?}");
            self.record.wrong(&text);
        }
    }

    /// Who only reads is refused as well while nothing can be written, and told why.
    async fn peek_meanwhile(&self, op: u64) {
        let actor = self.node.actor::<Tally>(&Plan::of(op).actor_key());
        match actor.ask(Peek).await {
            Err(AskError::ReadOnly { reason }) => (self.say)(format!("peeked read-only: {reason}")),
            // It could be written again by then, or failed anew.
            Ok(_) | Err(AskError::OutcomeUnknown | AskError::Stopped) => {}
            Err(error) => self.record.wrong(&format!("a look at {op}: {error}")),
        }
    }

    fn note_answer(&self) {
        self.trouble.lock().unwrap().clear();
        self.note_progress("answers", &self.answers);
    }

    fn note_progress(&self, what: &str, counter: &AtomicU64) {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(PROGRESS) {
            (self.say)(format!("{what} {count}"));
        }
    }

    /// Whether nobody was told of it yet.
    fn note_trouble(&self, why: &str) -> bool {
        let mut told = self.trouble.lock().unwrap();
        let is_news = *told != why;
        if is_news {
            why.clone_into(&mut told);
            (self.say)(format!("trouble {why}"));
        }
        is_news
    }
}
