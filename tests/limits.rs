//! Goal: a process that may have too little memory, or too few open files, loses nothing that it acknowledged, says what
//! it lacks, and works again once it has it.
//!
//! Method: `prlimit` sets the limits, before the victim starts or under load; a control group bounds its memory as a
//! container does, where the kernel kills what needs more. What it left is judged, and it starts once
//! more without them. Where there is no `prlimit`, or no group may be made, the tests say so and pass.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use steadfast_tests::{Dice, History, TOO_MANY_FILES};

use crate::harness::{
    MemoryGroup, Place, Victim, asked_again, check_all, proved, say, say_case, scaled, seed, tries,
};

/// Bytes that each operation carries, to use memory soon.
const NOTE: usize = 16 << 10;
/// What the load has for meeting the limit.
const UNDER_LOAD: Duration = Duration::from_secs(4);
/// Of so many limits one is met.
const MOST_LIMITS: u64 = 6;
/// Open files that a start may have at most.
const FILES: u64 = 80;
/// Starts that go through all of that.
const EVERY_FEW: u64 = 16;

/// Whether `prlimit` is there.
fn can_limit(test: &str) -> bool {
    let tried = Command::new("prlimit")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        say(&format!("{test}: SKIPPED: prlimit is missing"));
    }
    can
}

/// The victim, with this limit from its start.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(env!("CARGO_BIN_EXE_victim"));
    command
}

/// Sets a limit of a running process.
fn limit(pid: u32, limit: &str) {
    let set = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), limit])
        .status();
    assert!(set.is_ok_and(|status| status.success()), "it runs");
}

/// Bytes of address space that a process has.
fn address_space(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|text| text.parse::<u64>().ok())
        .expect("a number")
        << 10
}

/// Another life without limits, after which all laws hold.
fn works_again(place: &Place, life: u64, seed: u64, note: usize) {
    let mut history = History::read(&place.record);
    let command = Command::new(env!("CARGO_BIN_EXE_victim"));
    let again = asked_again(&history);
    let mut victim = Victim::load_with(command, place, (life, seed, note), &again);
    victim.wait_for("answers");
    victim.kill();
    history.read_on(&place.record);
    check_all(&place.dir, place, &history, false);
}

#[test]
fn a_process_without_memory_loses_nothing() {
    let test = "a_process_without_memory";
    if !can_limit(test) {
        return;
    }
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let wanted = tries(3, scaled(3, 100));
    let (mut limits, mut died, mut served, mut needs) = (0, 0, 0, 0);
    // A limit that was not met is no try.
    while died < wanted {
        let place = Place::new();
        let (ready, ended) = if limits % 3 == 1 {
            // What it has is there to be lost.
            works_again(&place, 1, seed, NOTE);
            // Of what it had under load, which is more than a start needs.
            starts_with_little(&place, dice.roll(needs), seed)
        } else {
            runs_out(&place, 1 + dice.roll(48 << 20), seed, &mut needs)
        };
        limits += 1;
        served += u64::from(ready && ended);
        died += u64::from(ended);
        works_again(&place, 3, seed, NOTE);
        assert!(limits < MOST_LIMITS * wanted, "{died} of {limits} were met");
    }
    say(&format!(
        "{test}: {limits} limits, it died {died} times, {served} of them while it served"
    ));
    assert!(served > 0, "no limit was met by one that served");
    proved("memory_limits", died);
}

/// Whether it served, and died of it.
fn starts_with_little(place: &Place, bytes: u64, seed: u64) -> (bool, bool) {
    let command = limited(&format!("--as={bytes}"));
    let mut victim = Victim::load_with(command, place, (2, seed, NOTE), &[]);
    let ended = victim.ends_within(UNDER_LOAD);
    let served = victim.is_ready();
    say_case(|| format!("{bytes} bytes from the start: served {served}, {ended:?}"));
    (served, ended.is_some())
}

/// The same with so much room for what it needs under load.
fn runs_out(place: &Place, room: u64, seed: u64, needs: &mut u64) -> (bool, bool) {
    let command = Command::new(env!("CARGO_BIN_EXE_victim"));
    let mut victim = Victim::load_with(command, place, (1, seed, NOTE), &[]);
    victim.wait_for("answers");
    let pid = victim.pid.expect("it is ready");
    *needs = address_space(pid);
    limit(pid, &format!("--as={}", *needs + room));
    let ended = victim.ends_within(UNDER_LOAD);
    say_case(|| format!("{room} bytes more than {needs}: {ended:?}"));
    (true, ended.is_some())
}

#[test]
fn a_process_that_is_killed_for_its_memory_loses_nothing() {
    let test = "a_process_that_is_killed_for_its_memory";
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let wanted = tries(4, scaled(4, 100));
    let (mut groups, mut killed, mut served) = (0, 0, 0);
    while killed < wanted {
        let least = if groups % 2 == 0 { 4 << 20 } else { 24 << 20 };
        let group = match MemoryGroup::new(least + dice.roll(least)) {
            Ok(group) => group,
            Err(error) => return say(&format!("{test}: SKIPPED: {error}")),
        };
        let place = Place::new();
        let command = group.command(env!("CARGO_BIN_EXE_victim"));
        let mut victim = Victim::load_with(command, &place, (1, seed, NOTE), &[]);
        killed += u64::from(victim.kills_itself_within(UNDER_LOAD));
        served += u64::from(victim.is_ready());
        drop(victim);
        works_again(&place, 2, seed, NOTE);
        groups += 1;
        assert!(
            groups < MOST_LIMITS * wanted,
            "{killed} of {groups} were too small"
        );
    }
    say(&format!(
        "{test}: {groups} groups, served in {served}, killed in {killed}"
    ));
    proved("memory_groups", killed);
}

#[test]
fn a_start_with_too_few_files_says_so_and_loses_nothing() {
    let test = "a_start_with_too_few_files";
    if !can_limit(test) {
        return;
    }
    let seed = seed(test);
    let mut dice = Dice::new(seed);
    let wanted = tries(EVERY_FEW, scaled(EVERY_FEW, 10 * EVERY_FEW));
    let place = Place::new();
    let mut victim = Victim::load(&place, 1, seed, &[]);
    victim.wait_for("answers");
    // So that snapshots and index are there.
    victim.stop();
    let mut served = 0;
    for number in 0..wanted {
        let files = 10 + FILES * (number % EVERY_FEW) / EVERY_FEW + dice.roll(FILES / EVERY_FEW);
        let life = 2 + 2 * number;
        served += u64::from(start_with(&place, files, life, seed));
        // No damage: nothing is thrown away for it.
        let (index, beside) = (names(&place.dir.join("index")), names(&place.dir));
        assert!(
            index.iter().any(|name| name.contains(".sst")),
            "{files} files: {index:?}"
        );
        assert!(
            !beside.iter().any(|name| name.contains("damaged")),
            "{files} files: {beside:?}"
        );
        if number % 4 == 3 || number + 1 == wanted {
            works_again(&place, life + 1, seed, 0);
        }
    }
    say(&format!("{test}: {wanted} starts, {served} of them served"));
    let refused = wanted - served;
    assert!(refused > 0, "no start had too few");
    proved("file_limits", refused);
}

fn names(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Whether it served; if not, it said why not.
fn start_with(place: &Place, files: u64, life: u64, seed: u64) -> bool {
    let said = place.root.path().join("said");
    let mut command = limited(&format!("--nofile={files}"));
    command.stderr(File::create(&said).expect("a file"));
    let mut victim = Victim::load_with(command, place, (life, seed, 0), &[]);
    let served = victim.hears("ready").is_some();
    // What it lacks it may find out later.
    let ended = served.then(|| victim.ends_within(UNDER_LOAD / 8));
    drop(victim);
    let said = std::fs::read_to_string(&said).expect("text");
    say_case(|| {
        let said = said.trim_end();
        format!("{files} files: served {served}, {ended:?}, {said}")
    });
    assert!(
        served || said.contains(TOO_MANY_FILES),
        "{files} files: {said}"
    );
    assert!(!said.contains("panicked"), "{files} files: {said}");
    served
}

#[test]
fn a_node_that_runs_out_of_files_is_read_only_until_it_has_them() {
    let test = "a_node_that_runs_out_of_files";
    if !can_limit(test) {
        return;
    }
    let seed = seed(test);
    for life in 1..=scaled(1, 20) {
        let place = Place::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
        command.env("STEADFAST_BUSY", "yes");
        let mut victim = Victim::load_with(command, &place, (life, seed, 0), &[]);
        victim.wait_for("answers");
        let pid = victim.pid.expect("it is ready");
        let open = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"));
        let open = open.expect("it runs").count();
        limit(pid, &format!("--nofile={open}:{}", 4_096));
        let reason = victim.wait_for("trouble read-only:");
        assert!(
            reason.contains(TOO_MANY_FILES),
            "the reason is named: {reason}"
        );
        limit(pid, "--nofile=4096:4096");
        victim.wait_for("reopened");
        victim.wait_for("answers");
        victim.kill();
        check_all(&place.dir, &place, &History::read(&place.record), false);
        if life == 1 {
            say(&format!("{test}: {reason}"));
        }
    }
}
