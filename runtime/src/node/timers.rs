//! The window of timers in memory: which part of the table the workers hold, and the loader that moves it.
//!
//! Millions of timers may be pending. The table orders them by the time they are due, in one group for the
//! wall clock and one for each boot whose clock they follow. Of each group the workers hold what stands
//! before its bound; the rest is on disk only.
//!
//! Invariant: a row before its group's bound is held by its worker, is on its way there, or belongs to an
//! actor that is set aside. The bound is raised before the rows are read, and a worker looks at the bound
//! when a timer is durable: so either the worker sees the bound or the read sees the row. It is lowered
//! before a worker forgets what stands behind it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use steadfast_journal::{ActorNumber, Journal, Row, Table};
use tokio::sync::{Mutex, Notify, oneshot};

use super::Shared;
use crate::core::{
    Anchor, Clocks, Group, Micros, Place, TimerRow, anchor_key, decode_row, group_start, micros,
    timer_place,
};
use crate::error::NodeError;
use crate::model::{BootId, Start};
use crate::worker::Control;

/// A bound that is due within this time is raised. Longer than workers sleep between two looks.
const NEAR: Duration = Duration::from_secs(60);
/// Most rows that are read at once.
const PAGE: usize = 1_024;

/// Up to where the timers of a group are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Nothing,
    Below(Place),
    Everything,
}

#[derive(Debug)]
struct Part {
    group: Group,
    bound: Bound,
    /// What has to be added to the group's clock to get the running clock.
    shift: Micros,
}

impl Part {
    /// How long until the first timer behind the bound may be due, in microseconds.
    fn wait(&self, clocks: Clocks) -> Option<Micros> {
        let order = match self.bound {
            Bound::Nothing => return Some(Micros::MIN),
            Bound::Below(place) => place.order,
            Bound::Everything => return None,
        };
        Some(match self.group {
            Group::Wall => order.saturating_sub(clocks.now.as_micros()),
            Group::Boot(_) => order
                .saturating_add(self.shift)
                .saturating_sub(clocks.running_us()),
        })
    }
}

#[derive(Debug, Default)]
struct Parts {
    generation: u64,
    /// Empty until pending work is started.
    parts: Vec<Part>,
}

/// The window's bounds and how much it holds.
#[derive(Debug)]
pub(crate) struct TimerWindow {
    limit: usize,
    /// Timers in memory, of all workers.
    held: AtomicUsize,
    /// `held` when the workers were last asked to let go: asking again would find as little.
    trimmed: AtomicUsize,
    parts: RwLock<Parts>,
    /// Wakes the loader.
    wanted: Notify,
    /// One filling at a time.
    filling: Mutex<()>,
}

/// What the loader does next.
enum Next {
    Raise(Group),
    Trim { target: usize, held: usize },
    Rest,
}

impl TimerWindow {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
            trimmed: AtomicUsize::new(usize::MAX),
            parts: RwLock::default(),
            wanted: Notify::new(),
            filling: Mutex::new(()),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Parts> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows that are read at once: a part of the window, so that it is not overfilled.
    fn page(&self) -> usize {
        (self.limit / 8).clamp(1, PAGE)
    }

    /// A new generation: nothing is loaded.
    pub(super) fn reset(&self, generation: u64) {
        *self.write() = Parts {
            generation,
            parts: Vec::new(),
        };
    }

    fn begin(&self, generation: u64, groups: Vec<(Group, Micros)>) {
        let mut parts = self.write();
        if parts.generation == generation && parts.parts.is_empty() {
            let new = |(group, shift)| Part {
                group,
                bound: Bound::Nothing,
                shift,
            };
            parts.parts = groups.into_iter().map(new).collect();
        }
    }

    /// Whether a timer that became durable is to be held in memory; with the shift of its clock.
    pub(crate) fn admit(&self, group: Group, place: Place) -> Option<Micros> {
        let shift = {
            let parts = self.read();
            let part = parts.parts.iter().find(|part| part.group == group)?;
            (Bound::Below(place) < part.bound).then_some(part.shift)
        }?;
        if self.held.load(Ordering::Relaxed) < self.limit.saturating_mul(2) {
            return Some(shift);
        }
        self.lower(group, place);
        self.wanted.notify_one();
        None
    }

    /// What has to be added to a group's clock to get the running clock.
    pub(crate) fn shift(&self, group: Group) -> Micros {
        let parts = self.read();
        let part = parts.parts.iter().find(|part| part.group == group);
        part.map_or(0, |part| part.shift)
    }

    /// From `place` on, the timers of a group are not in memory.
    pub(crate) fn lower(&self, group: Group, place: Place) {
        let mut parts = self.write();
        if let Some(part) = parts.parts.iter_mut().find(|part| part.group == group) {
            part.bound = part.bound.min(Bound::Below(place));
        }
    }

    /// Raises a bound, if it is still where it was. Rows are read after this.
    fn raise(&self, generation: u64, group: Group, from: Bound, to: Bound) -> bool {
        let mut parts = self.write();
        let current = parts.generation == generation;
        let part = parts.parts.iter_mut().find(|part| part.group == group);
        match part.filter(|part| current && part.bound == from) {
            Some(part) => {
                part.bound = to;
                true
            }
            None => false,
        }
    }

    fn bound(&self, group: Group) -> Option<Bound> {
        let parts = self.read();
        let part = parts.parts.iter().find(|part| part.group == group)?;
        Some(part.bound)
    }

    /// Wakes the loader if there is something for it to do.
    pub(crate) fn look(&self, clocks: Clocks) {
        if !matches!(self.next(clocks, false), Next::Rest) {
            self.wanted.notify_one();
        }
    }

    /// What to do next; `filling` goes on beyond the point where it would not begin.
    fn next(&self, clocks: Clocks, filling: bool) -> Next {
        let held = self.held.load(Ordering::Relaxed);
        let first = {
            let parts = self.read();
            let waits = parts.parts.iter();
            let waits = waits.filter_map(|part| Some((part.wait(clocks)?, part.group)));
            waits.min()
        };
        let room = held.saturating_add(self.page()) <= self.limit || held == 0;
        let near = first.is_some_and(|(wait, _)| wait < micros(NEAR));
        if let Some((_, group)) = first {
            let low = held < self.limit / 2 || (filling && held < self.limit / 4 * 3);
            if room && (near || low) {
                return Next::Raise(group);
            }
        }
        let crowded = held > self.limit / 2 * 3 || (near && !room);
        if crowded && self.trimmed.swap(held, Ordering::Relaxed) != held {
            let target = self.limit / 2;
            return Next::Trim { target, held };
        }
        Next::Rest
    }
}

impl Shared {
    /// What the clocks say now.
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            now: self.clock.now(),
            running: self.clock.running(),
            boot: self.clock.boot(),
        }
    }

    /// A worker holds so many timers, and held so many when it last said so.
    pub(crate) fn account_timers(&self, before: usize, now: usize) {
        if before == now {
            return;
        }
        let held = &self.timers.held;
        if now > before {
            held.fetch_add(now - before, Ordering::Relaxed);
        } else {
            held.fetch_sub(before - now, Ordering::Relaxed);
        }
        self.metrics.timers_held(before, now);
    }
}

/// Starts the timers found in the journal: the next ones come into memory, the rest as they come near.
pub(super) async fn start(shared: &Arc<Shared>, journal: &dyn Journal) -> Result<(), NodeError> {
    let generation = shared.generation();
    let groups = groups(journal, shared.clock.boot(), shared.start)?;
    shared.timers.begin(generation, groups);
    fill(shared, generation, journal).await
}

/// The groups of the table, with the shifts of their clocks.
fn groups(
    journal: &dyn Journal,
    current: BootId,
    start: Start,
) -> Result<Vec<(Group, Micros)>, NodeError> {
    let mut groups = vec![(Group::Wall, 0), (Group::Boot(current), 0)];
    let mut after = group_start(Group::Wall);
    after.extend([u8::MAX; 28]);
    loop {
        let next = journal.rows(Table::Timers, Some(&after), 1)?;
        let Some((Group::Boot(boot), _)) = next.first().and_then(|(key, _)| timer_place(key))
        else {
            return Ok(groups);
        };
        if boot != current {
            let shift = shift_of(anchor(journal, boot)?, start);
            groups.push((Group::Boot(boot), shift));
        }
        after = group_start(Group::Boot(boot));
        after.extend([u8::MAX; 28]);
    }
}

/// An earlier boot's clock in terms of this one's: what its timers had still to wait when it was last noted,
/// less what the wall clock says has passed since.
fn shift_of(anchor: Option<Anchor>, start: Start) -> Micros {
    let begun = micros(start.running);
    match anchor {
        Some(anchor) => {
            let passed = micros(start.wall.since(anchor.wall));
            begun.saturating_sub(anchor.running).saturating_sub(passed)
        }
        // Not written by any version. Rather late than early: as if that boot had only begun.
        None => begun,
    }
}

fn anchor(journal: &dyn Journal, boot: BootId) -> Result<Option<Anchor>, NodeError> {
    let key = anchor_key(boot);
    // One byte less sorts before the key, and before at most 255 others.
    let before = key.get(..key.len() - 1).unwrap_or_default();
    let rows = journal.rows(Table::Timers, Some(before), 256)?;
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
        match fill(&shared, generation, journal.as_ref()).await {
            Ok(()) | Err(NodeError::Stopped) => {}
            // The timers behind the bound would never fire.
            Err(error) => shared.generation_failed(generation, error.to_string()),
        }
    }
}

/// Moves the window to where it should be.
async fn fill(
    shared: &Arc<Shared>,
    generation: u64,
    journal: &dyn Journal,
) -> Result<(), NodeError> {
    let window = &shared.timers;
    let _one = window.filling.lock().await;
    let mut filling = false;
    while shared.generation() == generation {
        match window.next(shared.clocks(), filling) {
            Next::Raise(group) => {
                filling = true;
                raise(shared, generation, journal, group).await?;
            }
            Next::Trim { target, held } => trim(shared, target, held).await?,
            Next::Rest => break,
        }
    }
    Ok(())
}

async fn trim(shared: &Arc<Shared>, target: usize, held: usize) -> Result<(), NodeError> {
    for port in &shared.ports {
        let (ack, acked) = oneshot::channel();
        let trim = Control::TrimTimers {
            target,
            held,
            near: NEAR,
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
    journal: &dyn Journal,
    group: Group,
) -> Result<(), NodeError> {
    let window = &shared.timers;
    let Some(from) = window.bound(group) else {
        return Ok(());
    };
    let mut after = group_start(group);
    if let Bound::Below(place) = from {
        after = place.key(group);
        // One byte less sorts before the key itself.
        after.pop();
    }
    let page = window.page();
    let ahead = journal.rows(Table::Timers, Some(&after), page)?;
    let to = end_of(&ahead, group, page);
    if to <= from || !window.raise(generation, group, from, to) {
        // Lowered meanwhile: whoever asked looks again.
        return Ok(());
    }
    loop {
        let rows = journal.rows(Table::Timers, Some(&after), page)?;
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

/// Up to where a page reaches.
fn end_of(rows: &[Row], group: Group, page: usize) -> Bound {
    match rows.last().and_then(|(key, _)| timer_place(key)) {
        Some((last, place)) if last == group && rows.len() >= page => Bound::Below(after(place)),
        _ => Bound::Everything,
    }
}

/// The place right behind `place`.
fn after(mut place: Place) -> Place {
    match place.id.index.checked_add(1) {
        Some(index) => place.id.index = index,
        None => {
            place.id.entry = place.id.entry.saturating_add(1);
            place.id.index = 0;
        }
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
        match decode_row::<TimerRow>(&value) {
            Ok(row) => found.push((place.actor, row)),
            Err(_) => tracing::error!(
                "a row of the table of timers does not decode; run `steadfast verify`"
            ),
        }
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
