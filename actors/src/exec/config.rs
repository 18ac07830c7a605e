//! What an `exec` is told to do, and what it refuses to be told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use steadfast::RetryPolicy;

use super::command::CommandLine;
use crate::concern::{ConfigError, Missed, Overlap, Schedule, Settings};
use crate::human::{Size, Span};

#[cfg(test)]
mod tests;

/// Most words of a command, and most names of an environment.
const MAX_ITEMS: usize = 1_000;
/// Most bytes of a command, an environment or an input; each run's intent carries them.
const MAX_BYTES: usize = 128 << 10;
/// Most bytes of output that one event holds of each stream.
const MAX_OUTPUT: u64 = 512 << 10;
/// What the names of ours begin with.
const OURS: &str = "STEADFAST_RUN";

/// The keys of a concern of kind `exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    /// The program and its arguments, as a list of words. The program is an absolute path, or a name that
    /// is looked for in the `PATH` of its environment. With `shell`, one text.
    pub command: CommandLine,
    /// `command` is one text for `/bin/sh -c`.
    #[serde(default)]
    pub shell: bool,
    /// The directory to run in, absolute. Default `/`.
    #[serde(default)]
    pub dir: Option<String>,
    /// Names and values of its environment. They are journalled: secrets come through `env_keep`.
    #[serde(default)]
    pub env: Variables,
    /// Names that it may have from the node's own environment. Their values are written down nowhere.
    #[serde(default)]
    pub env_keep: Vec<String>,
    /// What it reads from standard input; nothing by default.
    #[serde(default)]
    pub stdin: Option<String>,
    /// The user to run as, by name or number; the node has to run as root. Names are looked up in
    /// `/etc/passwd` only. It has no supplementary groups.
    #[serde(default)]
    pub user: Option<String>,
    /// The group to run as, by name or number. Default: that of `user`, which has to be in `/etc/passwd`.
    #[serde(default)]
    pub group: Option<String>,
    /// What it may use of the machine.
    #[serde(default)]
    pub limits: Limits,
    /// How long it may take; it is ended then. Default: as long as it likes.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How long it has between being asked to end (SIGTERM) and being ended (SIGKILL); when the node stops,
    /// at most half of what the node waits for its effects (30 s).
    #[serde(default = "five_seconds")]
    pub grace: Span,
    /// Bytes that are kept of each of its two streams: the first half and the last.
    #[serde(default = "output_limit")]
    pub output_limit: Size,
    /// Exit codes that mean success.
    #[serde(default = "zero")]
    pub success_codes: Vec<i32>,
    /// What becomes of a run whose program was going when the node died, or was ended because it stopped.
    #[serde(default)]
    pub after_crash: AfterCrashPolicy,
    /// How often it is tried again that fails. Default: never.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Time from one run to the next; without it and `cron`, it runs only by hand.
    #[serde(default)]
    pub every: Option<Span>,
    /// When it runs, as a cron expression in `timezone`.
    #[serde(default)]
    pub cron: Option<String>,
    /// The time zone of `cron`, by its IANA name; without it, UTC.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Each tick comes later by a random time up to this one.
    #[serde(default)]
    pub jitter: Option<Span>,
    /// What ticks lead to that passed while the node was down.
    #[serde(default)]
    pub missed: Missed,
    /// What a tick leads to that comes during a run.
    #[serde(default)]
    pub overlap: Overlap,
}

fn five_seconds() -> Span {
    Span::secs(5)
}

fn output_limit() -> Size {
    Size::bytes(64 << 10)
}

fn zero() -> Vec<i32> {
    vec![0]
}

/// Names and values. Values are secrets for all that shows values: they are never part of a log line.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a program may use of the machine. Linux only: set by `prlimit` of util-linux, and `nice`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Address space of each of its processes (`RLIMIT_AS`).
    pub memory: Option<Size>,
    /// Time on a processor for each of its processes, in whole seconds (`RLIMIT_CPU`).
    pub cpu_time: Option<Span>,
    /// Open files of each of its processes (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Processes of its user, all of them together (`RLIMIT_NPROC`); root has no such limit.
    pub processes: Option<u64>,
    /// How much more than the node it lets others go first: 0 to 19.
    pub nice: Option<u8>,
}

impl Limits {
    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of a run whose program was going when the node died, or was ended because it stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCrashPolicy {
    /// It is `unknown`: what is left of it is ended, and nothing is repeated.
    #[default]
    Hold,
    /// What is left of it is ended, and it is run again at the next start: for programs that may run twice.
    Retry,
}

/// How often a program is tried again that fails, takes too long or cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, with the first one.
    pub attempts: u32,
    /// Wait before the second one; each further wait is twice as long.
    #[serde(default = "one_second")]
    pub first: Span,
    /// Longest wait.
    #[serde(default = "five_minutes")]
    pub max: Span,
}

fn one_second() -> Span {
    Span::secs(1)
}

fn five_minutes() -> Span {
    Span::secs(300)
}

impl ExecConfig {
    /// Runs this program, by hand only, with the defaults for everything else.
    #[must_use]
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self {
            command: CommandLine::Words(words),
            shell: false,
            dir: None,
            env: Variables::default(),
            env_keep: Vec::new(),
            stdin: None,
            user: None,
            group: None,
            limits: Limits::default(),
            timeout: None,
            grace: five_seconds(),
            output_limit: output_limit(),
            success_codes: zero(),
            after_crash: AfterCrashPolicy::default(),
            retry: None,
            every: None,
            cron: None,
            timezone: None,
            jitter: None,
            missed: Missed::default(),
            overlap: Overlap::default(),
        }
    }

    /// Runs this text in a shell.
    #[must_use]
    pub fn script(text: impl Into<String>) -> Self {
        Self {
            command: CommandLine::Script(text.into()),
            shell: true,
            ..Self::new::<String>([])
        }
    }

    pub(super) fn retry_policy(&self) -> RetryPolicy {
        let Some(retry) = self.retry else {
            return RetryPolicy::never();
        };
        RetryPolicy {
            retries: retry.attempts.saturating_sub(1),
            first: retry.first.duration(),
            max: retry.max.duration(),
            ..RetryPolicy::default()
        }
    }

    fn validate_command(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(key, problem));
        match (&self.command, self.shell) {
            (CommandLine::Script(_), false) => refuse(
                "command",
                "one text needs `shell = true`; without a shell, write a list: [\"ls\", \"-l\"]",
            ),
            (CommandLine::Words(_), true) => refuse(
                "command",
                "a shell takes one text: write \"ls -l | wc -l\", or leave out `shell`",
            ),
            (CommandLine::Script(text), true) => match text.trim() {
                "" => refuse("command", "nothing to run"),
                _ => within("command", [text]),
            },
            (CommandLine::Words(words), false) => match words.first().map(String::as_str) {
                None | Some("") => refuse("command", "no program: name one, such as [\"ls\"]"),
                Some(name) if name.contains('/') && !name.starts_with('/') => refuse(
                    "command[0]",
                    "a relative path: write the whole path, or a name that is in the PATH",
                ),
                Some(_) => within("command", words),
            },
        }
    }

    fn validate_environment(&self) -> Result<(), ConfigError> {
        let names = self.env.0.keys().map(|name| ("env", name));
        let kept = self.env_keep.iter().map(|name| ("env_keep", name));
        for (key, name) in names.chain(kept) {
            if name.is_empty() || name.contains(['=', '\0']) {
                let problem = format!("{name:?} is no name of a variable");
                return Err(ConfigError::new(key, problem));
            }
            if name.starts_with(OURS) {
                let problem = format!("{name} is given to every program and cannot be set");
                return Err(ConfigError::new(key, problem));
            }
        }
        within("env", self.env.0.values())?;
        within("env_keep", &self.env_keep)
    }

    fn validate_limits(&self) -> Result<(), ConfigError> {
        let Limits {
            memory,
            cpu_time,
            open_files,
            processes,
            nice,
        } = self.limits;
        let too_low = [
            (
                memory.is_some_and(|size| size.as_bytes() < 1 << 20),
                "memory",
                "1MiB",
            ),
            (
                cpu_time.is_some_and(|time| time < Span::secs(1)),
                "cpu_time",
                "1s",
            ),
            (open_files.is_some_and(|count| count < 3), "open_files", "3"),
            (processes == Some(0), "processes", "1"),
        ];
        if let Some((_, key, least)) = too_low.iter().find(|(low, _, _)| *low) {
            let problem = format!("no program could start: write {least} or more");
            return Err(ConfigError::new(format!("limits.{key}"), problem));
        }
        if nice.is_some_and(|nice| nice > 19) {
            return Err(ConfigError::new("limits.nice", "write 0 to 19"));
        }
        Ok(())
    }

    fn validate_end(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(key, problem));
        if self.timeout == Some(Span::secs(0)) {
            return refuse(
                "timeout",
                "0 would end every run: leave it out for no limit",
            );
        }
        if self.grace > Span::secs(3_600) {
            return refuse(
                "grace",
                "longer than 1h: nothing else of this concern runs meanwhile",
            );
        }
        if self.output_limit.as_bytes() > MAX_OUTPUT {
            return refuse(
                "output_limit",
                "more than 512KiB: have the program write a file",
            );
        }
        if self.success_codes.is_empty() {
            return refuse(
                "success_codes",
                "no code would mean success: name one, such as [0]",
            );
        }
        let outside = |code: &i32| !(0..=255).contains(code);
        if let Some(at) = self.success_codes.iter().position(outside) {
            return refuse(&format!("success_codes[{at}]"), "exit codes are 0 to 255");
        }
        if self
            .retry
            .is_some_and(|retry| !(1..=100).contains(&retry.attempts))
        {
            return refuse("retry.attempts", "write 1 to 100, the first one counted");
        }
        Ok(())
    }
}

/// Whether what is `key` is of a size that an intent may carry and that a system call takes.
fn within<'a>(key: &str, texts: impl IntoIterator<Item = &'a String>) -> Result<(), ConfigError> {
    let (mut count, mut bytes) = (0, 0);
    for text in texts {
        if text.contains('\0') {
            return Err(ConfigError::new(
                key,
                "a NUL byte cannot be given to a program",
            ));
        }
        count += 1;
        bytes += text.len();
    }
    if count > MAX_ITEMS || bytes > MAX_BYTES {
        let problem = "more than 1000 items or 128KiB: put it in a file";
        return Err(ConfigError::new(key, problem));
    }
    Ok(())
}

impl Settings for ExecConfig {
    const STOPS: bool = true;

    fn schedule(&self) -> Schedule {
        Schedule {
            every: self.every.map(Span::duration),
            cron: self.cron.clone(),
            timezone: self.timezone.clone(),
            jitter: self.jitter.map(Span::duration).unwrap_or_default(),
            missed: self.missed,
            overlap: self.overlap,
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.validate_command()?;
        if let Some(dir) = &self.dir
            && (!dir.starts_with('/') || dir.contains('\0'))
        {
            return Err(ConfigError::new(
                "dir",
                "a relative path: begin it with `/`",
            ));
        }
        self.validate_environment()?;
        if self
            .stdin
            .as_ref()
            .is_some_and(|text| text.len() > MAX_BYTES)
        {
            let problem = "more than 128KiB: have the program read a file";
            return Err(ConfigError::new("stdin", problem));
        }
        for (key, name) in [("user", &self.user), ("group", &self.group)] {
            if name
                .as_ref()
                .is_some_and(|name| name.is_empty() || name.contains([':', '\n']))
            {
                return Err(ConfigError::new(key, "neither a name nor a number"));
            }
        }
        self.validate_limits()?;
        self.validate_end()
    }
}
