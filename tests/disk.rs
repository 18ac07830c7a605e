//! Goal: a disk that is full or that fails to sync stops the answers, loses none that was given, and
//! once it is well again the node goes on by itself.
//!
//! Method: a small file system of its own that a ballast fills, and `strace` that makes a sync fail.
//! Where this needs root or `strace` and there is none, the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use steadfast_tests::{Dice, History};

use crate::harness::{Place, Victim, check_all, runtime, say, scaled, seed, start, wait_settled};

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
    for life in 1..=scaled(1, 10) {
        std::fs::write(&ballast, vec![1; 40 << 20]).expect("there is room for the ballast");
        let command = Command::new(env!("CARGO_BIN_EXE_victim"));
        let mut victim = Victim::load_with(command, &place, (life, seed, NOTE), &[]);
        victim.wait_for("ready");
        let why = victim.wait_for("trouble");
        say(&format!("full_disk: {why}"));
        let reason = victim.wait_for("trouble read-only");
        assert!(reason.contains("no space left"), "the reason is named: {reason}");
        std::fs::remove_file(&ballast).expect("it is removed");
        victim.wait_for("reopened");
        victim.wait_for("answers");
        victim.kill();
        check_all(&place.dir, &place, &History::read(&place.record), false);
        std::fs::remove_dir_all(&place.dir).expect("it is removed");
        std::fs::remove_file(&place.record).expect("it is removed");
    }
    drop(disk);
}

#[test]
fn failed_sync_is_never_acknowledged_and_never_retried() {
    let seed = seed("failed_sync");
    let there = Command::new("strace").arg("-V").output();
    if !there.is_ok_and(|output| output.status.success()) {
        return say("failed_sync: SKIPPED: strace is not installed");
    }
    let mut dice = Dice::new(seed);
    let place = Place::new();
    for life in 1..=scaled(3, 40) {
        let number = 5 + dice.roll(60);
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"])
            .arg("-e")
            .arg(format!("inject=fdatasync:error=EIO:when={number}"))
            .arg(env!("CARGO_BIN_EXE_victim"));
        let mut victim = Victim::load_with(strace, &place, (life, seed, 0), &[]);
        victim.wait_for("ready");
        victim.wait_for("trouble");
        victim.wait_for("reopened");
        victim.wait_for("answers");
        victim.kill();
        check_all(&place.dir, &place, &History::read(&place.record), false);
    }
    runtime().block_on(async {
        let node = start(&place.dir, &place.open_record()).await;
        wait_settled(&node).await;
        node.shutdown().await.expect("an orderly end");
    });
    let figures = check_all(&place.dir, &place, &History::read(&place.record), true);
    say(&format!("failed_sync: {figures:?}"));
}
