//! An entry where it lies: the borrowed form of an [`Entry`], and the one decoder of frames.
//!
//! A file of its own because a replay spends its time here: one pass over the bytes, and no allocation for an
//! entry of one event. The decoder takes exactly what the encoder writes: MessagePack arrays of fixed length.
//!
//! Invariant: what decodes here decodes to the same entry by the derived decoder of [`Entry`].

mod body;

use body::Body;

use crate::entry::{Birth, CommandStamp, ENTRY_FORMAT, Entry, EventRecord, KeyStamp};
use crate::error::Error;
use crate::ids::{ActorNumber, EntryNumber, SequenceNumber};

/// An [`Entry`] whose texts and bytes lie in the frame that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// The actor it belongs to.
    pub actor: ActorNumber,
    /// Dense number within that actor.
    pub number: EntryNumber,
    /// How many events the actor had before this entry.
    pub events_before: u64,
    /// Name and kind of the actor, in its first entry only.
    pub birth: Option<BirthRef<'a>>,
    /// Wall clock when the command started, in microseconds since 1970.
    pub time_us: i64,
    /// Seed of the random numbers that the command was given.
    pub seed: u64,
    /// The command, where a command caused this entry.
    pub command: Option<CommandRef<'a>>,
    /// What was decided, in order; may be empty.
    pub events: EventRefs<'a>,
    /// Timers, effects and messages set or consumed, encoded by the runtime.
    pub operations: &'a [u8],
    /// The event that led to this entry.
    pub cause: Option<&'a str>,
    /// W3C trace context of the caller.
    pub traceparent: Option<&'a str>,
}

/// A borrowed [`Birth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BirthRef<'a> {
    /// `SPACE/KEY`.
    pub id: &'a str,
    /// Stable name of the actor's kind.
    pub kind: &'a str,
}

/// A borrowed [`CommandStamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandRef<'a> {
    /// Stable name.
    pub name: &'a str,
    /// Identifies this one command.
    pub id: u128,
    /// For a keyed command: what makes its retry recognisable.
    pub key: Option<KeyRef<'a>>,
}

/// A borrowed [`KeyStamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRef<'a> {
    /// The caller's key.
    pub key: &'a str,
    /// Digest of the command's name and body.
    pub fingerprint: u128,
    /// The encoded reply.
    pub reply: &'a [u8],
}

/// A borrowed [`EventRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRef<'a> {
    /// Stable name.
    pub name: &'a str,
    /// Version of its shape.
    pub version: u32,
    /// Encoded by the actor's owner.
    pub data: &'a [u8],
}

/// The events of an [`EntryRef`]; most entries have one, which needs no list.
#[derive(Debug, Clone)]
pub struct EventRefs<'a>(List<'a>);

#[derive(Debug, Clone)]
enum List<'a> {
    One(EventRef<'a>),
    Any(Vec<EventRef<'a>>),
}

impl<'a> std::ops::Deref for EventRefs<'a> {
    type Target = [EventRef<'a>];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            List::One(event) => std::slice::from_ref(event),
            List::Any(events) => events,
        }
    }
}

impl PartialEq for EventRefs<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for EventRefs<'_> {}

impl<'a> EntryRef<'a> {
    /// Decodes what [`encode_entry`](crate::encode_entry) wrote.
    ///
    /// # Errors
    /// [`Error::Undecodable`] for another format byte, damaged bytes or trailing ones.
    pub fn decode(frame: &'a [u8]) -> Result<Self, Error> {
        match frame.split_first() {
            Some((&ENTRY_FORMAT, rest)) => {
                let mut body = Body { rest };
                match body.entry() {
                    Some(entry) if body.rest.is_empty() => Ok(entry),
                    Some(_) => Err(undecodable("bytes follow its end".to_owned())),
                    None => {
                        let at = frame.len().saturating_sub(body.rest.len());
                        Err(undecodable(format!("it is damaged near byte {at}")))
                    }
                }
            }
            Some((format, _)) => Err(undecodable(format!("unknown format {format}"))),
            None => Err(undecodable("it is empty".to_owned())),
        }
    }

    /// How many events the actor has after this entry.
    #[must_use]
    pub fn events_after(&self) -> u64 {
        self.events_before.saturating_add(self.events.len() as u64)
    }

    /// Sequence numbers and events of this entry, in order.
    pub fn numbered_events(&self) -> impl Iterator<Item = (SequenceNumber, &EventRef<'a>)> {
        (self.events_before.saturating_add(1)..)
            .filter_map(SequenceNumber::new)
            .zip(self.events.iter())
    }

    /// A copy of its own.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        let owned = str::to_owned;
        Entry {
            actor: self.actor,
            number: self.number,
            events_before: self.events_before,
            birth: self.birth.map(|birth| Birth {
                id: birth.id.to_owned(),
                kind: birth.kind.to_owned(),
            }),
            time_us: self.time_us,
            seed: self.seed,
            command: self.command.map(CommandRef::to_stamp),
            events: self
                .events
                .iter()
                .copied()
                .map(EventRef::to_record)
                .collect(),
            operations: self.operations.to_vec().into(),
            cause: self.cause.map(owned),
            traceparent: self.traceparent.map(owned),
        }
    }
}

impl CommandRef<'_> {
    fn to_stamp(self) -> CommandStamp {
        CommandStamp {
            name: self.name.to_owned().into(),
            id: self.id,
            key: self.key.map(|key| KeyStamp {
                key: key.key.to_owned(),
                fingerprint: key.fingerprint,
                reply: key.reply.to_vec().into(),
            }),
        }
    }
}

impl EventRef<'_> {
    fn to_record(self) -> EventRecord {
        EventRecord {
            name: self.name.to_owned().into(),
            version: self.version,
            data: self.data.to_vec().into(),
        }
    }
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        let event = |event: &'a EventRecord| EventRef {
            name: &event.name,
            version: event.version,
            data: &event.data,
        };
        Self {
            actor: entry.actor,
            number: entry.number,
            events_before: entry.events_before,
            birth: entry.birth.as_ref().map(|birth| BirthRef {
                id: &birth.id,
                kind: &birth.kind,
            }),
            time_us: entry.time_us,
            seed: entry.seed,
            command: entry.command.as_ref().map(|command| CommandRef {
                name: &command.name,
                id: command.id,
                key: command.key.as_ref().map(KeyRef::from),
            }),
            events: EventRefs(match entry.events.as_slice() {
                [only] => List::One(event(only)),
                events => List::Any(events.iter().map(event).collect()),
            }),
            operations: &entry.operations,
            cause: entry.cause.as_deref(),
            traceparent: entry.traceparent.as_deref(),
        }
    }
}

impl<'a> From<&'a KeyStamp> for KeyRef<'a> {
    fn from(stamp: &'a KeyStamp) -> Self {
        Self {
            key: &stamp.key,
            fingerprint: stamp.fingerprint,
            reply: &stamp.reply,
        }
    }
}

fn undecodable(cause: String) -> Error {
    Error::Undecodable {
        what: "entry",
        cause,
    }
}

#[cfg(test)]
mod tests;
