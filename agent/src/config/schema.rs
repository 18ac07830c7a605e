//! The JSON Schema of the config file, made by the reader itself: it reads an example that has every key,
//! each node keeps what the types wanted of it ([`Asked`]), and what is required is found by leaving it
//! out. So the schema cannot say anything else than the reader does.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::document::{Asked, Entry, Node, Value};
use super::environment::ANY;
use super::report::Report;
use super::{check, example, merge};

/// The schema, draft 2020-12.
pub(crate) fn schema() -> Json {
    let text = example::every_key();
    // Without a tree the schema would allow anything; a test keeps the examples readable.
    match (tree(&text), tree(&example::everything())) {
        (Some(every_key), Some(readable)) => Describer::new(every_key, readable, &text).file(),
        _ => Json::Bool(true),
    }
}

fn tree(text: &str) -> Option<Node> {
    let mut report = Report::default();
    let directory = Some("/etc/steadfast");
    merge(directory, text, std::iter::empty(), &mut report)
}

/// Every key that is no table of fixed names, with what it is for; a concern's name stands for all.
pub(super) fn leaves() -> Vec<(Vec<String>, String)> {
    let schema = schema();
    let mut found = Vec::new();
    collect(&schema, &[], &mut found);
    let kinds = schema.get("$defs").and_then(Json::as_object);
    for (_, concern) in kinds.into_iter().flatten() {
        collect(concern, &["concerns", ANY], &mut found);
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|(path, _)| {
        path.first().is_some_and(|name| name != "version") && seen.insert(path.clone())
    });
    found
}

fn collect(table: &Json, path: &[&str], found: &mut Vec<(Vec<String>, String)>) {
    let properties = table.get("properties").and_then(Json::as_object);
    for (name, described) in properties.into_iter().flatten() {
        let path = [path, &[name.as_str()]].concat();
        if described.get("properties").is_some() && path.len() < 2 {
            collect(described, &path, found);
        } else if path != ["concerns"] {
            let meaning = described.get("description").and_then(Json::as_str);
            let path = path.iter().map(|name| (*name).to_owned()).collect();
            found.push((path, meaning.unwrap_or_default().to_owned()));
        }
    }
}

struct Describer {
    /// Has every key there is.
    tree: Node,
    /// Has those that the reader takes together.
    readable: Node,
    words: BTreeMap<String, String>,
}

impl Describer {
    fn new(tree: Node, readable: Node, text: &str) -> Self {
        let words = example::descriptions(&tree, text);
        // Reading it notes what is wanted.
        is_accepted(tree.clone());
        Self {
            tree,
            readable,
            words,
        }
    }

    fn file(&self) -> Json {
        let mut file = self.describe(&self.tree);
        let mut kinds = Map::new();
        let concerns = self.tree.entry("concerns").map(|entry| &entry.node);
        for concern in concerns.map(Node::entries).unwrap_or_default() {
            if let Some(kind) = kind(&concern.node) {
                kinds.insert(kind.to_owned(), self.concern(&concern.node, kind));
            }
        }
        let one_of: Vec<_> = kinds
            .keys()
            .map(|kind| json!({ "$ref": format!("#/$defs/{kind}") }))
            .collect();
        let head = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "urn:steadfast:config:1",
            "title": "The configuration of a steadfast node",
        });
        merge_into(&mut file, head);
        set(&mut file, &["$defs"], Json::Object(kinds));
        set(&mut file, &["required"], json!(["version"]));
        set(
            &mut file,
            &["properties", "version"],
            json!({ "const": super::VERSION, "description": self.words.get("version") }),
        );
        let concerns = json!({
            "type": "object",
            "description": "What the node does: one table for each concern, by its name.",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" },
            "additionalProperties": { "oneOf": one_of },
        });
        set(&mut file, &["properties", "concerns"], concerns);
        file
    }

    fn concern(&self, concern: &Node, kind: &str) -> Json {
        let mut table = self.describe(concern);
        let described = json!({ "const": kind, "description": "What it does." });
        set(&mut table, &["properties", "kind"], described);
        if let Some(Json::Array(required)) = table.get_mut("required") {
            required.insert(0, json!("kind"));
        }
        table
    }

    fn describe(&self, node: &Node) -> Json {
        let Some(asked) = node.asked.get() else {
            return json!({});
        };
        let mut described = match asked {
            Asked::Text(words) => text(words),
            Asked::Boolean => json!({ "type": "boolean" }),
            Asked::Integer(least, most) => integer(*least, *most),
            Asked::Word(words) => json!({ "enum": words }),
            Asked::Own(words) => self.own(node, words),
            Asked::List => {
                let items = node.items().first().map(|item| self.describe(item));
                json!({ "type": "array", "items": items.unwrap_or(json!({})) })
            }
            Asked::Map => {
                let values = node
                    .entries()
                    .first()
                    .map(|entry| self.describe(&entry.node));
                json!({ "type": "object", "additionalProperties": values.unwrap_or(json!({})) })
            }
            Asked::Table(names) => self.table(node, names),
        };
        if let Some(words) = self.words.get(&node.key) {
            set(&mut described, &["description"], json!(words));
        }
        described
    }

    fn table(&self, table: &Node, names: &[&str]) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for name in names {
            let Some(Entry { node, .. }) = table.entry(name) else {
                properties.insert((*name).to_owned(), json!({}));
                continue;
            };
            properties.insert((*name).to_owned(), self.describe(node));
            let mut without = self.readable.clone();
            without.cut(&node.key);
            let is_optional = is_accepted(without);
            if !is_optional {
                required.push(*name);
            }
        }
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// A type with a reader of its own: the type of the example, and a number or a boolean where that is
    /// taken too. One that would take anything says nothing.
    fn own(&self, node: &Node, words: &str) -> Json {
        let takes = |value: Value| {
            let mut with = self.readable.clone();
            let found = find(&mut with, &node.key).map(|node| node.value = value);
            found.is_some() && is_accepted(with)
        };
        let own = match &node.value {
            Value::Text(_) => "string",
            Value::Integer(_) => "integer",
            Value::Float(_) => "number",
            Value::Boolean(_) => "boolean",
            // One that takes a list takes a text as well: else it would not need a reader of its own.
            Value::Array(_) => return json!({ "type": ["array", "string"], "$comment": words }),
            Value::Datetime | Value::Table(_) => return json!({}),
        };
        if words.starts_with("any ") || words.contains("tagged enum") {
            return json!({});
        }
        let others = [
            ("integer", takes(Value::Integer(1))),
            ("boolean", takes(Value::Boolean(true))),
        ];
        let mut types = vec![own];
        types.extend(
            others
                .iter()
                .filter(|(name, taken)| *taken && *name != own)
                .map(|(name, _)| *name),
        );
        json!({ "type": types, "$comment": words })
    }
}

/// Whether the reader takes this.
fn is_accepted(mut tree: Node) -> bool {
    let mut report = Report::default();
    check(&mut tree, &mut report).is_some() && report.is_empty()
}

fn kind(concern: &Node) -> Option<&str> {
    if let Value::Text(kind) = &concern.entry("kind")?.node.value {
        Some(kind)
    } else {
        None
    }
}

fn text(words: &str) -> Json {
    match words {
        "a string" => json!({ "type": "string" }),
        words => json!({ "type": "string", "$comment": words }),
    }
}

/// The limits of 64 bits are those of TOML itself.
fn integer(least: i128, most: i128) -> Json {
    let mut described = json!({ "type": "integer" });
    if let Ok(least) = i64::try_from(least) {
        set(&mut described, &["minimum"], json!(least));
    }
    if let Ok(most) = i64::try_from(most) {
        set(&mut described, &["maximum"], json!(most));
    }
    described
}

/// The node of this key.
fn find<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    if node.key == key {
        return Some(node);
    }
    match &mut node.value {
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, key)),
        Value::Table(entries) => entries
            .iter_mut()
            .find_map(|entry| find(&mut entry.node, key)),
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime => None,
    }
}

/// Puts a value at this path, making objects on the way.
fn set(object: &mut Json, path: &[&str], value: Json) {
    let Some((name, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    if let Json::Object(entries) = object {
        let inner = entries
            .entry(*name)
            .or_insert_with(|| Json::Object(Map::new()));
        set(inner, rest, value);
    }
}

/// Puts `head` before what `object` has.
fn merge_into(object: &mut Json, head: Json) {
    let (Json::Object(entries), Json::Object(mut all)) = (&mut *object, head) else {
        return;
    };
    all.append(entries);
    *object = Json::Object(all);
}
