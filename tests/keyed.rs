//! Goal: a command with a key takes effect once and always gets the same answer, however often it is asked, over power
//! cuts, failed syncs, a full disk and restarts.
//!
//! Method: waves of commands to a few sums, in a node whose disk and power are the test's. What has no answer is asked
//! again until it has one, and some of what has is asked again as well. At the end each sum must be exact.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::testkit::{CommitFault, FaultPlan, TestNode};
use steadfast::{ActorId, AskError, Command, Event, Handle, Live, Never, StatefulActor};
use steadfast_tests::Dice;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::harness::{proved, say, scaled, seed, tries};

const SUMS: u64 = 16;
/// Commands that are asked at the same time.
const WAVE: u64 = 64;
/// Answered commands that are asked again with them.
const AGAIN: u64 = 16;
/// How far back those lie: no further than a sum remembers keys.
const BACK: u64 = 4_096;
/// Commands of one node, so that its memory stays small.
const ON_ONE_NODE: u64 = 20_000;
/// Goes at what has no answer; every fault is over by then.
const GOES: usize = 50;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum {
    sum: u64,
    commands: u64,
}

#[derive(Event)]
#[event(prefix = "sum.")]
enum SumEvent {
    Added { amount: u64 },
}

impl StatefulActor for Sum {
    const KIND: &'static str = "sum";
    type Event = SumEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, SumEvent::Added { amount }: &SumEvent) {
        self.sum += amount;
        self.commands += 1;
    }
}

/// Adds an amount; the answer is the place of the command among all of its sum, and the sum then.
#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = (u64, u64))]
struct Add(u64);

impl Handle<Add> for Sum {
    fn handle(sum: &mut Live<'_, Self>, Add(amount): Add) -> Result<(u64, u64), Never> {
        sum.emit(SumEvent::Added { amount });
        Ok((sum.commands, sum.sum))
    }
}

const fn sum_of(op: u64) -> u64 {
    op % SUMS
}

const fn amount_of(op: u64) -> u64 {
    1 + op * 7_919 % 1_000
}

struct Bench {
    node: TestNode,
    runtime: Runtime,
    dice: Dice,
    answers: BTreeMap<u64, (u64, u64)>,
    asked: u64,
    crashes: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let node = TestNode::with_seed(seed, |node| {
            node.register::<Sum>(|kind| kind).config(|config| {
                config.snapshot_every = 50;
                config.passivate_after = Duration::from_secs(5);
            })
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Self {
            node,
            runtime: runtime.expect("a runtime"),
            dice: Dice::new(seed),
            answers: BTreeMap::new(),
            asked: 0,
            crashes: 0,
        }
    }

    /// Asks for all at once, and takes the answers that come.
    fn ask(&mut self, ops: &[u64]) {
        self.asked += ops.len() as u64;
        let node = &self.node;
        let told = self.runtime.block_on(async {
            let mut asking = JoinSet::new();
            for op in ops.iter().copied() {
                let sum = node.actor::<Sum>(&sum_of(op).to_string());
                asking.spawn(async move {
                    let add = sum.ask(Add(amount_of(op))).key(format!("op-{op}"));
                    (op, add.await)
                });
            }
            asking.join_all().await
        });
        for (op, answer) in told {
            match answer {
                Ok(answer) => {
                    let before = self.answers.insert(op, answer);
                    let same = before.is_none_or(|before| before == answer);
                    assert!(same, "command {op}: {before:?}, then {answer:?}");
                }
                Err(AskError::OutcomeUnknown | AskError::Stopped | AskError::ReadOnly { .. }) => {}
                Err(
                    error @ (AskError::Rejected(_)
                    | AskError::Overloaded { .. }
                    | AskError::Expired
                    | AskError::Quarantined { .. }
                    | AskError::KeyReused
                    | AskError::TooLarge { .. }
                    | AskError::Failed { .. }),
                ) => panic!("command {op}: {error}"),
            }
        }
    }

    /// What goes wrong with the next writes, if anything.
    fn draw_fault(&mut self) {
        let fate = match self.dice.roll(2) {
            0 => CommitFault::Lost,
            _ => CommitFault::Kept,
        };
        let write = 1 + self.dice.roll(4);
        match self.dice.roll(16) {
            0..2 => self.node.crash_after(write, fate),
            2 => self.node.faults(&FaultPlan::new().sync_error(write, fate)),
            3 => self.node.faults(&FaultPlan::new().no_space(write, 3)),
            4 => {
                self.crashes += 1;
                self.node.reopen();
            }
            5 => {
                let restarted = self.runtime.block_on(self.node.restart());
                restarted.expect("nothing is wrong with it");
            }
            6 => {
                let passed = self.runtime.block_on(self.node.passivate());
                passed.expect("nothing is wrong with it");
            }
            _ => {}
        }
    }

    fn wave(&mut self, first: u64, last: u64) {
        self.draw_fault();
        let back = first.min(BACK);
        let mut ops: Vec<u64> = (first..last).collect();
        if back > 0 {
            ops.extend((0..AGAIN).map(|_| first - 1 - self.dice.roll(back)));
        }
        self.ask(&ops);
        for _ in 0..GOES {
            let open: Vec<u64> = (first..last)
                .filter(|op| !self.answers.contains_key(op))
                .collect();
            if open.is_empty() {
                return self.node.faults(&FaultPlan::new());
            }
            self.recover();
            self.ask(&open);
        }
        panic!("commands {first} to {last} never got their answers");
    }

    /// Opens the node again after a power cut, and else lets time pass in which it does that by itself.
    fn recover(&mut self) {
        let passed = self
            .runtime
            .block_on(self.node.advance(Duration::from_secs(1)));
        if passed.is_err() {
            self.crashes += 1;
            self.node.reopen();
        }
    }

    fn check(&mut self, commands: u64) {
        self.compare(commands);
        self.node.reopen();
        let settled = self.runtime.block_on(self.node.settle());
        settled.expect("nothing is wrong with it");
        for sum in 0..SUMS {
            let all = (0..commands).filter(|op| sum_of(*op) == sum);
            let exact: u64 = all.clone().map(amount_of).sum();
            let state = self.node.state::<Sum>(&sum.to_string());
            assert_eq!(
                (state.commands, state.sum),
                (all.clone().count() as u64, exact)
            );
            let mut places: Vec<u64> = all.map(|op| self.answers[&op].0).collect();
            places.sort_unstable();
            assert!(
                (1..).zip(&places).all(|(place, told)| place == *told),
                "each its own"
            );
        }
        self.compare(commands);
    }

    /// Compares each sum with its replay: one that was in memory all the while, and one that just came back. Asking once
    /// more for the last command of each brings it there.
    fn compare(&mut self, commands: u64) {
        let newest = |sum| (0..commands).rev().find(|op| sum_of(*op) == sum);
        let last: Vec<u64> = (0..SUMS).filter_map(newest).collect();
        self.ask(&last);
        let settled = self.runtime.block_on(self.node.settle());
        if settled.is_err() {
            // The power failed in the last wave, behind its last answer.
            self.node.reopen();
            self.ask(&last);
        }
        assert_eq!(self.node.check_laws(), last.len(), "sums were compared");
    }
}

#[test]
fn keyed_commands_take_effect_once_over_crashes() {
    let test = "keyed_commands_take_effect_once";
    let seed = seed(test);
    let wanted = tries(10_000, scaled(10_000, 200_000));
    let (mut done, mut asked, mut crashes) = (0, 0, 0);
    while done < wanted {
        let mut bench = Bench::new(seed.wrapping_add(done));
        let commands = ON_ONE_NODE.min(wanted - done);
        for first in (0..commands).step_by(usize::try_from(WAVE).expect("small")) {
            bench.wave(first, (first + WAVE).min(commands));
        }
        bench.check(commands);
        (done, asked, crashes) = (
            done + commands,
            asked + bench.asked,
            crashes + bench.crashes,
        );
    }
    say(&format!(
        "{test}: {done} commands, asked {asked} times, over {crashes} power cuts"
    ));
    proved("keyed_commands", done);
}
