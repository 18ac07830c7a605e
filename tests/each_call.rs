//! Goal: whichever call of the system fails, and whenever, nothing acknowledged is lost.
//!
//! Method: `strace` lets the n-th call of each kind fail in the victim; in each thread, as it counts them so. `make proof`
//! goes through the first two hundred of each, one after the other; a run without a beginning starts anywhere. The victim is
//! killed after a while, whatever it made of that, and its directory judged.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, begin, can_trace, check_all, proved, say, say_case, seed, tries,
};

/// Not an error, but a third of a second.
const LATE: &str = "late";

/// Calls, and how they fail.
const CALLS: [(&str, &str); 11] = [
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("write", "EIO"),
    ("write", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("openat", "EMFILE"),
    ("rename", "EIO"),
    ("ftruncate", "EIO"),
    ("fallocate", "ENOSPC"),
    ("fdatasync", LATE),
    ("write", LATE),
];

/// Of each kind, so many in turn.
const EACH: u64 = 200;

/// Numbers that files have in the first second.
const NUMBERS: u32 = 30;

#[test]
fn each_call_may_fail_once() {
    let test = "each_call_may_fail_once";
    if !can_trace(test) {
        return;
    }
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let (wanted, mut done) = (tries(22, 2_200), 0);
    let (mut served, mut acknowledged) = (0, 0);
    let kinds = CALLS.len() as u64;
    let from = begin(|| dice.roll(EACH) * kinds);
    while done < wanted {
        let turn = from + done;
        let (call, error) = CALLS[usize::try_from(turn % kinds).expect("few")];
        let nth = 1 + turn / kinds % EACH;
        let place = Place::new();
        served += u64::from(one(&place, (call, error, nth), seed, &mut dice));
        let history = History::read(&place.record);
        acknowledged += history.acknowledged.len();
        if !history.acknowledged.is_empty() {
            say_case(|| format!("{call} {nth} with {error}"));
            check_all(&place.dir, &place, &history, false);
        }
        done += 1;
    }
    say(&format!(
        "{test}: {done} failures, {served} times it served, {acknowledged} acknowledged"
    ));
    proved("each_call", done);
}

/// Whether it served.
fn one(place: &Place, (call, error, nth): (&str, &str, u64), seed: u64, dice: &mut Dice) -> bool {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .args(["-e", &format!("inject={call}:{}:when={nth}", fault(error))]);
    if call.contains("write") {
        // Else those that wake a thread or say something would meet it, which no disk lets fail.
        strace.args(files(&place.dir).flat_map(|file| ["-P".to_owned(), file]));
    }
    strace.arg(env!("CARGO_BIN_EXE_victim"));
    let mut victim = Victim::load_with(strace, place, (1, seed, 0), &[]);
    let served = victim.hears("ready").is_some();
    if served {
        std::thread::sleep(Duration::from_micros(50_000 + dice.roll(250_000)));
        victim.kill();
    }
    served
}

fn fault(error: &str) -> String {
    if error == LATE {
        return "delay_enter=333333".to_owned();
    }
    format!("error={error}")
}

/// The files that a young directory writes to.
fn files(dir: &Path) -> impl Iterator<Item = String> {
    let numbered = (1..NUMBERS).flat_map(|number| {
        [
            format!("journal/{number:06}.log"),
            format!("journal/{number:06}.sst"),
            format!("journal/MANIFEST-{number:06}"),
            format!("index/{number:06}.log"),
            format!("index/MANIFEST-{number:06}"),
        ]
    });
    let fixed = ["mark", "lock", "index/run.building"].map(str::to_owned);
    let names = fixed.into_iter().chain(numbered);
    let dir = dir.display().to_string();
    names.map(move |name| format!("{dir}/{name}"))
}
