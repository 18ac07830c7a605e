//! Goal: a timer fires once, never early by its own clock, and none is lost, however the wall clock jumps, over power
//! cuts and restarts.
//!
//! Method: half of the timers follow the boot clock, half the wall clock, which is set back and forth by an hour and by
//! ten years in an order that is drawn. After each step exactly those have fired that were due by their own clock at
//! some moment so far.

use std::time::Duration;

use steadfast::testkit::{START, TestNode};
use steadfast::{Clock, KindBuilder, Timestamp};
use steadfast_tests::Dice;
use tokio::runtime::Runtime;

use crate::harness::bell::{Bell, Ring, Set};
use crate::harness::{proved, say, scaled, seed, tries};

/// Timers of one actor.
const EACH: u64 = 100;
/// Timers of one node.
const ON_ONE_NODE: u64 = 5_000;
/// Every timer is due within so many seconds.
const SPAN: u64 = 10_000;
const STEPS: u64 = 30;
const HOUR: Duration = Duration::from_secs(3_600);
const TEN_YEARS: Duration = Duration::from_secs(315_576_000);

const fn by_wall(number: usize) -> bool {
    number % 2 == 1
}

struct Bench {
    node: TestNode,
    runtime: Runtime,
    dice: Dice,
    /// Of each bell, the seconds until each of its timers is due.
    waits: Vec<Vec<u64>>,
    /// The furthest that each clock came.
    running: Duration,
    wall: Timestamp,
}

impl Bench {
    fn new(seed: u64, timers: u64) -> Self {
        let node = TestNode::with_seed(seed, |node| {
            node.register::<Bell>(KindBuilder::command::<Ring>)
                .config(|config| {
                    config.timer_window = 500;
                    config.snapshot_every = 20;
                    config.passivate_after = Duration::from_secs(600);
                })
        });
        let mut dice = Dice::new(seed);
        let mut waits = Vec::new();
        for _ in 0..timers.div_ceil(EACH) {
            waits.push((0..EACH).map(|_| 1 + dice.roll(SPAN)).collect());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let mut bench = Self {
            node,
            runtime: runtime.expect("a runtime"),
            dice,
            waits,
            running: Duration::ZERO,
            wall: START,
        };
        bench.set_all();
        bench
    }

    fn set_all(&mut self) {
        for (bell, waits) in self.waits.iter().enumerate() {
            let actor = self.node.actor::<Bell>(&bell.to_string());
            let timer = |(number, wait): (usize, &u64)| {
                let due = by_wall(number).then(|| START.plus(Duration::from_secs(*wait)));
                (number, *wait, due)
            };
            let timers = waits.iter().enumerate().map(timer).collect();
            let set = async { actor.ask(Set(timers)).await };
            self.runtime.block_on(set).expect("set");
        }
    }

    fn step(&mut self) {
        let passes = Duration::from_secs(1 + self.dice.roll(2 * SPAN / STEPS));
        let clock = self.node.clock().clone();
        match self.dice.roll(8) {
            // The wall clock is off by so much from now on, and no more by what it was off before.
            0 => self.set_off(|straight| straight.plus(HOUR)),
            1 => self.set_off(|straight| back(straight, HOUR)),
            2 | 3 => self.set_off(|straight| back(straight, TEN_YEARS)),
            4 => self.set_off(|straight| straight),
            5 => self.node.reopen(),
            6 => {
                let restarted = self.runtime.block_on(self.node.restart());
                restarted.expect("nothing is wrong with it");
            }
            _ => {}
        }
        self.pass(passes);
        self.running = clock.running();
        self.check();
    }

    fn set_off(&mut self, off: impl FnOnce(Timestamp) -> Timestamp) {
        let clock = self.node.clock();
        // While it is down, every other time.
        if self.dice.roll(2) == 0 {
            self.node.crash();
            clock.set_wall(off(START.plus(clock.running())));
            self.node.reopen();
        } else {
            clock.set_wall(off(START.plus(clock.running())));
        }
    }

    fn pass(&mut self, by: Duration) {
        let node = &self.node;
        let passed = self.runtime.block_on(async {
            node.node().wake().await;
            node.advance(by).await
        });
        passed.expect("the power is on");
        self.wall = self.wall.max(self.node.clock().now());
    }

    /// Exactly what was due has fired, once.
    fn check(&self) {
        for (bell, waits) in self.waits.iter().enumerate() {
            let state = self.node.state::<Bell>(&bell.to_string());
            assert_eq!(state.early, 0, "early by the wall clock");
            for (number, wait) in waits.iter().enumerate() {
                let wait = Duration::from_secs(*wait);
                let due = if by_wall(number) {
                    START.plus(wait) <= self.wall
                } else {
                    wait <= self.running
                };
                let fired = state.fired.get(number).copied().unwrap_or(0);
                assert_eq!(
                    fired,
                    u8::from(due),
                    "timer {number} of bell {bell}, by wall {}, after {wait:?}; running {:?}, wall {:?}",
                    by_wall(number),
                    self.running,
                    self.wall
                );
            }
        }
    }
}

fn back(from: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).expect("not so long");
    Timestamp::from_micros(from.as_micros() - by)
}

#[test]
fn timers_fire_once_and_never_early_over_jumps_of_the_clock() {
    let test = "timers_fire_once_and_never_early";
    let seed = seed(test);
    let wanted = tries(5_000, scaled(5_000, 100_000));
    let mut done = 0;
    while done < wanted {
        let timers = ON_ONE_NODE.min(wanted - done).next_multiple_of(EACH);
        let mut bench = Bench::new(seed.wrapping_add(done), timers);
        for _ in 0..STEPS {
            bench.step();
        }
        // At last it is ten years later, and all the time that any of them waits for has passed.
        bench.set_off(|straight| straight.plus(TEN_YEARS));
        bench.pass(Duration::from_secs(SPAN));
        bench.running = bench.node.clock().running();
        bench.check();
        done += timers;
    }
    say(&format!("{test}: {done} timers"));
    proved("timers", done);
}
