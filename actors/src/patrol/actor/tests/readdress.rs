//! Another `notify` while a notification waits.

use std::sync::Mutex;

use steadfast::testkit::{Crashed, TestNode, crash_everywhere};

use super::world::{Bench, WRONG, World, build, config, fakes};
use super::{MINUTE, check_books};
use crate::concern::{Configure, Describe, Trigger};
use crate::patrol::{NoticeState, Notify, Patrol, PatrolConfig};

/// As `config`, but with a mistake in the address.
fn mistaken(targets: &[&str]) -> PatrolConfig {
    let mut config = config(targets);
    if let Some(notify) = &mut config.notify {
        notify.webhook = WRONG.to_owned();
    }
    config
}

#[test]
fn a_corrected_webhook_gets_the_alert_that_waits() {
    let bench = Bench::new(&mistaken(&["a", "b"]));
    for down in [true, true, false, false] {
        bench.run(if down { &["a"] } else { &[] });
    }
    assert_eq!(bench.world.states(), []);
    bench.configure(&config(&["a", "b"]));
    bench.settle();
    assert_eq!(
        bench.world.states(),
        [NoticeState::Alerting, NoticeState::Resolved]
    );
    // The request with the mistake ends, and nobody is interested.
    bench.advance(60 * MINUTE);
    assert_eq!(bench.count("patrol.readdressed"), 1);
    assert_eq!(bench.count("patrol.notified"), 2);
    assert_eq!(bench.count("patrol.notification_given_up"), 0);
    let posts = &bench.world.0.lock().unwrap().posts;
    let keys: Vec<&String> = posts.iter().map(|(key, _)| key).collect();
    assert_eq!(posts[0].1.to.webhook, WRONG);
    let first = posts.iter().find(|(_, send)| send.to.webhook != WRONG);
    assert_eq!(
        &first.unwrap().0,
        keys[0],
        "the key is that of the transition"
    );
}

#[test]
fn the_outcome_of_a_request_to_the_address_before_counts_for_nothing() {
    let bench = Bench::new(&config(&["a"]));
    bench.hook.hold();
    bench.run(&["a"]);
    bench.run(&["a"]);
    // There and back again: two requests to the one address, of which the newest counts.
    bench.configure(&mistaken(&["a"]));
    bench.configure(&config(&["a"]));
    bench.settle();
    assert_eq!(bench.hook.held(), 3);
    bench.hook.release();
    bench.settle();
    bench.advance(60 * MINUTE);
    assert_eq!(bench.world.states(), [NoticeState::Alerting]);
    assert_eq!(bench.count("patrol.notified"), 1);
    assert_eq!(bench.count("patrol.notification_given_up"), 0);
    assert_eq!(bench.state().totals.targets["a"].issue, 2);
}

#[test]
fn a_site_that_is_down_asks_for_attention() {
    let bench = Bench::new(&mistaken(&["a", "b"]));
    let attention = || {
        let attention = bench.ask(Describe {}).attention?;
        assert_eq!(attention.query, "targets");
        Some(attention.why)
    };
    bench.run(&["a", "b"]);
    assert_eq!(attention(), None, "one failed check is no alert");
    bench.run(&["a", "b"]);
    let why = "2 targets alert, 2 notices unsent";
    assert_eq!(attention().as_deref(), Some(why));
    bench.configure(&config(&["a", "b"]));
    bench.settle();
    assert_eq!(attention().as_deref(), Some("2 targets alert"));
    bench.run(&["a"]);
    bench.run(&["a"]);
    assert_eq!(attention().as_deref(), Some("1 target alerts"));
    bench.run(&[]);
    bench.run(&[]);
    assert_eq!(attention(), None);
}

#[test]
fn what_says_nothing_about_sending_readdresses_nothing() {
    let bench = Bench::new(&config(&["a"]));
    bench.hook.hold();
    bench.run(&["a"]);
    bench.run(&["a"]);
    let mut patient = config(&["a"]);
    patient.alert_after = 7;
    patient.notify = patient.notify.map(|notify| Notify {
        remind_every: Some(crate::human::Span::secs(600)),
        ..notify
    });
    bench.configure(&patient);
    bench.configure(&PatrolConfig {
        notify: None,
        ..patient
    });
    assert_eq!(bench.count("patrol.readdressed"), 0);
    bench.hook.release();
    bench.settle();
    assert_eq!(bench.count("patrol.notified"), 1);
}

#[test]
fn no_crash_loses_or_doubles_an_alert_whose_webhook_is_corrected() {
    let world = World::default();
    let in_scenario = world.clone();
    let scenario = async move |node: &TestNode| -> Result<(), Crashed> {
        fakes(node, &in_scenario);
        let actor = node.actor::<Patrol>("p");
        actor
            .ask(Configure(mistaken(&["a", "b"])))
            .key("mistaken")
            .await?;
        let rounds: [&[&str]; 5] = [&["a"], &["a"], &["a", "b"], &["b"], &[]];
        for (round, down) in rounds.iter().enumerate() {
            if round == 3 {
                let corrected = Configure(config(&["a", "b"]));
                actor.ask(corrected).key("corrected").await?;
            }
            in_scenario.set_down(down);
            let by = "test".to_owned();
            let trigger = Trigger { dry_run: false, by };
            actor.ask(trigger).key(format!("round-{round}")).await?;
            node.settle().await?;
        }
        node.advance(10 * MINUTE).await
    };
    let seen = Mutex::new(0_usize);
    crash_everywhere(build, scenario, |node| {
        let received = world.received();
        world.0.lock().unwrap().posts.clear();
        check_books(&node.events::<Patrol>("p"), &received);
        *seen.lock().unwrap() += received.len();
    });
    assert!(*seen.lock().unwrap() > 0, "nothing was ever told");
}
