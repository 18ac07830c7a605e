//! The timer of a concern's schedule, and what its ticks lead to.

use steadfast::{Handle, Live, Never, Timestamp};
use tracing::info;

use super::decide::{start, stop};
use super::schedule::is_late;
use super::{
    Cause, Concern, Kind, Missed, Overlap, Settings, StopReason, Tick, TickMissed, TickQueued,
    TickSkipReason, TickSkipped,
};

/// The durable timer of the schedule.
const TIMER: &str = "tick";
/// Most ticks that were missed and still get a run each. They are part of the state.
const MOST_OWED: usize = 1_000;

/// Sets the timer of the schedule anew, or forgets it.
pub(super) fn arm<K: Kind>(live: &mut Live<'_, Concern<K>>) {
    match live
        .state()
        .schedule()
        .and_then(|schedule| schedule.timer())
    {
        Some(timer) => live.schedule(TIMER, timer, Tick {}),
        None => live.cancel(TIMER),
    }
}

/// Forgets the timer.
pub(super) fn disarm<K: Kind>(live: &mut Live<'_, Concern<K>>) {
    live.cancel(TIMER);
}

impl<K: Kind> Handle<Tick> for Concern<K> {
    fn handle(live: &mut Live<'_, Self>, _: Tick) -> Result<(), Never> {
        let (Some(fired), Some(schedule)) = (live.fired().cloned(), live.state().schedule()) else {
            return Ok(());
        };
        if live.paused {
            return Ok(());
        }
        let (due, next_run) = (fired.due, fired.next);
        let late = is_late(&fired);
        if late {
            let (count, policy) = (fired.missed.saturating_add(1), schedule.missed);
            info!(actor = %live.id(), %due, count, ?policy, "tick missed");
            live.emit(TickMissed {
                due,
                count,
                policy,
                next_run,
            });
        }
        if late && schedule.missed == Missed::Skip {
            return Ok(());
        }
        if live.current.is_some() {
            let owed = late && schedule.missed == Missed::All;
            overlap(live, due, next_run, owed);
            return Ok(());
        }
        let dry_run = live.config.as_ref().is_some_and(Settings::dry_run);
        start(live, Cause::Tick { due }, dry_run, next_run);
        Ok(())
    }
}

/// What a tick leads to that comes during a run. One that is `owed` was missed and gets its run whatever
/// the policy makes of others, without disturbing the one that is going.
fn overlap<K: Kind>(
    live: &mut Live<'_, Concern<K>>,
    due: Timestamp,
    next_run: Option<Timestamp>,
    owed: bool,
) {
    let policy = live.state().schedule().unwrap_or_default().overlap;
    let most = if owed { MOST_OWED } else { 1 };
    let reason = match policy {
        Overlap::Skip if !owed => Some(TickSkipReason::Running),
        Overlap::Skip | Overlap::Queue | Overlap::Cancel if live.waiting.len() >= most => {
            Some(TickSkipReason::Waiting)
        }
        Overlap::Skip | Overlap::Queue | Overlap::Cancel => None,
    };
    if let Some(reason) = reason {
        info!(actor = %live.id(), %due, ?reason, "tick skipped: the run before is still going");
        live.emit(TickSkipped {
            due,
            reason,
            next_run,
        });
        return;
    }
    info!(actor = %live.id(), %due, "tick waits for the end of the run before");
    live.emit(TickQueued { due, next_run });
    if policy == Overlap::Cancel && !owed {
        stop(live, StopReason::Overlapped { due });
    }
}
