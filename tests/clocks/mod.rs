//! Goal: however the wall clock of a whole process jumps, it goes on, nothing that it acknowledged is lost, and no timer is
//! lost, early or doubled.
//!
//! Method: `shift.c` is preloaded into the victim and moves the wall clock for everything in there, RocksDB too, by an hour
//! and by ten years, back and forth, while it runs and from one life to the next. After each jump it must go
//! on answering. At the end all laws are checked, and that events really bear the times of every jump.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use steadfast::{Clock, SequenceNumber, StatefulActor, SystemClock, Timestamp};
use steadfast_tests::tally::Tally;
use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, asked_again, check_newest, inspect, proved, say, seed, settle_and_check, tries,
};

/// What the wall clock may be off by, in hours.
const OFF: [i64; 5] = [0, 1, -1, TEN_YEARS, -TEN_YEARS];
const TEN_YEARS: i64 = 87_660;
const SECONDS: i64 = 3_600;
/// Jumps of one life.
const EACH: u64 = 5;

#[test]
fn a_process_whose_clock_jumps_goes_on_and_loses_nothing() {
    let test = "a_process_whose_clock_jumps";
    let place = Place::new();
    let Some(shift) = compiled(place.root.path()) else {
        say(&format!("{test}: SKIPPED: cc is missing"));
        return;
    };
    let seed = seed(test);
    let begun = SystemClock::new().now();
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    let wanted = tries(20, 200);
    let (mut jumps, mut life) = (0, 0);
    while jumps < wanted {
        life += 1;
        let wall = Wall::new(&place, &shift);
        let known = history.acknowledged.len();
        jumps += one_life(&place, &wall, (life, seed), &mut dice, &history);
        history.read_on(&place.record);
        check_newest(&place, &history, known);
    }
    let hours = hours_of_events(&place, begun);
    say(&format!(
        "{test}: {jumps} jumps in {life} lives; hours: {hours:?}"
    ));
    assert_eq!(
        hours,
        BTreeSet::from(OFF),
        "events bear the times of all jumps"
    );
    settle_and_check(test, &place, &mut history);
    proved("clock_jumps", jumps);
}

/// Jumps while it runs, in an order that is drawn, each followed by answers; then it is killed.
fn one_life(
    place: &Place,
    wall: &Wall<'_>,
    numbers: (u64, u64),
    dice: &mut Dice,
    history: &History,
) -> u64 {
    let (life, seed) = numbers;
    let mut hours = OFF;
    for at in (1..hours.len()).rev() {
        hours.swap(at, usize::try_from(dice.roll(at as u64 + 1)).expect("few"));
    }
    // The first is set while the process is down.
    let mut hours = hours.into_iter();
    wall.set(hours.next().expect("five"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
    command
        .env("LD_PRELOAD", wall.shift)
        .env("STEADFAST_TEST_CLOCK", &wall.file);
    if life % 2 == 0 {
        command.env("STEADFAST_BUSY", "yes");
    }
    let mut victim = Victim::load_with(command, place, (life, seed, 0), &asked_again(history));
    victim.goes_on();
    for off in hours {
        wall.set(off);
        victim.goes_on();
    }
    victim.kill();
    EACH
}

/// By how many whole hours the times of events are off.
fn hours_of_events(place: &Place, begun: Timestamp) -> BTreeSet<i64> {
    let inspector = inspect(&place.dir, &place.open_record());
    let mut hours = BTreeSet::new();
    for summary in inspector.actors(Some(Tally::KIND)).expect("the actors") {
        let events = inspector.events(&summary.actor, SequenceNumber::FIRST, usize::MAX);
        for event in events.expect("its events") {
            let off = event.time.as_micros() - begun.as_micros();
            hours.insert(off.div_euclid(SECONDS * 1_000_000));
        }
    }
    hours
}

/// The wall clock of a process.
struct Wall<'a> {
    shift: &'a Path,
    file: PathBuf,
}

impl<'a> Wall<'a> {
    fn new(place: &Place, shift: &'a Path) -> Self {
        let file = place.root.path().join("clock");
        Self { shift, file }
    }

    /// From now on it is off by so many hours. The eight bytes are written at once, over those that the process maps.
    fn set(&self, hours: i64) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)
            .expect("the clock's file opens");
        file.write_all_at(&(hours * SECONDS).to_ne_bytes(), 0)
            .expect("the clock is set");
    }
}

/// `shift.c`, or nothing where there is no compiler.
fn compiled(to: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clocks/shift.c");
    let library = to.join("shift.so");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .status()
        .ok()?;
    assert!(status.success(), "shift.c compiles");
    Some(library)
}
