//! Goal: an orderly stop under full load loses nothing and leaves nothing to replay.
//!
//! Method: the victim is asked to stop while its 64 tasks keep asking; the laws are checked on what it
//! leaves, and on what follows from it.

use steadfast_tests::tally::{Peek, Tally};
use steadfast_tests::{ACTORS, Dice, History};

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
        assert_eq!(
            report.verified_commits, 0,
            "an orderly stop leaves nothing to verify: {report:?}"
        );
        wait_settled(&node).await;
        node.shutdown().await.expect("an orderly end");
    });
    let figures = check_all(&place.dir, &place, &History::read(&place.record), true);
    say(&format!("stop_under_load: {figures:?}"));
}

/// The bug this keeps away: whoever still had an `ActorRef`, or a recovery under way, kept the directory
/// held, so that the same process could not start again.
#[test]
fn ended_node_lets_go_of_its_directory() {
    let seed = seed("ended_node");
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for("answers 2000");
    victim.kill();
    let record = place.open_record();
    let mut dice = Dice::new(seed);
    runtime().block_on(async {
        for round in 0..scaled(12, 200) {
            let node = start(&place.dir, &record).await;
            let actors: Vec<_> = (0..100)
                .map(|_| node.actor::<Tally>(&format!("{:04}", dice.roll(ACTORS))))
                .collect();
            let asked: Vec<_> = actors
                .iter()
                .cloned()
                .map(|actor| tokio::spawn(async move { actor.ask(Peek).await }))
                .collect();
            if round % 2 == 0 {
                node.shutdown().await.expect("an orderly end");
            }
            drop(node);
            let next = start(&place.dir, &record).await;
            next.shutdown().await.expect("an orderly end");
            for answer in asked {
                // Answered, or told that the node has stopped: both are an answer.
                drop(answer.await.expect("the task ends"));
            }
            drop(actors);
        }
    });
}
