//! What can go wrong, in the one form that every edge shows: bodies of HTTP answers (RFC 9457), the last
//! line on stderr, exit codes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::code::Row;
pub(crate) use crate::code::{Code, Exit};

/// One thing that went wrong: which sort, what exactly, and the command to run next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// Which sort.
    pub(crate) code: Code,
    /// What exactly, in a sentence for people.
    pub(crate) detail: String,
    /// The command to run next.
    pub(crate) hint: String,
    /// The single errors, where there are several.
    pub(crate) errors: Vec<Value>,
}

/// The shape in JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    code: String,
    exit_code: u8,
    hint: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Value>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: code.row().next.to_owned(),
            errors: Vec::new(),
        }
    }

    /// Names the command to run next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// As JSON on one line.
    pub(crate) fn to_json(&self) -> Value {
        let Row {
            slug,
            title,
            status,
            exit,
            ..
        } = self.code.row();
        let wire = Wire {
            kind: format!("urn:steadfast:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: self.detail.clone(),
            code: slug.to_owned(),
            exit_code: exit as u8,
            hint: self.hint.clone(),
            errors: self.errors.clone(),
        };
        // Strings and numbers: this cannot fail.
        serde_json::to_value(wire).unwrap_or_default()
    }

    /// A problem that another process sent.
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        let code = Code::from_slug(&wire.code).unwrap_or(Code::Failed);
        Some(Self {
            code,
            detail: wire.detail,
            hint: wire.hint,
            errors: wire.errors,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_json() {
        for code in Code::ALL {
            let problem = Problem::new(code, "what happened").hint("steadfast ps");
            let body = problem.to_json().to_string();
            assert_eq!(Problem::from_json(body.as_bytes()), Some(problem));
        }
    }

    #[test]
    fn slugs_are_unique() {
        for code in Code::ALL {
            assert_eq!(Code::from_slug(code.row().slug), Some(code));
        }
    }
}
