//! What a concern's configuration owes the shell, and errors that point at the key.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Overlap, Schedule};

/// The configuration of one kind of concern: the keys of its table in the config file, less `kind`.
pub trait Settings:
    Serialize + DeserializeOwned + fmt::Debug + Clone + PartialEq + Send + 'static
{
    /// Whether runs of this kind can be stopped on their way: by `cancel`, and by `overlap = "cancel"`.
    const STOPS: bool = false;

    /// When it runs by itself.
    fn schedule(&self) -> Schedule;

    /// Whether all its runs only show what they would do.
    fn dry_run(&self) -> bool {
        false
    }

    /// What the types alone cannot refuse.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is wrong.
    fn validate(&self) -> Result<(), ConfigError>;

    /// All that is wrong with it: [`validate`](Self::validate), and what holds for every schedule.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is wrong.
    fn check(&self) -> Result<(), ConfigError> {
        self.validate()?;
        let schedule = self.schedule();
        schedule.validate()?;
        if schedule.overlap == Overlap::Cancel && !Self::STOPS {
            let problem = "runs of this kind cannot be cancelled: write \"skip\" or \"queue\"";
            return Err(ConfigError::new("overlap", problem));
        }
        Ok(())
    }
}

/// One wrong key of a concern's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    key: String,
    problem: String,
}

impl ConfigError {
    /// `key` as it is reached from the concern's table, such as `paths[0]`; `problem` says what is wrong
    /// and what to write instead.
    #[must_use]
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// The key, such as `limits.files` or `paths[0]`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}
