//! The configuration as a tree in which every node knows its key and where it was written.
//!
//! It stands between TOML and the typed sections because the environment has to be laid over the file
//! before either is checked, and a value must keep its place through that.

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeString, DeTable, DeValue};

use super::problem::{Place, Problem};
use super::report::Report;

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The dotted key, such as `concerns.tidy.paths[0]`. Empty for the root. Unique in its tree.
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Value,
    /// The text of an environment variable, for where text is wanted though it reads as TOML.
    pub(super) raw: Option<String>,
    /// What the reader wanted here: known once it was read, also to copies made before.
    pub(super) asked: Rc<OnceCell<Asked>>,
}

/// What a type wants of a node, in the words of serde.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A text; what it has to be, if more than that.
    Text(String),
    Boolean,
    /// A whole number between these.
    Integer(i128, i128),
    List,
    /// A table with free names.
    Map,
    /// A table with these names.
    Table(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// What the type says itself.
    Own(String),
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date, a time or both: nothing here wants one.
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

/// One name of a table and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the name was written.
    pub(super) place: Place,
    pub(super) node: Node,
}

/// Parses a file.
pub(super) fn parse(text: &str, report: &mut Report) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .iter()
        .map(|error| (error.span().unwrap_or_default(), error.message()));
    report_syntax(text, errors.collect(), report);
    let mut builder = Builder {
        variable: None,
        report,
    };
    let value = builder.table(table.into_inner(), "");
    Node {
        key: String::new(),
        place: Place::Bytes(0..0),
        value,
        raw: None,
        asked: Rc::default(),
    }
}

/// Each line's first error is reported; those after it mostly follow from it.
fn report_syntax(text: &str, mut errors: Vec<(Range<usize>, &str)>, report: &mut Report) {
    errors.sort_by_key(|(span, _)| span.start);
    // Where the line ends that was reported last.
    let mut line_end = None;
    for (span, message) in errors {
        if report.is_full() || line_end.is_some_and(|end| span.start <= end) {
            continue;
        }
        let rest = text.as_bytes().get(span.start..).unwrap_or_default();
        let rest_of_line = rest.iter().take_while(|byte| **byte != b'\n').count();
        line_end = Some(span.start.saturating_add(rest_of_line));
        report.add(Problem::new("", Place::Bytes(span), message));
    }
}

/// The value of an environment variable: TOML where it reads as such, else text.
pub(super) fn parse_variable(variable: &str, text: &str, key: String, report: &mut Report) -> Node {
    let mut builder = Builder {
        variable: Some(variable),
        report,
    };
    let value = match DeValue::parse(text.trim()) {
        Ok(value) => builder.value(value.into_inner(), &key, 0..0),
        Err(_) => Value::Text(text.to_owned()),
    };
    let place = Place::Variable(variable.to_owned());
    Node {
        key,
        place,
        value,
        raw: Some(text.to_owned()),
        asked: Rc::default(),
    }
}

/// The key of `name` in the table with the key `table`.
pub(super) fn join(table: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let quoted = match name {
        "" => "\"\"".to_owned(),
        _ if name.chars().all(is_bare) => name.to_owned(),
        _ => format!("{name:?}"),
    };
    if table.is_empty() {
        quoted
    } else {
        format!("{table}.{quoted}")
    }
}

struct Builder<'a> {
    /// The variable that is read, if not the file.
    variable: Option<&'a str>,
    report: &'a mut Report,
}

impl Builder<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        match self.variable {
            Some(name) => Place::Variable(name.to_owned()),
            None => Place::Bytes(span),
        }
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, key: String) -> Node {
        let span = value.span();
        let place = self.place(span.clone());
        let value = self.value(value.into_inner(), &key, span);
        Node {
            key,
            place,
            value,
            raw: None,
            asked: Rc::default(),
        }
    }

    fn value(&mut self, value: DeValue<'_>, key: &str, span: Range<usize>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(digits) => self.integer(&digits, key, span),
            // The grammar of TOML's floats is a subset of what `f64` reads.
            DeValue::Float(digits) => Value::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(yes) => Value::Boolean(yes),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => self.array(items, key),
            DeValue::Table(table) => self.table(table, key),
        }
    }

    fn integer(&mut self, digits: &DeInteger<'_>, key: &str, span: Range<usize>) -> Value {
        let read = i64::from_str_radix(digits.as_str(), digits.radix());
        if read.is_err() {
            let message = format!("{digits} is out of range: TOML's whole numbers have 64 bits");
            self.report
                .add(Problem::new(key, self.place(span), message));
        }
        Value::Integer(read.unwrap_or_default())
    }

    fn array(&mut self, items: DeArray<'_>, key: &str) -> Value {
        let items = items.into_iter().enumerate();
        Value::Array(
            items
                .map(|(at, item)| self.node(item, format!("{key}[{at}]")))
                .collect(),
        )
    }

    fn table(&mut self, table: DeTable<'_>, key: &str) -> Value {
        let entry = |(name, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
            let place = self.place(name.span());
            let name = name.into_inner().into_owned();
            Entry {
                node: self.node(value, join(key, &name)),
                name,
                place,
            }
        };
        Value::Table(table.into_iter().map(entry).collect())
    }
}

impl Node {
    /// An empty table.
    pub(super) fn table(key: String, place: Place) -> Self {
        Self {
            key,
            place,
            value: Value::Table(Vec::new()),
            raw: None,
            asked: Rc::default(),
        }
    }

    /// Its entries; none where it is no table.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value {
            entries
        } else {
            &[]
        }
    }

    /// Its entries, to be changed; `None` where it is no table.
    pub(super) fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        if let Value::Table(entries) = &mut self.value {
            Some(entries)
        } else {
            None
        }
    }

    /// The entry `name` of a table.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    /// The value of the entry `name` of a table, to be changed.
    pub(super) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        let mut entries = self.entries_mut()?.iter_mut();
        entries
            .find(|entry| entry.name == name)
            .map(|entry| &mut entry.node)
    }

    /// Takes the entry `name` out of a table.
    pub(super) fn take(&mut self, name: &str) -> Option<Entry> {
        let entries = self.entries_mut()?;
        let at = entries.iter().position(|entry| entry.name == name)?;
        Some(entries.swap_remove(at))
    }

    /// What it holds; nothing where it is no array.
    pub(super) fn items(&self) -> &[Self] {
        if let Value::Array(items) = &self.value {
            items
        } else {
            &[]
        }
    }

    /// Removes what is below this node and has this key. Whether there was such.
    pub(super) fn cut(&mut self, key: &str) -> bool {
        match &mut self.value {
            Value::Array(items) => {
                let before = items.len();
                items.retain(|item| item.key != key);
                items.len() < before || items.iter_mut().any(|item| item.cut(key))
            }
            Value::Table(entries) => {
                let before = entries.len();
                entries.retain(|entry| entry.node.key != key);
                entries.len() < before || entries.iter_mut().any(|entry| entry.node.cut(key))
            }
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime => false,
        }
    }

    /// All texts in this tree, to be looked at or changed.
    pub(super) fn for_each_text(&mut self, visit: &mut impl FnMut(&str, &Place, &mut String)) {
        match &mut self.value {
            Value::Text(text) => visit(&self.key, &self.place, text),
            Value::Array(items) => {
                for item in items {
                    item.for_each_text(visit);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    entry.node.for_each_text(visit);
                }
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime => {}
        }
    }
}
