//! What a worker has counted and not yet told: all workers share the node's counters, and a counter that several
//! threads add to for each command costs them more than the command's own bookkeeping.
//!
//! Invariant: told before the worker hands over a batch and before it waits, so that the metrics are never behind
//! what is durable.

use std::sync::Arc;
use std::time::Duration;

use crate::host::KindEntry;
use crate::metrics::{DurationCounts, Metrics};

/// Counts of one worker.
#[derive(Default)]
pub(super) struct Tally {
    kinds: Vec<OfKind>,
    resident_bytes: i64,
}

/// Counts of one kind.
struct OfKind {
    kind: Arc<KindEntry>,
    ok: u64,
    rejected: u64,
    events: u64,
    took: DurationCounts,
}

impl OfKind {
    fn new(kind: &Arc<KindEntry>) -> Self {
        Self {
            kind: Arc::clone(kind),
            ok: 0,
            rejected: 0,
            events: 0,
            took: DurationCounts::default(),
        }
    }
}

impl Tally {
    fn of(&mut self, kind: &Arc<KindEntry>) -> Option<&mut OfKind> {
        let known = self.kinds.iter().position(|of| Arc::ptr_eq(&of.kind, kind));
        let at = known.unwrap_or_else(|| {
            self.kinds.push(OfKind::new(kind));
            self.kinds.len() - 1
        });
        self.kinds.get_mut(at)
    }

    /// A handler ran for so long.
    pub(super) fn handled(&mut self, kind: &Arc<KindEntry>, took: Duration) {
        if let Some(of) = self.of(kind) {
            of.took.observe(took);
        }
    }

    /// A command was handled to its end.
    pub(super) fn ended(&mut self, kind: &Arc<KindEntry>, rejected: bool) {
        if let Some(of) = self.of(kind) {
            *(if rejected {
                &mut of.rejected
            } else {
                &mut of.ok
            }) += 1;
        }
    }

    /// So many events go to the journal.
    pub(super) fn events(&mut self, kind: &Arc<KindEntry>, count: usize) {
        if let Some(of) = self.of(kind) {
            of.events += count as u64;
        }
    }

    /// An actor in memory takes `now` bytes instead of `before`.
    pub(super) fn resident_bytes(&mut self, before: usize, now: usize) {
        let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.resident_bytes += bytes(now) - bytes(before);
    }

    /// Adds everything to the node's metrics.
    pub(super) fn tell(&mut self, metrics: &Metrics) {
        if self.resident_bytes != 0 {
            metrics.resident_bytes(std::mem::take(&mut self.resident_bytes));
        }
        for of in &mut self.kinds {
            let (name, counters) = (of.kind.name, &of.kind.counters);
            if of.took.is_empty() {
                continue;
            }
            metrics.handled(name, counters, &std::mem::take(&mut of.took));
            for (count, rejected) in [(&mut of.ok, false), (&mut of.rejected, true)] {
                if *count > 0 {
                    metrics.ended(name, counters, rejected, std::mem::take(count));
                }
            }
            if of.events > 0 {
                metrics.events(name, counters, std::mem::take(&mut of.events));
            }
        }
    }
}
