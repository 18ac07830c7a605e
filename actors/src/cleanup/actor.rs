//! The actor: how a run goes from effect to effect, and the fold that makes its totals.

use steadfast::{Done, Handle, KindBuilder, Live, Never, NodeBuilder, Outcome};
use tracing::{debug, info};

use super::config::CleanupConfig;
use super::effect::{Page, Scan, Sweep, Verdict};
use super::event::{
    CleanupEvent, Planned, Previewed, Removed, RemovedFile, Scanned, SkipReason, Skipped,
    SkippedFile,
};
use super::plan::{Count, Cursor, PlannedFile};
use super::work::{Next, Report, Work};
use crate::concern::{self, Concern, Configured, Kind, Run, RunId, RunOutcome, finish};
use crate::human::Span;

#[cfg(test)]
mod tests;

/// Most files of one batch: one effect, one event.
const BATCH_FILES: usize = 256;

/// A concern of kind `cleanup`.
pub type Cleanup = Concern<CleanupKind>;

/// What makes a [`Concern`] a cleanup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupKind {}

/// Adds cleanups to a node.
#[must_use]
pub fn register(node: NodeBuilder) -> NodeBuilder {
    concern::register::<CleanupKind>(node)
}

impl Kind for CleanupKind {
    const NAME: &'static str = "cleanup";
    type Config = CleanupConfig;
    type Event = CleanupEvent;
    type Totals = Count;
    type Work = Work;
    type Report = Report;

    fn effects(kind: KindBuilder<Cleanup>) -> KindBuilder<Cleanup> {
        kind.effect::<Scan>().effect::<Sweep>()
    }

    fn apply(cleanup: &mut Cleanup, event: &CleanupEvent) {
        match event {
            CleanupEvent::Configured(event) => configured(cleanup, event),
            CleanupEvent::Paused(event) => cleanup.paused(event),
            CleanupEvent::Resumed(event) => cleanup.resumed(event),
            CleanupEvent::TickMissed(event) => cleanup.tick_missed(event),
            CleanupEvent::TickSkipped(event) => cleanup.tick_skipped(event),
            CleanupEvent::TickQueued(event) => cleanup.tick_queued(event),
            CleanupEvent::Stopping(event) => cleanup.stop_wanted(event),
            CleanupEvent::Started(event) => cleanup.started(event, Work::new()),
            CleanupEvent::Scanned(event) => on_work(cleanup, |work| work.scanned(event)),
            CleanupEvent::Previewed(_) => {}
            CleanupEvent::Planned(event) => on_work(cleanup, |work| work.planned(event)),
            CleanupEvent::Removed(event) => {
                let count = event.files.iter().map(|file| Count::file(file.bytes)).sum();
                cleanup.totals += count;
                on_work(cleanup, |work| work.removed(event, count));
            }
            CleanupEvent::Skipped(event) => on_work(cleanup, |work| work.skipped(event)),
            CleanupEvent::Finished(event) => cleanup.finished(event),
        }
    }

    fn begin(live: &mut Live<'_, Cleanup>) {
        advance(live);
    }
}

/// Other rules end the run under way at its next step: what it has planned by the old ones stays.
fn configured(cleanup: &mut Cleanup, event: &Configured<CleanupConfig>) {
    if cleanup
        .config()
        .is_some_and(|before| !before.selects_like(&event.config))
    {
        on_work(cleanup, Work::supersede);
    }
    cleanup.configured(event);
}

fn on_work(cleanup: &mut Cleanup, fold: impl FnOnce(&mut Work)) {
    if let Some(work) = &mut cleanup.work {
        fold(work);
    }
}

impl Handle<Done<Scan>> for Cleanup {
    fn handle(live: &mut Live<'_, Self>, done: Done<Scan>) -> Result<(), Never> {
        if !is_current(live, &done.effect.run) {
            return Ok(());
        }
        match done.outcome {
            Outcome::Succeeded(page) => {
                found(live, &done.effect.run, page);
                advance(live);
            }
            Outcome::Failed { error, .. } => give_up(live, RunOutcome::Failed, error),
            Outcome::Unknown => give_up(live, RunOutcome::Unknown, UNKNOWN.to_owned()),
        }
        Ok(())
    }
}

/// Why a run ends whose effect was cut off and may not be repeated.
const UNKNOWN: &str = "nobody knows whether the last step was done";

impl Handle<Done<Sweep>> for Cleanup {
    fn handle(live: &mut Live<'_, Self>, done: Done<Sweep>) -> Result<(), Never> {
        let Sweep {
            run, batch, files, ..
        } = done.effect;
        let sweeping = live.work.as_ref().and_then(Work::sweeping);
        if !is_current(live, &run) || sweeping != Some(batch) {
            return Ok(());
        }
        let in_doubt = || vec![Verdict::Unknown; files.len()];
        let (verdicts, trouble) = match done.outcome {
            Outcome::Succeeded(verdicts) => (verdicts, None),
            Outcome::Failed { error, .. } => (in_doubt(), Some((RunOutcome::Failed, error))),
            Outcome::Unknown => (in_doubt(), Some((RunOutcome::Unknown, UNKNOWN.to_owned()))),
        };
        swept(live, &run, batch, files, verdicts);
        match trouble {
            None => advance(live),
            Some((outcome, error)) => give_up(live, outcome, error),
        }
        Ok(())
    }
}

fn is_current(live: &Live<'_, Cleanup>, run: &RunId) -> bool {
    live.current().is_some_and(|current| current.id == *run)
}

/// Journals one page: as the intent, or as the preview of a dry run.
fn found(live: &mut Live<'_, Cleanup>, run: &RunId, page: Page) {
    let selected: Count = page.files.iter().map(|file| Count::file(file.bytes)).sum();
    info!(
        actor = %live.id(), %run, files = selected.files, bytes = selected.bytes, end = ?page.end,
        "files selected"
    );
    live.emit(Scanned {
        run: run.clone(),
        found: page.found,
        selected,
        left: page.left,
        too_large: page.too_large,
        end: page.end,
        cursor: page.files.last().map(Cursor::at),
        roots: page.roots,
        missing_roots: page.missing_roots,
        unreadable_roots: page.unreadable_roots,
        problems: page.problems,
    });
    for files in page.files.chunks(BATCH_FILES) {
        let run = run.clone();
        if live.is_dry_run() {
            let files = files.iter().cloned().map(RemovedFile::from).collect();
            live.emit(Previewed { run, files });
        } else {
            let batch = live.work.as_ref().map_or(1, |work| work.batches + 1);
            live.emit(Planned {
                run,
                batch,
                files: files.to_vec(),
            });
        }
    }
}

/// Journals what became of one batch.
fn swept(
    live: &mut Live<'_, Cleanup>,
    run: &RunId,
    batch: u64,
    files: Vec<PlannedFile>,
    verdicts: Vec<Verdict>,
) {
    let (mut removed, mut skipped) = (Vec::new(), Vec::new());
    // A missing verdict would be a file without a word about it.
    let verdicts = verdicts
        .into_iter()
        .chain(std::iter::repeat(Verdict::Unknown));
    for (file, verdict) in files.into_iter().zip(verdicts) {
        let (reason, detail) = match verdict {
            Verdict::Removed => {
                removed.push(RemovedFile::from(file));
                continue;
            }
            Verdict::Vanished => (SkipReason::Vanished, None),
            Verdict::Changed => (SkipReason::Changed, None),
            Verdict::Failed(detail) => (SkipReason::Failed, Some(detail)),
            Verdict::Unknown => (SkipReason::Unknown, None),
        };
        skipped.push(SkippedFile {
            path: file.path,
            reason,
            detail,
        });
    }
    debug!(actor = %live.id(), %run, batch, removed = removed.len(), skipped = skipped.len(), "swept");
    if !removed.is_empty() {
        live.emit(Removed {
            run: run.clone(),
            batch,
            files: removed,
        });
    }
    if !skipped.is_empty() {
        live.emit(Skipped {
            run: run.clone(),
            batch,
            files: skipped,
        });
    }
}

/// Asks for the next effect of the run, or ends it.
fn advance(live: &mut Live<'_, Cleanup>) {
    let (
        Some(Run {
            id: run, started, ..
        }),
        Some(work),
        Some(config),
    ) = (live.current().cloned(), &live.work, live.config())
    else {
        return;
    };
    if let Some(reason) = live.stopping() {
        return give_up(live, RunOutcome::Cancelled, reason.to_string());
    }
    let timeout = config.timeout.map(Span::duration);
    if let Some(limit) = timeout.filter(|limit| live.now().since(started) > *limit) {
        let reason = format!("it took longer than {limit:?}: raise `timeout`, or lower `limits`");
        return give_up(live, RunOutcome::TimedOut, reason);
    }
    match work.next() {
        Next::Sweep(batch) => {
            let (roots, files) = (work.roots.clone(), batch.files.clone());
            let sweep = Sweep {
                run,
                batch: batch.number,
                roots,
                files,
            };
            live.run(sweep);
        }
        Next::Scan => {
            let scan = Scan {
                run,
                config: config.clone(),
                as_of: started,
                after: work.cursor.clone(),
                left: config.limits.less(work.report.selected),
            };
            live.run(scan);
        }
        Next::Finish(outcome, reason) => {
            let report = work.report.clone();
            finish(live, outcome, reason, report);
        }
    }
}

fn give_up(live: &mut Live<'_, Cleanup>, outcome: RunOutcome, reason: String) {
    let report = live
        .work
        .as_ref()
        .map(|work| work.report.clone())
        .unwrap_or_default();
    finish(live, outcome, Some(reason), report);
}
