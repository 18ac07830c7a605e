//! Goal: no bytes make a decoder panic, and what decodes means the same when it is encoded again.
//!
//! Method: every door for fuzzing, over its corpus in `fuzz/corpus` and over mutations of that by a seed. The corpus is
//! what the encoders write, and what was found with `scripts/fuzz.sh`; `STEADFAST_TEST_WRITE=1` writes the
//! former anew where the encoders have changed.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use steadfast::fuzzing::Door;
use steadfast_tests::Dice;

use crate::harness::{proved, say, seed, tries};

/// Longest input: what `scripts/fuzz.sh` says too.
const LONGEST: usize = 8_192;
/// Files of a corpus; more than that is for a corpus that nobody commits.
const FILES: usize = 100;
const LARGEST_FILE: u64 = 4_096;

fn doors() -> Vec<Door> {
    let doors = [
        &steadfast_journal::fuzzing::TARGETS[..],
        &steadfast_snapshots::fuzzing::TARGETS,
        &steadfast::fuzzing::TARGETS,
        &steadfast_actors::fuzzing::TARGETS,
        &steadfast_agent::fuzzing::TARGETS,
    ];
    doors.concat()
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seeds = [
        steadfast_journal::fuzzing::seeds(),
        steadfast_snapshots::fuzzing::seeds(),
        steadfast::fuzzing::seeds(),
        steadfast_actors::fuzzing::seeds(),
        steadfast_agent::fuzzing::seeds(),
    ];
    seeds.concat()
}

fn place(door: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../fuzz/corpus").join(door)
}

/// The files of a corpus by their names, so that a seed finds them in the same order.
fn corpus(door: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(place(door)).unwrap_or_else(|error| panic!("{door}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() <= FILES, "{door}: {} files", paths.len());
    let small = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() <= LARGEST_FILE);
    assert!(paths.iter().all(small), "{door}: a file is too large");
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

#[test]
fn the_corpus_has_what_the_encoders_write() {
    let write = std::env::var_os("STEADFAST_TEST_WRITE").is_some();
    if write {
        for (door, _) in doors() {
            fs::create_dir_all(place(door)).expect("a directory");
            for old in fs::read_dir(place(door)).expect("a directory") {
                let old = old.expect("a file").path();
                let name = old.file_name().expect("a name").to_string_lossy();
                if name.starts_with("encoded-") {
                    fs::remove_file(&old).expect("it is removed");
                }
            }
        }
    }
    for (number, (door, bytes)) in seeds().into_iter().enumerate() {
        assert!(
            doors().iter().any(|(name, _)| *name == door),
            "{door} is a door"
        );
        if write && !corpus(door).contains(&bytes) {
            let path = place(door).join(format!("encoded-{number:03}"));
            fs::write(path, &bytes).expect("it is written");
        }
        assert!(
            corpus(door).contains(&bytes),
            "fuzz/corpus/{door} lacks an encoding: write it with STEADFAST_TEST_WRITE=1"
        );
    }
}

#[test]
fn no_bytes_break_a_decoder() {
    let seed = seed("no_bytes_break_a_decoder");
    let doors = doors();
    let each = tries(200_000, 2_000_000) / doors.len() as u64;
    std::thread::scope(|scope| {
        for half in doors.chunks(doors.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(|door| attack(*door, each, seed)));
        }
    });
    proved("decoder_executions", each * doors.len() as u64);
}

/// The corpus of a door as it is, then mutations of it.
fn attack((name, door): Door, count: u64, seed: u64) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name}: a corpus");
    let salt = name.bytes().fold(seed, |salt, byte| {
        salt.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut dice = Dice::new(salt);
    for number in 0..count {
        let bytes = match usize::try_from(number).ok().and_then(|at| corpus.get(at)) {
            Some(bytes) => bytes.clone(),
            None => mutated(&corpus, &mut dice),
        };
        if catch_unwind(AssertUnwindSafe(|| door(&bytes))).is_err() {
            say(&format!("{name}: input {number} of seed {seed}: {bytes:?}"));
            panic!("{name}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

fn below(dice: &mut Dice, sides: usize) -> usize {
    usize::try_from(dice.roll(sides.max(1) as u64)).expect("small")
}

/// What of a format makes decoders stumble: lengths, markers, ends.
const BYTES: [u8; 18] = [
    0, 1, 0x7f, 0x80, 0x81, 0x90, 0x9f, 0xa0, 0xc0, 0xc4, 0xc6, 0xcf, 0xd9, 0xdb, 0xdd, 0xff,
    b'\n', b'"',
];
const WORDS: [&str; 22] = [
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\u0000",
    "99999999999999999999",
    "-1",
    "1e999",
    "null",
    "*",
    "**",
    "?",
    "..",
    "/",
    "%",
    "L",
    "W",
    "#",
    "MON-FRI",
    "\u{e9}",
    "\u{202e}",
];

fn mutated(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = corpus[below(dice, corpus.len())].clone();
    for _ in 0..=dice.roll(6) {
        let at = below(dice, bytes.len());
        let end = bytes.len().min(at + 1 + below(dice, 16));
        match dice.roll(9) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = BYTES[below(dice, BYTES.len())];
                }
            }
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at.min(end)..end)),
            5 => {
                let piece = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => bytes.insert(at, u8::try_from(dice.roll(256)).expect("a byte")),
            7 => {
                let word = WORDS[below(dice, WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            _ => {
                let other = &corpus[below(dice, corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[below(dice, other.len())..]);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
