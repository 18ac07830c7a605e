//! All processes that come from one program, found in `/proc` and ended.
//!
//! A process belongs to a program if it is the program, is in the process group that the program began
//! with, carries the mark of its run in its environment, or was started by one that belongs to it.
//!
//! Invariant: a signal goes to the process that was looked at, never to a later one with its number: it is
//! sent through a handle that was opened before the second look, or right after that where there are none.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use steadfast::EffectId;

#[cfg(test)]
mod tests;

/// The variable that marks the processes of one effect.
const MARK: &str = "STEADFAST_RUN";
/// The variable that names the node which started them.
const NODE: &str = "STEADFAST_RUN_NODE";
/// First wait between two looks. A look takes time too, the more the more processes there are.
const FIRST_PACE: Duration = Duration::from_millis(20);
/// Longest such wait.
const LONGEST_PACE: Duration = Duration::from_millis(200);
/// How long is looked after SIGKILL: what is there after that hangs in the system.
const LOOKING: Duration = Duration::from_secs(5);
/// As long when nobody can wait.
const LOOKING_IN_A_HURRY: Duration = Duration::from_millis(400);
/// Fewest looks after SIGKILL, however long each takes.
const LOOKS: u32 = 3;

/// The waits between looks, by the clock: each is longer than the one before, and none goes beyond the end.
#[derive(Debug)]
struct Pace {
    end: Instant,
    next: Duration,
}

#[expect(
    clippy::disallowed_methods,
    reason = "processes of the system take the system's time, whatever clock the node has"
)]
fn now() -> Instant {
    Instant::now()
}

impl Pace {
    /// Looks for `time` from now on.
    fn new(time: Duration) -> Self {
        let now = now();
        Self {
            end: now.checked_add(time).unwrap_or(now),
            next: FIRST_PACE,
        }
    }

    /// The wait at `now`; `None` when the time is over.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let left = self.end.saturating_duration_since(now);
        let wait = self.next.min(left);
        self.next = self.next.saturating_mul(2).min(LONGEST_PACE);
        (!wait.is_zero()).then_some(wait)
    }

    /// Waits. False when the time is over.
    fn rest(&mut self) -> bool {
        let wait = self.wait(now());
        if let Some(wait) = wait {
            std::thread::sleep(wait);
        }
        wait.is_some()
    }
}

/// One process, as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    /// In ticks since the system started: with the number it names a process for ever.
    start: u64,
    is_dead: bool,
}

impl Process {
    fn look_at(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything, also brackets.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            start: fields.get(19)?.parse().ok()?,
            is_dead: matches!(fields.first(), Some(&("Z" | "X" | "x"))),
        })
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter_map(Self::look_at).collect()
    }

    /// This process, if the system tells.
    fn own() -> Option<Self> {
        Self::look_at(i32::try_from(std::process::id()).ok()?)
    }

    /// The value of a variable that it was started with.
    fn variable(&self, name: &str) -> Option<OsString> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let value = |variable: &[u8]| {
            let rest = variable.strip_prefix(name.as_bytes())?;
            Some(OsString::from(std::ffi::OsStr::from_bytes(
                rest.strip_prefix(b"=")?,
            )))
        };
        environment.split(|byte| *byte == 0).find_map(value)
    }

    fn signal(&self, signal: Signal) {
        if let Err(error) = self.try_signal(signal) {
            tracing::debug!(pid = self.pid, %error, "not signalled");
        }
    }

    #[cfg(target_os = "linux")]
    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

        let pid = Pid::from_raw(self.pid).ok_or(rustix::io::Errno::SRCH)?;
        let handle = pidfd_open(pid, PidfdFlags::empty());
        if Self::look_at(self.pid).is_none_or(|now| now.start != self.start) {
            return Ok(());
        }
        match handle {
            Ok(handle) => pidfd_send_signal(&handle, signal),
            Err(error) => signal_without_handle(pid, signal, error),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        let pid = Pid::from_raw(self.pid).ok_or(rustix::io::Errno::SRCH)?;
        rustix::process::kill_process(pid, signal)
    }
}

/// Where the system is too old for handles of processes, or a sandbox does not let us have them, the number
/// has to do, which was looked at just before.
#[cfg(target_os = "linux")]
fn signal_without_handle(
    pid: Pid,
    signal: Signal,
    error: rustix::io::Errno,
) -> rustix::io::Result<()> {
    use rustix::io::Errno;

    match error {
        Errno::NOSYS | Errno::PERM => rustix::process::kill_process(pid, signal),
        error => Err(error),
    }
}

/// What the processes of one effect are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark(String);

/// What a node finds that starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survivors {
    /// There were so many, and there are none any more.
    Ended(usize),
    /// There are some that do not end.
    Stubborn,
    /// There are some, and the node that started them is alive: this one runs on a copy of its directory.
    OfAnotherNode,
}

impl Mark {
    /// The mark of this effect.
    pub(super) fn new(id: &EffectId) -> Self {
        Self(id.to_string())
    }

    /// What a program is given in its environment.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        let node = Process::own().map(|own| format!("{}.{}", own.pid, own.start));
        [(MARK, self.0.clone()), (NODE, node.unwrap_or_default())]
    }

    /// Ends what is left of a program whose node died.
    pub(super) fn end_survivors(&self) -> Survivors {
        let first = self.members(None);
        if first.iter().any(is_of_another_node) {
            return Survivors::OfAnotherNode;
        }
        if self.kill(None, LOOKING) {
            Survivors::Ended(first.len())
        } else {
            Survivors::Stubborn
        }
    }

    /// All living processes of a program.
    fn members(&self, leader: Option<Process>) -> Vec<Process> {
        let all = Process::all();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        // Its number may name another group once the program is gone and no process has kept it taken.
        let is_taken_over = leader.is_some_and(|leader| {
            all.iter()
                .any(|one| one.pid == leader.pid && one.start != leader.start)
        });
        let in_group =
            |one: &Process| leader.is_some_and(|leader| one.group == leader.pid && !is_taken_over);
        let since = leader.map_or(0, |leader| leader.start);
        let is_marked = |one: &Process| {
            one.start >= since && one.variable(MARK).is_some_and(|mark| *mark == *self.0)
        };
        let candidates = all
            .iter()
            .filter(|one| one.pid != own && one.pid != 1 && !one.is_dead);
        let (mut found, mut others): (Vec<Process>, Vec<Process>) =
            candidates.partition(|one| in_group(one) || is_marked(one));
        loop {
            let known: HashSet<i32> = found.iter().map(|one| one.pid).collect();
            let (more, rest): (Vec<_>, Vec<_>) = others
                .into_iter()
                .partition(|one| known.contains(&one.parent));
            if more.is_empty() {
                return found;
            }
            found.extend(more);
            others = rest;
        }
    }

    /// Sends SIGKILL until there is nothing left to send it to. False if there still is.
    ///
    /// Two looks must find nothing: a process that is just being replaced by another program shows no
    /// environment for a moment, and so no mark.
    fn kill(&self, leader: Option<Process>, time: Duration) -> bool {
        let (mut found_before, mut looks, mut pace) = (true, 0, Pace::new(time));
        loop {
            let members = self.members(leader);
            if members.is_empty() && !found_before {
                return true;
            }
            found_before = !members.is_empty();
            for one in &members {
                one.signal(Signal::KILL);
            }
            looks += 1;
            if !pace.rest() {
                if looks >= LOOKS {
                    return self.members(leader).is_empty();
                }
                std::thread::sleep(FIRST_PACE);
            }
        }
    }
}

/// Whether the node that started this process is alive and is not this one.
fn is_of_another_node(process: &Process) -> bool {
    let node = process.variable(NODE);
    let Some((pid, start)) = node
        .as_ref()
        .and_then(|node| node.to_str()?.split_once('.'))
    else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse(), start.parse::<u64>()) else {
        return false;
    };
    let alive = Process::look_at(pid).is_some_and(|node| node.start == start && !node.is_dead);
    alive && Process::own().is_none_or(|own| own.pid != pid)
}

/// The processes of a program that this node started. Ends them when it is dropped too early.
#[derive(Debug)]
pub(super) struct Tree {
    mark: Mark,
    /// Where there is no `/proc`, its number alone.
    leader: Option<Process>,
    pid: Option<Pid>,
    is_ended: bool,
}

impl Tree {
    /// The program with this number has just been started by us, and not been waited for.
    pub(super) fn new(mark: Mark, pid: Option<u32>) -> Self {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Self {
            mark,
            leader: pid.and_then(Process::look_at),
            pid: pid.and_then(Pid::from_raw),
            is_ended: false,
        }
    }

    /// Ends all of them: SIGTERM, then SIGKILL to what is there after `grace`. Blocks. How many there were
    /// beside those that had ended, and whether there are none now.
    pub(super) fn end(&mut self, grace: Duration) -> (usize, bool) {
        self.is_ended = true;
        let first = self.mark.members(self.leader);
        for one in &first {
            one.signal(Signal::TERM);
            // One that is stopped would not see it.
            one.signal(Signal::CONT);
        }
        let mut pace = Pace::new(grace);
        while !self.mark.members(self.leader).is_empty() && pace.rest() {}
        (first.len(), self.mark.kill(self.leader, LOOKING))
    }

    /// Where processes cannot be looked at, the group gets the signal while the program is known to exist.
    pub(super) fn signal_group_blindly(&self, signal: Signal) {
        if let (None, Some(pid)) = (self.leader, self.pid)
            && let Err(error) = rustix::process::kill_process_group(pid, signal)
        {
            tracing::debug!(%error, "the process group is not signalled");
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.is_ended {
            self.signal_group_blindly(Signal::KILL);
            if !self.mark.kill(self.leader, LOOKING_IN_A_HURRY) {
                tracing::error!(mark = self.mark.0, "processes of a program do not end");
            }
        }
    }
}
