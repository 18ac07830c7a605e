//! A crash at every write of a scenario: no program runs twice, and each run ends, if need be as unknown.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use steadfast::testkit::{Crashed, FakeEffect, TestNode, crash_everywhere};

use crate::concern::{Configure, Overlap, RunOutcome, Trigger};
use crate::exec::{Ended, Exec, ExecConfig, ExecEvent, Program, register};
use crate::human::Span;

fn fake(node: &TestNode) -> FakeEffect<Program> {
    let ended = Ended {
        exit_code: Some(0),
        attempt: 1,
        ..Ended::default()
    };
    // Reconciling is the effect's own: it looks for processes, of which there are none.
    node.fake(|| {
        FakeEffect::new()
            .then_succeed(ended)
            .takes(Duration::from_secs(40))
    })
}

async fn scenario(node: &TestNode) -> Result<(), Crashed> {
    fake(node);
    let exec = node.actor::<Exec>("e");
    let mut config = ExecConfig::new(["backup"]);
    config.every = Some(Span::secs(60));
    config.overlap = Overlap::Queue;
    exec.ask(Configure(config)).await?;
    let by = "test".to_owned();
    let trigger = Trigger { dry_run: false, by };
    exec.ask(trigger).key("by-hand").await?;
    for _ in 0..8 {
        node.advance(Duration::from_secs(30)).await?;
    }
    Ok(())
}

#[test]
fn no_crash_repeats_a_program_or_loses_a_run() {
    let unknown = Mutex::new(0_usize);
    crash_everywhere(register, scenario, |node| {
        let mut executions = HashMap::new();
        for run in fake(node).runs().iter().filter(|run| !run.reconciling) {
            *executions.entry(run.id.to_string()).or_insert(0) += 1;
        }
        assert!(
            executions.values().all(|count| *count == 1),
            "{executions:?}"
        );
        let events = node.events::<Exec>("e");
        let (mut started, mut ends) = (Vec::new(), HashMap::new());
        for event in &events {
            if let ExecEvent::Started(event) = event {
                started.push(event.run.clone());
            } else if let ExecEvent::Finished(event) = event {
                let before = ends.insert(event.run.clone(), event.outcome);
                assert_eq!(before, None, "{events:#?}");
            }
        }
        // At most the newest one is going.
        let open: Vec<_> = started
            .iter()
            .filter(|run| !ends.contains_key(run))
            .collect();
        assert!(
            open.is_empty() || open == [started.last().unwrap()],
            "{events:#?}"
        );
        assert!(started.len() >= 3, "{events:#?}");
        for outcome in ends.values() {
            let is_unknown = *outcome == RunOutcome::Unknown;
            assert!(
                is_unknown || *outcome == RunOutcome::Succeeded,
                "{events:#?}"
            );
            *unknown.lock().unwrap() += usize::from(is_unknown);
        }
        // No run counts as a success whose program did not run.
        let succeeded = ends
            .values()
            .filter(|end| **end == RunOutcome::Succeeded)
            .count();
        assert!(executions.len() >= succeeded, "{events:#?}");
        let totals = node.state::<Exec>("e").totals;
        assert_eq!(totals.succeeded + totals.unknown, ends.len() as u64);
    });
    assert!(
        *unknown.lock().unwrap() > 0,
        "no crash came while a program ran"
    );
}
