//! Goal: an orderly stop under full load loses nothing and leaves nothing to replay.
//!
//! Method: the victim is asked to stop while its 64 tasks keep asking; the laws are checked on what it
//! leaves, and on what follows from it.

use steadfast_tests::{Dice, History};

use crate::harness::{Place, Victim, check_all, runtime, say, scaled, seed, start, wait_settled};

#[test]
fn stop_under_load_loses_nothing() {
    let seed = seed("stop_under_load");
    let place = Place::new();
    let mut dice = Dice::new(seed);
    for life in 1..=scaled(3, 40) {
        let mut victim = Victim::load(&place, life, seed, &[]);
        victim.wait_for("ready");
        std::thread::sleep(std::time::Duration::from_micros(dice.roll(400_000)));
        victim.stop();
        let history = History::read(&place.record);
        check_all(&place.dir, &place, &history, false);
    }
    runtime().block_on(async {
        let node = start(&place.dir, &place.open_record()).await;
        let report = node.opened().expect("it is open");
        assert_eq!(report.verified_commits, 0, "an orderly stop leaves nothing to verify: {report:?}");
        wait_settled(&node).await;
        node.shutdown().await.expect("an orderly end");
    });
    let figures = check_all(&place.dir, &place, &History::read(&place.record), true);
    say(&format!("stop_under_load: {figures:?}"));
}
