//! Rows of the journal's tables: the pending work of all actors, found at once after a restart.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use steadfast_journal::{ActorId, ActorNumber, RowChange, Table, mutant};

use super::message::outbox_key;
use super::{
    Change, Clocks, Due, EffectKey, Group, Message, MessageId, Micros, OutMessage, PendingEffect,
    PendingTimer, TimerId,
};
use crate::model::{BootId, Timestamp};

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

/// Both clocks at one moment of a boot, kept under its name: by it a later boot finds out how long a timer of
/// this one has still to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub(crate) wall: Timestamp,
    pub(crate) running: Micros,
}

/// Where a timer stands within its group: the next ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) order: Micros,
    pub(crate) actor: ActorNumber,
    pub(crate) id: TimerId,
}

impl Place {
    pub(crate) fn new(due: &Due, actor: ActorNumber, id: TimerId) -> Self {
        Self {
            order: due.order(),
            actor,
            id,
        }
    }

    /// The row that is at this place. The sign bit is flipped so that what is before zero sorts before what
    /// is after it.
    pub(crate) fn key(self, group: Group) -> Vec<u8> {
        let mut key = group_start(group);
        key.extend((self.order.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        key.extend(self.actor.get().to_be_bytes());
        key.extend(self.id.entry.to_be_bytes());
        key.extend(self.id.index.to_be_bytes());
        key
    }
}

const WALL: u8 = 0;
const BOOT: u8 = 1;
const ANCHOR: u8 = 2;

/// What the keys of a group start with.
pub(crate) fn group_start(group: Group) -> Vec<u8> {
    match group {
        Group::Wall => vec![WALL],
        Group::Boot(boot) => tagged(BOOT, boot),
    }
}

fn tagged(tag: u8, boot: BootId) -> Vec<u8> {
    let mut key = Vec::with_capacity(45);
    key.push(tag);
    key.extend(boot.as_u128().to_be_bytes());
    key
}

/// The key of a boot's anchor.
pub(crate) fn anchor_key(boot: BootId) -> Vec<u8> {
    tagged(ANCHOR, boot)
}

/// Keeps what the clocks say, for the timers that a batch sets by the boot clock.
pub(crate) fn anchor_row(clocks: Clocks) -> Result<RowChange, rmp_serde::encode::Error> {
    let anchor = Anchor {
        wall: clocks.now,
        running: clocks.running_us(),
    };
    Ok(RowChange {
        table: Table::Timers,
        key: anchor_key(clocks.boot),
        value: Some(rmp_serde::to_vec(&anchor)?),
    })
}

/// The group and place of a timer's row, from its key; `None` for every other key.
pub(crate) fn timer_place(key: &[u8]) -> Option<(Group, Place)> {
    let (group, place) = match *key.first()? {
        WALL => (Group::Wall, key.get(1..)?),
        BOOT => {
            let boot = u128::from_be_bytes(key.get(1..17)?.try_into().ok()?);
            (Group::Boot(BootId::from_u128(boot)), key.get(17..)?)
        }
        _ => return None,
    };
    let number = |from: usize| {
        Some(u64::from_be_bytes(
            place.get(from..from + 8)?.try_into().ok()?,
        ))
    };
    let place = Place {
        order: (number(0)? ^ (1 << 63)).cast_signed(),
        actor: ActorNumber::new(number(8)?)?,
        id: TimerId {
            entry: number(16)?,
            index: u32::from_be_bytes(place.get(24..28)?.try_into().ok()?),
        },
    };
    Some((group, place))
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
    for (index, change) in changes.iter().enumerate() {
        if is_forgotten(change, changes.get(index + 1..).unwrap_or_default()) {
            continue;
        }
        rows.push(match change {
            Change::TimerSet(timer) => RowChange {
                table: Table::Timers,
                key: Place::new(&timer.due, number, timer.id).key(timer.due.group()),
                value: Some(rmp_serde::to_vec(&TimerRow {
                    actor: actor.clone(),
                    kind: kind.to_owned(),
                    timer: timer.clone(),
                })?),
            },
            Change::TimerGone { id, due } => RowChange {
                table: Table::Timers,
                key: Place::new(due, number, *id).key(due.group()),
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

/// Mistakes: which rows are not written.
fn is_forgotten(change: &Change, rest: &[Change]) -> bool {
    if matches!(change, Change::EffectGone { .. }) {
        return mutant!("outcome_twice");
    }
    let sends = |change: &Change| matches!(change, Change::MessageSent(_));
    mutant!("message_dropped") && sends(change) && !rest.iter().any(sends)
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
