//! Goal: whatever happens to the files of a stopped node, nothing that was acknowledged is missing without a word.
//!
//! Method: copies of a directory that a kill left; in each one a file is damaged in a way that disks, people and
//! restores do it. Then a node is started. Either it refuses, or everything acknowledged is there. What was only
//! derived may be built anew.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast_tests::{Dice, History, Record, tally};

use crate::harness::{
    Place, Victim, check_acknowledged, proved, runtime, say, scaled, seed, tries,
};

/// Copies of one directory until another one is made.
const OF_ONE: u64 = 200;
/// The victim's answers in each.
const ANSWERS: u64 = 2_000;
const PAGE: usize = 4_096;

/// What became of a damaged directory.
#[derive(Debug, Default)]
struct Outcomes {
    refused: u64,
    whole: u64,
}

#[test]
fn no_damage_takes_anything_without_a_word() {
    let seed = seed("no_damage_takes_anything_without_a_word");
    let mut dice = Dice::new(seed);
    let (wanted, mut outcomes) = (tries(60, 2_000), Outcomes::default());
    let mut done = 0;
    while done < wanted {
        let place = Place::new();
        let (earlier, history) = two_moments(&place, seed.wrapping_add(done));
        for _ in 0..OF_ONE.min(wanted - done) {
            let damaged = place.copy("damaged");
            let what = damage(&damaged, &earlier, &mut dice);
            judge(&place, &damaged, &history, &what, &mut outcomes);
            fs::remove_dir_all(&damaged).expect("it is removed");
            done += 1;
        }
    }
    say(&format!("mutations: {done}, {outcomes:?}"));
    proved("mutations", done);
    if done >= scaled(60, 60) {
        assert!(outcomes.refused > 0 && outcomes.whole > 0, "both happen");
    }
}

/// A killed directory, and how it was some thousand answers earlier.
fn two_moments(place: &Place, seed: u64) -> (PathBuf, History) {
    let mut victim = Victim::load(place, 1, seed, &[]);
    victim.wait_for(&format!("answers {ANSWERS}"));
    victim.kill();
    let earlier = place.copy("earlier");
    let mut victim = Victim::load(place, 2, seed, &[]);
    victim.wait_for(&format!("answers {ANSWERS}"));
    victim.kill();
    (earlier, History::read(&place.record))
}

/// The files of the journal, its mark, its index and the snapshots; the lock says nothing.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path
            .file_name()
            .is_none_or(|name| name != "lock" && name != "LOCK")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn pick<T: Clone>(among: &[T], dice: &mut Dice) -> T {
    let sides = u64::try_from(among.len()).expect("few");
    among[usize::try_from(dice.roll(sides)).expect("few")].clone()
}

/// Damages one file, or two. Says what it did.
fn damage(dir: &Path, earlier: &Path, dice: &mut Dice) -> String {
    let files = files(dir);
    let file = pick(&files, dice);
    let mut bytes = fs::read(&file).expect("the file");
    let at = usize::try_from(dice.roll(bytes.len().max(1) as u64)).expect("small");
    let what = match dice.roll(7) {
        0 => {
            fs::remove_file(&file).expect("it is removed");
            return format!("{} deleted", file.display());
        }
        1 => {
            bytes.truncate(at);
            format!("cut to {at}")
        }
        2 => {
            let page = at / PAGE * PAGE;
            let end = bytes.len().min(page + PAGE);
            bytes[page..end].fill(0);
            format!("page at {page} zeroed")
        }
        3 => {
            let name = file.strip_prefix(dir).expect("below it");
            let Ok(old) = fs::read(earlier.join(name)) else {
                return damage(dir, earlier, dice);
            };
            bytes = old;
            "as it was earlier".to_owned()
        }
        4 => {
            let other = pick(&files, dice);
            let theirs = fs::read(&other).expect("the file");
            fs::write(&other, &bytes).expect("it is written");
            bytes = theirs;
            format!("exchanged with {}", other.display())
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.roll(8);
            }
            format!("a bit of byte {at} flipped")
        }
    };
    fs::write(&file, bytes).expect("it is written");
    format!("{} {what}", file.display())
}

fn judge(place: &Place, damaged: &Path, history: &History, what: &str, outcomes: &mut Outcomes) {
    let record = std::sync::Arc::new(
        Record::append_to(&place.root.path().join("other")).expect("a record of its own"),
    );
    let opened = runtime().block_on(async {
        let node = tally::plain_node(damaged, &record).start().await?;
        node.shutdown().await
    });
    if opened.is_err() {
        outcomes.refused += 1;
        return;
    }
    say_first(what);
    check_acknowledged(damaged, place, history, &history.acknowledged);
    outcomes.whole += 1;
}

/// So that a failure below can be told from others.
fn say_first(what: &str) {
    if std::env::var_os("STEADFAST_TEST_VERBOSE").is_some() {
        say(what);
    }
}
