//! Expressions, time zones, and what happens when the clocks change.

use proptest::prelude::*;

use super::{Cron, CronError};
use crate::model::Timestamp;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
/// Zones that change by an hour, by half an hour, in the south, never, and one that left out a day.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Apia",
];

fn at(text: &str) -> Timestamp {
    serde_json::from_value(serde_json::json!(text)).unwrap()
}

/// The first due times after `from`, in UTC.
#[track_caller]
fn check(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let cron = Cron::parse(expression, zone).unwrap();
    let mut time = at(from);
    for (number, text) in expected.iter().enumerate() {
        time = cron.next_after(time).unwrap();
        assert_eq!(time, at(text), "{cron}, number {number}");
    }
}

#[test]
fn five_fields_six_fields_and_short_names() {
    check(
        "30 2 * * *",
        "UTC",
        "2026-01-01T02:30:00Z",
        &["2026-01-02T02:30:00Z", "2026-01-03T02:30:00Z"],
    );
    check(
        "15 30 2 * * *",
        "UTC",
        "2026-01-01T02:30:14.5Z",
        &["2026-01-01T02:30:15Z", "2026-01-02T02:30:15Z"],
    );
    for (name, due) in [
        ("@hourly", "2026-02-03T05:00:00Z"),
        ("@daily", "2026-02-04T00:00:00Z"),
        ("@weekly", "2026-02-08T00:00:00Z"),
        ("@monthly", "2026-03-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
    ] {
        check(name, "UTC", "2026-02-03T04:05:06.789Z", &[due]);
    }
}

/// 2026-02-01 is a Sunday.
#[test]
fn weekdays_are_those_of_posix() {
    for sunday in ["0", "7", "SUN", "sun"] {
        let expression = format!("0 0 * * {sunday}");
        check(
            &expression,
            "UTC",
            "2026-02-01T00:00:00Z",
            &["2026-02-08T00:00:00Z"],
        );
    }
    check(
        "0 0 * * 1-5",
        "UTC",
        "2026-02-06T12:00:00Z",
        &["2026-02-09T00:00:00Z"],
    );
    // Either day is enough: the 13th, and Fridays.
    check(
        "0 0 13 * FRI",
        "UTC",
        "2026-01-10T00:00:00Z",
        &["2026-01-13T00:00:00Z", "2026-01-16T00:00:00Z"],
    );
    // Both: a Friday the 13th.
    check(
        "0 0 13 * +FRI",
        "UTC",
        "2026-01-10T00:00:00Z",
        &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"],
    );
}

#[test]
fn a_fixed_time_in_the_gap_runs_right_after_it() {
    // In Berlin the clocks go from 2:00 to 3:00 on 2026-03-29, at 1:00 UTC.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-27T12:00:00Z",
        &[
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
        ],
    );
    // In New York from 2:00 to 3:00 on 2026-03-08, at 7:00 UTC.
    check(
        "0 15 2 * * *",
        "America/New_York",
        "2026-03-07T12:00:00Z",
        &["2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"],
    );
}

#[test]
fn a_fixed_time_in_the_repeated_hour_runs_once() {
    // In Berlin 2:00 to 3:00 comes twice on 2026-10-25; the first time from 0:00 UTC.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    // Asked between the two.
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-25T01:00:00Z",
        &["2026-10-26T01:30:00Z"],
    );
}

#[test]
fn intervals_follow_the_wall() {
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:15:00Z",
        &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"],
    );
    check(
        "*/30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T22:00:00Z",
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:00:00Z",
        ],
    );
    // More than one time of day has no run in the gap.
    check(
        "0,30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        &["2026-03-30T00:00:00Z"],
    );
}

#[test]
fn a_day_that_a_zone_left_out_is_passed_over() {
    // Samoa went from 2011-12-29 to 2011-12-31, and from ten hours behind to fourteen ahead.
    check(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T23:00:00Z",
        &["2011-12-30T22:00:00Z"],
    );
    check(
        "0 12 30 12 *",
        "Pacific/Apia",
        "2011-12-29T23:00:00Z",
        &["2012-12-29T22:00:00Z"],
    );
}

#[test]
fn the_calendar_ends() {
    let cron = Cron::parse("@yearly", "UTC").unwrap();
    assert_eq!(cron.next_after(Timestamp::from_micros(i64::MAX)), None);
    assert!(cron.next_after(at("4999-06-01T00:00:00Z")).is_some());
    assert_eq!(cron.next_after(at("9999-06-01T00:00:00Z")), None);
}

#[test]
fn mistakes_are_told_with_what_to_write() {
    for (expression, zone, expected) in [
        ("", "UTC", "write five fields"),
        ("* * * *", "UTC", "write five fields"),
        ("0 0 0 1 1 * 2027", "UTC", "write five fields"),
        ("61 * * * *", "UTC", "write five fields"),
        ("@never", "UTC", "@hourly"),
        ("* * * * *", "Mars/Base", "\"Europe/Berlin\""),
        ("* * * * *", "", "\"Europe/Berlin\""),
        ("0 0 30 2 *", "UTC", "February has no 30th"),
    ] {
        let error = Cron::parse(expression, zone).unwrap_err().to_string();
        assert!(error.contains(expected), "{expression:?} {zone:?}: {error}");
    }
    assert!(matches!(
        Cron::parse("* * * * *", "Nowhere"),
        Err(CronError::TimeZone { time_zone }) if time_zone == "Nowhere"
    ));
}

#[test]
fn at_rest_it_is_two_texts() {
    let cron = Cron::parse("0 4 * * 1", "Asia/Kathmandu").unwrap();
    let json = serde_json::to_value(&cron).unwrap();
    let expected = serde_json::json!({"expression": "0 4 * * 1", "time_zone": "Asia/Kathmandu"});
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Cron>(json).unwrap(), cron);
    let bytes = rmp_serde::to_vec(&cron).unwrap();
    assert_eq!(rmp_serde::from_slice::<Cron>(&bytes).unwrap(), cron);
    let wrong = serde_json::json!({"expression": "0 4 * * 1", "time_zone": "Moon"});
    let error = serde_json::from_value::<Cron>(wrong).unwrap_err();
    assert!(error.to_string().contains("not known"), "{error}");
}

/// Expressions of every shape, with hours near the changes of the clocks.
fn expressions() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("*".to_owned()),
        (1_u32..31).prop_map(|step| format!("*/{step}")),
        (0_u32..60).prop_map(|minute| minute.to_string()),
        (0_u32..30).prop_map(|minute| format!("{minute},{}", minute + 30)),
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        (0_u32..5).prop_map(|hour| hour.to_string()),
        (0_u32..3).prop_map(|hour| format!("{hour}-{}", hour + 2)),
        Just("23".to_owned()),
    ];
    let day = prop_oneof![3 => Just("* * *"), 1 => Just("* * SUN"), 1 => Just("*/2 * *")];
    let seconds = prop_oneof![3 => Just(""), 1 => Just("*/20 "), 1 => Just("59 ")];
    (seconds, minute, hour, day)
        .prop_map(|(second, minute, hour, day)| format!("{second}{minute} {hour} {day}"))
}

/// Moments around the changes of all zones above, and of the day that Apia left out.
fn moments() -> impl Strategy<Value = Timestamp> {
    const CHANGES: [&str; 9] = [
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
        "2026-04-05T03:00:00Z",
        "2026-09-06T04:00:00Z",
        "2011-12-30T10:00:00Z",
    ];
    let near = -30 * HOUR..6 * HOUR;
    (proptest::sample::select(&CHANGES[..]), near)
        .prop_map(|(change, by)| Timestamp::from_micros(at(change).as_micros() + by))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn due_times_increase_and_none_is_left_out(
        expression in expressions(),
        zone in proptest::sample::select(&ZONES[..]),
        from in moments(),
        skips in proptest::collection::vec(0_i64..3 * HOUR, 8),
    ) {
        let cron = Cron::parse(&expression, zone).unwrap();
        let mut asked = from;
        for by in skips {
            let due = cron.next_after(asked).unwrap();
            prop_assert!(due > asked, "{cron}: {due} after {asked}");
            prop_assert_eq!(due.as_micros() % 1_000_000, 0);
            // Whatever is asked between the two has the same answer, and the way back finds it.
            let between = Timestamp::from_micros((asked.as_micros() + by).min(due.as_micros() - 1));
            prop_assert_eq!(cron.next_after(between), Some(due), "{} after {}", &cron, between);
            prop_assert_eq!(cron.newest_until(due), Some(due), "{} until {}", &cron, due);
            asked = Timestamp::from_micros(due.as_micros() + by % 1_000_000);
        }
    }
}
