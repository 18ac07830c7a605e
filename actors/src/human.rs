//! Sizes and durations as people write them in a config file: `"20GiB"`, `"1h 30m"`.
//!
//! Invariant: both survive JSON and `MessagePack` unchanged. Text is exact (`1536` bytes are `"1536B"`,
//! not `"1.5 KiB"`), and formats that nobody reads get the plain number.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SpanRelativeTo;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[cfg(test)]
mod tests;

/// A number of bytes. In text `"20GiB"`, `"1.5MB"`, `"4096"`; a plain number is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// The units that [`Size`] is written in, largest first.
const UNITS: [(u32, &str); 5] = [
    (50, "PiB"),
    (40, "TiB"),
    (30, "GiB"),
    (20, "MiB"),
    (10, "KiB"),
];

impl Size {
    /// This many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1024³ bytes, or the largest size there is.
    #[must_use]
    pub const fn gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |&&(shift, _): &&(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= shift;
        match UNITS.iter().find(whole) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Why a text is neither a size nor a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidQuantity {
    /// It is no size.
    #[error("{text:?} is no size: write a number and a unit, such as \"20GiB\" or \"500MB\"")]
    Size {
        /// What was given.
        text: String,
    },
    /// It is no duration.
    #[error(
        "{text:?} is no duration: write numbers and units, such as \"90s\", \"1h 30m\" or \"7d\""
    )]
    Duration {
        /// What was given.
        text: String,
    },
    /// It has a unit without a fixed length.
    #[error("{text:?} has a unit whose length varies: write days instead of months and years")]
    Varying {
        /// What was given.
        text: String,
    },
    /// It is below zero or longer than a hundred years.
    #[error("{text:?} is out of range: a duration is between zero and 36500d")]
    Range {
        /// What was given.
        text: String,
    },
}

impl FromStr for Size {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let invalid = |_| InvalidQuantity::Size {
            text: text.to_owned(),
        };
        text.parse::<ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(invalid)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(SizeVisitor)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, such as \"20GiB\" or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes)
            .map(Size)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(bytes), &self))
    }
}

/// A length of time, in whole microseconds. In text `"90s"`, `"1h 30m"`, `"7d"`; a day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Longest [`Span`]: a hundred years. Sums with any time of ours cannot overflow.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

impl Span {
    /// This many seconds, at most a hundred years.
    #[must_use]
    pub fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs).min(LONGEST))
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.micros();
        let secs = micros / 1_000_000;
        let parts = [
            (secs / 86_400, "d"),
            (secs / 3_600 % 24, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
            (micros / 1_000 % 1_000, "ms"),
            (micros % 1_000, "us"),
        ];
        let mut separator = "";
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count}{unit}")?;
            separator = " ";
        }
        if micros == 0 {
            f.write_str("0s")
        } else {
            Ok(())
        }
    }
}

impl FromStr for Span {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let owned = || text.to_owned();
        let span: jiff::Span = text
            .parse()
            .map_err(|_| InvalidQuantity::Duration { text: owned() })?;
        let signed = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| InvalidQuantity::Varying { text: owned() })?;
        let exact =
            Duration::try_from(signed).map_err(|_| InvalidQuantity::Range { text: owned() })?;
        if exact > LONGEST {
            return Err(InvalidQuantity::Range { text: owned() });
        }
        Ok(Self(Duration::new(
            exact.as_secs(),
            exact.subsec_micros() * 1_000,
        )))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.micros())
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(SpanVisitor)
        } else {
            u64::deserialize(deserializer).map(|micros| Self(Duration::from_micros(micros)))
        }
    }
}

struct SpanVisitor;

impl de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"90s\" or \"1h 30m\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}
