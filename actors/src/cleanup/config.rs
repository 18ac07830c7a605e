//! What a cleanup is told to do, and what it refuses to be told.

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use super::plan::Count;
use crate::concern::{ConfigError, Missed, Overlap, Schedule, Settings};
use crate::human::{Size, Span};

#[cfg(test)]
mod tests;

/// Most globs of one concern; the state carries them.
const MAX_PATHS: usize = 100;
/// Longest glob, in bytes.
const MAX_PATH_BYTES: usize = 4_096;

/// The keys of a concern of kind `cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanupConfig {
    /// Absolute globs of the files to remove. `*` and `?` stop at `/`, `**` does not; both match names that
    /// begin with a dot. The directory before the first special character is the glob's root.
    pub paths: Vec<String>,
    /// Only files whose content was last changed at least this long before the run.
    #[serde(default)]
    pub older_than: Option<Span>,
    /// In each directory, this many of the newest matching files stay.
    #[serde(default)]
    pub keep_newest: u32,
    /// The most that one run removes.
    #[serde(default)]
    pub limits: Limits,
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
    /// What a tick leads to that comes during a run.
    #[serde(default)]
    pub overlap: Overlap,
    /// A run that takes longer ends at its next step: after the page or the batch of files under way.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// What ticks lead to that passed while the node was down.
    #[serde(default)]
    pub missed: Missed,
    /// All runs only show what they would remove.
    #[serde(default)]
    pub dry_run: bool,
}

/// The most that one run removes, oldest files first. What is over stays, and the run ends `limited`. A file that
/// is larger than `bytes` alone stays, and those after it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Number of files. Default 5,000.
    pub files: u64,
    /// Their bytes together. Default 20 GiB.
    pub bytes: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 5_000,
            bytes: Size::gib(20),
        }
    }
}

impl Limits {
    /// What is left of them after `used`.
    #[must_use]
    pub const fn less(&self, used: Count) -> Count {
        Count {
            files: self.files.saturating_sub(used.files),
            bytes: self.bytes.as_bytes().saturating_sub(used.bytes),
        }
    }
}

impl CleanupConfig {
    /// Removes what these globs match, by hand only, with the defaults for everything else.
    #[must_use]
    pub fn new<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            older_than: None,
            keep_newest: 0,
            limits: Limits::default(),
            every: None,
            cron: None,
            timezone: None,
            jitter: None,
            overlap: Overlap::default(),
            timeout: None,
            missed: Missed::default(),
            dry_run: false,
        }
    }

    /// Whether a run by these rules does what one by `other` does.
    pub(super) fn selects_like(&self, other: &Self) -> bool {
        let unscheduled = |config: &Self| Self {
            every: None,
            cron: None,
            timezone: None,
            jitter: None,
            overlap: Overlap::default(),
            timeout: None,
            missed: Missed::default(),
            ..config.clone()
        };
        unscheduled(self) == unscheduled(other)
    }

    pub(super) fn patterns(&self) -> Result<Vec<Pattern>, ConfigError> {
        let compile = |(at, glob): (usize, &String)| {
            Pattern::new(glob).map_err(|error| ConfigError::new(format!("paths[{at}]"), error))
        };
        self.paths.iter().enumerate().map(compile).collect()
    }

    fn validate_paths(&self) -> Result<(), ConfigError> {
        let refuse = |problem: &str| Err(ConfigError::new("paths", problem));
        match self.paths.len() {
            0 => refuse("no paths: name at least one glob, such as \"/var/log/app/**/*.log\""),
            count if count > MAX_PATHS => refuse("more than 100 globs: split the concern"),
            _ => self.patterns().map(drop),
        }
    }
}

impl Settings for CleanupConfig {
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

    fn dry_run(&self) -> bool {
        self.dry_run
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(key, problem));
        if let Some(at) = self
            .paths
            .iter()
            .position(|glob| glob.len() > MAX_PATH_BYTES)
        {
            return refuse(
                &format!("paths[{at}]"),
                "longer than 4096 bytes: no path can match it",
            );
        }
        self.validate_paths()?;
        if self.timeout == Some(Span::secs(0)) {
            return refuse(
                "timeout",
                "0 would end every run: leave it out for no limit",
            );
        }
        if self.limits.files == 0 {
            return refuse(
                "limits.files",
                "0 would remove nothing: use `dry_run = true` to look first",
            );
        }
        if self.limits.bytes.as_bytes() == 0 {
            return refuse(
                "limits.bytes",
                "0 would remove nothing: use `dry_run = true` to look first",
            );
        }
        Ok(())
    }
}
