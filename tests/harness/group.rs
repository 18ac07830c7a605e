//! A control group that bounds the memory of a process, the pages that the kernel caches for it too, as containers and
//! services have it.

use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = "/sys/fs/cgroup";

/// Removed when dropped; its processes must be gone by then.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    dir: PathBuf,
}

impl MemoryGroup {
    /// A group of so many bytes, by version 1 or 2 of control groups; why not, if there can be none.
    pub(crate) fn new(bytes: u64) -> Result<Self, String> {
        let version_1 = Path::new(ROOT).join("memory");
        let (parent, limit) = if version_1.is_dir() {
            (version_1, "memory.limit_in_bytes")
        } else {
            (PathBuf::from(ROOT), "memory.max")
        };
        let dir = tempfile::Builder::new()
            .prefix("steadfast-")
            .tempdir_in(&parent)
            .map_err(|error| format!("{}: {error}", parent.display()))?;
        let group = Self { dir: dir.keep() };
        std::fs::write(group.dir.join(limit), bytes.to_string())
            .map_err(|error| format!("{limit}: {error}"))?;
        // Else what does not fit would be written to the swap.
        for (name, value) in [("memory.swappiness", "0"), ("memory.swap.max", "0")] {
            drop(std::fs::write(group.dir.join(name), value));
        }
        Ok(group)
    }

    /// `program`, in this group from its first instruction.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"echo $$ >"$1" && shift && exec "$@""#, "sh"])
            .arg(self.dir.join("cgroup.procs"))
            .arg(program);
        command
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A group is a directory without anything that could be removed first.
        drop(std::fs::remove_dir(&self.dir));
    }
}
