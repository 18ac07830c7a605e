//! The fingerprint of a keyed command, by which a retry is told from another command with the same key.
//!
//! Invariant: equal commands have equal fingerprints, although a `HashMap` iterates in another order each time: the
//! entries of a map are hashed in the order of their encoded form. All else is hashed as `MessagePack` with field
//! names, byte for byte as by earlier versions, whose fingerprints lie in journals. A sequence keeps its order: a
//! `HashSet` cannot be told from a `Vec`.

use rmp_serde::config::{DefaultConfig, StructMapConfig};
use rmp_serde::encode::Error;
use rmp_serde::{MSGPACK_EXT_STRUCT_NAME, Serializer};
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer as Serialization,
};

use crate::model::Command;

/// Digest of a command's name and body, whatever the order of its maps.
pub(super) fn fingerprint<C: Command>(command: &C) -> Result<u128, Error> {
    let mut named = Serializer::new(start::<C>()).with_struct_map();
    command.serialize(Sorted(&mut named))?;
    Ok(digest(named.get_ref()))
}

/// The same with maps as they iterate: what versions before `fingerprint` have written.
pub(super) fn unsorted_fingerprint<C: Command>(command: &C) -> Result<u128, Error> {
    let mut bytes = start::<C>();
    rmp_serde::encode::write_named(&mut bytes, command)?;
    Ok(digest(&bytes))
}

fn start<C: Command>() -> Vec<u8> {
    let mut bytes = C::NAME.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn digest(bytes: &[u8]) -> u128 {
    let digest = *steadfast_journal::Hash::of(bytes).as_bytes();
    digest
        .iter()
        .take(16)
        .fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

type Named = Serializer<Vec<u8>, StructMapConfig<DefaultConfig>>;

/// Writes like the serializer it lends, but sorts the entries of maps.
struct Sorted<'a>(&'a mut Named);

impl Sorted<'_> {
    fn again(&mut self) -> Sorted<'_> {
        Sorted(self.0)
    }

    fn len(&self) -> usize {
        self.0.get_ref().len()
    }

    fn put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(self.again())
    }

    fn put_field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.0.serialize_str(name)?;
        self.put(value)
    }
}

/// What passes through as it is.
macro_rules! as_it_is {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.0.$method(value)
        })*
    };
}

impl<'a> Serialization for Sorted<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Sequence<'a>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Map<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    as_it_is! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name == MSGPACK_EXT_STRUCT_NAME {
            return self.0.serialize_newtype_struct(name, value);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.0.serialize_map(Some(1)).map(drop)?;
        self.put_field(variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Sequence<'a>, Error> {
        if len.is_some() {
            self.0.serialize_seq(len).map(drop)?;
        }
        let uncounted = len.is_none().then(|| (self.len(), 0));
        Ok(Sequence {
            out: self,
            uncounted,
        })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, Error> {
        self.0.serialize_tuple(len).map(drop)?;
        Ok(self)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self, Error> {
        self.0.serialize_tuple_struct(name, len).map(drop)?;
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, Error> {
        let head = self.0.serialize_tuple_variant(name, index, variant, len);
        head.map(drop)?;
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'a>, Error> {
        Ok(Map {
            start: self.len(),
            out: self,
            entries: Vec::new(),
        })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self, Error> {
        self.0.serialize_struct(name, len).map(drop)?;
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, Error> {
        let head = self.0.serialize_struct_variant(name, index, variant, len);
        head.map(drop)?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// A sequence: its elements in their order.
struct Sequence<'a> {
    out: Sorted<'a>,
    /// Where it starts and how many elements it has so far, if that was not said before them.
    uncounted: Option<(usize, usize)>,
}

impl SerializeSeq for Sequence<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if let Some((_, count)) = &mut self.uncounted {
            *count += 1;
        }
        self.out.put(value)
    }

    fn end(self) -> Result<(), Error> {
        let Some((start, count)) = self.uncounted else {
            return Ok(());
        };
        let Sorted(out) = self.out;
        let elements = out.get_mut().split_off(start);
        out.serialize_seq(Some(count)).map(drop)?;
        out.get_mut().extend_from_slice(&elements);
        Ok(())
    }
}

/// A map, whose entries are put in order when all are there.
struct Map<'a> {
    out: Sorted<'a>,
    start: usize,
    /// Where each entry starts, behind `start`.
    entries: Vec<usize>,
}

impl SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.entries.push(self.out.len() - self.start);
        self.out.put(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.out.put(value)
    }

    fn end(self) -> Result<(), Error> {
        let Sorted(out) = self.out;
        let bytes = out.get_mut().split_off(self.start);
        out.serialize_map(Some(self.entries.len())).map(drop)?;
        let ends = self.entries.iter().skip(1).copied().chain([bytes.len()]);
        let each = self.entries.iter().zip(ends);
        let mut sorted: Vec<&[u8]> = each.filter_map(|(from, to)| bytes.get(*from..to)).collect();
        sorted.sort_unstable();
        for entry in sorted {
            out.get_mut().extend_from_slice(entry);
        }
        Ok(())
    }
}

/// Compounds whose parts come in an order of their own.
macro_rules! in_order {
    ($($compound:ident::$method:ident),* $(,)?) => {
        $(impl $compound for Sorted<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.put(value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

in_order! {
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

/// Compounds with names, which are declared in an order of their own.
macro_rules! in_order_with_names {
    ($($compound:ident),* $(,)?) => {
        $(impl $compound for Sorted<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.put_field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })*
    };
}

in_order_with_names! { SerializeStruct, SerializeStructVariant }

#[cfg(test)]
mod tests;
