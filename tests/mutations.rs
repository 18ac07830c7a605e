//! Goal: whatever happens to the files of a stopped node, nothing that was acknowledged is missing without a word.
//!
//! Method: copies of a directory that a kill left; in each one a file is damaged in a way that disks, people and
//! restores do it. Then a node is started. Either it refuses, or everything acknowledged is there, or whoever reads
//! what is damaged is told so: tables that an opening does not need are looked at when they are read. What was
//! only derived may be built anew.

use std::fs;
use std::path::{Path, PathBuf};

use steadfast::{ActorId, NodeError, SequenceNumber, StatefulActor};
use steadfast_tests::tally::Tally;
use steadfast_tests::{Dice, History, Plan, Record, tally};

use crate::harness::{Place, Victim, proved, reopen, say, say_case, seed, tries};

/// Copies of one directory until another one is made.
const OF_ONE: u64 = 200;
/// The victim's answers in each.
const ANSWERS: u64 = 2_000;
const PAGE: usize = 4_096;

/// What became of a damaged directory.
#[derive(Debug, Default)]
struct Outcomes {
    /// The node did not start.
    refused: u64,
    /// It started, and says what is wrong to whoever reads what is damaged.
    told: u64,
    /// Everything is there.
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
    if done >= 60 {
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
    if let Err(error) = reopen(damaged, &record) {
        say_case(|| format!("{what}: {error}"));
        outcomes.refused += 1;
        return;
    }
    match missing(damaged, &record, history) {
        Ok(0) => outcomes.whole += 1,
        Ok(missing) => {
            panic!("{what}: {missing} acknowledged operations are missing without a word")
        }
        Err(_) => outcomes.told += 1,
    }
}

/// How many acknowledged operations are not there; an error where reading says what is wrong.
fn missing(
    damaged: &Path,
    record: &std::sync::Arc<Record>,
    history: &History,
) -> Result<usize, NodeError> {
    let inspector = tally::plain_node(damaged, record).inspect()?;
    let (mut missing, mut trouble) = (0, None);
    for op in &history.acknowledged {
        let id = ActorId::new(Tally::KIND, &Plan::of(*op).actor_key()).expect("a name");
        for added in &history.operations[op].acks {
            let seq = SequenceNumber::new(added.seq).expect("a number from 1");
            match inspector.events(&id, seq, 1) {
                Ok(found) => {
                    let found = found.first().and_then(|view| view.data.get("op")?.as_u64());
                    missing += usize::from(found != Some(*op));
                }
                Err(error) => trouble = Some(error),
            }
        }
    }
    match trouble {
        // What is not told must be there all the same.
        Some(error) if missing == 0 => Err(error),
        _ => Ok(missing),
    }
}
