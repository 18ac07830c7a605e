//! Policies over due times that passed.

use std::time::Duration;

use super::{Clocks, Due, Firing, first_due, micros};
use crate::core::{PendingTimer, TimerId};
use crate::model::{BootId, CatchUp, Cron, Timer, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const NOON: Timestamp = Timestamp::from_micros(1_767_268_800_000_000);

/// The clocks at noon, `passed` later.
fn later(passed: Duration) -> Clocks {
    Clocks {
        now: NOON.plus(passed),
        running: 100 * SECOND + passed,
        boot: BootId::from_u128(1),
    }
}

fn set(timer: &Timer) -> PendingTimer {
    let (due, repeat) = first_due(timer, later(Duration::ZERO), u64::MAX).unwrap();
    PendingTimer {
        name: "t".to_owned(),
        id: TimerId { entry: 1, index: 0 },
        due,
        missed: 0,
        repeat,
        jitter: timer.jitter,
        catch_up: timer.catch_up,
        command: "c".to_owned(),
        body: serde_bytes::ByteBuf::new(),
    }
}

fn consume(timer: &PendingTimer, clocks: Clocks) -> Firing {
    timer.consume(timer.due.order(), clocks, 0).unwrap()
}

/// One firing, and the timer afterwards.
fn fire(timer: &mut PendingTimer, clocks: Clocks) -> (u64, u64) {
    let Firing::Run { due, missed, next } = consume(timer, clocks) else {
        panic!("it does not run: {:?}", consume(timer, clocks));
    };
    timer.due = next.unwrap();
    timer.missed = 0;
    (due.since(NOON).as_secs(), missed)
}

fn both(catch_up: CatchUp) -> [PendingTimer; 2] {
    let cron = Cron::parse("*/10 * * * * *", "UTC").unwrap();
    [Timer::every(10 * SECOND), Timer::cron(cron)].map(|timer| set(&timer.catch_up(catch_up)))
}

#[test]
fn never_early() {
    for timer in both(CatchUp::Once) {
        let early = later(Duration::from_micros(9_999_999));
        assert_eq!(consume(&timer, early), Firing::Early);
        assert!(matches!(
            consume(&timer, later(10 * SECOND)),
            Firing::Run { .. }
        ));
    }
}

#[test]
fn once_fires_for_all_that_passed() {
    for mut timer in both(CatchUp::Once) {
        assert_eq!(fire(&mut timer, later(47 * SECOND)), (10, 3));
        assert_eq!(timer.due.wall, NOON.plus(50 * SECOND));
        assert_eq!(fire(&mut timer, later(50 * SECOND)), (50, 0));
    }
}

#[test]
fn skip_waits_for_one_that_is_on_time() {
    for mut timer in both(CatchUp::Skip) {
        let Firing::Skip { next, missed } = consume(&timer, later(47 * SECOND)) else {
            panic!("it fires late");
        };
        assert_eq!((next.wall, missed), (NOON.plus(50 * SECOND), 4));
        (timer.due, timer.missed) = (next, missed);
        let Firing::Skip { next, missed } = consume(&timer, later(53 * SECOND)) else {
            panic!("it fires late");
        };
        assert_eq!((next.wall, missed), (NOON.plus(60 * SECOND), 5));
        (timer.due, timer.missed) = (next, missed);
        assert_eq!(fire(&mut timer, later(61 * SECOND)), (60, 5));
        // Two passed, and the second of them is on time.
        assert_eq!(fire(&mut timer, later(80 * SECOND)), (80, 1));
    }
}

#[test]
fn all_fire_in_order() {
    for mut timer in both(CatchUp::All) {
        let clocks = later(47 * SECOND);
        let fired: Vec<_> = (0..4).map(|_| fire(&mut timer, clocks)).collect();
        assert_eq!(fired, [(10, 0), (20, 0), (30, 0), (40, 0)]);
        assert_eq!(consume(&timer, clocks), Firing::Early);
    }
}

#[test]
fn of_many_the_newest_thousand_fire() {
    // 5,000 are counted one by one, 50,000 are not.
    for (passed, cron_missed) in [(5_000, 4_000), (50_000, 9_001)] {
        for mut timer in both(CatchUp::All) {
            let clocks = later(10 * passed * SECOND);
            let (first, missed) = fire(&mut timer, clocks);
            let expected = match timer.due.boot {
                Some(_) => u64::from(passed) - 1_000,
                None => cron_missed,
            };
            assert_eq!(missed, expected);
            assert_eq!(first, 10 * (u64::from(passed) - 999));
            let mut fired = 1;
            let mut previous = first;
            while !matches!(consume(&timer, clocks), Firing::Early) {
                let (due, missed) = fire(&mut timer, clocks);
                assert_eq!((due, missed), (previous + 10, 0));
                previous = due;
                fired += 1;
            }
            assert_eq!(fired, 1_000);
        }
    }
}

#[test]
fn jitter_delays_and_makes_nothing_missed() {
    let timer = Timer::every(10 * SECOND).jitter(25 * SECOND);
    let mut timer = set(&timer);
    assert_eq!(
        timer.due.jitter,
        25 * SECOND,
        "the largest draw is all of it"
    );
    assert_eq!(consume(&timer, later(34 * SECOND)), Firing::Early);
    assert_eq!(fire(&mut timer, later(35 * SECOND)), (10, 0));
    assert_eq!(timer.due.jitter, Duration::ZERO, "the smallest is none");
    assert_eq!(fire(&mut timer, later(35 * SECOND)), (20, 0));
    // Due at 30; the one of 40 may be delayed until 65, the one of 50 until 75.
    assert_eq!(fire(&mut timer, later(74 * SECOND)), (30, 1));
    assert_eq!(timer.due.wall, NOON.plus(50 * SECOND));
}

#[test]
fn jitter_is_spread_over_all_of_it() {
    let longest = 10 * SECOND;
    let mut draws: Vec<u64> = (0..1_000)
        .map(|draw| {
            let draw = crate::core::random(7, draw);
            super::part(longest, draw).as_secs()
        })
        .collect();
    draws.sort_unstable();
    draws.dedup();
    assert_eq!(draws, (0..10).collect::<Vec<_>>());
}

/// A wall clock that jumped moves what people are told, not when it fires.
#[test]
fn a_period_is_measured_by_the_boot_clock() {
    let mut timer = set(&Timer::every(10 * SECOND));
    let mut clocks = later(10 * SECOND);
    clocks.now = NOON.plus(3_600 * SECOND);
    assert_eq!(fire(&mut timer, clocks), (10, 0));
    assert_eq!(timer.due.wall, NOON.plus(3_610 * SECOND));
    assert_eq!(timer.due.order(), micros(120 * SECOND));
}

/// What an earlier boot set is due where the worker has it, and goes on in this boot.
#[test]
fn over_a_reboot_the_worker_knows_the_deadline() {
    let timer = set(&Timer::every(10 * SECOND));
    let clocks = Clocks {
        now: NOON.plus(3_600 * SECOND),
        running: 5 * SECOND,
        boot: BootId::from_u128(2),
    };
    assert_eq!(
        timer.consume(micros(6 * SECOND), clocks, 0),
        Ok(Firing::Early)
    );
    let Ok(Firing::Run { missed, next, .. }) = timer.consume(-micros(18 * SECOND), clocks, 0)
    else {
        panic!("it is due");
    };
    let Some(Due {
        boot: Some((boot, at)),
        firing: 1,
        ..
    }) = next
    else {
        panic!("it is due again");
    };
    assert_eq!((missed, boot, at), (2, clocks.boot, micros(12 * SECOND)));
}

#[test]
fn what_cannot_be_set_is_told() {
    let zero = Timer::every(Duration::ZERO);
    assert!(
        first_due(&zero, later(SECOND), 0)
            .unwrap_err()
            .contains("zero")
    );
    let end = Clocks {
        now: Timestamp::from_micros(i64::MAX),
        ..later(SECOND)
    };
    let yearly = Timer::cron(Cron::parse("@yearly", "UTC").unwrap());
    assert!(
        first_due(&yearly, end, 0)
            .unwrap_err()
            .contains("never due")
    );
}
