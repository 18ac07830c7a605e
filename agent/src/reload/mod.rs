//! Another configuration while the node runs: `plan` says what would change, `reload` and SIGHUP do it.
//!
//! ```text
//! file ─ checked ─▶ plan ─▶ refused, or needs a restart: nothing changes
//!                    │ every concern agrees
//!                    ▼
//!           config.begun ─▶ every concern is told ─▶ config.applied
//!                              └ one cannot: undone ─▶ config.undone
//! ```
//! Invariants: a reload changes everything that the file says or nothing; one goes on at a time, on the
//! thread that also waits for signals, so that no client that went away stops it halfway. A crash in the
//! middle leaves `config.begun`: the next start reads the file again and goes through with what it says.

mod apply;
mod log;
mod plan;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use steadfast::Node;
use tokio::sync::{Mutex, mpsc, oneshot};

use log::Change;
pub(crate) use log::{Via, register};
pub(crate) use plan::{Action, ConcernPlan, KeyChange, Plan, settings};
use plan::{Planned, Settings};

use crate::ask::{blocking_with, patiently};
use crate::config::{self, Config, Problems};
use crate::kinds;
use crate::problem::{Code, Problem};
use crate::service::{Notifier, State};
use crate::signals::{Asked, Ending};

/// Reloads that may wait for the one that goes on.
const WAITING: usize = 8;

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file.
    pub(crate) file: PathBuf,
    /// Whether the command line names the data directory, so that the file's does not count.
    pub(crate) data_dir_named: bool,
}

/// Another text to plan with instead of the file's, as `plan --config` sends it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// Its name, for what is reported.
    pub(crate) name: String,
    /// The directory that `./` is meant from.
    pub(crate) directory: Option<String>,
    /// The text.
    pub(crate) text: String,
}

/// A reload that somebody asks for.
#[derive(Debug)]
struct Request {
    by: String,
    answer: oneshot::Sender<Result<Plan, Problem>>,
}

/// Reloads of one process, by what became of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reloads {
    done: u64,
    refused: u64,
    in_part: u64,
}

impl Reloads {
    /// By the names that metrics have for them.
    pub(crate) fn by_outcome(self) -> [(&'static str, u64); 3] {
        [
            ("ok", self.done),
            ("refused", self.refused),
            ("in_part", self.in_part),
        ]
    }
}

/// Plans and reloads of one process.
#[derive(Debug)]
pub(crate) struct Reloader {
    source: Source,
    service: Notifier,
    /// What holds for the process; it only changes with it.
    settings: Settings,
    /// What the node runs with.
    running: RwLock<String>,
    done: AtomicU64,
    refused: AtomicU64,
    in_part: AtomicU64,
    requests: mpsc::Sender<Request>,
    /// The other end, until somebody serves it.
    queue: Mutex<mpsc::Receiver<Request>>,
}

impl Reloader {
    /// For a process that was started with `config`.
    pub(crate) fn new(source: Source, config: &Config, service: Notifier) -> Self {
        let (requests, queue) = mpsc::channel(WAITING);
        let settings = relevant(settings(config), &source);
        Self {
            source,
            service,
            settings,
            running: RwLock::default(),
            done: AtomicU64::default(),
            refused: AtomicU64::default(),
            in_part: AtomicU64::default(),
            requests,
            queue: Mutex::new(queue),
        }
    }

    /// The reloads so far.
    pub(crate) fn reloads(&self) -> Reloads {
        Reloads {
            done: self.done.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            in_part: self.in_part.load(Ordering::Relaxed),
        }
    }

    /// The file that is read.
    pub(crate) fn file(&self) -> &Path {
        &self.source.file
    }

    /// The digest of the configuration that the node runs with.
    pub(crate) fn running(&self) -> String {
        let running = self.running.read();
        running.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_running(&self, digest: &str) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        digest.clone_into(&mut running);
    }

    /// At the start: brings the store's concerns in line with the file, and journals what that changed.
    ///
    /// # Errors
    /// As [`concerns::align`](crate::concerns::align).
    pub(crate) async fn start(&self, node: &Node, config: &Config) -> Result<(), Problem> {
        let planned = self.planned(node, config.clone()).await?;
        crate::concerns::align(node, &config.concerns).await?;
        let change = Change::of(&planned.plan, "start", Via::Start);
        patiently("agent/config", async || {
            log::apply(node, change.clone(), self.settings.clone()).await
        })
        .await?;
        self.note_running(&planned.plan.digest);
        Ok(())
    }

    /// What the file, or a draft of it, would change.
    ///
    /// # Errors
    /// [`Code::Config`] for one that is not valid, with all its errors.
    pub(crate) async fn plan(&self, node: &Node, draft: Option<Draft>) -> Result<Plan, Problem> {
        let name = draft.as_ref().map(|draft| draft.name.clone());
        let config = match draft {
            Some(draft) => config::parse(
                &draft.name,
                draft.directory.as_deref(),
                &draft.text,
                config::variables(),
            ),
            None => config::load(&self.source.file, config::variables()),
        };
        let config = config.map_err(|problems| invalid(&self.source.file, &problems))?;
        let mut plan = self.planned(node, config).await?.plan;
        if let Some(name) = name {
            plan.file = name;
        }
        Ok(plan)
    }

    async fn planned(&self, node: &Node, config: Config) -> Result<Planned, Problem> {
        let (settings, source) = (self.settings.clone(), self.source.clone());
        let mut planned = blocking_with(node, move |inspector| {
            let mut planned = plan::make(inspector, &config, Some(&settings))?;
            if source.data_dir_named {
                planned.plan.restart.retain(|change| change.key != DATA_DIR);
            }
            Ok(planned)
        })
        .await?;
        let plan = &mut planned.plan;
        plan.file = self.source.file.display().to_string();
        plan.changes =
            !(planned.steps.is_empty() && plan.restart.is_empty() && plan.refused.is_empty());
        Ok(planned)
    }

    /// Asks for a reload, and waits until it has been done or refused.
    ///
    /// # Errors
    /// Why nothing has changed; or [`Code::OutcomeUnknown`].
    pub(crate) async fn ask(&self, by: String) -> Result<Plan, Problem> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .try_send(Request { by, answer })
            .map_err(|_| Problem::new(Code::Overloaded, "other reloads wait already"))?;
        answered.await.unwrap_or_else(|_| {
            let detail = "the node ends: it reads the file again when it starts";
            Err(Problem::new(Code::Unavailable, detail).hint("steadfast run --config FILE"))
        })
    }

    /// Serves reloads, one after the other, until the process is asked to end; returns the signal that did.
    pub(crate) async fn serve(&self, node: &Node, ending: &mut Ending) -> &'static str {
        let mut queue = self.queue.lock().await;
        loop {
            tokio::select! {
                biased;
                asked = ending.next() => match asked {
                    Asked::End(signal) => return signal,
                    // Whatever was wrong is in the log; there is nobody else to tell.
                    Asked::Reload => drop(self.reload(node, "SIGHUP", Via::Signal).await),
                },
                Some(request) = queue.recv() => {
                    let done = self.reload(node, &request.by, Via::Command).await;
                    // Whoever asked may have gone.
                    drop(request.answer.send(done));
                }
            }
        }
    }

    async fn reload(&self, node: &Node, by: &str, via: Via) -> Result<Plan, Problem> {
        self.service.tell(State::Reloading);
        let done = self.reload_now(node, by, via).await;
        match &done {
            Ok(plan) if plan.changes => {
                tracing::info!(by, digest = plan.digest, "reloaded");
            }
            Ok(_) => tracing::info!(by, "reloaded: nothing has changed"),
            Err(problem) => {
                for error in &problem.errors {
                    tracing::error!(%error, "the configuration is wrong");
                }
                if problem.code == Code::OutcomeUnknown {
                    tracing::error!(by, %problem, "reloaded in part");
                } else {
                    tracing::error!(by, %problem, "not reloaded: the node goes on by what it runs with");
                }
            }
        }
        let counter = match &done {
            Ok(_) => &self.done,
            Err(problem) if problem.code == Code::OutcomeUnknown => &self.in_part,
            Err(_) => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.service.tell(State::Ready("serving"));
        done
    }

    async fn reload_now(&self, node: &Node, by: &str, via: Via) -> Result<Plan, Problem> {
        let config = config::load(&self.source.file, config::variables())
            .map_err(|problems| invalid(&self.source.file, &problems))?;
        let Planned { plan, steps } = self.planned(node, config).await?;
        refuse(&plan)?;
        for one in &plan.left_out {
            tracing::error!(concern = one.concern, reason = one.reason, "not configured");
        }
        let change = Change::of(&plan, by, via);
        if !plan.changes {
            self.note_running(&plan.digest);
            // Closes what an earlier reload began and could not journal the end of; else writes nothing.
            log::apply(node, change, self.settings.clone()).await?;
            return Ok(plan);
        }
        apply::check(node, &steps).await?;
        log::begin(node, change.clone()).await?;
        if let Err(problem) = apply::take(node, &steps).await {
            if problem.code != Code::OutcomeUnknown {
                log::undo(node, plan.digest, problem.detail.clone()).await?;
            }
            return Err(problem);
        }
        self.note_running(&plan.digest);
        let applied = log::apply(node, change, self.settings.clone()).await;
        applied.map_err(|problem| not_closed(&problem))?;
        Ok(plan)
    }
}

/// All concerns have changed, and that could not be journalled.
fn not_closed(problem: &Problem) -> Problem {
    let detail = format!(
        "all concerns run by the new configuration, but that it was taken over is not journalled: {}; reload once \
         more to have it journalled",
        problem.detail
    );
    Problem::new(Code::OutcomeUnknown, detail).hint("steadfast reload")
}

/// What `file` would change in a directory that no node runs on. Blocks on the disk.
///
/// # Errors
/// [`Code::NotFound`] for no directory, or a store error.
pub(crate) fn plan_at_rest(dir: &Path, file: &Path, config: &Config) -> Result<Plan, Problem> {
    let inspector = kinds::node(dir).inspect()?;
    let mut plan = plan::make(&inspector, config, None)?.plan;
    plan.file = file.display().to_string();
    Ok(plan)
}

/// The one setting that the command line may overrule.
const DATA_DIR: &str = "node.data_dir";

fn relevant(mut settings: Settings, source: &Source) -> Settings {
    if source.data_dir_named {
        settings.remove(DATA_DIR);
    }
    settings
}

/// What cannot be taken over is refused before anybody is asked.
fn refuse(plan: &Plan) -> Result<(), Problem> {
    if let Some(problem) = refused(plan) {
        return Err(problem);
    }
    if plan.restart.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = plan.restart.iter().map(|one| one.key.as_str()).collect();
    let detail = format!(
        "only a restart changes {}: nothing has changed",
        keys.join(", ")
    );
    Err(Problem::new(Code::Conflict, detail).hint("steadfast plan"))
}

/// Why a plan cannot be taken over at all.
pub(crate) fn refused(plan: &Plan) -> Option<Problem> {
    let first = plan.refused.first()?;
    let name = &first.concern;
    let detail = format!("concerns.{name}: {}", first.reason);
    let mut problem = Problem::new(Code::Config, detail).hint(first.next.clone());
    let all = plan.refused.iter().map(serde_json::to_value);
    problem.errors = all.filter_map(Result::ok).collect();
    Some(problem)
}

/// A configuration that is not valid.
pub(crate) fn invalid(file: &Path, problems: &Problems) -> Problem {
    let mut problem = Problem::new(Code::Config, format!("{} is not valid", file.display()))
        .hint(format!("steadfast check --config {}", file.display()));
    problem.errors = problems.to_json().as_array().cloned().unwrap_or_default();
    problem
}
