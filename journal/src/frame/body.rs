//! The bytes of an entry, read from the front: MessagePack, as far as the encoder uses it.

use super::{BirthRef, CommandRef, EntryRef, EventRef, EventRefs, KeyRef, List};
use crate::ids::{ActorNumber, EntryNumber};

/// Stands for what is not there.
const NIL: u8 = 0xc0;
/// More events than this are made room for as they come: their number is not to be trusted yet.
const TRUSTED: usize = 64;

/// What is left to read. `None` everywhere means that it is no entry.
pub(super) struct Body<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Body<'a> {
    pub(super) fn entry(&mut self) -> Option<EntryRef<'a>> {
        self.array_of(11)?;
        Some(EntryRef {
            actor: ActorNumber::new(self.number()?)?,
            number: EntryNumber::new(self.number()?)?,
            events_before: self.number()?,
            birth: self.optional(Self::birth)?,
            time_us: self.signed()?,
            seed: self.number()?,
            command: self.optional(Self::command)?,
            events: self.events()?,
            operations: self.bytes()?,
            cause: self.optional(Self::text)?,
            traceparent: self.optional(Self::text)?,
        })
    }

    fn birth(&mut self) -> Option<BirthRef<'a>> {
        self.array_of(2)?;
        Some(BirthRef {
            id: self.text()?,
            kind: self.text()?,
        })
    }

    fn command(&mut self) -> Option<CommandRef<'a>> {
        self.array_of(3)?;
        Some(CommandRef {
            name: self.text()?,
            id: self.wide()?,
            key: self.optional(Self::key)?,
        })
    }

    fn key(&mut self) -> Option<KeyRef<'a>> {
        self.array_of(3)?;
        Some(KeyRef {
            key: self.text()?,
            fingerprint: self.wide()?,
            reply: self.bytes()?,
        })
    }

    fn events(&mut self) -> Option<EventRefs<'a>> {
        let count = self.array()?;
        if count == 1 {
            return Some(EventRefs(List::One(self.event()?)));
        }
        let mut events = Vec::with_capacity(count.min(TRUSTED));
        for _ in 0..count {
            events.push(self.event()?);
        }
        Some(EventRefs(List::Any(events)))
    }

    fn event(&mut self) -> Option<EventRef<'a>> {
        self.array_of(3)?;
        Some(EventRef {
            name: self.text()?,
            version: u32::try_from(self.number()?).ok()?,
            data: self.bytes()?,
        })
    }

    #[expect(
        clippy::option_option,
        reason = "the outer one means that it is no entry, as everywhere here"
    )]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if let Some((&NIL, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Some(None);
        }
        read(self).map(Some)
    }

    fn array_of(&mut self, length: usize) -> Option<()> {
        (self.array()? == length).then_some(())
    }

    fn array(&mut self) -> Option<usize> {
        match self.byte()? {
            marker @ 0x90..=0x9f => Some(usize::from(marker & 0x0f)),
            0xdc => self.length::<2>(),
            0xdd => self.length::<4>(),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = match self.byte()? {
            marker @ 0xa0..=0xbf => usize::from(marker & 0x1f),
            0xd9 => self.length::<1>()?,
            0xda => self.length::<2>()?,
            0xdb => self.length::<4>()?,
            _ => return None,
        };
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            0xc4 => self.length::<1>()?,
            0xc5 => self.length::<2>()?,
            0xc6 => self.length::<4>()?,
            _ => return None,
        };
        self.take(length)
    }

    /// A number of 128 bits, which is kept as 16 bytes.
    fn wide(&mut self) -> Option<u128> {
        let bytes = self.bytes()?.try_into().ok()?;
        Some(u128::from_be_bytes(bytes))
    }

    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            marker @ 0x00..=0x7f => Some(u64::from(marker)),
            0xcc => self.unsigned::<1>(),
            0xcd => self.unsigned::<2>(),
            0xce => self.unsigned::<4>(),
            0xcf => self.unsigned::<8>(),
            _ => None,
        }
    }

    fn signed(&mut self) -> Option<i64> {
        let (&marker, rest) = self.rest.split_first()?;
        if !matches!(marker, 0xd0..=0xd3 | 0xe0..=0xff) {
            return i64::try_from(self.number()?).ok();
        }
        self.rest = rest;
        match marker {
            0xd0 => Some(i64::from(i8::from_be_bytes(self.chunk()?))),
            0xd1 => Some(i64::from(i16::from_be_bytes(self.chunk()?))),
            0xd2 => Some(i64::from(i32::from_be_bytes(self.chunk()?))),
            0xd3 => Some(i64::from_be_bytes(self.chunk()?)),
            small => Some(i64::from(small.cast_signed())),
        }
    }

    fn length<const N: usize>(&mut self) -> Option<usize> {
        usize::try_from(self.unsigned::<N>()?).ok()
    }

    /// `N` bytes, at most 8, the greatest first.
    fn unsigned<const N: usize>(&mut self) -> Option<u64> {
        let bytes = self.chunk::<N>()?;
        let fold = |number: u64, byte: u8| number << 8 | u64::from(byte);
        Some(bytes.into_iter().fold(0, fold))
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*chunk)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
