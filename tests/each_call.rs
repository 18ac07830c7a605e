//! Goal: whichever call of the system fails, and whenever, nothing acknowledged is lost.
//!
//! Method: `strace` lets the n-th call of each kind fail, or come late, in the victim; in each thread, as it counts them so.
//! `make proof` goes through them one after the other; a run without a beginning starts anywhere. The victim's journal does
//! soon what it else does rarely. It is killed a while after the call was met, and its directory is opened and judged. A
//! run in which the call was not met counts for nothing.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use steadfast::{Clock, SystemClock};
use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, begin, can_trace, check_all, proved, reopen, say, say_case, seed, tries,
};

/// Not an error, but a third of a second.
const LATE: &str = "late";

/// Calls, how they fail, and how many a thread surely makes of them within seconds.
const CALLS: [(&str, &str, u64); 15] = [
    ("fdatasync", "EIO", 200),
    ("fsync", "EIO", 100),
    ("write", "EIO", 200),
    ("write", "ENOSPC", 200),
    ("pwrite64", "EIO", 200),
    ("openat", "EMFILE", 200),
    ("openat", "EIO", 200),
    ("rename", "EIO", 12),
    ("ftruncate", "EIO", 200),
    ("fallocate", "ENOSPC", 2),
    ("fdatasync", LATE, 200),
    ("write", LATE, 200),
    ("openat", LATE, 200),
    ("rename", LATE, 12),
    ("fallocate", LATE, 2),
];

/// The most of one kind.
const MOST: u64 = 200;
/// How long a call is waited for.
const MET_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(20);

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
    let turns = turns();
    let all = turns.len() as u64;
    let (wanted, mut done, mut missed) = (tries(22, all), 0, Vec::new());
    let (mut served, mut acknowledged) = (0, 0);
    let from = begin(|| dice.roll(all));
    while done < wanted {
        let turn = from + done + missed.len() as u64;
        let fault = turns[usize::try_from(turn % all).expect("few")];
        let place = Place::new();
        let Some(was_ready) = one(&place, fault, seed, &mut dice) else {
            missed.push(fault);
            assert!(missed.len() <= turns.len() / 10, "never met: {missed:?}");
            continue;
        };
        say_case(|| format!("{fault:?}: served {was_ready}"));
        served += u64::from(was_ready);
        acknowledged += judge(&place);
        done += 1;
    }
    say(&format!(
        "{test}: {done} failures of {all}, {served} times it served, {acknowledged} acknowledged; not met: {missed:?}"
    ));
    proved("each_call", done);
}

type Fault = (&'static str, &'static str, u64);

/// The first of each kind, the second of each, and so on.
fn turns() -> Vec<Fault> {
    let nth = |nth| {
        let kinds = CALLS.iter().filter(move |(.., most)| nth <= *most);
        kinds.map(move |(call, error, _)| (*call, *error, nth))
    };
    (1..=MOST).flat_map(nth).collect()
}

/// Opens what the failure left, which judges it by the mark, and checks all laws; how much was acknowledged.
fn judge(place: &Place) -> usize {
    reopen(&place.dir, &place.open_record()).expect("what a failed call left opens");
    let history = History::read(&place.record);
    check_all(&place.dir, place, &history, false);
    history.acknowledged.len()
}

/// Whether it served; `None` where it did not come to that call.
fn one(place: &Place, (call, error, nth): Fault, seed: u64, dice: &mut Dice) -> Option<bool> {
    let said = place.root.path().join("trace");
    let trace = File::create(&said).and_then(|_| File::open(&said));
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "--seccomp-bpf", "-o"])
        .arg(&said)
        .args(["-e", &format!("trace={call}"), "-e"])
        .arg(format!("inject={call}:{}:when={nth}", fault(error)));
    if call.contains("write") {
        // Else those that wake a thread or say something would meet it, which no disk lets fail.
        strace.args(files(&place.dir).flat_map(|file| ["-P".to_owned(), file]));
    }
    strace.arg(env!("CARGO_BIN_EXE_victim"));
    strace.env("STEADFAST_BUSY", "yes");
    let mut victim = Victim::load_with(strace, place, (1, seed, 0), &[]);
    let mut trace = Trace::new(trace.expect("a file"));
    let end = SystemClock::new().running() + MET_WITHIN;
    let mut ended = false;
    while !trace.met() && !ended && SystemClock::new().running() < end {
        ended = victim.ends_within(LOOK).is_some();
    }
    let met = trace.met();
    if !ended && met {
        // What it makes of it.
        let while_on = Duration::from_micros(50_000 + dice.roll(250_000));
        ended = victim.ends_within(while_on).is_some();
    }
    let mut served = victim.is_ready();
    if !ended && !served {
        // One that is not ready cannot be killed apart from strace.
        served = victim.hears("ready").is_some();
    }
    if !ended && served {
        victim.kill();
    }
    met.then_some(served)
}

/// What strace writes, read on as it comes.
struct Trace {
    file: File,
    text: String,
    met: bool,
}

impl Trace {
    fn new(file: File) -> Self {
        let (text, met) = (String::new(), false);
        Self { file, text, met }
    }

    /// Whether a call was tampered with by now.
    fn met(&mut self) -> bool {
        // A line may have come in half.
        let tail = self.text.rfind('\n').map_or(0, |end| end + 1);
        self.text.drain(..tail);
        self.file.read_to_string(&mut self.text).expect("text");
        self.met |= ["(INJECTED)", "(DELAYED)"]
            .iter()
            .any(|word| self.text.contains(word));
        self.met
    }
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
