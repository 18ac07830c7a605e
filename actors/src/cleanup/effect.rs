//! What a cleanup asks of the world: look for files, remove files. Both are safe to run again.

use serde::{Deserialize, Serialize};
use steadfast::{Effect, EffectContext, EffectError, Timestamp};

use super::config::CleanupConfig;
use super::dirs::Access;
use super::plan::{Count, Cursor, PlannedFile, Problems, Root};
use super::{remove, walk};
use crate::concern::RunId;

/// `cleanup.scan`: finds the next page of files to remove. Read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// For which run.
    pub run: RunId,
    /// What to look for: the configuration that the run started with.
    pub config: CleanupConfig,
    /// When the run started: ages are counted from here, on every page.
    pub as_of: Timestamp,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// What is left of the limits.
    pub left: Count,
}

/// What a [`Scan`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The files to remove, oldest first; a bounded number.
    pub files: Vec<PlannedFile>,
    /// All that match and may go, from the start of this page on.
    pub found: Count,
    /// Of those, the ones that are not in `files`.
    pub left: Count,
    /// Those of `left` that are larger than all that one run may remove.
    #[serde(default)]
    pub too_large: Count,
    /// Why there are no more in `files`.
    pub end: PageEnd,
    /// The directories that were walked from.
    pub roots: Vec<Root>,
    /// Roots that do not exist: there is nothing to do.
    pub missing_roots: Vec<String>,
    /// Roots that exist and could not be read.
    pub unreadable_roots: Problems,
    /// What could not be looked at below the roots.
    pub problems: Problems,
}

/// Why a page ends where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageEnd {
    /// There are no more files.
    Complete,
    /// The page is full, and there are more files.
    More,
    /// There are more files, and the limits allow no more.
    Limited,
}

impl Effect for Scan {
    const NAME: &'static str = "cleanup.scan";
    type Output = Page;

    async fn run(&self, _: &EffectContext) -> Result<Page, EffectError> {
        let request = self.clone();
        let page = blocking(move || walk::scan(&request, Access::default())).await?;
        page.map_err(|error| EffectError::fatal(error.to_string()))
    }
}

/// `cleanup.sweep`: removes these files and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// For which run.
    pub run: RunId,
    /// Which batch of its plan.
    pub batch: u64,
    /// The directories that the files were found from.
    pub roots: Vec<Root>,
    /// The files.
    pub files: Vec<PlannedFile>,
}

/// What became of one file of a [`Sweep`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is gone through us.
    Removed,
    /// It was gone before us.
    Vanished,
    /// It is not the file that was planned: it stays.
    Changed,
    /// It could not be removed.
    Failed(String),
    /// Nobody knows.
    Unknown,
}

impl Effect for Sweep {
    const NAME: &'static str = "cleanup.sweep";
    /// One verdict for each file, in the order of [`Sweep::files`].
    type Output = Vec<Verdict>;

    async fn run(&self, cx: &EffectContext) -> Result<Vec<Verdict>, EffectError> {
        let (sweep, may_have_run) = (self.clone(), cx.may_have_run());
        blocking(move || remove::sweep(&sweep, may_have_run, Access::default())).await
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EffectError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        EffectError::retryable(format!("the file system work was cut off: {error}"))
    })
}
