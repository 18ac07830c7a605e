//! What is wrong with a configuration, shown to a person with line and caret, and to a script as JSON.
//!
//! Invariant: a span is clamped to the text and to character borders before it is rendered, since a
//! report about a broken file must not break itself.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

/// Where a value or a problem was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file as a whole.
    File,
    /// These bytes of the file.
    Bytes(Range<usize>),
    /// The environment variable of this name.
    Variable(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The dotted key, such as `concerns.tidy.paths[0]`; empty where it is about the whole file.
    pub(super) key: String,
    pub(super) place: Place,
    /// What is wrong.
    pub(super) message: String,
    /// What stands beside the carets; may be empty.
    pub(super) label: String,
    /// What to do about it; may be empty.
    pub(super) hint: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, place: Place, message: impl Into<String>) -> Self {
        let (label, hint) = (String::new(), String::new());
        Self {
            key: key.into(),
            place,
            message: message.into(),
            label,
            hint,
        }
    }

    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }

    /// File first, from top to bottom; then the environment by name.
    fn position(&self) -> (u8, usize, &str) {
        match &self.place {
            Place::File => (0, 0, ""),
            Place::Bytes(span) => (1, span.start, ""),
            Place::Variable(name) => (2, 0, name),
        }
    }
}

/// Everything that is wrong with one configuration. Never empty.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    /// The file's name, as the user gave it.
    file: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| a.position().cmp(&b.position()));
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            list,
        }
    }

    /// For people: each problem with file, line and column, the line itself, and what to do.
    pub(crate) fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut parts: Vec<_> = self
            .list
            .iter()
            .map(|one| self.show(&renderer, one))
            .collect();
        if self.list.len() >= super::report::MOST {
            parts.push("there may be more problems: fix these first".to_owned());
        }
        parts.join("\n\n")
    }

    fn show(&self, renderer: &Renderer, problem: &Problem) -> String {
        let title = match &problem.place {
            Place::File => format!("{}: {}", self.file, problem.message),
            Place::Bytes(_) => problem.message.clone(),
            Place::Variable(name) => format!("{name}: {}", problem.message),
        };
        let mut group = annotate_snippets::Group::with_title(Level::ERROR.primary_title(title));
        if let Place::Bytes(span) = &problem.place {
            let shown = Excerpt::of(&self.text, span);
            let label = (!problem.label.is_empty()).then_some(problem.label.as_str());
            let mark = AnnotationKind::Primary.span(shown.marked).label(label);
            // What a terminal obeys and the renderer does not replace, by something of its length.
            let line = shown
                .line
                .replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "\u{b7}");
            let source = Snippet::source(line).line_start(shown.number);
            group = group.element(source.path(self.file.as_str()).annotation(mark));
        }
        if !problem.hint.is_empty() {
            group = group.element(Level::HELP.message(normalize_untrusted_str(&problem.hint)));
        }
        renderer.render(&[group])
    }

    /// For scripts: an array of `{file, line, column, variable, key, message, hint}`, lines and columns
    /// (in characters) from 1. What does not apply is null.
    pub(crate) fn to_json(&self) -> Value {
        self.list
            .iter()
            .map(|problem| self.describe(problem))
            .collect()
    }

    fn describe(&self, problem: &Problem) -> Value {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (position, variable) = match &problem.place {
            Place::File => (None, None),
            Place::Bytes(span) => (Some(Excerpt::of(&self.text, span).position()), None),
            Place::Variable(name) => (None, Some(name)),
        };
        json!({
            "file": variable.is_none().then_some(&self.file),
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "variable": variable,
            "key": filled(&problem.key),
            "message": problem.message,
            "hint": filled(&problem.hint),
        })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The number of the line that this byte is in, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    Excerpt::of(text, &(at..at)).number
}

/// The line that a span begins in: all of the text that is shown of it, however large the text is.
struct Excerpt<'a> {
    line: &'a str,
    /// Of the line, from 1.
    number: usize,
    /// The part of the span that is in this line, on borders of characters.
    marked: Range<usize>,
}

impl<'a> Excerpt<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let (before, after) = text.split_at(floor(text, span.start));
        let line_start = before
            .rfind('\n')
            .map_or(0, |newline| newline.saturating_add(1));
        let rest_of_line = after.lines().next().unwrap_or_default();
        let line_end = before.len().saturating_add(rest_of_line.len());
        let line = text.get(line_start..line_end).unwrap_or_default();
        let start = before.len().saturating_sub(line_start);
        let end = floor(line, span.end.saturating_sub(line_start)).max(start);
        let number = before.matches('\n').count().saturating_add(1);
        Self {
            line,
            number,
            marked: start..end,
        }
    }

    /// Line and column (in characters) of the span's start, from 1.
    fn position(&self) -> (usize, usize) {
        let before = self.line.get(..self.marked.start).unwrap_or_default();
        (self.number, before.chars().count().saturating_add(1))
    }
}

/// The last border between characters up to `at`.
fn floor(text: &str, at: usize) -> usize {
    let is_border = |at: &usize| text.is_char_boundary(*at);
    (0..=at.min(text.len()))
        .rev()
        .find(is_border)
        .unwrap_or_default()
}
