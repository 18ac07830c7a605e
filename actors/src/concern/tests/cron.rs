//! Schedules by the calendar, with jitter, and with every missed tick made up for.

use std::time::Duration;

use steadfast::{AskError, Timestamp};

use super::probe::{Bench, ProbeConfig, ProbeEvent};
use super::{HOUR, HOURLY, by_hand};
use crate::concern::{Cause, Configure, Missed, Overlap};

/// A daily schedule; the bench begins on 2027-01-15 at 08:00 UTC.
fn daily(expression: &str, timezone: Option<&str>) -> ProbeConfig {
    ProbeConfig {
        hours: None,
        cron: Some(expression.to_owned()),
        timezone: timezone.map(str::to_owned),
        ..HOURLY
    }
}

fn time(text: &str) -> Timestamp {
    serde_json::from_str(&format!("{text:?}")).unwrap()
}

/// When the ticks were due that got runs.
fn dues(bench: &Bench) -> Vec<Timestamp> {
    let due = |event: ProbeEvent| {
        if let ProbeEvent::Started(started) = event
            && let Cause::Tick { due } = started.cause
        {
            Some(due)
        } else {
            None
        }
    };
    bench.events().into_iter().filter_map(due).collect()
}

#[tokio::test]
async fn a_cron_expression_is_meant_in_its_time_zone() {
    let bench = Bench::start().await;
    assert_eq!(bench.now(), time("2027-01-15T08:00:00Z"));
    bench.configure(daily("30 9 * * *", None)).await;
    let utc = time("2027-01-15T09:30:00Z");
    assert_eq!(bench.view().await.next_run, Some(utc));
    // Another time zone is another schedule; 09:30 has passed in Berlin.
    bench
        .configure(daily("30 9 * * *", Some("Europe/Berlin")))
        .await;
    let berlin = time("2027-01-15T08:30:00Z");
    assert_eq!(bench.view().await.next_run, Some(berlin));
    bench.release(1);
    let bench = bench.restart_after(HOUR / 2).await;
    let view = bench.until(|view| view.last_run.is_some()).await;
    assert_eq!(view.next_run, Some(berlin.plus(HOUR * 24)));
    assert_eq!(dues(&bench), [berlin]);
}

#[tokio::test]
async fn wrong_schedules_are_refused_at_their_key() {
    let bench = Bench::start().await;
    let both = ProbeConfig {
        hours: Some(1),
        ..daily("* * * * *", None)
    };
    let long = ProbeConfig {
        jitter: HOUR * 2,
        ..HOURLY
    };
    let zoned = ProbeConfig {
        timezone: Some("Mars/Olympus".to_owned()),
        ..HOURLY
    };
    for (config, expected) in [
        (both, "cron: `every` is set as well"),
        (long, "jitter: longer than `every`"),
        (zoned, "timezone: time zone \"Mars/Olympus\" is not known"),
        (
            daily("61 * * * *", None),
            "cron: cron expression \"61 * * * *\" does not parse",
        ),
        (
            daily("0 0 30 2 *", None),
            "cron: cron expression \"0 0 30 2 *\" never matches",
        ),
        (daily("@daily", Some("Nowhere")), "timezone: "),
    ] {
        let refused = bench.actor().ask(Configure(config)).await;
        let Err(AskError::Rejected(error)) = refused else {
            panic!("{refused:?}")
        };
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    assert!(!bench.view().await.configured);
}

#[tokio::test]
async fn jitter_delays_the_tick_and_not_the_schedule() {
    let bench = Bench::start().await;
    let start = bench.now();
    let jitter = HOUR / 2;
    bench.configure(ProbeConfig { jitter, ..HOURLY }).await;
    bench.release(1);
    // Whatever was drawn, the tick has come by now, and is none that was missed.
    let bench = bench.restart_after(HOUR + jitter).await;
    bench.until(|view| view.last_run.is_some()).await;
    assert_eq!(bench.view().await.next_run, Some(start.plus(HOUR * 2)));
    assert_eq!(dues(&bench), [start.plus(HOUR)]);
}

#[tokio::test]
async fn every_missed_tick_can_get_its_run() {
    let bench = Bench::start().await;
    let start = bench.now();
    let config = ProbeConfig {
        missed: Missed::All,
        overlap: Overlap::Skip,
        ..HOURLY
    };
    bench.configure(config).await;
    bench.release(5);
    let bench = bench.restart_after(HOUR * 5 + HOUR / 2).await;
    let view = bench
        .until(|view| view.runs == 5 && view.current.is_none())
        .await;
    assert_eq!(
        (view.waiting, view.next_run),
        (0, Some(start.plus(HOUR * 6)))
    );
    let hours: Vec<_> = (1..=5).map(|hours| start.plus(HOUR * hours)).collect();
    assert_eq!(dues(&bench), hours);
    let missed = |event: &ProbeEvent| {
        matches!(event, ProbeEvent::TickMissed(missed)
            if missed.policy == Missed::All && missed.count == 1)
    };
    assert_eq!(
        bench.events().iter().filter(|event| missed(event)).count(),
        5
    );
}

#[tokio::test]
async fn owed_runs_survive_a_crash() {
    let bench = Bench::start().await;
    let start = bench.now();
    let config = ProbeConfig {
        missed: Missed::All,
        overlap: Overlap::Cancel,
        ..HOURLY
    };
    bench.configure(config).await;
    bench.actor().ask(by_hand()).await.unwrap();
    let bench = bench.crash(HOUR * 3 + HOUR / 2).await;
    // The first run goes on: what is owed cancels nothing.
    bench.until(|view| view.waiting == 3).await;
    let bench = bench.crash(Duration::ZERO).await;
    bench.release(4);
    let view = bench.until(|view| view.current.is_none()).await;
    assert_eq!((view.runs, view.waiting), (4, 0));
    let hours: Vec<_> = (1..=3).map(|hours| start.plus(HOUR * hours)).collect();
    assert_eq!(dues(&bench), hours);
}
