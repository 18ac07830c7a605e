//! Names of projects: those that cargo takes, that Rust can say, and that are no crate the project uses.

use std::str::FromStr;

/// Names that cargo or Rust keep for themselves, and the crates that the project depends on.
const RESERVED: [&str; 16] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "new",
    "proc-macro",
    "proc_macro",
    "serde",
    "std",
    "steadfast",
    "tempfile",
    "test",
    "tests",
    "tokio",
];
/// Words of the language.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Longest name, as on the registry.
const LONGEST: usize = 64;

/// The name of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as Rust says it.
    pub(crate) fn of_crate(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let shape = "write 1 to 64 of a-z, 0-9, `-` and `_`, the first a letter";
        if !begins_well || text.len() > LONGEST || !text.chars().all(valid) {
            return Err(format!("{text:?} is not the name of a package: {shape}"));
        }
        if KEYWORDS.contains(&text) {
            return Err(format!("{text:?} is a word of Rust: choose another name"));
        }
        if RESERVED.contains(&text) {
            return Err(format!(
                "{text:?} is the name of a crate or directory that the project needs: choose another name"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for name in ["x", "shop", "my-shop", "shop_2", &"a".repeat(64)] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        assert_eq!("my-shop".parse::<Name>().unwrap().of_crate(), "my_shop");
        let wrong = [
            "",
            "-x",
            "_x",
            "2x",
            "X",
            "a b",
            "a.b",
            "a/b",
            "../x",
            "ä",
            "fn",
            "self",
            "test",
            "std",
            "steadfast",
            "tokio",
            &"a".repeat(65),
        ];
        for name in wrong {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }
}
