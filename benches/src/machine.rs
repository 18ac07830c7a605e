//! The machine under a benchmark, read from the kernel: a number without it means nothing.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The variable that names the directory to measure in.
const VARIABLE: &str = "STEADFAST_BENCH_DIR";

/// `$STEADFAST_BENCH_DIR`, or else the system's temporary directory.
#[must_use]
pub fn parent_directory() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(std::env::temp_dir, PathBuf::from)
}

/// A fresh directory below `$STEADFAST_BENCH_DIR`, or else below the system's temporary directory.
#[must_use]
pub fn directory() -> TempDir {
    let parent = parent_directory();
    tempfile::tempdir_in(&parent)
        .unwrap_or_else(|error| panic!("no directory in {}: {error}", parent.display()))
}

/// What the numbers depend on. Its `Display` is the heading of a report.
#[derive(Debug)]
pub struct Machine {
    /// Name of the processor.
    cpu: String,
    /// Threads that may run at the same time.
    cores: usize,
    /// File system under the measured directory, and the device it is on.
    file_system: Option<(String, String)>,
    /// The measured directory.
    dir: PathBuf,
}

impl Machine {
    /// Looks at this machine and at `dir`.
    #[must_use]
    pub fn around(dir: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: model_name(&cpus).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            file_system: mount_of(&mounts, dir),
            dir: dir.to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cpu         {}, {} threads", self.cpu, self.cores)?;
        let (kind, device) = self
            .file_system
            .as_ref()
            .map_or(("unknown", "unknown"), |(kind, device)| {
                (kind.as_str(), device.as_str())
            });
        writeln!(f, "directory   {} ({kind} on {device})", self.dir.display())?;
        if kind == "tmpfs" {
            writeln!(
                f,
                "            IN MEMORY: a sync costs nothing here. Set {VARIABLE} to a directory on a disk."
            )?;
        }
        write!(
            f,
            "sync        every group commit, before anything is acknowledged"
        )
    }
}

fn model_name(cpus: &str) -> Option<&str> {
    cpus.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, name)| name.trim())
}

/// The type and device of the mount that holds `dir`: the longest mount point above it, and of equally
/// long ones the last, which covers the others.
fn mount_of(mounts: &str, dir: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, (String, String))> = None;
    for line in mounts.lines() {
        let mut fields = line.split_whitespace();
        let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let depth = Path::new(point).components().count();
        if dir.starts_with(point) && best.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
            best = Some((depth, (kind.to_owned(), device.to_owned())));
        }
    }
    best.map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let mounts =
            "disk / ext4 rw 0 0\nmem /tmp tmpfs rw 0 0\nfast /tmp xfs rw 0 0\nx /t nfs rw 0 0\n";
        let of = |dir: &str| mount_of(mounts, Path::new(dir)).map(|(kind, _)| kind);
        assert_eq!(of("/tmp/a").as_deref(), Some("xfs"));
        assert_eq!(of("/home").as_deref(), Some("ext4"));
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn the_processor_has_a_name() {
        assert_eq!(
            model_name("processor\t: 0\nmodel name\t: Fast 1\n"),
            Some("Fast 1")
        );
        assert_eq!(model_name(""), None);
    }
}
