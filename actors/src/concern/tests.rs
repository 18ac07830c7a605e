//! The shell with a kind whose runs last until they are released, on a clock that moves only by hand.

use std::time::Duration;

use steadfast::AskError;

mod overlap;
mod probe;

use super::{
    Check, Configure, Missed, Overlap, Pause, Resume, RunId, RunOutcome, Started, TickMissed,
    TickSkipped, Trigger,
};
use probe::{Bench, ProbeConfig, ProbeEvent};
use steadfast::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);
const HOURLY: ProbeConfig = ProbeConfig {
    hours: Some(1),
    missed: Missed::Once,
    overlap: Overlap::Skip,
    note: 0,
};

fn by_hand() -> Trigger {
    Trigger {
        dry_run: false,
        by: "test".to_owned(),
    }
}

#[tokio::test]
async fn a_tick_starts_a_run_and_the_next_is_due_a_period_later() {
    let bench = Bench::start().await;
    let start = bench.now();
    bench.configure(HOURLY).await;
    assert_eq!(bench.view().await.next_run, Some(start.plus(HOUR)));
    bench.release(1);
    let bench = bench.restart_after(HOUR).await;
    let view = bench.until(|view| view.last_run.is_some()).await;
    assert_eq!((view.runs, view.next_run), (1, Some(start.plus(HOUR * 2))));
    let events = bench.events();
    assert!(
        matches!(&events[..], [ProbeEvent::Configured(_), ProbeEvent::Started(started), ProbeEvent::Finished(_)]
            if matches!(started.cause, super::Cause::Tick { due } if due == start.plus(HOUR))),
        "{events:?}"
    );
}

#[tokio::test]
async fn ticks_missed_while_down_are_journalled_and_lead_to_one_run() {
    let bench = Bench::start().await;
    let start = bench.now();
    bench.configure(HOURLY).await;
    bench.release(1);
    let bench = bench.restart_after(HOUR * 3 + HOUR / 2).await;
    let view = bench.until(|view| view.last_run.is_some()).await;
    assert_eq!((view.runs, view.next_run), (1, Some(start.plus(HOUR * 4))));
    let (due, next_run) = (start.plus(HOUR), Some(start.plus(HOUR * 4)));
    let expected = TickMissed {
        due,
        count: 3,
        policy: Missed::Once,
        next_run,
    };
    let missed =
        |event: &ProbeEvent| matches!(event, ProbeEvent::TickMissed(missed) if *missed == expected);
    assert!(bench.events().iter().any(missed));
}

#[tokio::test]
async fn missed_ticks_can_lead_to_none() {
    let bench = Bench::start().await;
    let start = bench.now();
    bench
        .configure(ProbeConfig {
            missed: Missed::Skip,
            ..HOURLY
        })
        .await;
    let bench = bench.restart_after(HOUR + HOUR / 2).await;
    let view = bench
        .until(|view| view.next_run == Some(start.plus(HOUR * 2)))
        .await;
    assert_eq!(view.runs, 0);
    assert!(
        matches!(bench.events().last(), Some(ProbeEvent::TickMissed(missed)) if missed.count == 1)
    );
    // The next one is in time.
    bench.release(1);
    let bench = bench.restart_after(HOUR / 2).await;
    bench.until(|view| view.last_run.is_some()).await;
}

#[tokio::test]
async fn a_tick_during_a_run_is_skipped_and_journalled() {
    let bench = Bench::start().await;
    let start = bench.now();
    bench.configure(HOURLY).await;
    bench.actor().ask(by_hand()).await.unwrap();
    let bench = bench.crash(HOUR).await;
    let view = bench
        .until(|view| view.next_run == Some(start.plus(HOUR * 2)))
        .await;
    assert_eq!((view.runs, view.current.is_some()), (1, true));
    assert!(
        matches!(bench.events().last(), Some(ProbeEvent::TickSkipped(TickSkipped { due, .. }))
        if *due == start.plus(HOUR))
    );
    bench.release(1);
    bench.until(|view| view.current.is_none()).await;
}

#[tokio::test]
async fn a_run_cut_off_by_a_restart_is_resumed() {
    let bench = Bench::start().await;
    bench.configure(HOURLY).await;
    let run = bench.actor().ask(by_hand()).await.unwrap().run;
    let bench = bench.crash(HOUR / 2).await;
    assert_eq!(bench.view().await.current, Some(run.clone()));
    assert!(bench.actor().ask(by_hand()).await.unwrap().joined);
    bench.release(1);
    let view = bench.until(|view| view.current.is_none()).await;
    let last = view.last_run.unwrap();
    assert_eq!(
        (last.id, last.outcome, view.runs),
        (run.id, Some(RunOutcome::Succeeded), 1)
    );
}

#[tokio::test]
async fn a_run_whose_effect_fails_has_failed() {
    let bench = Bench::start().await;
    bench.configure(HOURLY).await;
    bench.actor().ask(by_hand()).await.unwrap();
    bench.refuse();
    let view = bench.until(|view| view.current.is_none()).await;
    assert_eq!(view.last_run.unwrap().outcome, Some(RunOutcome::Failed));
}

#[tokio::test]
async fn pausing_is_durable_and_holds_the_timer() {
    let bench = Bench::start().await;
    bench.configure(HOURLY).await;
    bench.actor().ask(Pause {}).await.unwrap();
    bench.actor().ask(Pause {}).await.unwrap();
    assert_eq!(bench.events().len(), 2, "pausing twice changed something");
    let bench = bench.restart_after(HOUR * 5).await;
    let view = bench.view().await;
    assert!(
        view.paused && view.next_run.is_none() && view.runs == 0,
        "{view:?}"
    );
    assert!(matches!(
        bench.actor().ask(by_hand()).await,
        Err(AskError::Rejected(_))
    ));
    // Another configuration does not wake it.
    bench
        .configure(ProbeConfig {
            hours: Some(2),
            ..HOURLY
        })
        .await;
    assert_eq!(bench.view().await.next_run, None);
    bench.actor().ask(Resume {}).await.unwrap();
    bench.actor().ask(Resume {}).await.unwrap();
    let next = bench.now().plus(HOUR * 2);
    assert_eq!(bench.view().await.next_run, Some(next));
    bench.release(1);
    let bench = bench.restart_after(HOUR * 2).await;
    bench.until(|view| view.last_run.is_some()).await;
}

#[tokio::test]
async fn only_another_period_starts_the_schedule_anew() {
    let bench = Bench::start().await;
    let start = bench.now();
    assert!(bench.configure(HOURLY).await);
    bench.advance(HOUR / 2);
    assert!(
        !bench.configure(HOURLY).await,
        "the same configuration changed something"
    );
    assert!(bench.configure(ProbeConfig { note: 1, ..HOURLY }).await);
    assert_eq!(bench.view().await.next_run, Some(start.plus(HOUR)));
    let half_past = bench.now();
    bench
        .configure(ProbeConfig {
            hours: Some(3),
            ..HOURLY
        })
        .await;
    assert_eq!(bench.view().await.next_run, Some(half_past.plus(HOUR * 3)));
    bench
        .configure(ProbeConfig {
            hours: None,
            ..HOURLY
        })
        .await;
    assert_eq!(bench.view().await.next_run, None);
    bench.advance(HOUR * 9);
    assert_eq!(bench.view().await.runs, 0);
    let refused = bench
        .actor()
        .ask(Configure(ProbeConfig {
            hours: Some(0),
            ..HOURLY
        }))
        .await;
    let Err(AskError::Rejected(error)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(error.to_string(), "hours: must not be 0");
}

#[test]
fn run_names_sort_by_time_and_differ_by_chance() {
    let at = |micros| Timestamp::from_micros(micros);
    let (early, late) = (
        RunId::new(at(1_000_000), [u64::MAX; 2]),
        RunId::new(at(2_000_000), [0; 2]),
    );
    assert!(early < late);
    assert_ne!(
        RunId::new(at(1_000_000), [1, 0]),
        RunId::new(at(1_000_000), [2, 0])
    );
    assert_eq!(early.as_str().len(), "run_".len() + 32);
}

#[test]
fn shell_events_keep_their_json() {
    let run = RunId::new(Timestamp::from_micros(0), [0; 2]);
    let started = Started {
        run: run.clone(),
        started: Timestamp::from_micros(1_500_000),
        cause: super::Cause::Tick {
            due: Timestamp::from_micros(1_000_000),
        },
        dry_run: false,
        next_run: None,
    };
    let json = serde_json::json!({
        "run": run.as_str(),
        "started": "1970-01-01T00:00:01.500000Z",
        "cause": {"tick": {"due": "1970-01-01T00:00:01.000000Z"}},
        "dry_run": false,
        "next_run": null,
    });
    assert_eq!(serde_json::to_value(&started).unwrap(), json);
    let packed = rmp_serde::to_vec_named(&started).unwrap();
    assert_eq!(rmp_serde::from_slice::<Started>(&packed).unwrap(), started);
}

#[tokio::test]
async fn asking_whether_a_configuration_would_do_changes_nothing() {
    let bench = Bench::start().await;
    bench.configure(HOURLY).await;
    let check = async |config| bench.actor().ask(Check(config)).await;
    assert!(!check(HOURLY).await.unwrap().changed);
    let other = ProbeConfig { note: 1, ..HOURLY };
    assert!(check(other).await.unwrap().changed);
    let wrong = ProbeConfig {
        hours: Some(0),
        ..HOURLY
    };
    let refused = check(wrong).await;
    assert!(matches!(refused, Err(AskError::Rejected(_))), "{refused:?}");
    assert_eq!(bench.events().len(), 1);
}
