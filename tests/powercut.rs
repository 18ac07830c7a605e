//! Goal: a power cut at any moment takes nothing that was acknowledged.
//!
//! Method: the victim loads a directory on a file system of its own. It is stopped, what it was promised is read, and
//! the file system is shut down without writing its journal back; then it is mounted again and looked at. The next life
//! asks again what the cut left open, and before a directory is made anew everything that is pending comes back. In
//! every fourth directory money is transferred instead. The record lies elsewhere. Control: on a disk that lies
//! about its syncs the loss is noticed.

use std::process::Command;
use std::time::Duration;

use steadfast_tests::{Dice, History, Record};

use crate::harness::{
    Cuttable, FileSystem, Place, Victim, asked_again, check_acknowledged, check_newest, proved,
    reopen, say, seed, settle_and_check, tries,
};
use crate::transfers;

/// Cuts until the directory is made anew, so that it stays small.
const LIVES: u64 = 25;
/// Cuts within which a lying disk must be found out.
const CONTROLS: u64 = 20;

#[test]
fn power_cuts_lose_nothing_on_ext4() {
    cuts(
        FileSystem::Ext4,
        "power_cuts_lose_nothing_on_ext4",
        tries(6, 1_500),
    );
}

#[test]
fn power_cuts_lose_nothing_on_xfs() {
    cuts(
        FileSystem::Xfs,
        "power_cuts_lose_nothing_on_xfs",
        tries(4, 500),
    );
}

fn cuts(kind: FileSystem, test: &str, cuts: u64) {
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let (mut done, mut acknowledged) = (0, 0);
    while done < cuts {
        let mut place = Place::new();
        let Some(disk) = Cuttable::create(test, place.root.path(), kind) else {
            return;
        };
        place.dir = disk.at.join("data");
        let lives = LIVES.min(cuts - done);
        acknowledged += match dice.roll(4) {
            0 => cut_transfers(&disk, &place, (lives, seed), &mut dice),
            _ => cut_loads(&disk, &place, (lives, seed), &mut dice, test),
        };
        done += lives;
    }
    say(&format!(
        "{test}: {done} cuts, {acknowledged} acknowledged operations are there"
    ));
    proved(&format!("power_cuts_{}", kind.name()), done);
}

/// How much was acknowledged, and is there.
fn cut_loads(
    disk: &Cuttable,
    place: &Place,
    (lives, seed): (u64, u64),
    dice: &mut Dice,
    test: &str,
) -> usize {
    let mut history = History::default();
    for life in 1..=lives {
        let known = history.acknowledged.len();
        let command = Command::new(env!("CARGO_BIN_EXE_victim"));
        let again = asked_again(&history);
        one_cut(disk, place, command, (life, seed), &again, dice);
        history.read_on(&place.record);
        if history.acknowledged.is_empty() {
            continue;
        }
        // An opening for writing judges the log by the mark, which readers do not.
        reopen(&place.dir, &place.open_record()).expect("what a power cut left opens");
        // What was pending came back meanwhile.
        history.read_on(&place.record);
        check_newest(place, &history, known);
    }
    settle_and_check(test, place, &mut history);
    history.acknowledged.len()
}

/// The same with transfers, which are messages: after each cut, and at the end when all were taken.
fn cut_transfers(
    disk: &Cuttable,
    place: &Place,
    (lives, seed): (u64, u64),
    dice: &mut Dice,
) -> usize {
    let mut history = History::default();
    for life in 1..=lives {
        let again = transfers::open_transfers(&history);
        let victim = Victim::transfers(place, life, seed, &again);
        cut_under(disk, victim, dice.roll(4) > 0, dice);
        history.read_on(&place.record);
        if !history.acknowledged.is_empty() {
            transfers::check(place, &history, false);
        }
    }
    transfers::settle(place, &mut history);
    history.acknowledged.len()
}

/// Loads until a random moment, cuts, and mounts again.
fn one_cut(
    disk: &Cuttable,
    place: &Place,
    command: Command,
    (life, seed): (u64, u64),
    again: &[u64],
    dice: &mut Dice,
) {
    // Under strace only one that serves can be told from strace itself.
    let traced = command.get_program() == "strace";
    let victim = Victim::load_with(command, place, (life, seed, 0), again);
    cut_under(disk, victim, traced || dice.roll(4) > 0, dice);
}

fn cut_under(disk: &Cuttable, mut victim: Victim, once_ready: bool, dice: &mut Dice) {
    if once_ready {
        victim.wait_for("ready");
    }
    std::thread::sleep(Duration::from_micros(dice.roll(300_000)));
    // Nothing is promised between the cut and the end.
    victim.hold();
    disk.cut();
    victim.kill();
    disk.restore();
}

#[test]
fn a_lying_disk_is_found_out() {
    for kind in [FileSystem::Ext4, FileSystem::Xfs] {
        is_found_out("a_lying_disk_is_found_out", kind);
    }
}

fn is_found_out(test: &str, kind: FileSystem) {
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    for cut in 1..=CONTROLS {
        let mut place = Place::new();
        let Some(disk) = Cuttable::create(test, place.root.path(), kind) else {
            return;
        };
        place.dir = disk.at.join("data");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"])
            .args(["-e", "trace=fdatasync,fsync,sync_file_range"])
            .args(["-e", "inject=fdatasync,fsync,sync_file_range:retval=0"])
            .arg(env!("CARGO_BIN_EXE_victim"));
        one_cut(&disk, &place, strace, (1, seed), &[], &mut dice);
        let history = History::read(&place.record);
        if !history.acknowledged.is_empty() && !is_there(&place, &history) {
            return say(&format!("{test}: {} by cut {cut}", kind.name()));
        }
    }
    panic!("{CONTROLS} cuts of a disk that never synced, and nothing was missed");
}

/// Whether the directory opens and has everything that was acknowledged.
fn is_there(place: &Place, history: &History) -> bool {
    let record = std::sync::Arc::new(
        Record::append_to(&place.root.path().join("other")).expect("a record of its own"),
    );
    if reopen(&place.dir, &record).is_err() {
        return false;
    }
    let looked = std::panic::AssertUnwindSafe(|| {
        check_acknowledged(&place.dir, place, history, &history.acknowledged);
    });
    std::panic::catch_unwind(looked).is_ok()
}
