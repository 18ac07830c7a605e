//! What was tried and what was promised, in a file that survives the program.
//!
//! A file of its own, in both senses: it must not lie in the data directory, and its format is shared
//! by the writer that is killed and the reader that judges. One `write` per line, straight to the
//! system: a line is there exactly if its moment had come. A kill can cut the last line at most, which
//! then does not count.
//!
//! ```text
//! try OP                     about to be asked
//! ack OP SEQ SUM             answered: written after the answer came
//! not OP WHY                 refused: certainly without effect
//! unk OP                     of unknown outcome
//! run OP EFFECT              its effect runs
//! bad TEXT                   an answer that must never be given
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

use crate::tally::Added;

/// The file, open for writing.
#[derive(Debug)]
pub struct Record {
    /// A lock, so that lines do not mix.
    file: Mutex<File>,
}

impl Record {
    /// Opens or creates the file, and drops a line that a kill cut.
    ///
    /// # Errors
    /// A file error.
    pub fn append_to(path: &Path) -> std::io::Result<Self> {
        let whole = match std::fs::read(path) {
            Ok(bytes) => bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |last| last + 1),
            Err(_) => 0,
        };
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(whole as u64)?;
        Ok(Self {
            file: Mutex::new(file),
        })
    }

    fn line(&self, mut text: String) {
        text.push('\n');
        self.file
            .lock()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// Before asking.
    pub fn tried(&self, op: u64) {
        self.line(format!("try {op}"));
    }

    /// After the answer.
    pub fn acknowledged(&self, op: u64, added: Added) {
        self.line(format!("ack {op} {} {}", added.seq, added.sum));
    }

    /// It was said to have had no effect.
    pub fn refused(&self, op: u64, why: &str) {
        self.line(format!("not {op} {why}"));
    }

    /// Nobody knows.
    pub fn unknown(&self, op: u64) {
        self.line(format!("unk {op}"));
    }

    /// The operation's effect is running.
    pub fn ran(&self, op: u64, effect: &str) {
        self.line(format!("run {op} {effect}"));
    }

    /// Something that must never be.
    pub fn wrong(&self, text: &str) {
        self.line(format!("bad {}", text.replace('\n', " ")));
    }
}

/// Everything known of one operation.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// How often it was asked.
    pub tries: u32,
    /// The answers that came.
    pub acks: Vec<Added>,
    /// How often it was refused without effect.
    pub refusals: u32,
    /// Effects of it that ran, in order.
    pub runs: Vec<String>,
}

impl Told {
    /// Whether nothing says what became of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.acks.is_empty() && self.refusals < self.tries
    }
}

/// The file as read back.
#[derive(Debug, Default)]
pub struct History {
    /// By operation.
    pub operations: HashMap<u64, Told>,
    /// Answers that must never be given.
    pub wrong: Vec<String>,
    /// Operations in the order of their answers; one that was asked again is there again.
    pub acknowledged: Vec<u64>,
    /// Bytes of the file that were read.
    read: u64,
}

impl History {
    /// Reads the file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut history = Self::default();
        history.read_on(path);
        history
    }

    /// Reads what was written since the last reading. A file that is not there is empty.
    pub fn read_on(&mut self, path: &Path) {
        let Ok(mut file) = File::open(path) else {
            return;
        };
        let mut text = String::new();
        file.seek(SeekFrom::Start(self.read)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or("", |last| &text[..=last]);
        self.read += whole.len() as u64;
        for line in whole.lines() {
            self.take(line);
        }
    }

    fn take(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "bad" {
            self.wrong.push(rest.to_owned());
            return;
        }
        let mut fields = rest.split(' ');
        let op = number(&mut fields);
        let told = self.operations.entry(op).or_default();
        match word {
            "try" => told.tries += 1,
            "ack" => {
                let (seq, sum) = (number(&mut fields), number(&mut fields));
                told.acks.push(Added { seq, sum });
                self.acknowledged.push(op);
            }
            "not" => told.refusals += 1,
            "run" => told.runs.push(fields.next().unwrap().to_owned()),
            "unk" => {}
            word => panic!("unknown word {word:?} in the record"),
        }
    }
}

fn number<'a>(fields: &mut impl Iterator<Item = &'a str>) -> u64 {
    fields.next().unwrap().parse().unwrap()
}
