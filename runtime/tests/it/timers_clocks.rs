//! Goal: `after` and `every` follow the boot clock, `at` and `cron` the wall clock, whatever happens to it.

use std::time::Duration;

use steadfast::{Cron, Timer};

use crate::bell::{HOUR, SECOND, START, TEN_YEARS, Tower};

const JUMPS: [(bool, Duration); 4] = [
    (true, HOUR),
    (false, HOUR),
    (true, TEN_YEARS),
    (false, TEN_YEARS),
];

fn hourly() -> Timer {
    Timer::cron(Cron::parse("@hourly", "UTC").unwrap())
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_does_not_touch_after_and_every() {
    for (forward, by) in JUMPS {
        let tower = Tower::new().await;
        tower.set("after", Timer::after(10 * SECOND)).await;
        tower.set("every", Timer::every(6 * SECOND)).await;
        tower.jump(forward, by).await;
        tower.pass(Duration::from_millis(5_999)).await;
        tower.wait_for(0).await;
        tower.pass(Duration::from_millis(1)).await;
        assert_eq!(tower.wait_for(1).await[0].timer, "every");
        tower.pass(Duration::from_millis(3_999)).await;
        tower.wait_for(1).await;
        tower.pass(Duration::from_millis(1)).await;
        let rang = tower.wait_for(2).await;
        assert_eq!((rang[1].timer.as_str(), rang[1].missed), ("after", 0));
        assert_eq!(rang[1].late, Duration::ZERO);
    }
}

/// Same boot: exact to the microsecond, though the wall clock jumped while the node was down.
#[tokio::test]
async fn a_restart_in_the_same_boot_is_exact() {
    for (forward, by) in JUMPS {
        for clean in [true, false] {
            let tower = Tower::new().await;
            tower.set("after", Timer::after(60 * SECOND)).await;
            tower.pass(20 * SECOND).await;
            let tower = tower
                .restart(clean, |clocks| {
                    clocks.pass(20 * SECOND);
                    clocks.jump(forward, by);
                })
                .await;
            tower.pass(Duration::from_micros(19_999_999)).await;
            tower.wait_for(0).await;
            tower.pass(Duration::from_micros(1)).await;
            assert_eq!(tower.wait_for(1).await[0].late, Duration::ZERO);
        }
    }
}

/// Another boot: what was left is counted down by the wall clock, never by less than nothing.
#[tokio::test]
async fn over_a_reboot_timers_age_by_the_wall_clock() {
    let tower = Tower::new().await;
    tower.set("after", Timer::after(60 * SECOND)).await;
    tower.pass(20 * SECOND).await;
    // Keeps what the clocks say by now.
    tower.set("every", Timer::every(50 * SECOND)).await;
    let tower = tower
        .restart(false, |clocks| clocks.reboot(30 * SECOND))
        .await;
    tower.pass(Duration::from_micros(9_999_999)).await;
    tower.wait_for(0).await;
    tower.pass(Duration::from_micros(1)).await;
    tower.fired(&[("after", 60, 0)]).await;
    tower.pass(10 * SECOND).await;
    tower.fired(&[("after", 60, 0), ("every", 70, 0)]).await;
    // It went on in the new boot.
    let tower = tower.restart(false, |clocks| clocks.jump(true, HOUR)).await;
    tower.pass(Duration::from_micros(49_999_999)).await;
    tower.wait_for(2).await;
    tower.pass(Duration::from_micros(1)).await;
    tower.wait_for(3).await;
}

#[tokio::test]
async fn over_a_reboot_with_a_jump_nothing_waits_longer_than_from_the_start() {
    for (forward, by) in JUMPS {
        let tower = Tower::new().await;
        tower.set("after", Timer::after(60 * SECOND)).await;
        let tower = tower
            .restart(false, |clocks| {
                clocks.jump(forward, by);
                clocks.reboot(SECOND);
            })
            .await;
        if forward {
            assert!(tower.wait_for(1).await[0].late + 60 * SECOND >= by);
            continue;
        }
        // The clock has lost its time rather than been set: then the seven seconds that the new boot is old count.
        let lost = if by > HOUR { 7_000_000 } else { 0 };
        tower.pass(Duration::from_micros(59_999_999 - lost)).await;
        tower.wait_for(0).await;
        tower.pass(Duration::from_micros(1)).await;
        tower.wait_for(1).await;
    }
}

/// Regression: a machine without a clock of its own comes up in the past. By the wall clock nothing had passed since
/// the earlier boot, and each start of the process took itself for the moment up to which that is known: a process
/// that was restarted more often than a timer waits put it off for ever.
#[tokio::test]
async fn restarts_on_a_machine_that_lost_its_time_put_nothing_off() {
    let tower = Tower::new().await;
    tower.set("after", Timer::after(24 * HOUR)).await;
    let mut tower = tower
        .restart(false, |clocks| {
            clocks.jump(false, TEN_YEARS);
            clocks.reboot(SECOND);
        })
        .await;
    for _ in 0..2 {
        tower.pass(10 * HOUR).await;
        tower.wait_for(0).await;
        tower = tower.restart(false, |clocks| clocks.pass(HOUR)).await;
    }
    // The boot is 22 hours and 7 seconds old.
    tower.pass(Duration::from_micros(7_192_999_999)).await;
    tower.wait_for(0).await;
    tower.pass(Duration::from_micros(1)).await;
    tower.wait_for(1).await;
}

/// A directory may come from another machine, and this one be up for long: that says nothing of its timers.
#[tokio::test]
async fn a_boot_that_began_long_ago_makes_nothing_early() {
    let tower = Tower::new().await;
    tower.set("after", Timer::after(24 * HOUR)).await;
    let tower = tower
        .restart(false, |clocks| {
            clocks.reboot(SECOND);
            clocks.pass(300 * HOUR);
            clocks.jump(false, 300 * HOUR);
        })
        .await;
    tower.pass(Duration::from_secs(86_398)).await;
    tower.wait_for(0).await;
    tower.pass(SECOND).await;
    tower.wait_for(1).await;
}

#[tokio::test]
async fn a_wall_clock_that_goes_forward_makes_at_and_cron_due() {
    for by in [HOUR, TEN_YEARS] {
        let tower = Tower::new().await;
        tower.set("at", Timer::at(START.plus(HOUR))).await;
        tower.set("cron", hourly()).await;
        tower.pass(SECOND).await;
        tower.jump(true, by).await;
        let mut rang = tower.wait_for(2).await;
        rang.sort();
        assert_eq!(
            (rang[0].timer.as_str(), rang[1].timer.as_str()),
            ("at", "cron")
        );
        assert_eq!(rang[0].due, 3_600_000_000);
        assert!(rang[0].late <= SECOND, "the jump is no lateness: {rang:?}");
        assert_eq!(rang[1].missed, if by == HOUR { 0 } else { 10_000 });
    }
}

/// A due time that has fired does not come again, one that has not is not early.
#[tokio::test]
async fn a_wall_clock_that_goes_back_makes_at_and_cron_wait() {
    for clean in [None, Some(true), Some(false)] {
        let mut tower = Tower::new().await;
        tower.set("at", Timer::at(START.plus(2 * HOUR))).await;
        tower.set("cron", hourly()).await;
        tower.pass(HOUR).await;
        tower.fired(&[("cron", 3_600, 0)]).await;
        match clean {
            None => tower.jump(false, HOUR).await,
            Some(clean) => {
                tower = tower
                    .restart(clean, |clocks| clocks.jump(false, HOUR))
                    .await;
            }
        }
        tower.pass(HOUR).await;
        tower.wait_for(1).await;
        tower.pass(Duration::from_micros(3_599_999_999)).await;
        tower.wait_for(1).await;
        tower.pass(Duration::from_micros(1)).await;
        let rang = tower.wait_for(3).await;
        assert!(
            rang[1..].iter().all(|rang| rang.due == 7_200_000_000),
            "{rang:?}"
        );
    }
}

#[tokio::test]
async fn ten_years_back_and_again_forward() {
    let tower = Tower::new().await;
    tower.set("at", Timer::at(START.plus(HOUR))).await;
    tower.jump(false, TEN_YEARS).await;
    tower.pass(2 * HOUR).await;
    tower.wait_for(0).await;
    let tower = tower.restart(false, |clocks| clocks.reboot(SECOND)).await;
    tower.wait_for(0).await;
    tower.jump(true, TEN_YEARS).await;
    tower.fired(&[("at", 3_600, 0)]).await;
    tower.jump(false, TEN_YEARS).await;
    tower.jump(true, TEN_YEARS).await;
    tower.wait_for(1).await;
}

/// The clocks of Berlin go from 2:00 to 3:00, and from 3:00 back to 2:00.
#[tokio::test]
async fn cron_where_the_clocks_change() {
    for (from_start, fixed, interval) in [
        // 2026-03-29T00:59:00Z
        (87 * 86_400 - 12 * 3_600 + 3_540, 1, 2),
        // 2026-10-24T23:59:00Z
        (297 * 86_400 - 12 * 3_600 - 60, 1, 4),
    ] {
        let tower = Tower::new().await;
        tower.clocks.pass(Duration::from_secs(from_start));
        let fixed_time = Cron::parse("30 2 * * *", "Europe/Berlin").unwrap();
        let half_hours = Cron::parse("*/30 2-3 * * *", "Europe/Berlin").unwrap();
        tower.set("fixed", Timer::cron(fixed_time)).await;
        tower.set("interval", Timer::cron(half_hours)).await;
        let hours = if interval == 2 { 1 } else { 2 };
        let mut count = 0;
        for _ in 0..hours * 60 {
            tower.pass(60 * SECOND).await;
            count = tower.rang("a").await.len();
        }
        let rang = tower.wait_for(count.max(fixed + interval)).await;
        let of = |name: &str| rang.iter().filter(|rang| rang.timer == name).count();
        assert_eq!((of("fixed"), of("interval")), (fixed, interval), "{rang:?}");
        assert!(
            rang.iter()
                .all(|rang| rang.missed == 0 && rang.ran >= rang.due)
        );
    }
}
