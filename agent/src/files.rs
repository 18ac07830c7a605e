//! How many files the process may have open, and how they are shared out.
//!
//! A file of its own because whoever opens sockets takes from the same limit as the journal, which cannot go on
//! without the files that it needs next: connections get what is left over.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is asked for where no more is allowed at once: programs that the node starts have this limit too, and some
/// still close every number below it.
const WANTED: u64 = 8_192;
/// Kept for journal, index, snapshots, concerns and threads: RocksDB keeps at most 1,280 of its files open, and closes
/// what it does not need where that is more than it can have.
const KEPT: u64 = 1_536;
/// Connections of one listener, where there is room.
const MOST: u64 = 1_024;
/// Listeners that are reckoned with: a port, the socket, one more each.
const LISTENERS: u64 = 4;
/// As few as this are too few to be of use.
const FEWEST: u64 = 16;

/// Raises the limit of open files to what the system allows, if it is low.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < WANTED) else {
        return;
    };
    let raised = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
    let limit = Rlimit {
        current: Some(raised),
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, current, "the limit of open files stays as it is");
    }
}

/// Connections that one listener takes at the same time.
pub(crate) fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(share(limit)).unwrap_or(usize::MAX)
}

/// At most half of the files go to connections.
fn share(limit: u64) -> u64 {
    let free = limit.saturating_sub(KEPT).max(limit / 2);
    (free / LISTENERS).clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn connections_leave_files_for_the_journal() {
        for (limit, expected) in [
            (0, 16),
            (64, 16),
            (256, 32),
            (1_024, 128),
            (4_096, 640),
            (8_192, 1_024),
        ] {
            assert_eq!(share(limit), expected, "{limit}");
        }
        assert_eq!(share(u64::MAX), 1_024);
    }
}
