//! Encoded values in a form that can be compared and shown: `MessagePack` whose maps are sorted.
//!
//! A `HashMap` encodes its entries in another order each time and is equal all the same. A sequence
//! keeps its order: a `HashSet` cannot be told from a `Vec`, so a state should hold a `BTreeSet`.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A value as far as its encoding tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Canonical {
    Nil,
    Bool(bool),
    Negative(i64),
    Unsigned(u64),
    /// The bits, so that NaN equals itself.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Canonical {
    /// Reads one encoded value.
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Encodes `value` as the runtime does and reads that.
    pub(super) fn of(value: &impl Serialize) -> Result<Self, String> {
        let bytes = rmp_serde::to_vec_named(value).map_err(|error| error.to_string())?;
        Self::of_bytes(&bytes)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nil => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Negative(value) => Value::from(*value),
            Self::Unsigned(value) => Value::from(*value),
            Self::Float(bits) => Value::from(f64::from_bits(*bits)),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Bytes(bytes) => Value::from(bytes.as_slice()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let shown = entries
                    .iter()
                    .map(|(key, value)| (key.text(), value.to_json()));
                Value::Object(shown.collect())
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Nil
            | Self::Bool(_)
            | Self::Negative(_)
            | Self::Unsigned(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::List(_)
            | Self::Map(_) => self.to_json().to_string(),
        }
    }
}

/// Shown as JSON.
impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

impl<'de> Deserialize<'de> for Canonical {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Canonical;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Canonical, E> {
        Ok(Canonical::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Canonical, E> {
        Ok(u64::try_from(value).map_or(Canonical::Negative(value), Canonical::Unsigned))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Canonical, E> {
        Ok(Canonical::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Canonical, E> {
        Ok(Canonical::Float(value.to_bits()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Canonical, E> {
        Ok(Canonical::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Canonical, E> {
        Ok(Canonical::Bytes(value.to_vec()))
    }

    fn visit_unit<E>(self) -> Result<Canonical, E> {
        Ok(Canonical::Nil)
    }

    fn visit_none<E>(self) -> Result<Canonical, E> {
        Ok(Canonical::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Canonical, D::Error> {
        Canonical::deserialize(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Canonical, D::Error> {
        Canonical::deserialize(inner)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Canonical, S::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Canonical::List(list))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Canonical, M::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        map.sort();
        Ok(Canonical::Map(map))
    }
}
