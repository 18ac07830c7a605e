//! Why a value does not fit its type: serde's errors, with the place that serde does not know.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::document::{Entry, Node, join};
use super::problem::{Place, Problem};
use super::{environment, planned, suggest};

/// What serde or a type said.
#[derive(Debug)]
enum Fault {
    UnknownKey {
        name: String,
        valid: &'static [&'static str],
    },
    UnknownValue {
        given: String,
        valid: &'static [&'static str],
    },
    Missing {
        name: &'static str,
    },
    Message(String),
}

/// One value that does not fit.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The key that is wrong. For an unknown key that key, for a missing one that one's.
    key: String,
    /// The table that an unknown key is in.
    table: String,
    /// `None` until the error has passed the node it is about.
    place: Option<Place>,
    fault: Fault,
}

impl Refusal {
    fn new(fault: Fault) -> Self {
        Self {
            key: String::new(),
            table: String::new(),
            place: None,
            fault,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Says that it is about this node, unless something inside it was blamed already.
    pub(super) fn at(mut self, node: &Node) -> Self {
        if self.place.is_none() {
            self.place = Some(node.place.clone());
            self.key = match &self.fault {
                Fault::Missing { name } => join(&node.key, name),
                Fault::UnknownKey { .. } | Fault::UnknownValue { .. } | Fault::Message(_) => {
                    node.key.clone()
                }
            };
        }
        self
    }

    /// Says that it is about the name of this entry, in this table.
    pub(super) fn at_name(self, entry: &Entry, table: &Node) -> Self {
        let place = Some(entry.place.clone());
        Self {
            key: entry.node.key.clone(),
            table: table.key.clone(),
            place,
            ..self
        }
    }

    /// The key that was probably meant by an unknown one.
    pub(super) fn meant(&self) -> Option<String> {
        let Fault::UnknownKey { name, valid } = &self.fault else {
            return None;
        };
        suggest::nearest(name, valid).map(|near| join(&self.table, near))
    }

    pub(super) fn into_problem(self) -> Problem {
        let Self {
            key,
            table,
            place,
            fault,
        } = self;
        let place = place.unwrap_or(Place::File);
        match fault {
            Fault::UnknownKey { name, valid } => unknown_key(key, &table, place, &name, valid),
            Fault::UnknownValue { given, valid } => unknown_value(key, place, &given, valid),
            Fault::Missing { name } => Problem::new(key, place, format!("`{name}` is missing"))
                .label(format!("has no `{name}`")),
            Fault::Message(message) => {
                let label = format!("`{key}`");
                Problem::new(key, place, message).label(label)
            }
        }
    }
}

fn unknown_key(key: String, table: &str, place: Place, name: &str, valid: &[&str]) -> Problem {
    if let Some(meanwhile) = planned::key(table, name) {
        let message = format!("`{key}` is not available in this version");
        return Problem::new(key, place, message)
            .label("leave it out")
            .hint(meanwhile);
    }
    let hint = match (&place, suggest::nearest(name, valid)) {
        (Place::Variable(variable), Some(near)) => {
            format!(
                "did you mean {}?",
                environment::sibling(variable, name, near)
            )
        }
        _ => suggest::instead(name, valid, "keys"),
    };
    let label = match table {
        "" => "not a key of this file".to_owned(),
        _ => format!("not a key of `{table}`"),
    };
    let message = format!("unknown key `{key}`");
    Problem::new(key, place, message).label(label).hint(hint)
}

fn unknown_value(key: String, place: Place, given: &str, valid: &[&str]) -> Problem {
    let label = format!("`{key}`");
    let (message, hint) = if planned::is_value(&key, given) {
        let available = format!("available: {}", valid.join(", "));
        (
            format!("{given:?} is not available in this version"),
            available,
        )
    } else {
        (
            format!("unknown value {given:?}"),
            suggest::instead(given, valid, "values"),
        )
    };
    Problem::new(key, place, message).label(label).hint(hint)
}

/// What a value is, in TOML's words.
fn describe(found: Unexpected<'_>) -> String {
    if matches!(found, Unexpected::Seq) {
        "an array".to_owned()
    } else if matches!(found, Unexpected::Map) {
        "a table".to_owned()
    } else {
        found.to_string()
    }
}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Fault::Message(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", describe(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Fault::UnknownValue {
            given: variant.to_owned(),
            valid: expected,
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Fault::UnknownKey {
            name: field.to_owned(),
            valid: expected,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fault::Missing { name: field })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

impl de::StdError for Refusal {}
