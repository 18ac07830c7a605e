//! Everything that is printed: data to stdout, words to stderr, in the form that was asked for.
//!
//! The only place that writes to either. A reader that went away (`steadfast events … | head`) ends the
//! process quietly: nothing is left to do.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::args::{Form, Global};
use super::target;
use crate::problem::{Code, Exit, Problem};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The form of data.
    pub(crate) form: Form,
    /// Whether words on stderr may have colours.
    pub(crate) color: bool,
    quiet: bool,
    /// The flags by which this command finds its target, for those that it names.
    flags: &'static str,
}

impl Output {
    /// As the flags and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            form: global.output,
            color: colors(global.no_color),
            quiet: global.quiet,
            // Once in a process, and everything that prints has it.
            flags: target::flags(global).leak(),
        }
    }

    /// A line of data, or several.
    #[expect(clippy::unused_self, reason = "whoever prints has an output at hand")]
    pub(crate) fn line(self, text: &str) -> Result<(), Problem> {
        written(writeln!(io::stdout().lock(), "{}", printable(text)))
    }

    /// Bytes of data as they are.
    #[expect(clippy::unused_self, reason = "whoever prints has an output at hand")]
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<(), Problem> {
        written(io::stdout().lock().write_all(bytes))
    }

    /// One document: spread over lines as `json`, on one line as `jsonl`.
    pub(crate) fn document<T: Serialize>(self, value: &T) -> Result<(), Problem> {
        let text = match self.form {
            Form::Jsonl => serde_json::to_string(value),
            Form::Json | Form::Table => serde_json::to_string_pretty(value),
        };
        self.line(&text.map_err(|error| Problem::new(Code::Failed, error.to_string()))?)
    }

    /// Documents: an array as `json`, a line each as `jsonl`.
    pub(crate) fn documents<T: Serialize>(self, values: &[T]) -> Result<(), Problem> {
        match self.form {
            Form::Jsonl => values.iter().try_for_each(|value| self.document(value)),
            Form::Json | Form::Table => self.document(&values),
        }
    }

    /// A table for people.
    pub(crate) fn table(self, header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Problem> {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(header.to_vec())
            .add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for line in table.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// A word to people beside the data; never with `-q` or where a program reads.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && self.form == Form::Table {
            warn(&printable(text));
        }
    }

    /// A word to people: the command to run next.
    pub(crate) fn next(self, command: &str) {
        self.note(&format!("next: {}", self.found(command)));
    }

    /// A command to run next, so that it finds what this one found.
    pub(crate) fn found(self, command: &str) -> String {
        target::with_flags(command, self.flags)
    }

    /// The last word: what went wrong and what to run next.
    pub(crate) fn problem(self, problem: &Problem) {
        if self.form != Form::Table {
            return warn(&problem.to_json().to_string());
        }
        let (bold, plain) = if self.color {
            ("\u{1b}[1;31m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        warn(&format!(
            "{bold}error{plain}: {}",
            printable(&problem.detail)
        ));
        for error in problem.errors.iter().filter_map(one_error) {
            warn(&format!("  {}", printable(&error)));
        }
        warn(&format!("  next: {}", printable(&problem.hint)));
    }
}

/// One error of a configuration that somebody else read: where it is, what is wrong, and what to write.
fn one_error(error: &Value) -> Option<String> {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let named = text("variable").or_else(|| text("file"))?;
    let number = |key: &str| error.get(key).and_then(Value::as_u64);
    let place = match (number("line"), number("column")) {
        (Some(line), Some(column)) => format!("{named}:{line}:{column}"),
        _ => named.to_owned(),
    };
    let key = text("key").map_or_else(String::new, |key| format!("{key}: "));
    let hint = text("hint").map_or_else(String::new, |hint| format!(" ({hint})"));
    Some(format!("{place}: {key}{}{hint}", text("message")?))
}

/// `text` with what a terminal would obey written as JSON has it, so that JSON stays what it is: names of files may hold
/// anything. Line ends and tabs stay.
fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

/// `text` as part of a line: its line ends are escaped too.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

/// Control characters, and those that change the direction of what follows.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unwanted) {
        return text.into();
    }
    let escape = |c: char| {
        if is_unwanted(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    text.chars().map(escape).collect::<String>().into()
}

/// Text to stderr. A stderr that is closed has no reader to miss it.
pub(crate) fn warn(text: &str) {
    drop(writeln!(
        io::stderr().lock(),
        "{}",
        text.trim_end_matches('\n')
    ));
}

fn written(result: io::Result<()>) -> Result<(), Problem> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            std::process::exit(i32::from(Exit::Ok as u8))
        }
        result => result.map_err(|error| {
            Problem::new(
                Code::Failed,
                format!("could not write to standard output: {error}"),
            )
        }),
    }
}

/// Whether words on stderr may have colours: <https://no-color.org>, <https://bixense.com/clicolors>.
fn colors(refused: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if refused || set("NO_COLOR") {
        return false;
    }
    let forced =
        set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0");
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    forced || (!dumb && io::stderr().is_terminal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_a_node_found_is_shown_with_its_place_and_what_to_write() {
        let error = serde_json::json!({
            "file": "site.toml", "line": 6, "column": 1, "variable": null,
            "key": "concerns.logs.older_then", "message": "unknown key", "hint": "write older_than",
        });
        let shown = "site.toml:6:1: concerns.logs.older_then: unknown key (write older_than)";
        assert_eq!(one_error(&error).as_deref(), Some(shown));
        assert_eq!(one_error(&serde_json::json!({ "concern": "x" })), None);
    }

    #[test]
    fn a_terminal_is_told_nothing_by_names() {
        assert_eq!(printable("a\tb\nc \u{e9}"), "a\tb\nc \u{e9}");
        assert_eq!(
            printable("\u{1b}[31m\u{9b}\u{202e}"),
            r"\u001b[31m\u009b\u202e"
        );
        assert_eq!(one_line("a\nb"), r"a\u000ab");
        let json = serde_json::to_string("\u{7f}\u{9b}\u{202e}").unwrap();
        let read: String = serde_json::from_str(&printable(&json)).unwrap();
        assert_eq!(read, "\u{7f}\u{9b}\u{202e}");
    }
}
