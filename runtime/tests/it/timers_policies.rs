//! Goal: names, jitter, and what becomes of due times that passed while the node was down or busy.

use std::collections::HashSet;
use std::time::Duration;

use steadfast::{CatchUp, Cron, Timer};

use crate::bell::{Leave, SECOND, START, Set, SetShort, Tower};
use crate::world::{eventually, pause, send};

fn each_ten(catch_up: CatchUp) -> [(&'static str, Timer); 2] {
    let cron = Cron::parse("*/10 * * * * *", "UTC").unwrap();
    let every = Timer::every(10 * SECOND);
    [("cron", Timer::cron(cron)), ("every", every)]
        .map(|(name, timer)| (name, timer.catch_up(catch_up)))
}

#[tokio::test]
async fn the_short_forms() {
    let tower = Tower::new().await;
    let cron = Cron::parse("4 * * * * *", "UTC").unwrap();
    tower.bell("a").ask(SetShort(cron)).await.unwrap();
    for second in 1..=4_usize {
        tower.pass(SECOND).await;
        tower.wait_for(second).await;
    }
    tower
        .fired(&[
            ("after", 1, 0),
            ("at", 2, 0),
            ("every", 3, 0),
            ("cron", 4, 0),
        ])
        .await;
}

#[tokio::test]
async fn a_time_that_has_passed_is_due_at_once() {
    let tower = Tower::new().await;
    tower.pass(60 * SECOND).await;
    tower.set("at", Timer::at(START)).await;
    tower.fired(&[("at", 0, 0)]).await;
}

#[tokio::test]
async fn a_name_is_replaced_by_any_other_kind_of_timer() {
    let tower = Tower::new().await;
    tower.set("t", Timer::every(SECOND)).await;
    tower.set("t", Timer::at(START.plus(20 * SECOND))).await;
    tower.set("t", Timer::after(30 * SECOND)).await;
    let cron = Cron::parse("40 * * * * *", "UTC").unwrap();
    tower.set("t", Timer::cron(cron)).await;
    for _ in 0..39 {
        tower.pass(SECOND).await;
    }
    tower.wait_for(0).await;
    tower.pass(SECOND).await;
    tower.fired(&[("t", 40, 0)]).await;
    tower.cancel("t").await;
    tower.pass(600 * SECOND).await;
    tower.wait_for(1).await;
}

/// Both in one batch, so neither is durable when the other is handled.
#[tokio::test]
async fn set_and_cancelled_before_it_is_durable() {
    let tower = Tower::new().await;
    let paused = pause(&tower.storage);
    let bell = tower.bell("a");
    let set = send(bell.ask(Set(vec![("t".to_owned(), Timer::after(SECOND))]))).await;
    let cancelled = send(bell.ask(crate::bell::Cancel("t".to_owned()))).await;
    tower.pass(2 * SECOND).await;
    paused.resume();
    assert_eq!((set.await, cancelled.await), (Ok(()), Ok(())));
    tower.pass(2 * SECOND).await;
    tower.wait_for(0).await;
}

#[tokio::test]
async fn once_fires_one_for_all_over_a_restart() {
    for (name, timer) in each_ten(CatchUp::Once) {
        let tower = Tower::new().await;
        tower.set(name, timer).await;
        let tower = tower
            .restart(name == "cron", |clocks| clocks.pass(47 * SECOND))
            .await;
        tower.fired(&[(name, 10, 3)]).await;
        tower.pass(3 * SECOND).await;
        tower.fired(&[(name, 10, 3), (name, 50, 0)]).await;
    }
}

#[tokio::test]
async fn skip_fires_the_next_one_that_is_on_time_over_a_restart() {
    for (name, timer) in each_ten(CatchUp::Skip) {
        let tower = Tower::new().await;
        tower.set(name, timer).await;
        let tower = tower
            .restart(name == "cron", |clocks| clocks.pass(47 * SECOND))
            .await;
        tower.wait_for(0).await;
        // What was missed is remembered over another restart.
        let tower = tower.restart(false, |_| {}).await;
        tower.pass(3 * SECOND).await;
        tower.fired(&[(name, 50, 4)]).await;
        tower.pass(10 * SECOND).await;
        tower.fired(&[(name, 50, 4), (name, 60, 0)]).await;
    }
}

#[tokio::test]
async fn all_fire_each_over_restarts() {
    for (name, timer) in each_ten(CatchUp::All) {
        let tower = Tower::new().await;
        tower.set(name, timer).await;
        let tower = tower
            .restart(name == "cron", |clocks| clocks.pass(47 * SECOND))
            .await;
        let expected: Vec<_> = (1..=4).map(|n| (name, 10 * n, 0)).collect();
        tower.fired(&expected).await;
        let tower = tower
            .restart(false, |clocks| clocks.pass(20_000 * SECOND))
            .await;
        let rang = tower.wait_for(1_004).await;
        assert_eq!((rang[4].missed, rang[5].missed), (1_000, 0));
        assert!(
            rang[4..]
                .windows(2)
                .all(|two| two[1].due == two[0].due + 10_000_000)
        );
    }
}

/// The node was busy: the worker did not look in time.
#[tokio::test]
async fn a_timer_that_fires_once_always_does() {
    let tower = Tower::new().await;
    for catch_up in [CatchUp::Skip, CatchUp::Once, CatchUp::All] {
        let name = format!("{catch_up:?}");
        tower
            .set(&name, Timer::after(SECOND).catch_up(catch_up))
            .await;
    }
    tower.pass(3_600 * SECOND).await;
    let rang = tower.wait_for(3).await;
    assert!(
        rang.iter().all(|rang| rang.late == 3_599 * SECOND),
        "{rang:?}"
    );
}

#[tokio::test]
async fn jitter_is_drawn_once() {
    let tower = Tower::new().await;
    let longest = 100 * SECOND;
    let timers = (0..50).map(|n| (format!("{n:02}"), Timer::after(SECOND).jitter(longest)));
    tower.bell("a").ask(Set(timers.collect())).await.unwrap();
    let mut tower = tower;
    let mut seen = 0;
    let mut moments = HashSet::new();
    for second in 0..=101 {
        let rang = tower.rang("a").await;
        assert!(rang.len() < 40 || second > 30, "they are spread");
        if rang.len() > seen {
            moments.insert(second);
        }
        seen = rang.len();
        tower.pass(SECOND).await;
        if second % 10 == 0 {
            // Drawn again, some would be later than all of it.
            tower = tower.restart(false, |_| {}).await;
        }
    }
    let rang = tower.wait_for(50).await;
    assert!(moments.len() > 20, "they are spread: {moments:?}");
    assert!(
        rang.iter()
            .all(|rang| rang.due == 1_000_000 && rang.ran > rang.due)
    );
}

#[tokio::test]
async fn a_passivated_actor_keeps_all_its_timers() {
    let tower = Tower::new().await;
    for (name, timer) in each_ten(CatchUp::Once) {
        tower.set(name, timer).await;
    }
    tower.bell("a").ask(Leave).await.unwrap();
    tower.set("after", Timer::after(10 * SECOND)).await;
    tower.bell("a").ask(Leave).await.unwrap();
    tower.pass(Duration::from_secs(400)).await;
    eventually("the actor leaves memory or rings", async || {
        tower.rang("a").await.len() == 3
    })
    .await;
}
