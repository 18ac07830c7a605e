//! Goal: a full disk stops the answers with a clear reason, loses none that was given, and once there is
//! space again the node goes on by itself.
//!
//! Method: a small file system of its own, which a ballast makes smaller. Where this user may not mount
//! one, the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use steadfast_tests::History;

use crate::harness::{Place, Victim, check_all, proved, say, seed, tries};

/// Bytes that each operation carries, to fill the disk soon.
const NOTE: usize = 4_096;

/// A file system in memory, gone when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(at: &Path, megabytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a directory");
        let size = format!("size={megabytes}m");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output();
        let mounted = done.is_ok_and(|done| done.status.success());
        mounted.then(|| Self { at: at.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.at).status();
        assert!(done.is_ok_and(|status| status.success()), "it unmounts");
    }
}

#[test]
fn full_disk_refuses_and_goes_on_when_there_is_space() {
    let seed = seed("full_disk");
    let mut place = Place::new();
    let at = place.root.path().join("small");
    let Some(disk) = SmallDisk::mount(&at, 96) else {
        return say("full_disk: SKIPPED: this user may not mount a file system; run it as root");
    };
    place.dir = at.join("data");
    let ballast = at.join("ballast");
    let cycles = tries(1, 10);
    for life in 1..=cycles {
        std::fs::write(&ballast, vec![1; 40 << 20]).expect("there is room for the ballast");
        let command = Command::new(env!("CARGO_BIN_EXE_victim"));
        let mut victim = Victim::load_with(command, &place, (life, seed, NOTE), &[]);
        victim.wait_for("ready");
        let reason = victim.wait_for("trouble read-only:");
        say(&format!("full_disk: {reason}"));
        assert!(
            reason.contains("no space left"),
            "the reason is named: {reason}"
        );
        std::fs::remove_file(&ballast).expect("it is removed");
        victim.wait_for("reopened");
        victim.wait_for("answers");
        victim.kill();
        check_all(&place.dir, &place, &History::read(&place.record), false);
        std::fs::remove_dir_all(&place.dir).expect("it is removed");
        std::fs::remove_file(&place.record).expect("it is removed");
    }
    drop(disk);
    proved("full_disks", cycles);
}
