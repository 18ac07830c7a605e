//! Goal: after a failed sync nothing is acknowledged that may be gone, the file is never synced again,
//! the journal is opened anew, and nothing that was acknowledged is lost.
//!
//! Method: `strace` makes `fdatasync` fail in the victim: once, at a random place, in every thread; and
//! each one for a while, by attaching to it. Where there is no `strace`, the tests say so and pass.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use steadfast_tests::{Dice, History};

use crate::harness::{
    Place, Victim, can_trace, check_all, proved, runtime, say, scaled, seed, start, tries,
    wait_settled,
};

/// `strace` that fails syncs as `inject` says and writes what it sees to `trace`.
fn strace(inject: &str, trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-qq",
            "-y",
            "-e",
            "trace=fdatasync,fsync,openat",
            "-e",
        ])
        .arg(format!("inject=fdatasync:error=EIO{inject}"))
        .arg("-o")
        .arg(trace);
    strace
}

#[test]
fn failed_sync_is_not_repeated_and_loses_nothing() {
    if !can_trace("failed_sync") {
        return;
    }
    let seed = seed("failed_sync");
    let mut dice = Dice::new(seed);
    let place = Place::new();
    let trace = place.root.path().join("trace");
    let wanted = tries(4, scaled(4, 60));
    let (mut failed, mut life) = (0, 0);
    while failed < wanted {
        life += 1;
        let mut command = strace(&format!(":when={}", 2 + dice.roll(60)), &trace);
        command.arg(env!("CARGO_BIN_EXE_victim"));
        let mut victim = Victim::load_with(command, &place, (life, seed, 0), &[]);
        // Where opening failed the program said so and ended, and nothing was served.
        if victim.hears("ready").is_some() {
            victim.wait_for("trouble");
            victim.wait_for("reopened");
            victim.wait_for("answers");
            victim.kill();
        }
        failed += check_not_repeated(&trace);
        let history = History::read(&place.record);
        if !history.acknowledged.is_empty() {
            check_all(&place.dir, &place, &history, false);
        }
    }
    runtime().block_on(async {
        let node = start(&place.dir, &place.open_record()).await;
        wait_settled(&node).await;
        node.shutdown().await.expect("an orderly end");
    });
    let figures = check_all(&place.dir, &place, &History::read(&place.record), true);
    say(&format!("failed_sync: {failed} syncs failed, {figures:?}"));
    proved("failed_syncs", failed);
}

/// No file is synced again once a sync of it failed, unless it was emptied and written anew. The mark is excepted: it
/// is opened again and goes on in its other page, and where the one whose sync failed is not on the disk it only lags.
/// Returns how many syncs failed.
#[track_caller]
fn check_not_repeated(trace: &Path) -> u64 {
    let text = std::fs::read_to_string(trace).expect("a trace");
    // A call that another thread's interrupts is told in two lines; the second has no path.
    let mut under_way: HashMap<&str, PathBuf> = HashMap::new();
    let mut broken: HashSet<PathBuf> = HashSet::new();
    let mut failed = 0;
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').expect("a thread and a call");
        if let Some(path) = emptied_path(call) {
            broken.remove(&path);
        } else if let Some(path) = synced_path(call) {
            assert!(
                !broken.contains(&path),
                "synced again after it failed: {line}"
            );
            under_way.insert(thread, path);
        }
        if call.contains("(INJECTED)") {
            failed += 1;
            let path = under_way.get(thread).expect("its call").clone();
            if !path.ends_with("mark") {
                broken.insert(path);
            }
        }
    }
    failed
}

/// The file of `fdatasync(12</a/b>…`.
fn synced_path(call: &str) -> Option<PathBuf> {
    let call = call.trim_start();
    let rest = call
        .strip_prefix("fdatasync(")
        .or_else(|| call.strip_prefix("fsync("))?;
    let (_, path) = rest.split_once('<')?;
    Some(PathBuf::from(path.split_once('>')?.0))
}

/// The file of `openat(AT_FDCWD</a>, "/b/c", O_RDWR|O_CREAT|O_TRUNC…`.
fn emptied_path(call: &str) -> Option<PathBuf> {
    let rest = call.trim_start().strip_prefix("openat(")?;
    let (_, rest) = rest.split_once('"')?;
    let (path, flags) = rest.split_once('"')?;
    flags.contains("O_TRUNC").then(|| PathBuf::from(path))
}

#[test]
fn sick_disk_is_read_only_until_it_is_well() {
    if !can_trace("sick_disk") {
        return;
    }
    let seed = seed("sick_disk");
    let place = Place::new();
    let wanted = tries(1, scaled(1, 20));
    for life in 1..=wanted {
        let mut victim = Victim::load(&place, life, seed, &[]);
        victim.wait_for("answers");
        let pid = victim.pid.expect("it is ready").to_string();
        let tracing = strace("", Path::new("/dev/null"))
            .args(["-p", &pid])
            .spawn();
        let tracing = tracing.expect("strace starts");
        // Whether somebody was told "unknown" before is a matter of who was waiting.
        let reason = victim.wait_for("trouble read-only:");
        let before = acknowledgements(&place);
        victim.wait_for("refusals");
        assert_eq!(before, acknowledgements(&place), "answered without a sync");
        let reading = History::read(&place.record);
        assert!(reading.wrong.is_empty(), "{:?}", reading.wrong);
        detach(tracing);
        victim.wait_for("reopened");
        victim.wait_for("answers");
        victim.kill();
        let figures = check_all(&place.dir, &place, &History::read(&place.record), false);
        if life == 1 {
            say(&format!("sick_disk: {reason}; {figures:?}"));
        }
    }
    proved("sick_disks", wanted);
}

fn acknowledgements(place: &Place) -> usize {
    History::read(&place.record).acknowledged.len()
}

/// Ends `strace` so that it lets its process go on.
fn detach(mut tracing: Child) {
    let pid = tracing.id().to_string();
    let asked = Command::new("kill").args(["-INT", &pid]).status();
    assert!(asked.is_ok_and(|status| status.success()), "strace runs");
    tracing.wait().expect("it ends");
}
