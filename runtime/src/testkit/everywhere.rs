//! Crashing a scenario at every write it makes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use steadfast_journal::CommitFault;

use super::fail;
use super::node::{Crashed, TestNode};
use crate::core::random;
use crate::node::NodeBuilder;

/// Attempts at a scenario after its planned crashes are over: one that does not complete by then never
/// will.
const ATTEMPTS: usize = 3;

/// Runs `scenario` once to count its writes, then once for each of them and each fate of a failing write,
/// with a crash at that write; then with two crashes, a sample of the pairs.
///
/// After a crash the node is opened again and the scenario runs from the start, as a client does that does
/// not know how far it came: its commands need keys, or must be right to repeat. When it has completed and
/// the node is at rest, `check` says what must hold. That what actors are in memory is what their events
/// make of them, with snapshots and without, is checked as well.
///
/// A violation panics with the crash that led to it and with how to repeat just that one. Needs no async
/// runtime, and must not be called from inside one.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::{ActorId, Command, Event, Handle, Live, Never, StatefulActor};
/// # #[derive(Event)]
/// # enum AccountEvent { Deposited { cents: u64 } }
/// # #[derive(Serialize, Deserialize)]
/// # struct Account { cents: u64 }
/// # impl StatefulActor for Account {
/// #     const KIND: &'static str = "account";
/// #     type Event = AccountEvent;
/// #     fn new(_: &ActorId) -> Self { Self { cents: 0 } }
/// #     fn apply(&mut self, event: &AccountEvent) {
/// #         let AccountEvent::Deposited { cents } = event;
/// #         self.cents += cents;
/// #     }
/// # }
/// # #[derive(Serialize, Deserialize, Command)]
/// # #[command(reply = u64)]
/// # struct Deposit { cents: u64 }
/// # impl Handle<Deposit> for Account {
/// #     fn handle(account: &mut Live<'_, Self>, command: Deposit) -> Result<u64, Never> {
/// #         account.emit(AccountEvent::Deposited { cents: command.cents });
/// #         Ok(account.cents)
/// #     }
/// # }
/// use steadfast::testkit::crash_everywhere;
///
/// crash_everywhere(
///     |node| node.register::<Account>(|kind| kind),
///     async |node| {
///         let account = node.actor::<Account>("alice");
///         account.ask(Deposit { cents: 70 }).key("monday").await?;
///         account.ask(Deposit { cents: 30 }).key("tuesday").await?;
///         Ok(())
///     },
///     |node| assert_eq!(node.state::<Account>("alice").cents, 100),
/// );
/// ```
///
/// Without its key, a deposit whose answer was lost would be made twice, and the test would end with
/// *after a crash at write 1, which is Kept (seed 1): … repeat it with `CrashPlan::default()…`*.
///
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/bank.in")); }
/// # use bank::*;
/// use steadfast::testkit::crash_everywhere;
///
/// crash_everywhere(
///     |node| node.register::<Account>(|kind| kind),
///     async |node| {
///         let alice = node.actor::<Account>("alice");
///         alice.ask(Deposit { cents: 70 }).key("monday").await?;
///         alice.ask(Withdraw { cents: 30 }).key("tuesday").await?;
///         Ok(())
///     },
///     |node| assert_eq!(node.state::<Account>("alice").cents, 40),
/// );
/// ```
#[track_caller]
pub fn crash_everywhere(
    build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + Clone + 'static,
    scenario: impl AsyncFn(&TestNode) -> Result<(), Crashed>,
    check: impl Fn(&TestNode),
) {
    CrashPlan::default().run(build, scenario, check);
}

/// Where [`crash_everywhere`] crashes, for what the default does not fit.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before .run(..)"]
pub struct CrashPlan {
    seed: u64,
    pairs: usize,
    only: Option<Vec<Crash>>,
}

impl Default for CrashPlan {
    fn default() -> Self {
        Self {
            seed: 1,
            pairs: 32,
            only: None,
        }
    }
}

/// A crash at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Which write, counted from the start of the scenario or, for a second crash, from when the node
    /// begins to open again.
    pub write: u64,
    /// What becomes of that write.
    pub fate: CommitFault,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {}, which is {:?}", self.write, self.fate)
    }
}

impl CrashPlan {
    /// Draws pairs of crashes and the random numbers of the nodes from `seed`.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many pairs of crashes are tried; 32 by default.
    pub const fn pairs(mut self, pairs: usize) -> Self {
        self.pairs = pairs;
        self
    }

    /// Runs just one case: that of a violation.
    pub fn only(mut self, crashes: impl IntoIterator<Item = (u64, CommitFault)>) -> Self {
        let crashes = crashes.into_iter();
        self.only = Some(crashes.map(|(write, fate)| Crash { write, fate }).collect());
        self
    }

    /// See [`crash_everywhere`].
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario is written where it is run"
    )]
    pub fn run(
        self,
        build: impl Fn(NodeBuilder) -> NodeBuilder + Send + Sync + Clone + 'static,
        scenario: impl AsyncFn(&TestNode) -> Result<(), Crashed>,
        check: impl Fn(&TestNode),
    ) {
        let case = |crashes: &[Crash]| {
            let node = TestNode::with_seed(self.seed, build.clone());
            let case = Case {
                crashes,
                seed: self.seed,
            };
            case.run(&node, &scenario, &check)
        };
        if let Some(only) = &self.only {
            case(only);
            return;
        }
        let writes = case(&[]);
        for write in 1..=writes {
            for fate in [CommitFault::Lost, CommitFault::Kept] {
                case(&[Crash { write, fate }]);
            }
        }
        let mut draws = 0;
        let mut draw = |bound: u64| {
            draws += 1;
            random(self.seed, draws) % bound.max(1)
        };
        for _ in 0..self.pairs {
            let mut crash = || Crash {
                write: 1 + draw(writes),
                fate: match draw(2) {
                    0 => CommitFault::Lost,
                    _ => CommitFault::Kept,
                },
            };
            case(&[crash(), crash()]);
        }
    }
}

/// One run of the scenario, with its crashes.
struct Case<'a> {
    crashes: &'a [Crash],
    seed: u64,
}

impl Case<'_> {
    /// Runs it to its end; how many writes that took.
    fn run(
        &self,
        node: &TestNode,
        scenario: &impl AsyncFn(&TestNode) -> Result<(), Crashed>,
        check: &impl Fn(&TestNode),
    ) -> u64 {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let before = node.writes();
            self.complete(node, scenario);
            let writes = node.writes() - before;
            node.check_laws();
            check(node);
            writes
        }));
        match ran {
            Ok(writes) => writes,
            Err(panic) => self.violated(panic),
        }
    }

    fn complete(&self, node: &TestNode, scenario: &impl AsyncFn(&TestNode) -> Result<(), Crashed>) {
        let mut crashes = self.crashes.iter();
        let mut arm = || {
            if let Some(Crash { write, fate }) = crashes.next() {
                node.crash_after(*write, *fate);
            }
        };
        arm();
        let mut last = String::new();
        for _ in 0..self.crashes.len() + ATTEMPTS {
            let ran = node.block_on(async {
                scenario(node).await?;
                node.settle().await
            });
            match ran {
                // A later run may need fewer writes than the crash was planned for.
                Ok(()) => return node.storage().forget_planned_faults(),
                Err(error) if !error.is_crash() => {
                    fail(&format!("the scenario failed: {error}"));
                }
                Err(error) if node.storage().has_power() => {
                    fail(&format!(
                        "the scenario failed though no crash explains it: {error}"
                    ));
                }
                Err(error) => last = error.to_string(),
            }
            node.crash();
            node.storage().forget_planned_faults();
            arm();
            // The opening itself may meet the second crash.
            node.open_or_fail();
        }
        fail(&format!("the scenario does not complete: {last}"));
    }

    fn violated(&self, panic: Box<dyn std::any::Any + Send>) -> ! {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let Some(text) = text else {
            resume_unwind(panic);
        };
        if self.crashes.is_empty() {
            fail(&format!("without any crash (seed {}): {text}", self.seed));
        }
        let shown: Vec<String> = self.crashes.iter().map(Crash::to_string).collect();
        let only: Vec<String> = self
            .crashes
            .iter()
            .map(|Crash { write, fate }| format!("({write}, CommitFault::{fate:?})"))
            .collect();
        fail(&format!(
            "after a crash at {} (seed {}): {text}\nrepeat it with CrashPlan::default().seed({}).only([{}]).run(..)",
            shown.join(", then at "),
            self.seed,
            self.seed,
            only.join(", "),
        ));
    }
}
