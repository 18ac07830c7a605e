//! Everything that is printed: data to stdout, words to stderr, in the form that was asked for.
//!
//! The only place that writes to either. A reader that went away (`steadfast events … | head`) ends the
//! process quietly: nothing is left to do.

use std::io::{self, ErrorKind, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::args::{Form, Global};
use crate::problem::{Code, Exit, Problem};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The form of data.
    pub(crate) form: Form,
    /// Whether words on stderr may have colours.
    pub(crate) color: bool,
    quiet: bool,
}

impl Output {
    /// As the flags and the terminal say.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            form: global.output,
            color: colors(global.no_color),
            quiet: global.quiet,
        }
    }

    /// One line of data.
    #[expect(clippy::unused_self, reason = "whoever prints has an output at hand")]
    pub(crate) fn line(self, text: &str) -> Result<(), Problem> {
        written(writeln!(io::stdout().lock(), "{text}"))
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
            warn(text);
        }
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
        warn(&format!("{bold}error{plain}: {}", problem.detail));
        warn(&format!("  next: {}", problem.hint));
    }
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
