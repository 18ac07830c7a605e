//! `status`: a node on one screen.

use std::time::Duration;

use super::args::Form;
use super::control::node;
use super::output::Output;
use super::target::Target;
use crate::client::Patience;
use crate::problem::{Exit, Problem};
use crate::status::{ConcernCounts, JournalPart, NodePart, NodeStatus};

/// Shows the node. There is nothing to show without one.
pub(super) async fn status(
    target: &Target,
    timeout: Duration,
    output: Output,
) -> Result<Exit, Problem> {
    let client = node(target, timeout).await?;
    let status: NodeStatus = client.get("/v1/status", &[], Patience::Usual).await?;
    if output.form != Form::Table {
        output.document(&status)?;
        return Ok(Exit::Ok);
    }
    let rows = lines(&status)
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value]);
    output.table(&["NODE", &status.node.name], rows.collect())?;
    for one in &status.attention {
        output.line("")?;
        output.line(&format!("{}: {}", one.actor, one.why))?;
        output.line(&format!("  next: {}", output.found(&one.next)))?;
    }
    Ok(Exit::Ok)
}

fn lines(status: &NodeStatus) -> Vec<(&'static str, String)> {
    let NodePart {
        pid,
        version,
        uptime_seconds,
        data_dir,
        config,
        config_digest,
        memory_bytes,
        ..
    } = &status.node;
    let uptime = uptime(*uptime_seconds);
    let mut lines = vec![
        ("process", format!("{pid}, version {version}, up {uptime}")),
        ("data", data_dir.clone()),
        ("config", format!("{config} ({})", named(config_digest))),
        ("memory", memory_bytes.map_or_else(unknown, size)),
        ("journal", journal(&status.journal)),
        ("files", files(&status.journal)),
        ("recovery", recovery(status)),
        (
            "concerns",
            status.concerns.as_ref().map_or_else(unknown, concerns),
        ),
        ("actors", actors(status)),
        ("pending", pending(status)),
    ];
    if let Some(reason) = &status.journal.read_only {
        lines.insert(0, ("READ-ONLY", reason.clone()));
    }
    lines
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// A size to one decimal place, rounded down.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units.iter().find(|(shift, _)| bytes >> shift > 0);
    fits.map_or_else(
        || format!("{bytes} B"),
        |(shift, unit)| {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

fn named(digest: &str) -> &str {
    if digest.is_empty() {
        "starting"
    } else {
        digest
    }
}

fn journal(part: &JournalPart) -> String {
    let number = |number: Option<u64>| number.map_or_else(unknown, |number| number.to_string());
    format!(
        "commit {}, epoch {}, history {}",
        number(part.commit),
        number(part.epoch),
        part.history.as_deref().unwrap_or("unknown")
    )
}

fn files(part: &JournalPart) -> String {
    format!(
        "journal {}, of it write-ahead log {}, snapshots {}",
        size(part.bytes),
        size(part.wal_bytes),
        size(part.snapshot_bytes)
    )
}

fn recovery(status: &NodeStatus) -> String {
    status.recovery.as_ref().map_or_else(
        || "the journal is being reopened".to_owned(),
        |part| {
            format!(
                "{}, {} commits verified, {} replayed, took {} ms",
                part.commit
                    .map_or("a new directory".to_owned(), |at| format!("at commit {at}")),
                part.verified_commits,
                size(part.wal_bytes),
                part.took_ms
            )
        },
    )
}

fn concerns(counts: &ConcernCounts) -> String {
    let sorts = counts.by_status();
    let there = sorts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = there
        .map(|(sort, count)| format!("{count} {sort}"))
        .collect();
    if parts.is_empty() {
        return "none".to_owned();
    }
    format!("{}: {}", counts.total, parts.join(", "))
}

fn actors(status: &NodeStatus) -> String {
    let totals = &status.actors;
    format!(
        "{} in memory, {} recovering, {} quarantined; {} commands wait",
        totals.resident, totals.recovering, totals.quarantined, totals.waiting
    )
}

fn pending(status: &NodeStatus) -> String {
    let running = status.actors.effects_running;
    status.pending.as_ref().map_or_else(unknown, |counts| {
        let more = if counts.complete { "" } else { " or more" };
        format!(
            "{} timers, {} effects ({running} running), {} messages{more}",
            counts.timers, counts.effects, counts.messages
        )
    })
}

fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_are_short() {
        let shown: Vec<String> = [9, 61, 3_661, 90_000].into_iter().map(uptime).collect();
        assert_eq!(shown, ["9 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn sizes_are_short() {
        let shown: Vec<String> = [0, 1_023, 1_536, (1 << 20) - 1, 5 << 30]
            .into_iter()
            .map(size)
            .collect();
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "1023.9 KiB", "5.0 GiB"]);
    }
}
