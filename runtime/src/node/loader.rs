//! The loader of timers: reads the table on disk in the order in which timers are due, and hands them to the
//! workers as the window moves. See `timers` for the invariant that it keeps.

use std::sync::{Arc, Weak};
use std::time::Duration;

use steadfast_journal::{ActorNumber, Journal, Row, Table, mutant};
use tokio::sync::oneshot;

use super::Shared;
use super::timers::{Bound, Next, TimerWindow};
use crate::core::{
    Anchor, Group, Micros, Place, TimerRow, anchor_key, decode_row, duration, group_start, micros,
    timer_place,
};
use crate::error::NodeError;
use crate::model::{BootId, Start};
use crate::worker::Control;

/// Starts the timers found in the journal: the next ones come into memory, the rest as they come near.
pub(super) async fn start(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &Arc<dyn Journal>,
) -> Result<(), NodeError> {
    let groups = groups(shared, journal).await?;
    shared.timers.begin(generation, groups);
    fill(shared, generation, journal).await
}

/// The groups of the table, with the shifts of their clocks.
async fn groups(
    shared: &Shared,
    journal: &Arc<dyn Journal>,
) -> Result<Vec<(Group, Micros)>, NodeError> {
    let (current, start) = (shared.clock.boot(), shared.start);
    let mut groups = vec![(Group::Wall, 0), (Group::Boot(current), 0)];
    let mut after = group_start(Group::Wall);
    after.extend([u8::MAX; 28]);
    loop {
        let next = shared.rows(journal, Table::Timers, Some(after), 1).await?;
        let Some((Group::Boot(boot), _)) = next.first().and_then(|(key, _)| timer_place(key))
        else {
            return Ok(groups);
        };
        if boot != current {
            let shift = shift_of(anchor(shared, journal, boot).await?, start);
            groups.push((Group::Boot(boot), shift));
        }
        after = group_start(Group::Boot(boot));
        after.extend([u8::MAX; 28]);
    }
}

/// How far a wall clock may be behind itself before it has lost its time, rather than been set right.
const LOST: Duration = Duration::from_secs(3600);

/// An earlier boot's clock in terms of this one's: what its timers had still to wait when it was last noted,
/// less what has passed since.
fn shift_of(anchor: Option<Anchor>, start: Start) -> Micros {
    let begun = micros(start.running);
    match anchor {
        Some(anchor) => {
            let passed = micros(passed_since(anchor, start));
            begun.saturating_sub(anchor.running).saturating_sub(passed)
        }
        // Not written by any version. Rather late than early: as if that boot had only begun.
        None => begun,
    }
}

/// What the wall clock says has passed since an anchor of an earlier boot. On a machine that keeps no time while it
/// is off, that is nothing, at each start of the process anew; there it is the time since this boot, which has begun
/// after the other. Only there, for the directory may have come from another machine, and this one be up for years.
fn passed_since(anchor: Anchor, start: Start) -> Duration {
    if anchor.wall.since(start.wall) > LOST {
        return start.running;
    }
    start.wall.since(anchor.wall)
}

async fn anchor(
    shared: &Shared,
    journal: &Arc<dyn Journal>,
    boot: BootId,
) -> Result<Option<Anchor>, NodeError> {
    let key = anchor_key(boot);
    let from = before(key.clone());
    let rows = shared.rows(journal, Table::Timers, Some(from), 1).await?;
    let found = rows.iter().find(|(other, _)| *other == key);
    Ok(found.and_then(|(_, value)| decode_row(value).ok()))
}

/// Keeps the window filled for as long as the node lives.
pub(super) async fn keep_filled(shared: Weak<Shared>, window: Arc<TimerWindow>) {
    loop {
        window.wanted.notified().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Some((generation, journal)) = shared.open_journal() else {
            continue;
        };
        match fill(&shared, generation, &journal).await {
            Ok(()) | Err(NodeError::Stopped) => {}
            // The timers behind the bound would never fire.
            Err(error) => shared.generation_failed(generation, error.to_string()),
        }
    }
}

/// Brings into memory what is due, and says how long until the first timer that is not; for the test kit,
/// which cannot wait for the loader to be woken.
pub(super) async fn bring_due(shared: &Arc<Shared>) -> Option<Duration> {
    let (generation, journal) = shared.open_journal()?;
    if shared.timers.first_unloaded(shared.clocks())? <= 0 {
        match fill(shared, generation, &journal).await {
            Ok(()) | Err(NodeError::Stopped) => {}
            Err(error) => shared.generation_failed(generation, error.to_string()),
        }
    }
    let first = shared.timers.first_unloaded(shared.clocks());
    first.map(duration)
}

/// Moves the window to where it should be.
async fn fill(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &Arc<dyn Journal>,
) -> Result<(), NodeError> {
    let window = &shared.timers;
    let _one = window.filling.lock().await;
    let mut filling = false;
    while shared.generation() == generation {
        let clocks = shared.clocks();
        match window.next(clocks, filling) {
            Next::Raise(group) => {
                filling = true;
                raise(shared, generation, journal, group).await?;
            }
            Next::Trim {
                target,
                held,
                until,
            } => {
                window.set_futile(Some(clocks));
                trim(shared, target, held, until).await?;
            }
            Next::Rest => break,
        }
    }
    Ok(())
}

async fn trim(
    shared: &Arc<Shared>,
    target: usize,
    held: usize,
    until: Duration,
) -> Result<(), NodeError> {
    for port in &shared.ports {
        let (ack, acked) = oneshot::channel();
        let trim = Control::TrimTimers {
            target,
            held,
            until,
            ack,
        };
        port.control
            .send(trim)
            .await
            .map_err(|_| NodeError::Stopped)?;
        acked.await.map_err(|_| NodeError::Stopped)?;
    }
    Ok(())
}

/// Brings the next page of a group into memory.
async fn raise(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &Arc<dyn Journal>,
    group: Group,
) -> Result<(), NodeError> {
    let window = &shared.timers;
    let Some(from) = window.bound(group) else {
        return Ok(());
    };
    let mut after = group_start(group);
    if let Bound::Below(place) = from {
        after = before(place.key(group));
    }
    let page = window.page();
    let from_here = Some(after.clone());
    let ahead = shared.rows(journal, Table::Timers, from_here, page).await?;
    let to = end_of(&ahead, group, page);
    if to <= from || !window.raise(generation, group, from, to) {
        // Lowered meanwhile: whoever asked looks again.
        return Ok(());
    }
    loop {
        let rows = shared
            .rows(journal, Table::Timers, Some(after), page)
            .await?;
        let more = end_of(&rows, group, page) != Bound::Everything;
        let Some(last) = rows.last().map(|(key, _)| key.clone()) else {
            return Ok(());
        };
        let last_place = timer_place(&last);
        route(shared, generation, within(rows, group, from, to)).await?;
        let ended = last_place.is_none_or(|(_, place)| Bound::Below(place) >= to);
        if !more || ended {
            return Ok(());
        }
        after = last;
    }
}

/// The last key of the same length that sorts before `key`.
fn before(mut key: Vec<u8>) -> Vec<u8> {
    for byte in key.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            break;
        }
    }
    key
}

/// Up to where a page reaches.
fn end_of(rows: &[Row], group: Group, page: usize) -> Bound {
    match rows.last().and_then(|(key, _)| timer_place(key)) {
        Some((last, place)) if last == group && rows.len() >= page => Bound::Below(after(place)),
        _ => Bound::Everything,
    }
}

/// The place right behind `place`.
fn after(mut place: Place) -> Place {
    if let Some(index) = place.id.index.checked_add(1) {
        place.id.index = index;
    } else {
        place.id.entry = place.id.entry.saturating_add(1);
        place.id.index = 0;
    }
    place
}

/// The timers of a page that stand between two bounds.
fn within(rows: Vec<Row>, group: Group, from: Bound, to: Bound) -> Vec<(ActorNumber, TimerRow)> {
    let mut found = Vec::with_capacity(rows.len());
    for (key, value) in rows {
        let Some((_, place)) = timer_place(&key).filter(|(of, _)| *of == group) else {
            continue;
        };
        if Bound::Below(place) < from || Bound::Below(place) >= to {
            continue;
        }
        if let Ok(row) = decode_row::<TimerRow>(&value) {
            found.push((place.actor, row));
        } else {
            tracing::error!("a row of the table of timers does not decode; run `steadfast verify`");
        }
    }
    if mutant!("timer_lost") {
        found.pop();
    }
    found
}

/// Hands timers to the workers of their actors, and waits until they have them.
async fn route(
    shared: &Arc<Shared>,
    generation: u64,
    rows: Vec<(ActorNumber, TimerRow)>,
) -> Result<(), NodeError> {
    let mut by_worker: Vec<Vec<(ActorNumber, TimerRow)>> = vec![Vec::new(); shared.ports.len()];
    for (number, row) in rows {
        if let Some(share) = by_worker.get_mut(shared.worker_index(&row.actor)) {
            share.push((number, row));
        }
    }
    for (port, rows) in shared.ports.iter().zip(by_worker) {
        if rows.is_empty() {
            continue;
        }
        let (ack, acked) = oneshot::channel();
        let load = Control::LoadTimers {
            generation,
            rows,
            ack,
        };
        port.control
            .send(load)
            .await
            .map_err(|_| NodeError::Stopped)?;
        acked.await.map_err(|_| NodeError::Stopped)?;
    }
    Ok(())
}
