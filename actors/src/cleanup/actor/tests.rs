//! Decisions without a node or a disk. The test kit checks round trip, determinism and replay at each step.

use steadfast::testkit::{Given, START, Then, given_named};
use steadfast::{Command, Outcome};

use super::super::config::{CleanupConfig, Limits};
use super::super::effect::{Page, PageEnd, Scan, Sweep, Verdict};
use super::super::event::{
    CleanupEvent, Planned, Removed, RemovedFile, SkipReason, Skipped, SkippedFile,
};
use super::super::plan::{Count, Cursor, PlannedFile};
use super::Cleanup;
use crate::concern::{
    Configure, Configured, Finished, Missed, RunOutcome, SPACE, Tick, TickMissed, TickSkipReason,
    TickSkipped, Trigger,
};
use crate::human::Span;

const MINUTE: u64 = 60;

fn config() -> CleanupConfig {
    CleanupConfig {
        every: Some(Span::secs(10 * MINUTE)),
        ..CleanupConfig::new(["/d/*"])
    }
}

fn idle() -> Given<Cleanup> {
    given_named(SPACE, "test", [])
}

/// Configured, with a run that waits for its scan.
fn scanning(config: CleanupConfig) -> Then<Cleanup, Trigger> {
    idle().when(Configure(config)).when(Trigger {
        dry_run: false,
        by: "test".to_owned(),
    })
}

fn file(name: &str) -> PlannedFile {
    let path = format!("/d/{name}");
    PlannedFile {
        path,
        bytes: 2,
        modified_ns: 7,
        inode: 1,
        created_ns: None,
    }
}

fn page(names: &[&str], end: PageEnd) -> Outcome<Page> {
    let files: Vec<_> = names.iter().map(|name| file(name)).collect();
    let found = files.iter().map(|file| Count::file(file.bytes)).sum();
    Outcome::Succeeded(Page {
        files,
        found,
        end,
        ..Page::default()
    })
}

/// Two files planned, their sweep under way.
fn sweeping() -> Then<Cleanup, steadfast::Done<Scan>> {
    scanning(config()).when_done::<Scan>(page(&["a", "b"], PageEnd::Complete))
}

/// How the last run ended, and why.
#[track_caller]
fn ended<C: Command>(then: Then<Cleanup, C>, outcome: RunOutcome) {
    then.then_no_effects().then_state(|cleanup| {
        assert!(cleanup.current().is_none() && cleanup.work.is_none());
        assert_eq!(
            cleanup.last_run().and_then(|run| run.outcome),
            Some(outcome)
        );
    });
}

#[test]
fn a_run_is_planned_in_the_journal_before_anything_is_removed() {
    let planned = sweeping();
    planned
        .then_state(|cleanup| assert_eq!(cleanup.totals().files, 0))
        .then_effect::<Sweep>(|sweep| assert_eq!(sweep.files, [file("a"), file("b")]))
        .when_done::<Sweep>(Outcome::Succeeded(vec![Verdict::Removed, Verdict::Changed]))
        .then_state(|cleanup| assert_eq!(cleanup.totals(), &Count { files: 1, bytes: 2 }))
        .then_no_effects();
}

#[test]
fn the_events_of_a_sweep_name_each_file_once() {
    let run = crate::cleanup::testing::run_id();
    let plan = Planned {
        run: run.clone(),
        batch: 1,
        files: vec![file("a"), file("b")],
    };
    let removed = RemovedFile {
        path: "/d/a".to_owned(),
        bytes: 2,
    };
    let detail = Some("busy".to_owned());
    let skipped = SkippedFile {
        path: "/d/b".to_owned(),
        reason: SkipReason::Failed,
        detail,
    };
    let json = |event: CleanupEvent| steadfast::Event::to_json(&event).unwrap();
    assert_eq!(
        json(
            Removed {
                run: run.clone(),
                batch: 1,
                files: vec![removed]
            }
            .into()
        ),
        serde_json::json!({"run": run, "batch": 1, "files": [{"path": "/d/a", "bytes": 2}]})
    );
    assert_eq!(
        json(
            Skipped {
                run: run.clone(),
                batch: 1,
                files: vec![skipped]
            }
            .into()
        ),
        serde_json::json!({"run": run, "batch": 1,
            "files": [{"path": "/d/b", "reason": "failed", "detail": "busy"}]})
    );
    assert_eq!(json(plan.into())["files"][0]["path"], "/d/a");
}

#[test]
fn the_next_page_begins_where_the_last_one_ended_within_what_is_left() {
    let limits = Limits {
        files: 5,
        ..Limits::default()
    };
    scanning(CleanupConfig { limits, ..config() })
        .then_effect::<Scan>(|scan| assert_eq!((&scan.after, scan.left.files), (&None, 5)))
        .when_done::<Scan>(page(&["a", "b"], PageEnd::More))
        .when_done::<Sweep>(Outcome::Succeeded(vec![Verdict::Removed; 2]))
        .then_effect::<Scan>(|scan| {
            assert_eq!(scan.after, Some(Cursor::at(&file("b"))));
            assert_eq!((scan.left.files, scan.as_of), (3, START));
        });
}

#[test]
fn a_scan_that_fails_ends_the_run() {
    let failed = Outcome::Failed {
        error: "no thread".to_owned(),
        attempts: 4,
    };
    ended(
        scanning(config()).when_done::<Scan>(failed),
        RunOutcome::Failed,
    );
    ended(
        scanning(config()).when_done::<Scan>(Outcome::Unknown),
        RunOutcome::Unknown,
    );
}

#[test]
fn a_sweep_that_is_given_up_leaves_its_files_in_doubt() {
    let doubt = |outcome, run_outcome| {
        let then = sweeping()
            .when_done::<Sweep>(outcome)
            .then_state(|cleanup| {
                assert_eq!(cleanup.totals().files, 0);
            });
        ended(then, run_outcome);
    };
    let failed = Outcome::Failed {
        error: "no thread".to_owned(),
        attempts: 4,
    };
    doubt(failed, RunOutcome::Failed);
    doubt(Outcome::Unknown, RunOutcome::Unknown);
    // A verdict that is missing is a doubt about that file, and no end of the others.
    let short = sweeping().when_done::<Sweep>(Outcome::Succeeded(vec![Verdict::Removed]));
    ended(short, RunOutcome::Partial);
}

#[test]
fn a_tick_in_time_starts_a_run_and_one_during_a_run_is_skipped() {
    let due = START.plus(Span::secs(10 * MINUTE).duration());
    let next_run = Some(START.plus(Span::secs(20 * MINUTE).duration()));
    idle()
        .when(Configure(config()))
        .then_timer("tick", Span::secs(10 * MINUTE).duration())
        .when_timer::<Tick>("tick")
        .then_effect::<Scan>(|scan| assert_eq!(scan.as_of, due))
        .then_state(|cleanup| assert_eq!(cleanup.next_run(), next_run));
    let next_run = Some(START.plus(Span::secs(20 * MINUTE).duration()));
    scanning(config())
        .when_timer::<Tick>("tick")
        .then_no_effects()
        .then_events([TickSkipped {
            due,
            reason: TickSkipReason::Running,
            next_run,
        }
        .into()]);
}

#[test]
fn a_tick_that_comes_late_is_journalled_whatever_follows() {
    for (late_secs, count, is_missed) in [(59, 1, false), (61, 1, true), (25 * MINUTE, 3, true)] {
        let config = CleanupConfig {
            missed: Missed::Skip,
            ..config()
        };
        let late = Span::secs(10 * MINUTE + late_secs).duration();
        let due = START.plus(Span::secs(10 * MINUTE).duration());
        let next_run = Some(START.plus(Span::secs(10 * MINUTE * (count + 1)).duration()));
        let then = idle()
            .when(Configure(config))
            .later(late)
            .when_timer::<Tick>("tick");
        if is_missed {
            let missed = TickMissed {
                due,
                count,
                policy: Missed::Skip,
                next_run,
            };
            then.then_no_effects().then_events([missed.into()]);
        } else {
            then.then_effect::<Scan>(|_| {});
        }
    }
}

#[test]
fn a_run_that_finds_nothing_succeeds() {
    ended(
        scanning(config()).when_done::<Scan>(page(&[], PageEnd::Complete)),
        RunOutcome::Succeeded,
    );
}

#[test]
fn a_state_of_events_alone_is_the_state() {
    let run = crate::cleanup::testing::run_id();
    let files = vec![RemovedFile {
        path: "/d/a".to_owned(),
        bytes: 9,
    }];
    let finished = Finished {
        run: run.clone(),
        outcome: RunOutcome::Succeeded,
        started: START,
        finished: START,
        reason: None,
        report: crate::cleanup::Report::default(),
    };
    let events: [CleanupEvent; 3] = [
        Configured {
            config: config(),
            next_run: None,
        }
        .into(),
        Removed {
            run,
            batch: 1,
            files,
        }
        .into(),
        finished.into(),
    ];
    given_named::<Cleanup>(SPACE, "test", events)
        .when(Configure(config()))
        .then_no_events()
        .then_state(|cleanup| assert_eq!(cleanup.totals(), &Count { files: 1, bytes: 9 }));
}
