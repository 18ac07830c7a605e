//! Goal: far more timers than the window holds, and memory holds no more than it says; none is lost, none
//! fires twice, none is early, whatever happens meanwhile.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use steadfast::journal::{CommitFault, MemoryStorage};
use steadfast::{AskError, NodeBuilder, Timer};

use crate::bell::{Bell, Clocks, Leave, Rang, Ring, SECOND, START, Set, Tower};
use crate::world::eventually;

const WINDOW: u64 = 500;
const BELLS: u64 = 200;
const EACH: u64 = 100;
/// All are due within so many seconds.
const SPAN: u64 = 1_000;

fn key(bell: u64) -> String {
    format!("{bell:03}")
}

/// The second in which a timer is due, spread without order.
fn due_second(bell: u64, number: u64) -> u64 {
    1 + (bell * 7_919 + number * 104_729) % SPAN
}

/// Half of them by the boot clock, half by the wall clock.
fn timer(bell: u64, number: u64) -> Timer {
    let wait = Duration::from_secs(due_second(bell, number));
    if number.is_multiple_of(2) {
        Timer::after(wait)
    } else {
        Timer::at(START.plus(wait))
    }
}

fn small(config: &mut steadfast::Config) {
    config.timer_window = 500;
    config.snapshot_every = 20;
}

fn held(tower: &Tower) -> u64 {
    let held = tower.metric("steadfast_timers_in_memory ");
    // Twice the window, and a page that is on its way.
    assert!(held <= 2 * WINDOW + WINDOW / 8, "{held} timers in memory");
    held
}

async fn set_all(tower: &Tower) {
    for bell in 0..BELLS {
        let timers = (0..EACH).map(|number| (format!("{number}"), timer(bell, number)));
        let set = Set(timers.collect());
        tower.bell(&key(bell)).ask(set).await.unwrap();
        held(tower);
    }
}

async fn all_rang(tower: &Tower) -> Vec<(u64, Rang)> {
    let mut all = Vec::new();
    for bell in 0..BELLS {
        let rang = tower.rang(&key(bell)).await;
        all.extend(rang.into_iter().map(|rang| (bell, rang)));
    }
    all
}

/// What has to have fired by a second, and nothing else has.
async fn check(tower: &Tower, second: u64) {
    let expected: BTreeSet<(u64, u64)> = (0..BELLS)
        .flat_map(|bell| (0..EACH).map(move |number| (bell, number)))
        .filter(|(bell, number)| due_second(*bell, *number) <= second)
        .collect();
    eventually(
        &format!("{} firings by {second}", expected.len()),
        async || {
            tower.node.wake().await;
            held(tower);
            all_rang(tower).await.len() >= expected.len()
        },
    )
    .await;
    let all = all_rang(tower).await;
    let seen: BTreeSet<(u64, u64)> = all
        .iter()
        .map(|(bell, rang)| (*bell, rang.timer.parse().unwrap()))
        .collect();
    assert_eq!(all.len(), expected.len(), "each fires once");
    assert_eq!(seen, expected);
    for (bell, rang) in all {
        assert!(rang.ran >= rang.due, "{bell} is early: {rang:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_in_a_window_of_five_hundred() {
    let mut tower = Tower::with(small).await;
    set_all(&tower).await;
    let mut second = 0;
    for step in 0_u32..10 {
        second += 100;
        tower.pass(100 * SECOND).await;
        if step % 3 == 0 {
            check(&tower, second).await;
        }
        for bell in 0..BELLS / 2 {
            // A planned fault may meet it; then the actor leaves with its worker's generation.
            match tower.bell(&key(bell)).ask(Leave).await {
                Ok(()) | Err(AskError::OutcomeUnknown) => {}
                Err(error) => panic!("{error}"),
            }
        }
        match step {
            2 | 6 => tower = tower.restart(step == 2, |_| {}).await,
            4 => tower.storage.fail_next_commit(CommitFault::Lost),
            7 => tower.storage.fail_next_commit(CommitFault::Kept),
            _ => {}
        }
    }
    check(&tower, second).await;
    assert_eq!(second, SPAN);
    assert_eq!(held(&tower), 0, "nothing is left");
}

/// Of a boot that is over, the window holds no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_in_the_middle() {
    let tower = Tower::with(small).await;
    set_all(&tower).await;
    tower.pass(300 * SECOND).await;
    check(&tower, 300).await;
    let tower = tower
        .restart(false, |clocks| clocks.reboot(100 * SECOND))
        .await;
    check(&tower, 400).await;
    let tower = tower
        .restart(false, |clocks| clocks.reboot(100 * SECOND))
        .await;
    for second in [600, 800, 1_000] {
        check(&tower, second - 100).await;
        tower.pass(100 * SECOND).await;
        check(&tower, second).await;
        if second < 1_000 {
            tower.pass(100 * SECOND).await;
        }
    }
    assert_eq!(held(&tower), 0, "nothing is left");
}

/// More than the window, and more than a mailbox and a worker's hands hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_due_at_once() {
    for actors in [1, 20] {
        let tower = Tower::with(|config| config.timer_window = 6_000).await;
        let each = 12_000 / actors;
        for bell in 0..actors {
            for first in (0..each).step_by(100) {
                let timers = (first..first + 100)
                    .map(|number| (format!("{number}"), Timer::after(60 * SECOND)));
                let set = Set(timers.collect());
                tower.bell(&key(bell)).ask(set).await.unwrap();
            }
        }
        tower.pass(60 * SECOND).await;
        for bell in 0..actors {
            eventually("all have fired", async || {
                tower.rang(&key(bell)).await.len() as u64 >= each
            })
            .await;
            let rang = tower.rang(&key(bell)).await;
            let names: BTreeSet<&String> = rang.iter().map(|rang| &rang.timer).collect();
            assert_eq!((rang.len() as u64, names.len() as u64), (each, each));
        }
    }
}

/// An earlier timer is set when the window is full of later ones.
#[tokio::test]
async fn the_next_one_is_always_in_memory() {
    let tower = Tower::with(|config| config.timer_window = 16).await;
    for round in (1..=50_u64).rev() {
        let timers = (0..10).map(|number| {
            let wait = Duration::from_secs(1_000 * round + number);
            (format!("{round} {number}"), Timer::after(wait))
        });
        tower.bell("a").ask(Set(timers.collect())).await.unwrap();
        let set = tower.metric("steadfast_timers_in_memory ");
        assert!(set <= 2 * 16 + 2, "{set} timers in memory");
    }
    let mut passed = 0;
    for round in 1..=50_u64 {
        tower
            .pass(Duration::from_secs(1_000 * round - passed))
            .await;
        let count = usize::try_from(10 * (round - 1) + 1).unwrap();
        let rang = tower.wait_for(count).await;
        assert_eq!(rang.last().unwrap().timer, format!("{round} 0"));
        tower.pass(9 * SECOND).await;
        passed = 1_000 * round + 9;
        tower.wait_for(count + 9).await;
    }
}

/// Nothing fires before the host says so, neither what is found nor what is set meanwhile.
#[tokio::test]
async fn held_back_until_pending_work_is_started() {
    let (storage, clocks) = (MemoryStorage::new(), Clocks::default());
    let build = || {
        NodeBuilder::from(storage.clone())
            .config(|config| config.workers = NonZeroUsize::MIN)
            .clock(clocks.clone())
            .register::<Bell>(steadfast::KindBuilder::command::<Ring>)
    };
    let node = build().start().await.unwrap();
    let set = |name: &str| Set(vec![(name.to_owned(), Timer::after(SECOND))]);
    let bell = node.actor::<Bell>("a");
    bell.ask(set("found")).await.unwrap();
    node.shutdown().await.unwrap();
    let node = build().hold_pending_work().start().await.unwrap();
    let bell = node.actor::<Bell>("a");
    bell.ask(set("set meanwhile")).await.unwrap();
    clocks.pass(10 * SECOND);
    node.wake().await;
    let rang = async || bell.ask(crate::bell::AllRang).await.unwrap().len();
    assert_eq!(rang().await, 0);
    node.start_pending_work().await.unwrap();
    node.wake().await;
    eventually("both fire", async || rang().await == 2).await;
}

/// What cannot be sent sets its actor aside, whose timers then leave memory and block nobody; they are found
/// again where it can be sent.
#[tokio::test]
async fn timers_of_an_actor_that_is_set_aside_leave_memory() {
    let (storage, clocks) = (MemoryStorage::new(), Clocks::default());
    let build = || {
        NodeBuilder::from(storage.clone())
            .config(|config| config.workers = NonZeroUsize::MIN)
            .clock(clocks.clone())
    };
    let node = build()
        .register::<Bell>(steadfast::KindBuilder::command::<Ring>)
        .start()
        .await
        .unwrap();
    let timers = (1..=10).map(|number| (format!("{number}"), Timer::after(number * SECOND)));
    let bell = node.actor::<Bell>("a");
    bell.ask(Set(timers.collect())).await.unwrap();
    node.shutdown().await.unwrap();

    let node = build().register::<Bell>(|kind| kind).start().await.unwrap();
    let held = || {
        let text = node.metrics();
        let line = text
            .lines()
            .find(|line| line.starts_with("steadfast_timers_in_memory "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!(held(), Some(10));
    for (second, left) in [(1, 9), (9, 0)] {
        clocks.pass(second * SECOND);
        node.wake().await;
        assert_eq!(held(), Some(left));
    }
    assert_eq!(node.health().await.len(), 1, "it is set aside");
    node.shutdown().await.unwrap();

    let node = build()
        .register::<Bell>(steadfast::KindBuilder::command::<Ring>)
        .start()
        .await
        .unwrap();
    let bell = node.actor::<Bell>("a");
    eventually("all fire", async || {
        node.wake().await;
        bell.ask(crate::bell::AllRang).await.unwrap().len() == 10
    })
    .await;
}
