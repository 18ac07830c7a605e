//! What one command leaves behind: an [`Entry`], and the form in which it is handed to the writer.
//!
//! The journal moves events, replies and operations as opaque bytes; only their owner decodes them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Error;
use crate::frame::EntryRef;
use crate::ids::{ActorNumber, CommitIndex, EntryNumber, SequenceNumber};

/// One command that changed something, with everything it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The actor it belongs to.
    pub actor: ActorNumber,
    /// Dense number within that actor.
    pub number: EntryNumber,
    /// How many events the actor had before this entry: the first event here has this number plus 1.
    pub events_before: u64,
    /// Name and kind of the actor, in its first entry only.
    pub birth: Option<Birth>,
    /// Wall clock when the command started, in microseconds since 1970.
    pub time_us: i64,
    /// Seed of the random numbers that the command was given.
    pub seed: u64,
    /// The command, where a command caused this entry.
    pub command: Option<CommandStamp>,
    /// What was decided, in order; may be empty.
    pub events: Vec<EventRecord>,
    /// Timers, effects and messages set or consumed, encoded by the runtime; empty where there are none.
    pub operations: ByteBuf,
    /// The event that led to this entry, as `ACTOR@SEQ`.
    pub cause: Option<String>,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
}

impl Entry {
    /// How many events the actor has after this entry.
    #[must_use]
    pub fn events_after(&self) -> u64 {
        self.events_before.saturating_add(self.events.len() as u64)
    }

    /// Sequence numbers and events of this entry, in order.
    pub fn numbered_events(&self) -> impl Iterator<Item = (SequenceNumber, &EventRecord)> {
        (self.events_before.saturating_add(1)..)
            .filter_map(SequenceNumber::new)
            .zip(self.events.iter())
    }
}

/// Name and kind of a new actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// `SPACE/KEY`.
    pub id: String,
    /// Stable name of the actor's kind.
    pub kind: String,
}

/// Which command it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandStamp {
    /// Stable name.
    pub name: Cow<'static, str>,
    /// Identifies this one command.
    pub id: u128,
    /// For a keyed command: what makes its retry recognisable.
    pub key: Option<KeyStamp>,
}

/// What is kept so that a keyed command takes effect once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStamp {
    /// The caller's key.
    pub key: String,
    /// Digest of the command's name and body: the same key with another body is refused.
    pub fingerprint: u128,
    /// The encoded reply, given again to each retry.
    pub reply: ByteBuf,
}

/// One event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Stable name.
    pub name: Cow<'static, str>,
    /// Version of its shape.
    pub version: u32,
    /// Encoded by the actor's owner.
    pub data: ByteBuf,
}

/// An entry as read back, with the commit that carried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The group commit it was part of.
    pub commit: CommitIndex,
    /// The entry.
    pub entry: Entry,
}

/// First byte of every encoded entry; a decoder refuses any other.
pub(crate) const ENTRY_FORMAT: u8 = 1;

/// Encodes an entry for the journal.
///
/// # Errors
/// [`Error::Encode`]; not expected for the fixed shape of an entry.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, Error> {
    let mut frame = Vec::with_capacity(capacity(entry));
    frame.push(ENTRY_FORMAT);
    rmp_serde::encode::write(&mut frame, entry).map_err(Error::Encode)?;
    Ok(frame)
}

/// At least what the frame of an ordinary entry takes: a frame is not moved while it is written.
fn capacity(entry: &Entry) -> usize {
    let event = |event: &EventRecord| event.name.len() + event.data.len() + 16;
    let key = |key: &KeyStamp| key.key.len() + key.reply.len() + 48;
    let command = |command: &CommandStamp| command.name.len() + command.key.as_ref().map_or(0, key);
    let birth = |birth: &Birth| birth.id.len() + birth.kind.len() + 16;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let fixed = 80;
    fixed
        + entry.events.iter().map(event).sum::<usize>()
        + entry.command.as_ref().map_or(0, command)
        + entry.birth.as_ref().map_or(0, birth)
        + entry.operations.len()
        + text(&entry.cause)
        + text(&entry.traceparent)
}

/// Decodes what [`encode_entry`] wrote.
///
/// # Errors
/// [`Error::Undecodable`] for another format byte, damaged bytes or trailing ones.
pub fn decode_entry(frame: &[u8]) -> Result<Entry, Error> {
    EntryRef::decode(frame).map(|entry| entry.to_entry())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    #[test]
    fn an_entry_comes_back_and_nothing_may_follow_it() {
        let entry = sample("a", ActorNumber::FIRST, None, 3);
        let frame = encode_entry(&entry).unwrap();
        assert!(frame.len() <= capacity(&entry), "{} bytes", frame.len());
        assert_eq!(decode_entry(&frame).unwrap(), entry);
        for byte in 0..=u8::MAX {
            let longer = [frame.as_slice(), &[byte]].concat();
            assert!(decode_entry(&longer).is_err(), "followed by {byte:#04x}");
        }
        for cut in 0..frame.len() {
            assert!(decode_entry(&frame[..cut]).is_err(), "cut to {cut}");
        }
    }
}
