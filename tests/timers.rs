//! Goal: a million timers, most of them on disk only: each fires once, none early, memory bounded, over
//! restarts, reboots and jumps of the wall clock.
//!
//! Method: clocks that are moved by hand. Half of the timers follow the boot clock, half the wall clock; the
//! handler itself compares each firing with what the clocks say. Bounded: 20,000 timers and a window of 1,000.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::{BootId, Clock, Node, Timestamp};

use crate::harness::bell::{Bell, Count, Ring, Set};
use crate::harness::{PATIENCE, Place, runtime, say, scaled, seed};

const BELLS: u64 = 1_000;
/// Every timer is due within so many seconds.
const SPAN: u64 = 10_000;
const STEPS: u64 = 10;
/// Timers set by one command.
const TOGETHER: u64 = 100;
const HOUR: i64 = 3_600_000_000;
const TEN_YEARS: i64 = 315_576_000_000_000;
const START: i64 = 1_767_268_800_000_000;

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: i64,
    running: Duration,
    boot: u128,
}

#[derive(Debug, Clone)]
struct Hands(Arc<Mutex<Times>>);

impl Hands {
    fn change(&self, change: impl FnOnce(&mut Times)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn times(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.times().wall)
    }

    fn running(&self) -> Duration {
        self.times().running
    }

    fn boot(&self) -> BootId {
        BootId::from_u128(self.times().boot)
    }
}

struct Bench {
    place: Place,
    hands: Hands,
    window: usize,
    timers: u64,
    seed: u64,
    highest: u64,
}

impl Bench {
    async fn start(&self) -> Node {
        let window = self.window;
        Node::open(&self.place.dir)
            .config(|config| {
                config.workers = NonZeroUsize::new(2).expect("two");
                config.timer_window = window;
                config.passivate_after = Duration::from_secs(1_500);
            })
            .clock(self.hands.clone())
            .register::<Bell>(steadfast::KindBuilder::command::<Ring>)
            .start()
            .await
            .expect("the node starts")
    }

    /// Seconds until a timer is due: spread without order, and the same for both clocks.
    fn wait(&self, bell: u64, number: u64) -> u64 {
        let mixed =
            (bell * 1_000_003 + number * 7_919 + self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        1 + (mixed >> 20) % SPAN
    }

    fn by_wall(number: u64) -> bool {
        number % 2 == 1
    }

    fn each(&self) -> u64 {
        self.timers / BELLS
    }

    async fn set_all(&mut self, node: &Node) {
        for first in (0..self.each()).step_by(usize::try_from(TOGETHER).expect("small")) {
            let mut asked = Vec::new();
            for bell in 0..BELLS {
                let numbers = first..(first + TOGETHER).min(self.each());
                let timers = numbers.map(|number| {
                    let place = usize::try_from(number).expect("small");
                    let wait = self.wait(bell, number);
                    let due = Timestamp::from_micros(START).plus(Duration::from_secs(wait));
                    (place, wait, Self::by_wall(number).then_some(due))
                });
                let set = Set(timers.collect());
                let actor = node.actor::<Bell>(&bell.to_string());
                asked.push(tokio::spawn(async move { actor.ask(set).await }));
            }
            for answer in asked {
                answer.await.expect("no panic").expect("set");
            }
            self.look(node);
        }
    }

    /// The window holds what it says: twice its size, and what is on its way to it.
    fn look(&mut self, node: &Node) {
        let text = node.metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with("steadfast_timers_in_memory "))
            .expect("the gauge");
        let held: u64 = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse().ok())
            .expect("a number");
        self.highest = self.highest.max(held);
        let most = 2 * self.window as u64 + self.window as u64 / 8;
        assert!(held <= most, "{held} timers in memory");
    }

    /// Fired once by now; fails on one that fired more often, or early.
    async fn count(&self, node: &Node) -> u64 {
        let mut asked = Vec::new();
        for bell in 0..BELLS {
            let actor = node.actor::<Bell>(&bell.to_string());
            asked.push(tokio::spawn(async move { actor.ask(Count).await }));
        }
        let mut once = 0;
        for answer in asked {
            let (fired, more, early) = answer.await.expect("no panic").expect("counted");
            assert_eq!((more, early), (0, 0), "more than once, early");
            once += fired;
        }
        once
    }

    /// Waits until exactly what is due by these seconds of the two clocks has fired.
    async fn expect(&mut self, node: &Node, running: u64, wall: u64) {
        let mut expected = 0;
        for bell in 0..BELLS {
            for number in 0..self.each() {
                let by = if Self::by_wall(number) { wall } else { running };
                expected += u64::from(self.wait(bell, number) <= by);
            }
        }
        let mut commits = node.watch_commits();
        let patience = PATIENCE * scaled(2, 20);
        let done = tokio::time::timeout(patience, async {
            loop {
                commits.borrow_and_update();
                node.wake().await;
                self.look(node);
                if self.count(node).await >= expected {
                    break;
                }
                // Also when nothing is written: the window may be on its way.
                let soon = Duration::from_millis(500);
                drop(tokio::time::timeout(soon, commits.changed()).await);
            }
        });
        let in_time = done.await.is_ok();
        let fired = self.count(node).await;
        assert!(
            in_time && fired == expected,
            "{fired} fired, {expected} are due"
        );
    }
}

#[test]
fn each_of_many_fires_once_and_none_early() {
    let seed = seed("each_of_many_fires_once");
    let (timers, window) = scaled((20_000, 1_000), (1_000_000, 65_536));
    let hands = Hands(Arc::new(Mutex::new(Times {
        wall: START,
        running: Duration::from_secs(1_000),
        boot: 1,
    })));
    let bench = Bench {
        place: Place::new(),
        hands,
        window,
        timers,
        seed,
        highest: 0,
    };
    runtime().block_on(run(bench));
}

async fn run(mut bench: Bench) {
    let mut node = bench.start().await;
    bench.set_all(&node).await;
    let step = SPAN / STEPS;
    // What each clock has reached by now: nothing fires again when it goes back.
    let (mut running, mut wall) = (0, 0);
    for number in 1..=STEPS {
        // A jump back comes before the step, lest a worker looks in between.
        let back = match number {
            2 => HOUR,
            3 => TEN_YEARS,
            _ => 0,
        };
        if number == 4 {
            node.shutdown().await.expect("a clean end");
        }
        bench.hands.change(|times| {
            times.wall += i64::try_from(step).expect("small") * 1_000_000 - back;
            times.running += Duration::from_secs(step);
        });
        running += step;
        wall += step;
        match number {
            // Back and again forward, while it runs.
            2 | 3 => {
                bench.expect(&node, running, wall - step).await;
                bench.hands.change(|times| times.wall += back);
            }
            // Back and again forward, while it is down.
            4 => {
                bench.hands.change(|times| times.wall -= TEN_YEARS);
                drop(node);
                node = bench.start().await;
                bench.expect(&node, running, wall - step).await;
                drop(node);
                bench.hands.change(|times| times.wall += TEN_YEARS);
                node = bench.start().await;
            }
            // In the middle of firing.
            5 | 7 => {
                node.wake().await;
                drop(node);
                node = bench.start().await;
            }
            // Another boot: what is left is counted down by the wall clock.
            6 => {
                bench.expect(&node, running, wall).await;
                drop(node);
                bench.hands.change(|times| {
                    times.running = Duration::from_secs(5);
                    times.boot += 1;
                });
                node = bench.start().await;
            }
            // Forward by an hour: what follows the wall clock is due, the rest is not.
            8 => {
                bench.expect(&node, running, wall).await;
                bench.hands.change(|times| times.wall += HOUR);
                wall += 3_600;
            }
            9 => {
                bench.hands.change(|times| times.wall += TEN_YEARS);
                wall = SPAN;
            }
            _ => {}
        }
        bench.expect(&node, running, wall).await;
    }
    assert_eq!(bench.count(&node).await, bench.timers, "all of them");
    node.shutdown().await.expect("a clean end");
    say(&format!(
        "timers: {} fired once each, at most {} in memory, window {}",
        bench.timers, bench.highest, bench.window
    ));
}
