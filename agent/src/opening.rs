//! Opening the journal at a start. A disk without room is waited for, as a node that runs waits for it: the
//! concerns that would free it may be this node's own.

use std::path::Path;
use std::time::Duration;

use steadfast::{Node, NodeError};

use crate::http::App;
use crate::kinds;
use crate::problem::{Problem, chain};
use crate::service::{Notifier, State};
use crate::signals::Ending;

/// First wait before the directory is opened again.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Opens the journal in `dir`; tries again for as long as the disk has no room. `None` once the process is asked
/// to end before that.
///
/// # Errors
/// Why it cannot be opened for any other reason.
pub(crate) async fn open(
    dir: &Path,
    app: &App,
    service: &Notifier,
    ending: &mut Ending,
) -> Result<Option<Node>, Problem> {
    let mut wait = FIRST_WAIT;
    loop {
        match start(dir).await {
            Ok(node) => return Ok(Some(node)),
            Err(error) if error.is_out_of_space() => tell(&error, app, service),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            biased;
            signal = ending.end() => {
                tracing::info!(signal, "stopped before the journal was open");
                return Ok(None);
            }
            () = tokio::time::sleep(wait) => {}
        }
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// Says why the start takes so long, in the log once.
fn tell(error: &NodeError, app: &App, service: &Notifier) {
    let reason = chain(error);
    service.tell(State::Starting(&reason));
    if app.hold_up(&reason) {
        tracing::error!(
            error = reason,
            "the journal cannot be opened yet; it is tried again"
        );
    }
}

async fn start(dir: &Path) -> Result<Node, NodeError> {
    let node = kinds::node(dir).hold_pending_work().start().await?;
    if let Ok(report) = node.opened() {
        tracing::info!(
            epoch = report.epoch.get(),
            recovered_commit = report.recovered.map(steadfast::journal::CommitIndex::get),
            wal_bytes = report.wal_bytes,
            verified_commits = report.verified_commits,
            took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            "journal open"
        );
    }
    Ok(node)
}
