//! The killed program as a child process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use steadfast::{Clock, SystemClock};

use super::{PATIENCE, Place};

const SIGKILL: i32 = 9;

/// A running victim. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    /// Closing it asks for an orderly stop.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    heard: Vec<String>,
    /// Its process, once it said so: another one than the child's under `strace`.
    pub(crate) pid: Option<u32>,
}

impl Victim {
    /// Loads `place.dir`, asking the operations `again` first.
    pub(crate) fn load(place: &Place, life: u64, seed: u64, again: &[u64]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_victim"));
        Self::load_with(command, place, (life, seed, 0), again)
    }

    /// Transfers money in `place.dir`, asking the transfers `again` first.
    pub(crate) fn transfers(place: &Place, life: u64, seed: u64, again: &[u64]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_victim"));
        Self::transfers_with(command, place, (life, seed), again)
    }

    /// The same with a command that ends where the victim's arguments begin.
    pub(crate) fn transfers_with(
        mut command: Command,
        place: &Place,
        (life, seed): (u64, u64),
        again: &[u64],
    ) -> Self {
        command.arg("transfers");
        Self::run(command, place, (life, seed, 0), again)
    }

    /// The same with a command that ends where the victim's arguments begin, and a note in each entry.
    pub(crate) fn load_with(
        mut command: Command,
        place: &Place,
        numbers: (u64, u64, usize),
        again: &[u64],
    ) -> Self {
        command.arg("load");
        Self::run(command, place, numbers, again)
    }

    fn run(
        mut command: Command,
        place: &Place,
        (life, seed, note): (u64, u64, usize),
        again: &[u64],
    ) -> Self {
        let list: Vec<String> = again.iter().map(u64::to_string).collect();
        let again = place.root.path().join("again");
        std::fs::write(&again, list.join("\n")).expect("the list of operations is written");
        command.args([&place.dir, &place.record, &again]).args([
            life.to_string(),
            seed.to_string(),
            note.to_string(),
        ]);
        Self::spawn(command)
    }

    /// Runs the victim in another mode.
    pub(crate) fn mode(name: &str, dir: &Path, argument: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.arg(name).arg(dir).arg(argument);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the victim starts");
        let output = BufReader::new(child.stdout.take().expect("its output is ours"));
        let (sender, lines) = channel();
        std::thread::Builder::new()
            .name("victim-output".to_owned())
            .spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            })
            .expect("a thread");
        Self {
            input: child.stdin.take(),
            child,
            lines,
            heard: Vec::new(),
            pid: None,
        }
    }

    /// Waits for a line that begins with `word` and returns the rest of it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        match self.hears(word) {
            Some(rest) => rest,
            None => panic!("the victim ended before {word:?}; heard {:?}", self.heard),
        }
    }

    /// The same, or `None` if it ends before.
    #[track_caller]
    pub(crate) fn hears(&mut self, word: &str) -> Option<String> {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {word:?} in {PATIENCE:?}; heard {:?}", self.heard)
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let rest = line.strip_prefix(word).map(|rest| rest.trim().to_owned());
            self.hear(line);
            if rest.is_some() {
                return rest;
            }
        }
    }

    /// Waits until it told of answers that it got from now on.
    #[track_caller]
    pub(crate) fn goes_on(&mut self) {
        self.is_ready();
        // The first may have been on its way.
        self.wait_for("answers");
        self.wait_for("answers");
    }

    fn hear(&mut self, line: String) {
        if let Some(pid) = line.strip_prefix("ready ") {
            self.pid = Some(pid.parse().expect("a process number"));
        }
        self.heard.push(line);
    }

    /// Whether it said that it serves.
    pub(crate) fn is_ready(&mut self) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(line);
        }
        self.heard.iter().any(|line| line.starts_with("ready"))
    }

    /// Stops it where it is: it says and promises nothing more, until it is killed.
    pub(crate) fn hold(&mut self) {
        self.is_ready();
        let pid = self.pid.unwrap_or_else(|| self.child.id()).to_string();
        let held = Command::new("kill").args(["-STOP", &pid]).status();
        assert!(held.is_ok_and(|status| status.success()), "it runs");
        // On a busy machine its threads go on until one of them has seen the signal.
        while !is_held(&pid) {
            std::thread::yield_now();
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) -> bool {
        let was_ready = self.is_ready();
        self.end();
        was_ready
    }

    fn end(&mut self) {
        if let Some(pid) = self.pid.filter(|pid| *pid != self.child.id()) {
            // Under strace, which ends with the process that it follows.
            let kill = Command::new("kill").arg("-9").arg(pid.to_string()).status();
            assert!(kill.is_ok_and(|status| status.success()), "no such process");
        } else {
            self.child.kill().expect("the child is ours");
        }
        self.child.wait().expect("the child is ours");
    }

    /// Asks it to stop in order, under full load, and waits until it has.
    pub(crate) fn stop(mut self) {
        drop(self.input.take());
        self.wait_for("stopped");
        let status = self.child.wait().expect("the child is ours");
        assert!(status.success(), "the victim ended with {status}");
    }

    /// Whether it ends within `patience`, and ended itself as a kill would.
    pub(crate) fn kills_itself_within(&mut self, patience: Duration) -> bool {
        let ended = self.ends_within(patience);
        ended.is_some_and(|status| status.signal() == Some(SIGKILL))
    }

    /// How it ends, if it does within `patience`.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let clock = SystemClock::new();
        let end = clock.running() + patience;
        loop {
            let left = end.saturating_sub(clock.running());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.hear(line),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(self.child.wait().expect("the child is ours"))
    }

    /// Asks it to stop in order, without waiting for that.
    pub(crate) fn ask_to_stop(&mut self) {
        drop(self.input.take());
    }

    /// What it said so far.
    pub(crate) fn heard(&self) -> &[String] {
        &self.heard
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self) {
        let status = self.child.wait().expect("the child is ours");
        assert!(status.success(), "the victim ended with {status}");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Whether no thread of a process runs any of its code from here on: one has seen the signal, which tells all others, and
/// each has stopped, is in a call that it does not come back from without stopping, or is gone.
fn is_held(pid: &str) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    let states = threads.flatten().filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        // Behind the name, which may have spaces and brackets.
        stat.rsplit_once(") ")?.1.chars().next()
    });
    let states: String = states.collect();
    let any = |of: &str| states.contains(|state| of.contains(state));
    states.is_empty() || any("TtZX") && states.chars().all(|state| "TtDZX".contains(state))
}
