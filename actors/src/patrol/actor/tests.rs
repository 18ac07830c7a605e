//! The actor on a node in a test's hands: the checks and the webhook are fakes, the rest is real.

mod readdress;
mod retire;
mod world;

use std::sync::Mutex;
use std::time::Duration;

use steadfast::testkit::{Crashed, FakeEffect, TestNode, crash_everywhere};
use steadfast::{Clock as _, Event as _};

use super::Patrol;
use crate::concern::{Cancel, Configure, Describe, RunOutcome, Trigger};
use crate::human::Span;
use crate::patrol::{
    Check, FailureKind, Notice, NoticeState, PatrolConfig, PatrolEvent, TargetStatus, Targets,
};
use world::{Bench, World, build, config, fakes};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn an_alert_and_its_end_are_told_once_each() {
    let bench = Bench::new(&config(&["a", "b"]));
    for down in [&["a"][..], &["a"], &["a"], &[], &[], &[]] {
        bench.run(down);
    }
    assert_eq!(
        bench.names(),
        [
            "patrol.configured",
            "patrol.started",
            "patrol.check_failed",
            "patrol.finished",
            "patrol.started",
            "patrol.alerted",
            "patrol.finished",
            "patrol.notified",
            "patrol.started",
            "patrol.finished",
            "patrol.started",
            "patrol.finished",
            "patrol.started",
            "patrol.resolved",
            "patrol.finished",
            "patrol.notified",
            "patrol.started",
            "patrol.finished",
        ]
    );
    let received = bench.world.received();
    let shown: Vec<_> = received
        .iter()
        .map(|(target, notice)| (target.as_str(), notice.seq, notice.state))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", 6, NoticeState::Alerting),
            ("a", 14, NoticeState::Resolved)
        ]
    );
    let reason = "status: 503, not 200-399 (2 checks in a row)";
    assert_eq!(received[0].1.reason, reason);
    assert_eq!(received[1].1.reason, "2 checks in a row passed");
    let state = bench.state();
    assert_eq!((state.totals.alerts, state.totals.notified), (1, 2));
}

#[test]
fn a_steady_state_is_two_small_events_a_run() {
    let names: Vec<String> = (0..10)
        .map(|n| format!("service-{n}.example.com"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bench = Bench::new(&config(&names));
    for down in [&names[..0], &names[..]] {
        // Until all that changes is told.
        for _ in 0..3 {
            bench.run(down);
        }
        let before = bench.names().len();
        for _ in 0..4 {
            bench.run(down);
        }
        let steady = &bench.names()[before..];
        assert_eq!(steady, ["patrol.started", "patrol.finished"].repeat(4));
    }
    let events = bench.node.events::<Patrol>("p");
    let bytes = events.last().unwrap().encode().unwrap().len();
    assert!(
        bytes < 300 + 10 * 150,
        "{bytes} bytes for ten failing targets"
    );
    let probes = config(&names).probes();
    let bytes = rmp_serde::to_vec_named(&probes).unwrap().len();
    assert!(bytes < 10 * 150, "{bytes} bytes to ask ten targets");
}

#[test]
fn flapping_below_the_rule_is_never_told() {
    let bench = Bench::new(&config(&["a"]));
    for round in 0..6 {
        bench.run(if round % 2 == 0 { &["a"] } else { &[] });
    }
    assert_eq!(
        (bench.count("patrol.check_failed"), bench.world.arrivals()),
        (3, 0)
    );
    // Nor does flapping end an alert.
    for down in [true, true, false, true, false, true] {
        bench.run(if down { &["a"] } else { &[] });
    }
    assert_eq!(bench.world.states(), [NoticeState::Alerting]);
}

#[test]
fn the_query_shows_each_target() {
    let bench = Bench::new(&config(&["a", "b"]));
    assert_eq!(bench.ask(Targets {})[1].state, TargetStatus::Unchecked);
    let begun = bench.node.clock().now();
    bench.run(&["b"]);
    bench.advance(MINUTE);
    bench.run(&["b"]);
    let views = bench.ask(Targets {});
    assert_eq!(
        (views[0].state, views[1].state),
        (TargetStatus::Ok, TargetStatus::Alerting)
    );
    assert_eq!((views[1].since, views[1].streak), (Some(begun), 2));
    assert_eq!(views[1].checked, Some(begun.plus(MINUTE)));
    assert_eq!(
        (views[1].last_status, views[1].latency_ms),
        (Some(503), Some(5))
    );
    assert_eq!(views[1].url.as_deref(), Some("http://b/"));
    assert_eq!(views[1].failure.as_ref().unwrap().kind, FailureKind::Status);
    let detail = bench.ask(Describe {}).detail.unwrap();
    assert_eq!(
        detail["targets"],
        serde_json::to_value(&views).unwrap(),
        "`describe` shows them as well"
    );
}

#[test]
fn the_end_of_an_alert_waits_until_the_alert_was_answered() {
    let bench = Bench::new(&config(&["a"]));
    bench.world.refuse(2);
    for down in [true, true, false, false] {
        bench.run(if down { &["a"] } else { &[] });
    }
    assert_eq!(
        bench.world.states(),
        [NoticeState::Alerting],
        "the end overtook the alert"
    );
    assert_eq!(bench.state().totals.targets["a"].queue.len(), 2);
    bench.advance(10 * MINUTE);
    assert_eq!(
        bench.world.states(),
        [NoticeState::Alerting, NoticeState::Resolved]
    );
    assert_eq!(bench.world.arrivals(), 4, "two were refused");
    assert_eq!(bench.count("patrol.notified"), 2);
}

#[test]
fn targets_do_not_wait_for_each_other() {
    let bench = Bench::new(&config(&["a", "b"]));
    bench.hook.hold();
    bench.run(&["a"]);
    bench.run(&["a", "b"]);
    bench.run(&["a", "b"]);
    assert_eq!(bench.hook.held(), 2, "one for each target");
    bench.hook.release();
    bench.settle();
    assert_eq!(bench.count("patrol.notified"), 2);
}

#[test]
fn what_is_given_up_is_journalled_and_the_next_is_sent() {
    let bench = Bench::new(&config(&["a"]));
    bench.world.refuse(3);
    for down in [true, true, false, false] {
        bench.run(if down { &["a"] } else { &[] });
    }
    bench.advance(60 * MINUTE);
    let events = bench.node.events::<Patrol>("p");
    let given_up = events.iter().find_map(|event| {
        let PatrolEvent::NotificationGivenUp(event) = event else {
            return None;
        };
        Some(event)
    });
    let given_up = given_up.unwrap();
    assert_eq!(
        (given_up.attempts, given_up.error.as_str()),
        (3, "the webhook answered 500")
    );
    let state = bench.state();
    assert_eq!((state.totals.given_up, state.totals.notified), (1, 1));
    assert!(state.totals.targets["a"].queue.is_empty());
    assert_eq!(
        bench.world.states(),
        [NoticeState::Alerting, NoticeState::Resolved]
    );
}

#[test]
fn a_full_queue_gives_up_the_oldest_that_waits() {
    let bench = Bench::new(&PatrolConfig {
        alert_after: 1,
        resolve_after: 1,
        ..config(&["a"])
    });
    bench.hook.hold();
    for round in 0..12 {
        bench.run(if round % 2 == 0 { &["a"] } else { &[] });
    }
    assert_eq!(bench.count("patrol.notification_given_up"), 3);
    assert_eq!(bench.state().totals.targets["a"].queue.len(), 9);
    bench.hook.release();
    bench.settle();
    let states = bench.world.states();
    assert_eq!(states.len(), 9);
    assert_eq!(states.first(), Some(&NoticeState::Alerting));
    assert_eq!(
        states.last(),
        Some(&NoticeState::Resolved),
        "what is true now is told"
    );
}

#[test]
fn a_dry_run_counts_for_nothing_and_reports() {
    let bench = Bench::new(&config(&["a"]));
    bench.world.set_down(&["a"]);
    for _ in 0..3 {
        bench.trigger(true);
        bench.settle();
    }
    let events = bench.node.events::<Patrol>("p");
    let Some(PatrolEvent::Finished(finished)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        (finished.report.failed, finished.report.targets.len()),
        (1, 1)
    );
    assert_eq!(finished.reason.as_deref(), Some("1 of 1 targets failed"));
    assert!(bench.state().totals.targets.is_empty());
    assert_eq!(bench.world.arrivals(), 0);
}

#[test]
fn an_alert_ends_with_the_target_it_is_about() {
    let bench = Bench::new(&config(&["a", "b"]));
    bench.run(&["a"]);
    bench.run(&["a"]);
    bench.configure(&config(&["b"]));
    bench.run(&[]);
    assert_eq!(
        bench.world.states(),
        [NoticeState::Alerting, NoticeState::Resolved]
    );
    assert_eq!(
        bench.world.received()[1].1.reason,
        "it is not checked any more"
    );
    assert!(!bench.state().totals.targets.contains_key("a"));
}

#[test]
fn without_a_webhook_what_waits_is_given_up_and_alerts_are_events() {
    let bench = Bench::new(&config(&["a"]));
    bench.hook.hold();
    for down in [true, true, false, false] {
        bench.run(if down { &["a"] } else { &[] });
    }
    let silent = PatrolConfig {
        notify: None,
        ..config(&["a"])
    };
    bench.configure(&silent);
    bench.hook.release();
    bench.settle();
    assert_eq!(bench.world.states(), [NoticeState::Alerting]);
    assert_eq!(bench.count("patrol.notification_given_up"), 1);
    bench.run(&["a"]);
    bench.run(&["a"]);
    assert_eq!(
        (bench.count("patrol.alerted"), bench.world.arrivals()),
        (2, 1)
    );
    assert!(bench.state().totals.targets["a"].queue.is_empty());
}

#[test]
fn an_alert_that_stays_is_told_again() {
    let mut config = config(&["a"]);
    let notify = config.notify.as_mut().unwrap();
    notify.remind_every = Some(Span::secs(600));
    let bench = Bench::new(&config);
    bench.run(&["a"]);
    for _ in 0..26 {
        bench.run(&["a"]);
        bench.advance(MINUTE);
    }
    let reminders: Vec<bool> = bench
        .world
        .received()
        .iter()
        .map(|(_, notice)| notice.reminder)
        .collect();
    assert_eq!(reminders, [false, true, true]);
    bench.run(&[]);
    bench.run(&[]);
    bench.advance(60 * MINUTE);
    bench.run(&[]);
    assert_eq!(bench.world.states().last(), Some(&NoticeState::Resolved));
    assert_eq!(bench.count("patrol.reminded"), 2);
}

/// A reminder's time is one of the wall clock: when that was set back by ten years, none would have come for as long.
#[test]
fn a_wall_clock_that_is_set_back_does_not_end_the_reminders() {
    let mut config = config(&["a"]);
    let notify = config.notify.as_mut().unwrap();
    notify.remind_every = Some(Span::secs(600));
    let bench = Bench::new(&config);
    bench.run(&["a"]);
    bench.run(&["a"]);
    bench.node.clock().jump_wall_back(60 * 24 * 3_653 * MINUTE);
    for _ in 0..11 {
        bench.run(&["a"]);
        bench.advance(MINUTE);
    }
    assert_eq!(
        bench.count("patrol.reminded"),
        2,
        "at once, and then in time"
    );
}

#[test]
fn a_certificate_that_expires_soon_fails_the_check() {
    let bench = Bench::new(&PatrolConfig {
        tls_expiry: Some(Span::secs(3_600)),
        ..config(&["a"])
    });
    let expires = bench.node.clock().now().plus(90 * MINUTE);
    bench.world.0.lock().unwrap().expires = Some(expires);
    bench.run(&[]);
    assert_eq!(bench.count("patrol.check_failed"), 0);
    bench.advance(31 * MINUTE);
    bench.run(&[]);
    let last = &bench.state().totals.targets["a"].last;
    assert_eq!(
        last.failure.as_ref().unwrap().kind,
        FailureKind::Certificate
    );
    assert_eq!(last.tls_expires, Some(expires));
}

#[test]
fn a_cancelled_run_counts_for_nothing() {
    let (node, world) = (TestNode::new(build), World::default());
    let checks = world.clone();
    let check = node.fake::<Check>(|| {
        FakeEffect::new().then(move |check, _| std::future::ready(Ok(checks.check(&check))))
    });
    let hook = fakes(&node, &World::default());
    let bench = Bench { node, world, hook };
    bench.configure(&config(&["a"]));
    check.hold();
    bench.world.set_down(&["a"]);
    bench.trigger(false);
    bench.settle();
    bench.ask(Cancel::default());
    check.release();
    bench.settle();
    let state = bench.state();
    let last = state.last_run().unwrap();
    assert_eq!(last.outcome, Some(RunOutcome::Cancelled));
    assert!(state.totals.targets.is_empty());
}

/// What the rule gives for the checks as they were journalled.
fn expected(events: &[PatrolEvent], target: &str) -> Vec<NoticeState> {
    let mut expected = Vec::new();
    let (mut streak, mut passing, mut alerting) = (0, true, false);
    for event in events {
        let PatrolEvent::Finished(finished) = event else {
            continue;
        };
        for check in finished
            .report
            .targets
            .iter()
            .filter(|check| check.target == target)
        {
            streak = if check.passed() == passing {
                streak + 1
            } else {
                1
            };
            passing = check.passed();
            if passing == alerting && streak >= 2 {
                alerting = !alerting;
                expected.push(if alerting {
                    NoticeState::Alerting
                } else {
                    NoticeState::Resolved
                });
            }
        }
    }
    expected
}

/// The receiver has what the journal says, and the journal says what the rule says.
#[track_caller]
fn check_books(events: &[PatrolEvent], received: &[(String, Notice)]) {
    for target in ["a", "b"] {
        let told: Vec<NoticeState> = received
            .iter()
            .filter(|(about, _)| about == target)
            .map(|(_, notice)| notice.state)
            .collect();
        assert_eq!(told, expected(events, target), "{target}: {events:#?}");
    }
    for (target, notice) in received {
        let event = &events[usize::try_from(notice.seq).unwrap() - 1];
        let about = match (event, notice.state) {
            (PatrolEvent::Alerted(event), NoticeState::Alerting) => &event.target,
            (PatrolEvent::Resolved(event), NoticeState::Resolved) => &event.target,
            (other, state) => panic!("{state:?} about {other:?}"),
        };
        assert_eq!(about, target);
    }
}

#[test]
fn no_crash_loses_or_doubles_an_alert() {
    let world = World::default();
    let in_scenario = world.clone();
    let scenario = async move |node: &TestNode| -> Result<(), Crashed> {
        fakes(node, &in_scenario);
        let actor = node.actor::<Patrol>("p");
        actor.ask(Configure(config(&["a", "b"]))).await?;
        let rounds: [&[&str]; 7] = [&["a"], &["a"], &["a", "b"], &["b"], &[], &["b"], &[]];
        for (round, down) in rounds.iter().enumerate() {
            in_scenario.set_down(down);
            in_scenario.refuse(u32::from(round == 1));
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
