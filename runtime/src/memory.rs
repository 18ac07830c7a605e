//! How much memory this process may use.

use std::fs;
use std::path::Path;

/// The smallest of what the machine has and what the control groups of this process allow, in bytes; `None`
/// where neither can be found out, as on systems other than Linux.
pub(crate) fn limit() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| machine_bytes(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_files(&groups)
        .iter()
        .filter_map(|file| group_bytes(&fs::read_to_string(file).ok()?))
        .chain(machine)
        .min()
}

/// The line `MemTotal:  16318812 kB`.
fn machine_bytes(meminfo: &str) -> Option<usize> {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

/// The files that may hold a limit: those of the process's own group and of all groups above it, in both
/// versions of control groups. Inside a container the own group's path may not be there: the top one is.
fn group_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(group)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = if number == "0" && controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        for above in Path::new(group).ancestors() {
            let above = above.display().to_string();
            files.push(format!("{root}{}/{file}", above.trim_end_matches('/')));
        }
    }
    files
}

/// A number, or `max`.
fn group_bytes(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read_in_kib() {
        let meminfo = "MemTotal:       24684096 kB\nMemFree:         1 kB\n";
        assert_eq!(machine_bytes(meminfo), Some(24_684_096 * 1_024));
        assert_eq!(machine_bytes("MemFree: 1 kB\n"), None);
        assert_eq!(machine_bytes("MemTotal: many\n"), None);
    }

    #[test]
    fn the_groups_of_both_versions_and_all_above_them_count() {
        assert_eq!(
            group_files("4:cpu,memory:/a/b\n3:cpuset:/\n0::/c\n"),
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(group_files("nonsense"), Vec::<String>::new());
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(group_bytes("max\n"), None);
        assert_eq!(group_bytes("1073741824\n"), Some(1 << 30));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_says_how_much_there_is() {
        assert!(limit().is_some_and(|bytes| bytes > 1 << 20));
    }
}
