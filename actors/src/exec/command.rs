//! What is run: words for a program, or a text for a shell.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A command line: a list of words, or one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CommandLine {
    /// A program and its arguments, each given as it is.
    Words(Vec<String>),
    /// What `/bin/sh -c` is given.
    Script(String),
}

impl CommandLine {
    /// What is started, without what it is given.
    pub(super) fn program(&self) -> &str {
        match self {
            Self::Words(words) => words.first().map_or("", String::as_str),
            Self::Script(_) => "/bin/sh",
        }
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandVisitor)
    }
}

struct CommandVisitor;

impl<'de> de::Visitor<'de> for CommandVisitor {
    type Value = CommandLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of words, such as [\"ls\", \"-l\"]")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<CommandLine, E> {
        Ok(CommandLine::Script(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<CommandLine, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(CommandLine::Words(words))
    }
}

impl fmt::Display for CommandLine {
    /// For people: the words in quotes where they need them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script(text) => write!(f, "/bin/sh -c {text:?}"),
            Self::Words(words) => {
                let mut separator = "";
                for word in words {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
                    if !word.is_empty() && word.chars().all(plain) {
                        write!(f, "{separator}{word}")?;
                    } else {
                        write!(f, "{separator}{word:?}")?;
                    }
                    separator = " ";
                }
                Ok(())
            }
        }
    }
}
