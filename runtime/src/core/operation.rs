//! What an entry does beside its events: timers, effects and messages, as they are journalled.
//!
//! Invariant: the rows in the journal's tables and an actor's pending work are both derived from these
//! operations alone, live and in replay by the same code (`Pending::take`).

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use steadfast_journal::ActorId;

use super::{Due, MessageId, PendingTimer};
use crate::model::{AfterCrash, RetryPolicy, Timestamp};

/// Names one setting of a timer within its actor: where the operation stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TimerId {
    pub(crate) entry: u64,
    pub(crate) index: u32,
}

/// Names one effect within its actor: where its intent stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct EffectKey {
    pub(crate) entry: u64,
    pub(crate) index: u32,
}

/// One operation of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// Sets or replaces the timer of that name.
    SetTimer(Box<PendingTimer>),
    /// Forgets the timer `name`.
    CancelTimer { name: String },
    /// This entry is what the timer led to. A repeating timer is due again.
    FireTimer {
        name: String,
        id: TimerId,
        next: Option<Due>,
    },
    /// Due times of the timer were passed over; so many in all since it fired.
    SkipTimer {
        name: String,
        id: TimerId,
        next: Due,
        missed: u64,
    },
    /// Wants an effect done. Its key is this operation's place.
    RequestEffect {
        name: String,
        body: ByteBuf,
        retry: RetryPolicy,
        after_crash: AfterCrash,
    },
    /// An attempt is about to run.
    StartEffect { key: EffectKey, attempt: u32 },
    /// An attempt failed; the next one is due.
    RetryEffect {
        key: EffectKey,
        attempt: u32,
        due: Timestamp,
        error: String,
        /// Whether the failed attempt may have done its work all the same.
        in_doubt: bool,
    },
    /// This entry is what the effect's outcome led to.
    AnswerEffect { key: EffectKey },
    /// Sends a command to another actor. Its identifier is this operation's place.
    SendMessage {
        to: ActorId,
        kind: String,
        command: String,
        body: ByteBuf,
        /// For a command that comes back to its sender: why.
        rejection: Option<ByteBuf>,
    },
    /// This entry is what a message led to.
    TakeMessage { id: MessageId },
    /// What this entry consumes was skipped by hand instead of being handled: what it was, and why.
    Skip { what: String, reason: String },
    /// Event `seq` is never applied again: it kept its actor in quarantine and was skipped by hand.
    SkipEvent {
        seq: u64,
        event: String,
        reason: String,
    },
}

/// What one command decided so far.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) events: Vec<steadfast_journal::EventRecord>,
    pub(crate) operations: Vec<Operation>,
    /// How many random numbers were drawn.
    pub(crate) draws: u64,
    pub(crate) stop: bool,
    bug: Option<String>,
}

impl Staged {
    /// Notes a mistake of the handler. The first one is what the command fails with.
    pub(crate) fn bug(&mut self, what: String) {
        self.bug.get_or_insert(what);
    }

    pub(crate) fn take_bug(&mut self) -> Option<String> {
        self.bug.take()
    }

    /// Just this operation.
    pub(crate) fn only(operation: Operation) -> Self {
        Self {
            operations: vec![operation],
            ..Self::default()
        }
    }

    /// The place that the next operation will have.
    pub(crate) fn next_index(&self) -> u32 {
        u32::try_from(self.operations.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.operations.is_empty()
    }
}

/// The `draw`-th number of the sequence with this seed: `SplitMix64`, by Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014.
pub(crate) fn random(seed: u64, draw: u64) -> u64 {
    let mut z = seed.wrapping_add(draw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
