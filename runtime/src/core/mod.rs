//! What the runtime keeps of an actor beside the user's state: numbers, pending timers and effects,
//! remembered keys; and how all of it follows from entries.

mod ages;
mod due;
mod kept;
mod keys;
mod message;
mod operation;
mod pending;
mod rows;

pub(crate) use ages::{Ages, Marks, Moment};
pub(crate) use due::{Clocks, Due, Firing, Group, Micros, Repeat, duration, first_due, micros};
pub(crate) use kept::Kept;
pub(crate) use keys::KeyLimits;
pub(crate) use message::{Message, MessageId, outbox_prefix};
pub(crate) use operation::{EffectKey, Operation, Staged, TimerId, random};
pub(crate) use pending::{Change, Core, OutMessage, PendingEffect, PendingTimer, SavedCore};
pub(crate) use rows::{
    Anchor, EffectRow, Place, TimerRow, anchor_key, anchor_row, decode_row, group_start,
    message_of, row_changes, timer_place,
};
