//! What the agent says of its configuration: the schema agrees with the reader, the examples are valid and
//! describe every key, and what `config show` prints means the same as the file.

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::super::effective::Effective;
use super::super::{KINDS, Origin, Read, describe_variables, example, load, merge, schema, trace};
use super::read;

/// The schema, ready to judge files.
struct Judge(Schemas, SchemaIndex);

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("steadfast.json", schema()).unwrap();
        let index = compiler.compile("steadfast.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn accepts(&self, file: &str) -> bool {
        self.judge(file).is_ok()
    }

    /// What is wrong with it.
    fn judge(&self, file: &str) -> Result<(), String> {
        let value: toml::Table = toml::from_str(file).unwrap();
        let value = serde_json::to_value(value).unwrap();
        let judged = self.0.validate(&value, self.1);
        judged.map_err(|error| format!("{error:#}"))
    }
}

fn samples() -> Vec<String> {
    let mut all = vec![
        include_str!("../../../config/sample.toml").to_owned(),
        example(None).unwrap(),
        super::super::example::everything(),
        "version = 1".to_owned(),
    ];
    all.extend(KINDS.iter().map(|kind| example(Some(kind)).unwrap()));
    all
}

#[test]
fn the_reader_and_the_schema_accept_every_sample() {
    let judge = Judge::new();
    for sample in samples() {
        read(&sample).unwrap_or_else(|problems| panic!("{problems}\n{sample}"));
        assert_eq!(judge.judge(&sample), Ok(()), "{sample}");
    }
}

#[test]
fn every_kind_has_an_example_of_its_own() {
    for kind in KINDS {
        let text = example(Some(kind)).unwrap();
        let config = read(&text).unwrap();
        assert_eq!(config.concerns.len(), 1, "{kind}");
        assert_eq!(
            crate::kinds::configuration(&config.concerns[0].kind)
                .unwrap()
                .0,
            kind
        );
    }
    assert_eq!(
        read(&example(None).unwrap()).unwrap().concerns.len(),
        KINDS.len()
    );
    assert_eq!(example(Some("no-such-kind")), None);
}

/// Each table of the schema with the place in the file that it describes.
fn tables() -> Vec<(String, Value)> {
    let schema = schema();
    let mut found = vec![(String::new(), schema.clone())];
    for (name, section) in schema["properties"].as_object().unwrap() {
        if section["properties"].is_object() {
            found.push((format!("[{name}]\n"), section.clone()));
        }
    }
    for kind in KINDS {
        let text = example(Some(kind)).unwrap();
        let header = text
            .lines()
            .find(|line| line.starts_with("[concerns."))
            .unwrap();
        found.push((format!("{header}\n"), schema["$defs"][kind].clone()));
    }
    found
}

#[test]
fn the_schema_has_the_keys_of_the_reader_and_no_others() {
    for (header, table) in tables() {
        let mut keys: Vec<_> = table["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        if header.starts_with("[concerns") {
            // The kind is read before the settings are.
            keys.retain(|key| key != "kind");
        }
        let all = super::super::example::everything();
        let broken = if header.is_empty() {
            format!("zzzzzz = 1\n{all}")
        } else {
            all.replace(&header, &format!("{header}zzzzzz = 1\n"))
        };
        let problem = super::only_problem(&broken, &[]);
        let hint = problem["hint"].as_str().unwrap();
        let mut known: Vec<_> = hint
            .strip_prefix("valid keys: ")
            .unwrap()
            .split(", ")
            .map(str::to_owned)
            .collect();
        keys.sort();
        known.sort();
        assert_eq!(keys, known, "{header}");
        assert_eq!(table["additionalProperties"], json!(false), "{header}");
    }
}

#[test]
fn every_key_is_described_and_typed() {
    for (header, table) in tables() {
        for (key, described) in table["properties"].as_object().unwrap() {
            assert!(described["description"].is_string(), "{header}{key}");
            let has_type = ["type", "enum", "const"]
                .iter()
                .any(|word| described[*word] != Value::Null);
            assert!(has_type, "{header}{key}: {described}");
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_by_type() {
    let judge = Judge::new();
    let concern = "version = 1\n[concerns.a]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n";
    assert!(judge.accepts(concern));
    let wrong = [
        "version = 2",
        "node.name = \"x\"",
        "version = 1\nnode = 1",
        "version = 1\nnodes.name = \"x\"",
        "version = 1\nnode.name = 1",
        "version = 1\nhttp.listen = \"127.0.0.1:1\"",
        "version = 1\ntelemetry.log = \"loud\"",
        "version = 1\nnode.labels.a = 1",
        "version = 1\n[concerns.a]\nkind = \"cleanup\"\n",
        "version = 1\n[concerns.a]\npaths = [\"/a/*\"]\n",
        "version = 1\n[concerns.a]\nkind = \"unknown\"\npaths = [\"/a/*\"]\n",
        "version = 1\n[concerns.\"a b\"]\nkind = \"cleanup\"\npaths = [\"/a/*\"]\n",
    ];
    let more = [
        "keep_newest = -1",
        "dry_run = 1",
        "every = 5",
        "limits = 1",
        "limits.x = 1",
    ];
    let more = more.map(|line| format!("{concern}{line}\n"));
    for file in wrong.map(str::to_owned).iter().chain(&more) {
        assert!(read(file).is_err(), "{file}");
        assert!(!judge.accepts(file), "{file}");
    }
    // A size may also be a number, as the reader has it.
    for line in [
        "limits.bytes = 1",
        "limits.bytes = \"1GiB\"",
        "limits.files = 1",
    ] {
        let file = format!("{concern}{line}\n");
        assert!(read(&file).is_ok() && judge.accepts(&file), "{line}");
    }
}

fn show(path: &Path, variables: &[(&str, &str)]) -> Effective {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    trace(path, variables.iter().map(owned)).unwrap()
}

#[test]
fn what_is_shown_means_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for (number, sample) in samples().iter().enumerate() {
        let path = directory.path().join("steadfast.toml");
        fs::write(&path, sample).unwrap();
        let config = load(&path, std::iter::empty()).unwrap();
        for with_origin in [false, true] {
            let shown = show(&path, &[]).to_toml(with_origin);
            let again = directory.path().join("again.toml");
            fs::write(&again, &shown).unwrap();
            let values = show(&again, &[]).to_toml(false);
            assert_eq!(values, show(&path, &[]).to_toml(false), "sample {number}");
            if !shown.contains("***") {
                assert_eq!(read(&shown).unwrap(), config, "sample {number}:\n{shown}");
            }
        }
    }
}

#[test]
fn every_value_says_where_it_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("steadfast.toml");
    let text = "version = 1\n[node.labels]\na = \"1\"\n\"b c\" = \"2\"\n[defaults]\nmissed = \"skip\"\n\
        [concerns.logs]\nkind = \"cleanup\"\npaths = [\"./x/*\"]\nlimits.files = 7\n";
    fs::write(&path, text).unwrap();
    let variables = [
        ("STEADFAST__NODE__LABELS__A", "over"),
        ("STEADFAST__TELEMETRY", "{ log = \"json\" }"),
    ];
    let shown = show(&path, &variables);
    let line = |key: &str| {
        let found = shown.lines.iter().find(|line| line.key() == key);
        found.unwrap_or_else(|| panic!("no {key} in {}", shown.to_toml(true)))
    };
    let file = |line, inherited| Origin::File {
        file: path.display().to_string(),
        line,
        inherited,
    };
    let variable = |name: &str| Origin::Variable(name.to_owned());
    let cases = [
        ("version", file(1, false)),
        ("node.data_dir", Origin::Default),
        ("node.labels.a", variable("STEADFAST__NODE__LABELS__A")),
        ("node.labels.\"b c\"", file(4, false)),
        ("http.listen", Origin::Default),
        ("telemetry.log", variable("STEADFAST__TELEMETRY")),
        ("concerns.logs.kind", file(8, false)),
        ("concerns.logs.paths", file(9, false)),
        ("concerns.logs.missed", file(6, true)),
        ("concerns.logs.limits.files", file(10, false)),
        ("concerns.logs.limits.bytes", Origin::Default),
        ("concerns.logs.every", Origin::Default),
    ];
    for (key, origin) in cases {
        assert_eq!(line(key).origin, origin, "{key}");
    }
    assert_eq!(line("concerns.logs.every").value, None);
    assert_eq!(
        line("concerns.logs.limits.bytes").value,
        Some(json!("20GiB"))
    );
    let paths = json!([format!(
        "{}/x/*",
        directory.path().canonicalize().unwrap().display()
    )]);
    assert_eq!(line("concerns.logs.paths").value, Some(paths));
    let text = shown.to_toml(true);
    assert!(text.contains("# every is not set"), "{text}");
    assert!(
        text.contains(&format!("# {}:6, [defaults]", path.display())),
        "{text}"
    );
}

#[test]
fn secrets_are_masked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("steadfast.toml");
    let text = "version = 1\n[node.labels]\napi-key = \"hush\"\nPassword = \"hush\"\ntoken_file = \"/t\"\n\
        url = \"https://me:hush@example.com/x?y=@z\"\nplain = \"a@b\"\n\
        [concerns.n]\nkind = \"exec\"\ncommand = [\"x\"]\nenv = { A = \"hush\" }\nstdin = \"hush\"\n";
    fs::write(&path, text).unwrap();
    let shown = show(&path, &[("STEADFAST__NODE__LABELS__SECRET", "hush")]).to_toml(true);
    assert!(!shown.contains("hush"), "{shown}");
    for kept in ["\"/t\"", "\"https://***@example.com/x?y=@z\"", "\"a@b\""] {
        assert!(shown.contains(kept), "{kept} in {shown}");
    }
}

#[test]
fn the_variables_are_those_of_the_keys() {
    let all = describe_variables();
    for name in [
        "STEADFAST__NODE__NAME",
        "STEADFAST__HTTP__LISTEN",
        "STEADFAST__DEFAULTS__MISSED",
        "STEADFAST__CONCERNS__<NAME>__PATHS",
        "STATE_DIRECTORY",
    ] {
        let found = all.iter().find(|variable| variable.name == name);
        assert!(
            found.is_some_and(|variable| !variable.meaning.is_empty()),
            "{name}"
        );
    }
    let ours = all
        .iter()
        .filter(|variable| variable.name.starts_with("STEADFAST__"));
    for variable in ours {
        // Whatever it says, some kind knows it: an unknown one is refused by name.
        let known = KINDS.iter().any(|kind| knows(kind, &variable.name));
        assert!(known, "{}", variable.name);
    }
}

/// Whether the example of `kind` takes this variable, whatever it says.
fn knows(kind: &str, variable: &str) -> bool {
    let text = example(Some(kind)).unwrap();
    let (_, rest) = text.split_once("[concerns.").unwrap();
    let (concern, _) = rest.split_once(']').unwrap();
    let concern = concern.to_uppercase().replace('-', "_");
    let name = variable.replace("<NAME>", &concern);
    let value = if name.ends_with("__KIND") {
        format!("{kind:?}")
    } else {
        "zzzzzz".to_owned()
    };
    let mut report = super::super::report::Report::default();
    let tree = merge(
        Some(super::DIRECTORY),
        &text,
        [(name, value)].into_iter(),
        &mut report,
    );
    if let Some(mut tree) = tree {
        super::super::check(&mut tree, &mut report);
    }
    let problems = report.into_problems();
    problems
        .iter()
        .all(|problem| !problem.message.contains("unknown key"))
}

#[test]
fn reading_a_file_keeps_it() {
    let Read { config, text, .. } = super::super::parse_tree(
        "steadfast.toml",
        Some(super::DIRECTORY),
        "version = 1\n".to_owned(),
        std::iter::empty(),
    )
    .unwrap();
    assert_eq!(text, "version = 1\n");
    assert_eq!(config, read(&text).unwrap());
}
