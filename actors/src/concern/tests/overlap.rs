//! Ticks and commands that come while a run is going.

use std::time::Duration;

use steadfast::{AskError, Timestamp};

use super::probe::{Bench, ProbeConfig, ProbeEvent};
use super::{HOUR, HOURLY, by_hand};
use crate::concern::{
    Cancel, CancelRejection, Cause, Overlap, Pause, RunOutcome, StopReason, TickSkipReason,
};

/// What happened, in a word each, from the first run on; ticks as hours after `start`.
fn told(bench: &Bench, start: Timestamp) -> String {
    let hour = |due: Timestamp| due.since(start).as_secs() / 3_600;
    let one = |event: ProbeEvent| match event {
        ProbeEvent::Configured(_) => None,
        ProbeEvent::Paused(_) => Some("paused".to_owned()),
        ProbeEvent::Resumed(_) => Some("resumed".to_owned()),
        ProbeEvent::Started(event) => Some(match event.cause {
            Cause::Tick { due } => format!("started:{}", hour(due)),
            Cause::Trigger { .. } => "started".to_owned(),
        }),
        ProbeEvent::TickMissed(event) => {
            Some(format!("missed:{}x{}", hour(event.due), event.count))
        }
        ProbeEvent::TickSkipped(event) => Some(match event.reason {
            TickSkipReason::Running => format!("skipped:{}", hour(event.due)),
            TickSkipReason::Waiting => format!("full:{}", hour(event.due)),
        }),
        ProbeEvent::TickQueued(event) => Some(format!("queued:{}", hour(event.due))),
        ProbeEvent::Stopping(_) => Some("stopping".to_owned()),
        ProbeEvent::Finished(event) => Some(event.outcome.to_string()),
    };
    let words: Vec<_> = bench.events().into_iter().filter_map(one).collect();
    words.join(" ")
}

async fn running(overlap: Overlap) -> (Bench, Timestamp) {
    let bench = Bench::start().await;
    let start = bench.now();
    bench.configure(ProbeConfig { overlap, ..HOURLY }).await;
    bench.actor().ask(by_hand()).await.unwrap();
    (bench, start)
}

/// The node is cut off, comes back an hour later, and has seen the tick of that hour.
async fn an_hour_later(bench: Bench, start: Timestamp, hours: u32) -> Bench {
    let bench = bench.crash(HOUR).await;
    let next = Some(start.plus(HOUR * (hours + 1)));
    bench.until(|view| view.next_run == next).await;
    bench
}

#[tokio::test]
async fn one_tick_waits_and_further_ones_are_skipped() {
    let (bench, start) = running(Overlap::Queue).await;
    let bench = an_hour_later(bench, start, 1).await;
    let bench = an_hour_later(bench, start, 2).await;
    assert_eq!(bench.view().await.waiting, 1);
    bench.release(2);
    let view = bench.until(|view| view.current.is_none()).await;
    assert_eq!((view.runs, view.waiting), (2, 0));
    let expected = "started queued:1 full:2 succeeded started:1 succeeded";
    assert_eq!(told(&bench, start), expected);
}

#[tokio::test]
async fn a_tick_can_cancel_the_run_before() {
    let (bench, start) = running(Overlap::Cancel).await;
    let bench = an_hour_later(bench, start, 1).await;
    bench.release(2);
    bench.until(|view| view.current.is_none()).await;
    let expected = "started queued:1 stopping cancelled started:1 succeeded";
    assert_eq!(told(&bench, start), expected);
    let due = start.plus(HOUR);
    let stopping = bench.events().into_iter().any(|event| {
        matches!(event, ProbeEvent::Stopping(stopping)
            if stopping.reason == StopReason::Overlapped { due })
    });
    assert!(stopping);
}

#[tokio::test]
async fn pausing_forgets_the_tick_that_waits() {
    let (bench, start) = running(Overlap::Queue).await;
    let bench = an_hour_later(bench, start, 1).await;
    bench.actor().ask(Pause {}).await.unwrap();
    bench.release(1);
    let view = bench.until(|view| view.current.is_none()).await;
    assert_eq!((view.runs, view.waiting), (1, 0));
    assert_eq!(told(&bench, start), "started queued:1 paused succeeded");
}

#[tokio::test]
async fn a_run_is_cancelled_by_hand_once() {
    let (bench, start) = running(Overlap::Skip).await;
    let cancel = || Cancel {
        by: "test".to_owned(),
    };
    let run = bench.view().await.current.unwrap();
    assert_eq!(bench.actor().ask(cancel()).await.unwrap(), run);
    let last = bench.view().await.last_run.unwrap();
    assert_eq!(
        (last.id, last.outcome),
        (run.id, Some(RunOutcome::Cancelled))
    );
    let again = bench.actor().ask(cancel()).await;
    assert!(
        matches!(again, Err(AskError::Rejected(CancelRejection::NotRunning))),
        "{again:?}"
    );
    assert_eq!(told(&bench, start), "started stopping cancelled");
    // The effect of the run that is over comes to its end and ends no other run.
    let next = bench.actor().ask(by_hand()).await.unwrap().run;
    bench.release(2);
    let view = bench.until(|view| view.current.is_none()).await;
    assert_eq!(view.last_run.unwrap().id, next.id);
    assert_eq!(bench.now().since(start), Duration::ZERO);
}
