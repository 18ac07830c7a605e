//! Goal: no damage of a data directory is served silently. What can be rebuilt is rebuilt, everything
//! else is refused with a report, and a refusal changes nothing.
//!
//! Method: one directory is made by a victim that is killed under load; each case damages a copy of
//! it. Refused copies are compared byte by byte with how they were before, but for the file `lock`,
//! which says who tried.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use steadfast::journal::Error;
use steadfast::{Node, NodeError};
use steadfast_tests::{Dice, History, Record, tally};

use crate::harness::{
    Place, Victim, check_all, peek_all, read_tree, runtime, say, scaled, seed, start,
};

/// A directory as `kill -9` leaves it, with at least a few thousand answers in it.
fn killed_under_load(seed: u64) -> (Place, History) {
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for("answers 3000");
    victim.kill();
    let history = History::read(&place.record);
    (place, history)
}

fn newest_log(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir.join("journal")).expect("a journal");
    let logs = files.map(|file| file.expect("a file").path());
    logs.filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .max()
        .expect("a killed journal has a log")
}

/// Bytes of a log up to the last one that is not zero: space may be reserved behind.
fn used_bytes(log: &Path) -> u64 {
    let bytes = std::fs::read(log).expect("the log");
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last as u64 + 1)
}

fn truncate(file: &Path, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(file);
    file.and_then(|file| file.set_len(bytes))
        .expect("it is cut");
}

fn flip_bit(file: &Path, byte: u64, bit: u64) {
    let mut bytes = std::fs::read(file).expect("the file");
    bytes[usize::try_from(byte).expect("small")] ^= 1 << bit;
    std::fs::write(file, bytes).expect("it is written");
}

fn tree_without_lock(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut tree = read_tree(dir);
    tree.remove(Path::new("lock"));
    tree
}

/// Starts a node on `dir`, which must be refused and left as it is.
#[track_caller]
fn refused(case: &str, dir: &Path, record: &std::sync::Arc<Record>) -> Error {
    let before = tree_without_lock(dir);
    let started = tally::restless_node(dir, record).start_blocking();
    let after = tree_without_lock(dir);
    let error = match started {
        Err(NodeError::Journal(error)) => error,
        other => panic!("{case}: expected a refusal of the journal, got {other:?}"),
    };
    let changed = |name: &&PathBuf| before.get(*name) != after.get(*name);
    let names: Vec<_> = before.keys().chain(after.keys()).filter(changed).collect();
    assert!(names.is_empty(), "{case}: the refusal changed {names:?}");
    error
}

#[test]
fn damaged_log_is_refused_and_left_alone() {
    let seed = seed("damaged_log");
    let (place, _) = killed_under_load(seed);
    let record = place.open_record();
    let mut dice = Dice::new(seed);
    let used = used_bytes(&newest_log(&place.dir));
    for case in 0..scaled(8, 60) {
        let dir = place.copy(&format!("log-{case}"));
        let log = newest_log(&dir);
        // The last commits may be newer than the mark: without an answer to anybody, they may go.
        let at = dice.roll(used / 2);
        let what = match case % 4 {
            0 => {
                std::fs::remove_file(&log).expect("it is removed");
                "deleted".to_owned()
            }
            1 => {
                truncate(&log, at);
                format!("cut to {at} of {used} bytes")
            }
            _ => {
                let bit = dice.roll(8);
                flip_bit(&log, at, bit);
                format!("bit {bit} of byte {at} of {used} flipped")
            }
        };
        let error = refused(&what, &dir, &record);
        let report = error.to_string();
        assert!(is_loss(&error), "{what}: {error:?}");
        assert!(report.len() > 80, "{what}: the report is short: {report}");
        std::fs::remove_dir_all(dir).expect("it is removed");
    }
}

fn is_loss(error: &Error) -> bool {
    matches!(
        error,
        Error::BehindMark { .. } | Error::BrokenChain { .. } | Error::Store { corrupt: true, .. }
    )
}

#[test]
fn damaged_mark_is_refused_and_left_alone() {
    let seed = seed("damaged_mark");
    let (place, _) = killed_under_load(seed);
    let record = place.open_record();
    let missing = place.copy("missing");
    std::fs::remove_file(missing.join("mark")).expect("it is removed");
    let error = refused("no mark", &missing, &record);
    assert!(matches!(error, Error::BadMark { .. }), "{error:?}");
    let damaged = place.copy("damaged");
    flip_bit(&damaged.join("mark"), 20, 1);
    flip_bit(&damaged.join("mark"), 4_096 + 20, 1);
    let error = refused("both marks flipped", &damaged, &record);
    assert!(matches!(error, Error::BadMark { .. }), "{error:?}");
    let gone = place.copy("gone");
    std::fs::remove_dir_all(gone.join("journal")).expect("it is removed");
    let error = refused("no journal", &gone, &record);
    assert!(is_loss(&error), "{error:?}");
}

#[test]
fn derived_directories_cost_time_and_no_data() {
    let seed = seed("derived");
    let (place, history) = killed_under_load(seed);
    let cases: [fn(&Path); 4] = [
        |_| {},
        |dir| remove_if_there(&dir.join("snapshots")),
        |dir| remove_if_there(&dir.join("index")),
        |dir| spoil(&dir.join("snapshots")),
    ];
    let mut sums = Vec::new();
    for damage in cases {
        let place = place.fork();
        damage(&place.dir);
        let states = runtime().block_on(async {
            let node = start(&place.dir, &place.open_record()).await;
            let states = peek_all(&node).await;
            node.shutdown().await.expect("an orderly end");
            states
        });
        // Timers and effects may have come back meanwhile; sums move by commands only.
        sums.push(
            states
                .into_iter()
                .map(|state| (state.sum, state.operations))
                .collect::<Vec<_>>(),
        );
        check_all(&place.dir, &place, &History::read(&place.record), false);
    }
    assert!(
        sums.windows(2).all(|pair| pair[0] == pair[1]),
        "states differ"
    );
    say(&format!(
        "derived: {} acknowledged operations are there with and without snapshots",
        history.acknowledged.len()
    ));
}

fn remove_if_there(dir: &Path) {
    if dir.exists() {
        std::fs::remove_dir_all(dir).expect("it is removed");
    }
}

/// Flips one bit in every table of snapshots.
fn spoil(snapshots: &Path) {
    let files = std::fs::read_dir(snapshots).expect("snapshots");
    let paths = files.map(|file| file.expect("a file").path());
    for path in paths.filter(|path| path.extension().is_some_and(|kind| kind == "sst")) {
        let middle = path.metadata().expect("its size").len() / 2;
        flip_bit(&path, middle, 3);
    }
}

#[test]
fn directory_is_held_by_one_process() {
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, 1, &[]);
    victim.wait_for("ready");
    let record = std::sync::Arc::new(
        Record::append_to(&place.root.path().join("other")).expect("a record of its own"),
    );
    let held = Node::open(&place.dir).start_blocking();
    match held {
        Err(NodeError::Journal(Error::Held { pid, dir, .. })) => {
            assert_eq!(Some(pid), victim.pid, "the holder is named");
            assert_eq!(dir, place.dir);
        }
        other => panic!("expected that the directory is held, got {other:?}"),
    }
    victim.kill();
    // A killed holder leaves nothing behind that would have to be cleaned up.
    let node = tally::plain_node(&place.dir, &record).start_blocking();
    let node = node.expect("the directory is free");
    let second = tally::plain_node(&place.dir, &record).start_blocking();
    match second {
        Err(NodeError::Journal(Error::Held { pid, .. })) => {
            assert_eq!(pid, std::process::id(), "twice in one process");
        }
        other => panic!("expected that the directory is held, got {other:?}"),
    }
    drop(node);
}
