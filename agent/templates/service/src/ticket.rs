//! The effect: a ticket is printed into a directory, after the confirmation is on the disk.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use steadfast::{Effect, EffectContext, EffectError};

/// What the effect works with. Clients of databases or HTTP services are given to the node like this too.
#[derive(Debug)]
pub struct Printer {
    dir: PathBuf,
}

impl Printer {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }
}

/// Prints one ticket. The value is in the journal until it is done; failed attempts are repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintTicket {
    pub name: String,
    pub seats: u32,
}

impl Effect for PrintTicket {
    const NAME: &'static str = "print-ticket";
    type Output = String;

    /// A crash in between leads to another attempt: the same id gives the same file, so there is one.
    async fn run(&self, cx: &EffectContext) -> Result<String, EffectError> {
        let printer = cx.resource::<Printer>()?;
        let name = format!("{}.txt", cx.id()).replace('/', "-");
        let text = format!("{} seat(s) for {}\n", self.seats, self.name);
        let written = std::fs::create_dir_all(&printer.dir)
            .and_then(|()| std::fs::write(printer.dir.join(&name), text));
        written.map_err(|error| EffectError::retryable(error.to_string()))?;
        Ok(name)
    }
}
