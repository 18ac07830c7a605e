//! How a run ends: which of several findings decides, and what is said.

use super::{Next, Report, Work};
use crate::cleanup::effect::PageEnd;
use crate::cleanup::event::{Planned, Removed, Scanned, SkipReason, Skipped, SkippedFile};
use crate::cleanup::plan::{Count, Cursor, PlannedFile, Problems};
use crate::cleanup::testing::run_id;
use crate::concern::RunOutcome;

fn page(end: PageEnd, selected: u64) -> Scanned {
    let count = Count {
        files: selected,
        bytes: selected,
    };
    Scanned {
        run: run_id(),
        found: count,
        selected: count,
        left: Count::default(),
        too_large: Count::default(),
        end,
        cursor: (selected > 0).then(|| Cursor {
            modified_ns: 1,
            path: "/d/x".to_owned(),
        }),
        roots: Vec::new(),
        missing_roots: Vec::new(),
        unreadable_roots: Problems::default(),
        problems: Problems::default(),
    }
}

fn batch(number: u64) -> Planned {
    let path = format!("/d/{number}");
    let file = PlannedFile {
        path,
        bytes: 1,
        modified_ns: 1,
        inode: 1,
        created_ns: None,
    };
    Planned {
        run: run_id(),
        batch: number,
        files: vec![file],
    }
}

fn skipped(batch: u64, reason: SkipReason) -> Skipped {
    let file = SkippedFile {
        path: format!("/d/{batch}"),
        reason,
        detail: None,
    };
    Skipped {
        run: run_id(),
        batch,
        files: vec![file],
    }
}

#[track_caller]
fn ends(work: &Work, outcome: RunOutcome, because: &str) {
    let Next::Finish(found, reason) = work.next() else {
        panic!("it goes on: {work:?}")
    };
    assert_eq!(found, outcome);
    assert!(reason.unwrap_or_default().contains(because));
}

#[test]
fn it_sweeps_batch_by_batch_and_page_by_page() {
    let mut work = Work::new();
    assert_eq!(work.next(), Next::Scan);
    work.scanned(&page(PageEnd::More, 2));
    work.planned(&batch(1));
    work.planned(&batch(2));
    assert!(matches!(work.next(), Next::Sweep(batch) if batch.number == 1));
    work.removed(
        &Removed {
            run: run_id(),
            batch: 1,
            files: Vec::new(),
        },
        Count::file(1),
    );
    // The same sweep may lead to a second event: it takes no second batch.
    work.skipped(&skipped(1, SkipReason::Changed));
    assert_eq!(work.sweeping(), Some(2));
    work.skipped(&skipped(2, SkipReason::Vanished));
    assert_eq!(work.next(), Next::Scan);
    work.scanned(&page(PageEnd::Complete, 0));
    ends(&work, RunOutcome::Succeeded, "");
    let Report {
        found,
        selected,
        removed,
        changed,
        vanished,
        ..
    } = work.report;
    assert_eq!(
        (
            found.files,
            selected.files,
            removed.files,
            changed,
            vanished
        ),
        (2, 2, 1, 1, 1)
    );
}

#[test]
fn what_could_not_be_done_makes_it_partial() {
    let mut work = Work::new();
    work.scanned(&page(PageEnd::Complete, 1));
    work.planned(&batch(1));
    work.skipped(&skipped(1, SkipReason::Failed));
    ends(&work, RunOutcome::Partial, "1 files could not be removed");
    let mut unseen = page(PageEnd::Complete, 0);
    unseen.problems.note("/d/locked", &"permission denied");
    let mut work = Work::new();
    work.scanned(&unseen);
    ends(&work, RunOutcome::Partial, "1 places not be looked at");
}

#[test]
fn limits_outrank_problems_and_an_unreadable_root_outranks_both() {
    let mut limited = page(PageEnd::Limited, 0);
    limited.left = Count { files: 3, bytes: 7 };
    limited.problems.note("/d/locked", &"permission denied");
    let mut work = Work::new();
    work.scanned(&limited);
    ends(&work, RunOutcome::Limited, "3 more files with 7 bytes");
    limited.unreadable_roots.note("/d", &"permission denied");
    let mut work = Work::new();
    work.scanned(&limited);
    ends(&work, RunOutcome::Failed, "/d: permission denied");
}

#[test]
fn a_file_that_is_too_large_limits_the_run_and_is_counted_on_whichever_page_it_is() {
    let large = |files| Count {
        files,
        bytes: files * 90,
    };
    let mut first = page(PageEnd::More, 2);
    (first.too_large, first.left) = (large(2), large(3));
    // One of the two comes before the end of the first page.
    let mut last = page(PageEnd::Complete, 1);
    (last.too_large, last.left) = (large(1), large(1));
    let mut work = Work::new();
    work.scanned(&first);
    work.scanned(&last);
    ends(
        &work,
        RunOutcome::Limited,
        "2 more files with 180 bytes are left (2 of them larger than `limits.bytes`)",
    );
}

#[test]
fn reports_of_earlier_versions_are_read() {
    let mut stored = serde_json::to_value(Report::default()).unwrap();
    stored.as_object_mut().unwrap().remove("too_large").unwrap();
    let read: Report = serde_json::from_value(stored).unwrap();
    assert_eq!(read, Report::default());
}

#[test]
fn other_rules_end_it_whatever_is_planned() {
    let mut work = Work::new();
    work.scanned(&page(PageEnd::More, 1));
    work.planned(&batch(1));
    work.supersede();
    ends(&work, RunOutcome::Cancelled, "configuration changed");
}

#[test]
fn problems_are_counted_once_though_each_page_meets_them() {
    let mut scanned = page(PageEnd::More, 1);
    scanned.problems.note("/d/locked", &"permission denied");
    let mut work = Work::new();
    work.scanned(&scanned);
    work.scanned(&Scanned {
        end: PageEnd::Complete,
        ..scanned
    });
    assert_eq!(work.report.problems.count, 1);
}
