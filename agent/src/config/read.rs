//! From the tree to typed values, through serde.
//!
//! serde stops at the first error. To report all of them, the value that was refused is cut out of the
//! tree and the rest is read again: quadratic in the number of problems, which a report bounds.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::{Deserializer, forward_to_deserialize_any};
use steadfast_actors::concern::Settings;

use super::document::{Asked, Entry, Node, Value};
use super::problem::Problem;
use super::refusal::Refusal;
use super::report::Report;

/// Reads a `T`. `None` only if something was reported now or before.
pub(super) fn read<T: DeserializeOwned>(node: &mut Node, report: &mut Report) -> Option<T> {
    while !report.is_full() {
        let refusal = match T::deserialize(&*node) {
            Ok(value) => return Some(value),
            Err(refusal) => refusal,
        };
        let may_go_on = node.cut(refusal.key());
        if !report.has_refused(refusal.key()) {
            refusal
                .meant()
                .into_iter()
                .for_each(|key| report.excuse(key));
            report.add(refusal.into_problem());
        }
        if !may_go_on {
            return None;
        }
    }
    None
}

/// Reads the settings of a concern, and checks what types cannot.
pub(super) fn settings<S: Settings>(node: &mut Node, report: &mut Report) -> Option<S> {
    while !report.is_full() {
        let settings: S = read(node, report)?;
        let Err(error) = settings.check() else {
            return Some(settings);
        };
        let blamed = blame(node, error.key());
        let (key, place) = (blamed.key.clone(), blamed.place.clone());
        if report.has_refused(&key) {
            return None;
        }
        let label = format!("`{key}`");
        report.add(Problem::new(key.as_str(), place, error.problem()).label(label));
        if !node.cut(&key) {
            return None;
        }
    }
    None
}

/// What `key` reaches from `node`, such as `limits.files` or `paths[0]`, or the last on the way there:
/// what is left out has no place. Counts what is left of an array, as the settings' author does.
fn blame<'a>(node: &'a Node, key: &str) -> &'a Node {
    let mut reached = node;
    for step in key.split(['.', '[']) {
        let next = match step.strip_suffix(']').map(str::parse) {
            Some(Ok(at)) => reached.items().get::<usize>(at),
            Some(Err(_)) => None,
            None => reached.entry(step).map(|entry| &entry.node),
        };
        let Some(next) = next else { break };
        reached = next;
    }
    reached
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.value {
            Value::Text(text) => Unexpected::Str(text),
            Value::Integer(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Boolean(yes) => Unexpected::Bool(*yes),
            Value::Datetime => Unexpected::Other("a date or time"),
            Value::Array(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        }
    }

    /// Keeps what is wanted here, for those who describe the file. The first to ask is the type itself.
    fn note(&self, asked: impl FnOnce() -> Asked) {
        self.asked.get_or_init(asked);
    }

    fn refuse<T>(&self, expected: &str) -> Result<T, Refusal> {
        Err(Refusal::invalid_type(self.unexpected(), &expected).at(self))
    }

    /// As text: also what a variable holds that reads as something else.
    fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value {
            Some(text)
        } else {
            self.raw.as_deref()
        }
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.note(|| Asked::Integer(<$type>::MIN.into(), <$type>::MAX.into()));
            let fits = if let Value::Integer(number) = self.value {
                <$type>::try_from(number).ok()
            } else {
                None
            };
            match fits {
                Some(number) => visitor.$visit(number).map_err(|error: Refusal| error.at(self)),
                None => {
                    let (least, most) = (<$type>::MIN, <$type>::MAX);
                    self.refuse(&format!("a whole number from {least} to {most}"))
                }
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Own(words(&visitor)));
        let visited = match &self.value {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(yes) => visitor.visit_bool(*yes),
            Value::Datetime => Err(Refusal::invalid_type(self.unexpected(), &visitor)),
            Value::Array(items) => visitor.visit_seq(Items(items.iter())),
            Value::Table(entries) => visitor.visit_map(Entries::of(self, entries)),
        };
        visited.map_err(|error| error.at(self))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Text(words(&visitor)));
        match self.text() {
            Some(text) => visitor
                .visit_borrowed_str(text)
                .map_err(|error: Refusal| error.at(self)),
            None => self.refuse("a string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Boolean);
        let Value::Boolean(yes) = self.value else {
            return self.refuse("true or false");
        };
        visitor
            .visit_bool(yes)
            .map_err(|error: Refusal| error.at(self))
    }

    integers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    /// A variable that holds text stands for an array of one.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.note(|| Asked::List);
        let items = if let Value::Array(items) = &self.value {
            items.as_slice()
        } else if self.raw.is_some() && matches!(self.value, Value::Text(_)) {
            std::slice::from_ref(self)
        } else {
            return self.refuse("an array");
        };
        visitor
            .visit_seq(Items(items.iter()))
            .map_err(|error| error.at(self))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Map);
        let Value::Table(entries) = &self.value else {
            return self.refuse("a table");
        };
        let visited = visitor.visit_map(Entries::of(self, entries));
        visited.map_err(|error| error.at(self))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Table(fields));
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.note(|| Asked::Word(variants));
        let Some(text) = self.text() else {
            return self.refuse("a string");
        };
        let variant: StrDeserializer<'_, Refusal> = text.into_deserializer();
        visitor.visit_enum(variant).map_err(|error| error.at(self))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// What a visitor calls that which it wants.
fn words<'de>(visitor: &impl Visitor<'de>) -> String {
    let expected: &dyn Expected = visitor;
    expected.to_string()
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let one = |item| {
            seed.deserialize(item)
                .map_err(|error: Refusal| error.at(item))
        };
        self.0.next().map(one).transpose()
    }
}

struct Entries<'de> {
    table: &'de Node,
    rest: std::slice::Iter<'de, Entry>,
    /// The entry whose name was read last.
    current: Option<&'de Entry>,
}

impl<'de> Entries<'de> {
    fn of(table: &'de Node, entries: &'de [Entry]) -> Self {
        Self {
            table,
            rest: entries.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        self.current = self.rest.next();
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Refusal> = entry.name.as_str().into_deserializer();
        seed.deserialize(name)
            .map(Some)
            .map_err(|error| error.at_name(entry, self.table))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some(Entry { node, .. }) = self.current else {
            return Err(Refusal::custom("a value was asked for before its name"));
        };
        seed.deserialize(node).map_err(|error| error.at(node))
    }
}
