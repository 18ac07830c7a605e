//! Goal: whatever happens to the files of a stopped node, nothing that was acknowledged is missing without a word.
//!
//! Method: copies of a directory that a kill left; in each one a file is damaged in a way that disks, people and
//! restores do it. Then a node is started. Either it refuses, or everything acknowledged is there and each state is the fold
//! of its events, or whoever reads what is damaged is told so, and the rest is whole: tables that an opening does not
//! need are looked at when they are read. What was only derived may be built anew.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use steadfast::{ActorId, Inspector, NodeError, SequenceNumber, StatefulActor};
use steadfast_tests::tally::Tally;
use steadfast_tests::{ACTORS, Dice, History, Plan, Record, tally};

use crate::harness::{Place, Victim, event_of, proved, reopen, say, say_case, seed, tries};

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
    let before = bytes.clone();
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
    if bytes == before {
        // Zeros where there were zeros, or an earlier copy that is no other.
        return damage(dir, earlier, dice);
    }
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
    match look(damaged, &record, history) {
        Ok(Seen::Whole) => outcomes.whole += 1,
        Ok(Seen::Silent(fault)) => panic!("{what}: {fault}, without a word"),
        Err(told) => {
            say_case(|| format!("{what}: {told}"));
            outcomes.told += 1;
        }
    }
}

/// What readers are given.
enum Seen {
    Whole,
    /// Something acknowledged is not there, or a state is another than its events make.
    Silent(String),
}

/// Goes through everything acknowledged; an error where reading says what is wrong.
fn look(damaged: &Path, record: &Arc<Record>, history: &History) -> Result<Seen, NodeError> {
    let inspector = tally::plain_node(damaged, record).inspect()?;
    let mut promised: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for op in &history.acknowledged {
        let of = promised.entry(Plan::of(*op).actor).or_default();
        of.extend(history.operations[op].acks.iter().map(|ack| (ack.seq, *op)));
    }
    let mut trouble = None;
    for actor in 0..ACTORS {
        let id = tally_of(actor);
        let promised = promised.get(&actor).map_or(&[][..], Vec::as_slice);
        match look_at(&inspector, &id, promised) {
            Ok(None) => {}
            // What is not told must be there all the same.
            Ok(Some(fault)) => return Ok(Seen::Silent(fault)),
            Err(error) => trouble = Some(error),
        }
    }
    trouble.map_or(Ok(Seen::Whole), Err)
}

fn tally_of(actor: u64) -> ActorId {
    ActorId::new(Tally::KIND, &format!("{actor:04}")).expect("a name")
}

/// What is wrong with one actor of which these events are promised.
fn look_at(
    inspector: &Inspector,
    id: &ActorId,
    promised: &[(u64, u64)],
) -> Result<Option<String>, NodeError> {
    let events = match inspector.events(id, SequenceNumber::FIRST, usize::MAX) {
        Err(NodeError::NoActor { .. }) if promised.is_empty() => return Ok(None),
        Err(NodeError::NoActor { .. }) => Vec::new(),
        events => events?,
    };
    let mut folded = Tally::new(id);
    let mut there = HashMap::new();
    for view in &events {
        there.insert(
            view.seq,
            view.data.get("op").and_then(serde_json::Value::as_u64),
        );
        folded.apply(&event_of(view));
    }
    for (seq, op) in promised {
        if there.get(seq) != Some(&Some(*op)) {
            return Ok(Some(format!(
                "{id}: operation {op}, event {seq}, is missing"
            )));
        }
    }
    let served = inspector.state(id, None)?.state;
    let right = served == serde_json::to_value(&folded).expect("a state has JSON");
    Ok((!right).then(|| format!("{id}: {served} is served for {folded:?}")))
}
