//! The rule against a model that knows nothing of counters: it looks back over all checks.

use proptest::prelude::*;
use steadfast::Timestamp;

use super::{Board, Change, MOST_WAITING, NoticeState, Rule, TargetStatus};
use crate::patrol::event::{Alerted, Resolved};
use crate::patrol::probe::{Checked, Failure, FailureKind};

fn at(second: usize) -> Timestamp {
    Timestamp::from_micros(i64::try_from(second).unwrap() * 1_000_000)
}

fn check(target: &str, passed: bool) -> Checked {
    let failure = (!passed).then(|| Failure::new(FailureKind::Status, "503, not 200-399"));
    Checked {
        target: target.to_owned(),
        status: Some(if passed { 200 } else { 503 }),
        latency_ms: 1,
        tls_expires: None,
        failure,
    }
}

/// Takes one check in as the actor does. What it changed.
fn step(board: &mut Board, rule: Rule, passed: bool, now: Timestamp, seq: u64) -> Vec<Change> {
    let changes = rule.judge(board.targets.get("t"), passed, now);
    for change in changes.into_iter().flatten() {
        match change {
            Change::FirstFailure => {}
            Change::Alert { since, failures } => board.alerted(&Alerted {
                target: "t".to_owned(),
                since,
                at: now,
                failures,
                failure: Failure::new(FailureKind::Status, "503"),
                notice: Some(seq),
            }),
            Change::Resolve { since, passes } => board.resolved(&Resolved {
                target: "t".to_owned(),
                since,
                at: now,
                passes,
                notice: Some(seq),
            }),
        }
    }
    board.checked(&check("t", passed), now);
    changes.into_iter().flatten().collect()
}

/// At which checks an alert begins (true) or ends (false): the last n failed, the last m passed.
fn model(checks: &[bool], rule: Rule) -> Vec<(usize, bool)> {
    let all_last = |end: usize, count: u32, wanted: bool| {
        let count = usize::try_from(count).unwrap();
        end + 1 >= count
            && checks[end + 1 - count..=end]
                .iter()
                .all(|passed| *passed == wanted)
    };
    let mut transitions: Vec<(usize, bool)> = Vec::new();
    for end in 0..checks.len() {
        let alerting = transitions.last().is_some_and(|(_, begins)| *begins);
        if !alerting && all_last(end, rule.alert_after, false) {
            transitions.push((end, true));
        } else if alerting && all_last(end, rule.resolve_after, true) {
            transitions.push((end, false));
        }
    }
    transitions
}

proptest! {
    #[test]
    fn alerts_and_their_ends_are_exactly_what_the_rule_says(
        checks in prop::collection::vec(any::<bool>(), 0..80),
        alert_after in 1..5_u32,
        resolve_after in 1..5_u32,
    ) {
        let rule = Rule { alert_after, resolve_after };
        let mut board = Board::default();
        let mut found = Vec::new();
        for (n, passed) in checks.iter().enumerate() {
            for change in step(&mut board, rule, *passed, at(n), n as u64) {
                match change {
                    Change::FirstFailure => {
                        prop_assert!(n == 0 || checks[n - 1], "not the first failure");
                    }
                    Change::Alert { since, failures } => {
                        found.push((n, true));
                        prop_assert!(failures >= alert_after);
                        prop_assert_eq!(since, at(n + 1 - failures as usize));
                    }
                    Change::Resolve { since, passes } => {
                        found.push((n, false));
                        prop_assert!(passes >= resolve_after);
                        prop_assert_eq!(since, at(n + 1 - passes as usize));
                    }
                }
            }
            let alerting = found.last().is_some_and(|(_, begins)| *begins);
            let expected = match (alerting, *passed) {
                (true, true) => TargetStatus::Recovering,
                (true, false) => TargetStatus::Alerting,
                (false, true) => TargetStatus::Ok,
                (false, false) => TargetStatus::Failing,
            };
            prop_assert_eq!(board.targets["t"].status(), expected);
        }
        prop_assert_eq!(&found, &model(&checks, rule));
        // Each of them, in this order, is to be told.
        let told: Vec<_> = board.targets.get("t").into_iter().flat_map(|state| &state.queue).collect();
        let told: Vec<_> = told
            .iter()
            .map(|notice| (usize::try_from(notice.seq).unwrap(), notice.state == NoticeState::Alerting))
            .collect();
        prop_assert_eq!(told, found);
        let packed = rmp_serde::to_vec_named(&board).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Board>(&packed).unwrap(), board);
    }
}

#[test]
fn another_rule_judges_the_checks_that_were_counted() {
    let mut board = Board::default();
    let patient = Rule {
        alert_after: 10,
        resolve_after: 1,
    };
    for n in 0..4 {
        step(&mut board, patient, false, at(n), 0);
    }
    let strict = Rule {
        alert_after: 2,
        ..patient
    };
    let changes = step(&mut board, strict, false, at(4), 1);
    let (since, failures) = (at(0), 5);
    assert_eq!(changes, [Change::Alert { since, failures }]);
    assert_eq!(board.targets["t"].since(), at(0));
}

#[test]
fn a_target_is_forgotten_once_nothing_is_to_be_said_about_it() {
    let rule = Rule {
        alert_after: 1,
        resolve_after: 1,
    };
    let mut board = Board::default();
    step(&mut board, rule, false, at(0), 1);
    board.forget(|_| false);
    assert!(board.targets.contains_key("t"), "it alerts");
    step(&mut board, rule, true, at(1), 2);
    board.settled("t", 1);
    board.forget(|_| false);
    assert!(board.targets.contains_key("t"), "its end is not told yet");
    board.settled("t", 2);
    board.forget(|name| name == "t");
    assert!(board.targets.contains_key("t"), "it is checked");
    board.forget(|_| false);
    assert!(board.targets.is_empty());
}

#[test]
fn the_state_is_bounded() {
    // What the actor keeps to: the one that is sent, and those that wait.
    let notices = MOST_WAITING + 1;
    let mut board = Board::default();
    let rule = Rule {
        alert_after: 1,
        resolve_after: 1,
    };
    for n in 0..notices {
        step(&mut board, rule, n % 2 == 1, at(n), n as u64);
    }
    assert_eq!(board.targets["t"].queue.len(), notices);
    assert!(rmp_serde::to_vec_named(&board).unwrap().len() < 4_096);
}
