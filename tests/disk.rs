//! Goal: a full disk stops the answers with a clear reason, loses none that was given, and once there is
//! space again the node goes on by itself.
//!
//! Method: a small file system of its own, ext4 in a file, and a victim that lives there again and again, killed each
//! time. A ballast takes what room is left, and gives it back once the node has refused. One directory goes through all
//! cycles, and at the end everything in it is settled and judged. Where no such file system may be mounted it is one in
//! memory, which knows neither syncs nor late allocation, and is not counted; where none may, the test says so and passes.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use steadfast_tests::{Dice, History};

use crate::harness::{
    Cuttable, FileSystem, Place, Victim, asked_again, check_all, proved, say, seed, settle_with,
    tries,
};

/// Bytes that each operation carries, to fill the disk soon.
const NOTE: usize = 4_096;
/// Bytes that the ballast leaves at most.
const LEFT: u64 = 8 << 20;
/// Cycles until the disk is made anew: what is written stays, and each cycle needs room.
const CYCLES: u64 = 10;

/// A file system in memory, gone when dropped.
struct InMemory {
    at: PathBuf,
}

impl InMemory {
    /// `None` where this process may not mount.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a directory");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"])
            .arg(at)
            .output();
        let mounted = done.is_ok_and(|done| done.status.success());
        mounted.then(|| Self { at: at.to_owned() })
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.at).status();
        assert!(done.is_ok_and(|status| status.success()), "it unmounts");
    }
}

/// Where the victim lives.
enum SmallDisk {
    Ext4(Cuttable),
    InMemory(InMemory),
}

impl SmallDisk {
    fn create(test: &str, root: &Path) -> Option<Self> {
        let ext4 = Cuttable::create(test, root, FileSystem::Ext4);
        ext4.map(Self::Ext4)
            .or_else(|| InMemory::mount(&root.join("small")).map(Self::InMemory))
    }

    fn at(&self) -> &Path {
        match self {
            Self::Ext4(disk) => &disk.at,
            Self::InMemory(disk) => &disk.at,
        }
    }
}

#[test]
fn full_disk_refuses_and_goes_on_when_there_is_space() {
    let test = "full_disk";
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let (cycles, mut done, mut on_disk) = (tries(1, 10), 0, 0);
    while done < cycles {
        let mut place = Place::new();
        let Some(disk) = SmallDisk::create(test, place.root.path()) else {
            return say(&format!(
                "{test}: SKIPPED: this user may not mount a file system; run it as root"
            ));
        };
        place.dir = disk.at().join("data");
        let mut history = History::default();
        let here = CYCLES.min(cycles - done);
        for life in 1..=here {
            let reason = one_cycle(&disk, &place, (life, seed), &history, &mut dice);
            history.read_on(&place.record);
            check_all(&place.dir, &place, &history, false);
            if life == 1 {
                say(&format!("{test}: {reason}"));
            }
        }
        settle_with(test, &place, &mut history, NOTE);
        done += here;
        on_disk += if let SmallDisk::Ext4(_) = disk {
            here
        } else {
            0
        };
    }
    if on_disk == cycles {
        proved("full_disks", cycles);
    }
}

/// A life of the victim whose disk fills up, and has room again. What it said of that.
fn one_cycle(
    disk: &SmallDisk,
    place: &Place,
    (life, seed): (u64, u64),
    history: &History,
    dice: &mut Dice,
) -> String {
    let ballast = disk.at().join("ballast");
    let again = asked_again(history);
    let command = Command::new(env!("CARGO_BIN_EXE_victim"));
    let mut victim = Victim::load_with(command, place, (life, seed, NOTE), &again);
    victim.wait_for("ready");
    fill(&ballast, dice.roll(LEFT));
    let reason = victim.wait_for("trouble read-only:");
    assert!(
        reason.contains("no space left"),
        "the reason is named: {reason}"
    );
    // Who only reads is refused too, and told why: nothing is answered that may not be there.
    let peeked = victim.wait_for("peeked read-only:");
    assert_eq!(peeked, reason, "the same reason");
    std::fs::remove_file(&ballast).expect("it is removed");
    victim.wait_for("reopened");
    victim.wait_for("answers");
    victim.kill();
    reason
}

/// Takes all the room that there is, but for so many bytes.
fn fill(ballast: &Path, left: u64) {
    let mut file = File::create(ballast).expect("a file");
    let full = loop {
        if let Err(error) = file.write_all(&[1; 1 << 14]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    let taken = file.metadata().expect("its length").len();
    let shorter = file.set_len(taken.saturating_sub(left));
    shorter.and_then(|()| file.sync_all()).expect("a file");
}
