//! Rows of the journal's tables: the pending work of all actors, found at once after a restart.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, ActorNumber, RowChange, Table};

use super::message::outbox_key;
use super::{
    Change, EffectKey, Message, MessageId, OutMessage, PendingEffect, PendingTimer, TimerId,
};
use crate::model::Timestamp;

/// A row of the table of timers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TimerRow {
    pub(crate) actor: ActorId,
    pub(crate) kind: String,
    pub(crate) timer: PendingTimer,
}

/// A row of the table of effects.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EffectRow {
    pub(crate) actor: ActorId,
    pub(crate) kind: String,
    pub(crate) effect: PendingEffect,
}

/// Timers are ordered by due time, so that the next ones are read first. The sign bit is flipped so
/// that times before 1970 sort before those after.
fn timer_key(due: Timestamp, actor: ActorNumber, id: TimerId) -> Vec<u8> {
    let due = due.as_micros().cast_unsigned() ^ (1 << 63);
    let mut key = Vec::with_capacity(28);
    key.extend(due.to_be_bytes());
    key.extend(actor.get().to_be_bytes());
    key.extend(id.entry.to_be_bytes());
    key.extend(id.index.to_be_bytes());
    key
}

/// Effects are ordered by actor and age.
fn effect_key(actor: ActorNumber, key: EffectKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend(actor.get().to_be_bytes());
    bytes.extend(key.entry.to_be_bytes());
    bytes.extend(key.index.to_be_bytes());
    bytes
}

/// The row changes that go with an entry.
pub(crate) fn row_changes(
    actor: &ActorId,
    kind: &str,
    number: ActorNumber,
    changes: &[Change],
) -> Result<Vec<RowChange>, rmp_serde::encode::Error> {
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        rows.push(match change {
            Change::TimerSet(timer) => RowChange {
                table: Table::Timers,
                key: timer_key(timer.due, number, timer.id),
                value: Some(rmp_serde::to_vec(&TimerRow {
                    actor: actor.clone(),
                    kind: kind.to_owned(),
                    timer: timer.clone(),
                })?),
            },
            Change::TimerGone { id, due } => RowChange {
                table: Table::Timers,
                key: timer_key(*due, number, *id),
                value: None,
            },
            Change::EffectRequested(effect) | Change::EffectSet(effect) => RowChange {
                table: Table::Effects,
                key: effect_key(number, effect.key),
                value: Some(rmp_serde::to_vec(&EffectRow {
                    actor: actor.clone(),
                    kind: kind.to_owned(),
                    effect: effect.clone(),
                })?),
            },
            Change::EffectGone { key } => RowChange {
                table: Table::Effects,
                key: effect_key(number, *key),
                value: None,
            },
            Change::MessageSent(out) => {
                let message = message_of(actor, kind, number, out.clone());
                RowChange {
                    table: Table::Outbox,
                    key: outbox_key(&message.to, message.id),
                    value: Some(rmp_serde::to_vec(&message)?),
                }
            }
            Change::MessageTaken { id } => RowChange {
                table: Table::Outbox,
                key: outbox_key(actor, *id),
                value: None,
            },
        });
    }
    Ok(rows)
}

/// What a sender's entry says, as the outbox keeps it.
pub(crate) fn message_of(
    actor: &ActorId,
    kind: &str,
    number: ActorNumber,
    out: OutMessage,
) -> Message {
    Message {
        id: MessageId {
            from: number,
            entry: out.place.entry,
            index: out.place.index,
        },
        from: actor.clone(),
        from_kind: kind.to_owned(),
        to: out.to,
        to_kind: out.kind,
        command: out.command,
        body: out.body,
        rejection: out.rejection,
        cause: out.cause.map(|seq| format!("{actor}@{seq}")),
    }
}

/// Decodes the value of a row.
pub(crate) fn decode_row<T: DeserializeOwned>(value: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(value)
}
