//! This program once more, in a process of its own: for what is to be measured alone, and for servers whose work is
//! to be their own. The first argument then is hidden from users.
//!
//! Invariant: no child outlives this program, not even where it is killed. The kernel sees to that: this program's own
//! children ask it themselves ([`end_with_parent`]), others are started by `setpriv`, which asks for them. The kernel
//! goes by the thread that starts a child, so that this must be one that lasts as long as the child is wanted.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// What starts other programs so that they end with this one.
const LAUNCHER: &str = "setpriv";
const LAUNCH: [&str; 3] = ["--pdeathsig", "KILL", "--"];

/// A program of others, which ends with this one where `setpriv` (util-linux) is there to see to it.
#[must_use]
pub fn program(name: impl AsRef<OsStr>) -> Command {
    if !has_launcher() {
        return Command::new(name);
    }
    let mut command = Command::new(LAUNCHER);
    command.args(LAUNCH).arg(name);
    command
}

fn has_launcher() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let tried = Command::new(LAUNCHER).args(LAUNCH).arg("true").status();
        let has = tried.is_ok_and(|status| status.success());
        if !has {
            eprintln!("no {LAUNCHER} here: peers go on running if this program is killed");
        }
        has
    })
}

/// Called by a child of this program, before anything else.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            eprintln!("goes on running if its parent is killed: {error}");
        }
    }
}

/// A child process; ended when this goes.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts `command`; what it prints can be read with [`line`](Self::line).
    ///
    /// # Errors
    /// Where it cannot be started, with its name.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let program = name_of(command);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| format!("{program} does not start: {error}"))?;
        let lines = child.stdout.take().map(BufReader::new);
        Ok(Self { child, lines })
    }

    /// This program, with arguments that only it knows.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn of_this_program(arguments: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Self::start(Command::new(program).args(arguments))
    }

    /// Its next line.
    ///
    /// # Errors
    /// Where it printed no more.
    pub fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let lines = self.lines.as_mut().ok_or("its output is closed")?;
        match lines.read_line(&mut line) {
            Ok(0) => Err("it ended without a word".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Its next line that is a JSON object with this field, as a number.
    ///
    /// # Errors
    /// Where it says something else.
    pub fn number(&mut self, field: &str) -> Result<f64, String> {
        let line = self.line()?;
        number_in(&line, field)
    }

    /// Reads what it prints from now on, so that it never waits for a reader or finds none, and forgets it.
    ///
    /// # Errors
    /// Where there is no thread for that.
    pub fn unheard(&mut self) -> Result<(), String> {
        let Some(mut lines) = self.lines.take() else {
            return Ok(());
        };
        let reader = thread::Builder::new().name("unheard".to_owned());
        // It ends with the process.
        let started = reader.spawn(move || drop(io::copy(&mut lines, &mut io::sink())));
        started.map(drop).map_err(|error| error.to_string())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What it starts, whoever starts it.
fn name_of(command: &Command) -> String {
    let mut words = command.get_args().map(OsString::from);
    let name = if command.get_program() == LAUNCHER {
        words.nth(LAUNCH.len())
    } else {
        None
    };
    let name = name.unwrap_or_else(|| command.get_program().to_owned());
    name.display().to_string()
}

/// A field of a line of JSON, as a number.
///
/// # Errors
/// Where it is none.
pub fn number_in(line: &str, field: &str) -> Result<f64, String> {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
    let number = parsed.ok().and_then(|value| value.get(field)?.as_f64());
    number.ok_or_else(|| format!("no number {field:?} in {line:?}"))
}

/// Where `scripts/peers.sh` puts the peers: beside the directory of this program, below cargo's target directory.
#[must_use]
pub fn peers_directory() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(
        program
            .parent()?
            .parent()
            .map(Path::to_owned)?
            .join("peers"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_not_its_launcher() {
        assert_eq!(name_of(&Command::new("one")), "one");
        let mut launched = Command::new(LAUNCHER);
        launched.args(LAUNCH).arg("two").arg("--three");
        assert_eq!(name_of(&launched), "two");
    }

    #[test]
    fn what_a_program_prints_is_read_through_its_launcher() {
        let mut process = Process::start(program("echo").arg("heard")).expect("it starts");
        assert_eq!(process.line().as_deref(), Ok("heard"));
    }
}
