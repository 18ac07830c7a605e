//! Reading: through the node where one holds the directory, else from the directory itself.
//!
//! A node may start at any moment, so what is read from the directory is believed only if it could be
//! read; where it could not and a node holds it by now, the node is asked instead.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast::journal::{Holder, holder};
use steadfast::{ActorId, Inspector, Replay, SequenceNumber};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use super::{Client, Endpoint, Patience, actor_path};
use crate::cli::target::Target;
use crate::problem::{Code, Problem};
use crate::report::verify_json;
use crate::view::{ConcernRow, Status};
use crate::{detail, kinds, socket};

/// Time between two looks at a socket that is not there yet.
const BETWEEN: Duration = Duration::from_millis(25);

/// The way in.
#[derive(Debug)]
pub(crate) enum Access {
    /// A node that answers.
    Node(Client),
    /// A directory that no node holds.
    Directory(PathBuf),
}

/// Finds the way in. Waits up to `timeout` for a node that holds the directory and does not serve yet.
///
/// # Errors
/// [`Code::NotFound`] if there is no such directory, [`Code::Unreachable`] if its node does not serve.
pub(crate) async fn connect(target: &Target, timeout: Duration) -> Result<Access, Problem> {
    let dir = match target {
        Target::Node(endpoint) => return Client::new(endpoint.clone(), timeout).map(Access::Node),
        Target::Directory(dir) => dir,
    };
    let deadline = Instant::now() + timeout;
    loop {
        let Some(held) = holder(dir)? else {
            return Ok(Access::Directory(dir.clone()));
        };
        let path = socket::path_in(dir)?;
        if UnixStream::connect(&path).await.is_ok() {
            return Client::new(Endpoint::Unix(path), timeout).map(Access::Node);
        }
        if Instant::now() >= deadline {
            return Err(silent(dir, &held, timeout));
        }
        sleep(BETWEEN).await;
    }
}

fn silent(dir: &Path, held: &Holder, timeout: Duration) -> Problem {
    let detail = format!(
        "process {} holds {} since {} and did not serve its socket within {timeout:?}: it is still \
         starting, or embeds steadfast without serving",
        held.pid,
        dir.display(),
        held.since,
    );
    Problem::new(Code::Unreachable, detail).hint(format!("ps -fp {}", held.pid))
}

/// Where a [`Reader`] reads.
#[derive(Debug)]
enum Source {
    Node(Client),
    Directory { dir: PathBuf, inspector: Inspector },
}

/// Reads concerns, states and events, wherever they are.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Source,
    target: Target,
    timeout: Duration,
}

/// What a node is asked where it has to be asked.
struct Request<'a> {
    path: String,
    query: &'a [(&'a str, String)],
    patience: Patience,
}

impl Reader {
    /// A reader of the target.
    pub(crate) async fn open(target: Target, timeout: Duration) -> Result<Self, Problem> {
        let source = open(&target, timeout).await?;
        Ok(Self {
            source,
            target,
            timeout,
        })
    }

    /// All concerns.
    pub(crate) async fn concerns(&mut self) -> Result<Vec<ConcernRow>, Problem> {
        let path = "/v1/concerns".to_owned();
        self.read(
            stopped_concerns,
            Request {
                path,
                query: &[],
                patience: Patience::Usual,
            },
        )
        .await
    }

    /// The state of an actor, as the contract shows it.
    pub(crate) async fn state(&mut self, id: &ActorId, at: Option<u64>) -> Result<Value, Problem> {
        let path = format!("{}/state", actor_path(id));
        let query: Vec<_> = at.map(|at| ("at", at.to_string())).into_iter().collect();
        let request = Request {
            path,
            query: &query,
            patience: Patience::Usual,
        };
        self.read(|inspector| Ok(to_json(&inspector.state(id, at)?)), request)
            .await
    }

    /// Up to `limit` events of an actor from `from` on, as the contract shows them.
    pub(crate) async fn events(
        &mut self,
        id: &ActorId,
        from: SequenceNumber,
        limit: usize,
    ) -> Result<Vec<Value>, Problem> {
        let path = format!("{}/events", actor_path(id));
        let query = [("from", from.to_string()), ("limit", limit.to_string())];
        let local = |inspector: &Inspector| {
            Ok(inspector
                .events(id, from, limit)?
                .iter()
                .map(to_json)
                .collect())
        };
        self.read(
            local,
            Request {
                path,
                query: &query,
                patience: Patience::Usual,
            },
        )
        .await
    }

    /// An actor in full, as the contract shows it.
    pub(crate) async fn inspect(&mut self, id: &ActorId, events: u64) -> Result<Value, Problem> {
        let query = [("events", events.to_string())];
        let request = Request {
            path: format!("{}/inspect", actor_path(id)),
            query: &query,
            patience: Patience::Usual,
        };
        let local = |inspector: &Inspector| {
            let mut detail = detail::read(inspector, id, events)?;
            if id.space() == steadfast_actors::concern::SPACE {
                let summary = inspector.actor(id)?;
                let (stopped, state) = (Some(Status::Stopped), detail.state.clone());
                detail.concern = Some(ConcernRow::stored(summary, stopped, state));
            }
            Ok(to_json(&detail))
        };
        self.read(local, request).await
    }

    /// A replay, and what it was compared with.
    pub(crate) async fn replay(
        &mut self,
        id: &ActorId,
        to: Option<u64>,
    ) -> Result<Replay, Problem> {
        let query: Vec<_> = to.map(|to| ("to", to.to_string())).into_iter().collect();
        let request = Request {
            path: format!("{}/replay", actor_path(id)),
            query: &query,
            patience: Patience::Endless,
        };
        self.read(|inspector| Ok(inspector.replay(id, to)?), request)
            .await
    }

    /// The report of a full check.
    pub(crate) async fn verify(&mut self) -> Result<Value, Problem> {
        let path = "/v1/verify".to_owned();
        let local = |inspector: &Inspector| Ok(verify_json(&inspector.verify()?));
        let request = Request {
            path,
            query: &[],
            patience: Patience::Endless,
        };
        let report = self.read(local, request).await?;
        // A node that started meanwhile changes files under the check, which then finds damage that is
        // none: ask the node.
        match &self.source {
            Source::Directory { dir, .. } if holder(dir)?.is_some() => {
                self.source = open(&self.target, self.timeout).await?;
                Box::pin(self.verify()).await
            }
            Source::Directory { .. } | Source::Node(_) => Ok(report),
        }
    }

    /// The node, where one is there: for what a directory at rest cannot do.
    pub(crate) fn node(&self) -> Result<&Client, Problem> {
        match &self.source {
            Source::Node(client) => Ok(client),
            Source::Directory { dir, .. } => Err(no_node(dir)),
        }
    }

    async fn read<T: DeserializeOwned>(
        &mut self,
        local: impl FnOnce(&Inspector) -> Result<T, Problem>,
        request: Request<'_>,
    ) -> Result<T, Problem> {
        if let Source::Directory { inspector, .. } = &self.source {
            match local(inspector) {
                Ok(found) => return Ok(found),
                Err(problem) => self.turn_to_node(problem).await?,
            }
        }
        self.node()?
            .get(&request.path, request.query, request.patience)
            .await
    }

    /// After the directory could not be read: to the node, if one holds it by now.
    async fn turn_to_node(&mut self, problem: Problem) -> Result<(), Problem> {
        match connect(&self.target, self.timeout).await? {
            Access::Directory(_) => Err(problem),
            Access::Node(client) => {
                self.source = Source::Node(client);
                Ok(())
            }
        }
    }
}

async fn open(target: &Target, timeout: Duration) -> Result<Source, Problem> {
    loop {
        let dir = match connect(target, timeout).await? {
            Access::Node(client) => return Ok(Source::Node(client)),
            Access::Directory(dir) => dir,
        };
        let opened = kinds::node(&dir).inspect();
        // A node that took the directory meanwhile moves files: what was opened may lack its end.
        if holder(&dir)?.is_none() {
            return Ok(Source::Directory {
                inspector: opened?,
                dir,
            });
        }
    }
}

/// What to say where only a node can help.
pub(crate) fn no_node(dir: &Path) -> Problem {
    let detail = format!("no node runs on {}", dir.display());
    let hint = format!("steadfast run --config FILE --data-dir {}", dir.display());
    Problem::new(Code::Unreachable, detail).hint(hint)
}

fn stopped_concerns(inspector: &Inspector) -> Result<Vec<ConcernRow>, Problem> {
    let summaries = inspector.actors(Some(steadfast_actors::concern::SPACE))?;
    let row = |summary: steadfast::ActorSummary| {
        let state = inspector
            .state(&summary.actor, None)
            .ok()
            .map(|view| view.state);
        ConcernRow::stored(summary, Some(Status::Stopped), state)
    };
    Ok(summaries.into_iter().map(row).collect())
}

fn to_json<T: serde::Serialize>(value: &T) -> Value {
    // These views are made of text, numbers and JSON: this cannot fail.
    serde_json::to_value(value).unwrap_or_default()
}
