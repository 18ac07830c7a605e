//! A node on one screen: what `status` shows. One shape for the route and for the command line.

use std::path::Path;

use serde::{Deserialize, Serialize};
use steadfast::journal::OpenReport;
use steadfast::{NodeTotals, PendingCounts};
use steadfast_actors::concern::RunOutcome;

use crate::view::{ConcernRow, Status};

/// Concerns that are named because they need somebody.
const NAMED: usize = 20;

/// A node on one screen. The fields are a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// The process.
    pub(crate) node: NodePart,
    /// What it keeps.
    pub(crate) journal: JournalPart,
    /// What the newest opening of the journal found; `null` while it is reopened.
    pub(crate) recovery: Option<RecoveryPart>,
    /// Actors in memory.
    pub(crate) actors: NodeTotals,
    /// Work that waits; `null` while the journal is reopened.
    pub(crate) pending: Option<PendingCounts>,
    /// Concerns by what they do; `null` while the journal is reopened.
    pub(crate) concerns: Option<ConcernCounts>,
    /// Concerns that need somebody, and the command to run next.
    pub(crate) attention: Vec<Attention>,
}

/// The process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodePart {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) uptime_seconds: u64,
    pub(crate) data_dir: String,
    /// The config file.
    pub(crate) config: String,
    /// Names the configuration that holds; empty while the node starts.
    pub(crate) config_digest: String,
    /// Memory that the process holds; `null` where the system does not tell.
    pub(crate) memory_bytes: Option<u64>,
}

/// What the node keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalPart {
    /// The timeline; `null` while the journal is reopened.
    pub(crate) history: Option<String>,
    /// How often the directory was opened; `null` while it is reopened.
    pub(crate) epoch: Option<u64>,
    /// The newest durable commit.
    pub(crate) commit: Option<u64>,
    /// Why nothing can be written; `null` while it can.
    pub(crate) read_only: Option<String>,
    /// Bytes of the journal's files.
    pub(crate) bytes: u64,
    /// Those of them that are write-ahead log.
    pub(crate) wal_bytes: u64,
    /// Bytes of the snapshots' files.
    pub(crate) snapshot_bytes: u64,
}

/// What opening the journal found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecoveryPart {
    /// The newest commit that was there; `null` in a new directory.
    pub(crate) commit: Option<u64>,
    /// Write-ahead log that was replayed.
    pub(crate) wal_bytes: u64,
    /// Commits whose place in the chain was checked.
    pub(crate) verified_commits: u64,
    pub(crate) took_ms: u64,
}

impl From<OpenReport> for RecoveryPart {
    fn from(report: OpenReport) -> Self {
        Self {
            commit: report.recovered.map(steadfast::journal::CommitIndex::get),
            wal_bytes: report.wal_bytes,
            verified_commits: report.verified_commits,
            took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Concerns by what they do; each is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConcernCounts {
    pub(crate) total: usize,
    /// Waiting, the newest run did not fail or there was none, and nothing asks for somebody.
    pub(crate) idle: usize,
    pub(crate) running: usize,
    pub(crate) paused: usize,
    /// Waiting, and the newest run failed or its outcome is unknown.
    pub(crate) failing: usize,
    /// Waiting, the newest run succeeded, and what it found asks for somebody, such as a target that is down.
    #[serde(default)]
    pub(crate) alerting: usize,
    pub(crate) quarantined: usize,
    /// Being rebuilt, or of a kind that this program does not run.
    pub(crate) other: usize,
}

impl ConcernCounts {
    /// The sorts by their names.
    pub(crate) fn by_status(&self) -> [(&'static str, usize); 7] {
        [
            ("running", self.running),
            ("idle", self.idle),
            ("paused", self.paused),
            ("failing", self.failing),
            ("alerting", self.alerting),
            ("quarantined", self.quarantined),
            ("other", self.other),
        ]
    }
}

/// A concern that needs somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attention {
    pub(crate) actor: String,
    pub(crate) why: String,
    /// The command to run next.
    pub(crate) next: String,
}

/// Counts the concerns, and names those that need somebody.
pub(crate) fn count(rows: &[ConcernRow]) -> (ConcernCounts, Vec<Attention>) {
    let mut counts = ConcernCounts {
        total: rows.len(),
        ..ConcernCounts::default()
    };
    let mut attention = Vec::new();
    for row in rows {
        let name = row.actor.strip_prefix("concern/").unwrap_or(&row.actor);
        match row.status {
            Status::Running => counts.running += 1,
            Status::Paused => counts.paused += 1,
            Status::Recovering | Status::Stopped => counts.other += 1,
            Status::Quarantined => {
                counts.quarantined += 1;
                let (why, next) = ("in quarantine".to_owned(), "quarantine show");
                attention.push(needs(row, why, next, name));
            }
            Status::Idle => match failure(row) {
                None if row.attention.is_some() => counts.alerting += 1,
                None => counts.idle += 1,
                Some(outcome) => {
                    if matches!(outcome, RunOutcome::Failed | RunOutcome::Unknown) {
                        counts.failing += 1;
                    } else {
                        counts.idle += 1;
                    }
                    let why = format!("the newest run ended {outcome}");
                    attention.push(needs(row, why, "events", name));
                }
            },
        }
        if let Some(found) = &row.attention {
            attention.push(Attention {
                actor: row.actor.clone(),
                why: found.why.clone(),
                next: row.look(found),
            });
        }
    }
    attention.truncate(NAMED);
    (counts, attention)
}

fn needs(row: &ConcernRow, why: String, verb: &str, name: &str) -> Attention {
    Attention {
        actor: row.actor.clone(),
        why,
        next: format!("steadfast {verb} {name}"),
    }
}

/// How the newest run ended, if somebody has to look.
fn failure(row: &ConcernRow) -> Option<RunOutcome> {
    let outcome = row.last_run.as_ref()?.outcome?;
    outcome.needs_somebody().then_some(outcome)
}

/// Bytes of all files in a directory, and of those that are write-ahead log. What cannot be read counts
/// nothing: files come and go.
pub(crate) fn sizes(dir: &Path) -> (u64, u64) {
    let (mut all, mut wal) = (0_u64, 0_u64);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() {
            all = all.saturating_add(meta.len());
            if entry.path().extension().is_some_and(|end| end == "log") {
                wal = wal.saturating_add(meta.len());
            }
        }
    }
    (all, wal)
}

/// Memory that this process holds, as Linux tells it.
pub(crate) fn memory_bytes() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(outcome: &str) -> ConcernRow {
        let row = serde_json::json!({
            "actor": "concern/n", "kind": "exec", "seq": 3, "status": "idle", "next_run": null,
            "last_run": {
                "id": "run_1", "actor": "concern/n", "started": "2026-01-01T00:00:00Z",
                "finished": "2026-01-01T00:00:01Z", "outcome": outcome,
            },
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_cancelled_run_needs_nobody() {
        for outcome in ["succeeded", "cancelled"] {
            let (counts, attention) = count(&[ended(outcome)]);
            assert_eq!((counts.idle, counts.failing), (1, 0), "{outcome}");
            assert_eq!(attention, []);
        }
        let (counts, attention) = count(&[ended("timed_out")]);
        assert_eq!((counts.idle, attention.len()), (1, 1));
        for outcome in ["failed", "unknown"] {
            let (counts, attention) = count(&[ended(outcome)]);
            assert_eq!((counts.failing, attention.len()), (1, 1), "{outcome}");
        }
    }

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(
            resident("Name:\tx\nVmRSS:\t  2048 kB\nThreads: 1"),
            Some(2 << 20)
        );
        assert_eq!(resident("Name:\tx"), None);
        assert_eq!(resident("VmRSS: much"), None);
    }
}
