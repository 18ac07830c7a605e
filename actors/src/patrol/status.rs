//! Which status codes are as they should be: `200`, `"2xx"`, `"200-399"`, or a list of these.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Codes from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

/// The codes that there are.
const ALL: StatusRange = StatusRange {
    first: 100,
    last: 599,
};

impl StatusRange {
    /// Codes from `first` to `last`; `None` unless 100 ≤ `first` ≤ `last` ≤ 599.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        let fits = ALL.first <= first && first <= last && last <= ALL.last;
        fits.then_some(Self { first, last })
    }

    /// Whether it holds `status`.
    #[must_use]
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

/// Why a text stands for no status codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no status: write a code such as 200, a class such as \"2xx\", or a range such as \
     \"200-399\", between 100 and 599"
)]
pub struct InvalidStatus {
    text: String,
}

impl FromStr for StatusRange {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        let code = |text: &str| text.trim().parse::<u16>().ok();
        let read = if let Some(class) = text.strip_suffix("xx") {
            let first = code(class).and_then(|class| class.checked_mul(100));
            first.and_then(|first| Self::new(first, first.saturating_add(99)))
        } else {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            code(first)
                .zip(code(last))
                .and_then(|(first, last)| Self::new(first, last))
        };
        read.ok_or_else(|| InvalidStatus {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.first == self.last {
            serializer.serialize_u16(self.first)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangeVisitor)
    }
}

struct RangeVisitor;

impl de::Visitor<'_> for RangeVisitor {
    type Value = StatusRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a status code such as 200, a class such as \"2xx\", or a range such as \"200-399\"",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusRange, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, code: u64) -> Result<StatusRange, E> {
        code.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, code: i64) -> Result<StatusRange, E> {
        code.to_string().parse().map_err(E::custom)
    }
}

/// Status codes: any of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<StatusRange>);

impl Default for StatusSet {
    /// 200 to 399.
    fn default() -> Self {
        let (first, last) = (200, 399);
        Self(vec![StatusRange { first, last }])
    }
}

impl StatusSet {
    /// Any of these.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = StatusRange>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Whether it holds `status`.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(status))
    }

    /// How many ranges it is made of.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SetVisitor)
    }
}

struct SetVisitor;

impl<'de> de::Visitor<'de> for SetVisitor {
    type Value = StatusSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as 200, \"2xx\" or \"200-399\", or an array of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusSet, E> {
        RangeVisitor.visit_str(text).map(|one| StatusSet(vec![one]))
    }

    fn visit_u64<E: de::Error>(self, code: u64) -> Result<StatusSet, E> {
        RangeVisitor.visit_u64(code).map(|one| StatusSet(vec![one]))
    }

    fn visit_i64<E: de::Error>(self, code: i64) -> Result<StatusSet, E> {
        RangeVisitor.visit_i64(code).map(|one| StatusSet(vec![one]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<StatusSet, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = items.next_element()? {
            all.push(one);
        }
        Ok(StatusSet(all))
    }
}
