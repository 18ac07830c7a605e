//! A patrol that nothing names any more.

use steadfast::testkit::{FakeEffect, TestNode};

use super::world::{Bench, World, build, config, fakes};
use crate::concern::{Describe, Resume, Retire, RunOutcome};
use crate::patrol::{Check, NoticeState};

/// Whoever was told of the alert was never told of its end: no run came that could have found it.
#[test]
fn an_alert_ends_with_the_patrol_that_it_is_of() {
    let bench = Bench::new(&config(&["a", "b"]));
    bench.run(&["a"]);
    bench.run(&["a"]);
    for _ in 0..2 {
        bench.ask(Retire {});
        bench.settle();
        assert_eq!(
            bench.world.states(),
            [NoticeState::Alerting, NoticeState::Resolved]
        );
    }
    let view = bench.ask(Describe {});
    assert!(view.paused && view.attention.is_none(), "{view:?}");
    // It is named again, and the target is as it was.
    bench.ask(Resume {});
    bench.run(&["a"]);
    assert_eq!(bench.world.states().last(), Some(&NoticeState::Alerting));
    assert_eq!(bench.count("patrol.alerted"), 2);
}

#[test]
fn a_run_under_way_begins_no_alert_that_nobody_would_end() {
    let (node, world) = (TestNode::new(build), World::default());
    let checks = world.clone();
    let check = node.fake::<Check>(|| {
        FakeEffect::new().then(move |check, _| std::future::ready(Ok(checks.check(&check))))
    });
    let hook = fakes(&node, &world);
    let bench = Bench { node, world, hook };
    bench.configure(&config(&["a"]));
    bench.run(&["a"]);
    check.hold();
    bench.trigger(false);
    bench.settle();
    bench.ask(Retire {});
    check.release();
    bench.settle();
    let view = bench.ask(Describe {});
    let last = view.last_run.and_then(|run| run.outcome);
    assert_eq!((last, view.current), (Some(RunOutcome::Cancelled), None));
    assert_eq!(
        (bench.count("patrol.alerted"), bench.world.arrivals()),
        (0, 0)
    );
}
