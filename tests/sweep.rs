//! Goal: the node agent sweeps 10,000 files of which half match, is killed with -9 at random moments,
//! and in the end exactly the matching ones are gone, each named by one event, with totals that equal
//! the events and the disk.
//!
//! Method: the built program `steadfast`, found beside this test's own; whenever a sweep is through and
//! there are kills left, new files come. In a build of this crate alone there may be no such program:
//! then the test says so and passes. What the command line promises is tested in `agent/tests`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use steadfast_tests::Dice;

use crate::harness::{say, scaled, seed};

/// Bytes of each file that matches.
const CONTENT: &[u8] = b"12345";

struct Site {
    root: tempfile::TempDir,
    program: PathBuf,
    /// Files that match and were ever made.
    made: usize,
    /// Files that do not match.
    kept: usize,
}

/// The program of this build, if there is one.
fn program() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("this program");
    let program = test.parent()?.parent()?.join("steadfast");
    program.exists().then_some(program)
}

impl Site {
    fn new(program: PathBuf) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(root.path().join("files")).expect("a directory");
        let text = format!(
            "version = 1\n[concerns.logs]\nkind = \"cleanup\"\npaths = [\"{}/*.log\"]\n\
             limits = {{ files = 1000000 }}\nevery = \"1s\"\n",
            root.path().join("files").display()
        );
        std::fs::write(root.path().join("steadfast.toml"), text).expect("a config");
        Self {
            root,
            program,
            made: 0,
            kept: 0,
        }
    }

    fn files(&self) -> PathBuf {
        self.root.path().join("files")
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// `count` files of a kind, with new names.
    fn fill(&mut self, kind: &str, count: usize) {
        for number in self.made..self.made + count {
            let file = self.files().join(format!("{number}.{kind}"));
            std::fs::write(file, CONTENT).expect("a file");
        }
        if kind == "log" {
            self.made += count;
        } else {
            self.kept += count;
        }
    }

    fn left(&self, kind: &str) -> usize {
        let files = std::fs::read_dir(self.files()).expect("the files");
        let paths = files.map(|file| file.expect("a file").path());
        paths
            .filter(|path| path.extension().is_some_and(|found| found == kind))
            .count()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.root.path());
        command
    }

    fn start(&self) -> Child {
        let log = std::fs::File::create(self.root.path().join("agent.log")).expect("a log");
        self.command()
            .arg("run")
            .arg("--config")
            .arg(self.root.path().join("steadfast.toml"))
            .arg("--data-dir")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the agent starts")
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        let done = command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data())
            .output();
        let done = done.expect("the program runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success(),
            "{arguments:?}: {}: {said}",
            done.status
        );
        String::from_utf8(done.stdout).expect("text")
    }

    /// Sweeps once more. A node that is only about to start cannot be asked yet.
    #[track_caller]
    fn sweep_to_the_end(&self) {
        for _ in 0..600 {
            let mut command = self.command();
            command
                .args(["trigger", "logs", "--wait", "--data-dir"])
                .arg(self.data());
            let done = command.output().expect("the program runs");
            match done.status.code() {
                Some(0) => return,
                Some(7 | 69) => std::thread::sleep(Duration::from_millis(100)),
                code => panic!(
                    "exit code {code:?}: {}",
                    String::from_utf8_lossy(&done.stderr)
                ),
            }
        }
        panic!("the node does not start");
    }

    /// What is on disk, in the events and in the state is the same.
    #[track_caller]
    fn check_books(&self) {
        assert_eq!((self.left("log"), self.left("txt")), (0, self.kept));
        let events = self.ask(&["events", "logs", "-o", "jsonl"]);
        let mut named = HashSet::new();
        for (line, seq) in events.lines().zip(1_u64..) {
            let event: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(event["seq"], seq, "numbered without gaps");
            if event["name"] == "cleanup.removed" {
                for file in event["data"]["files"].as_array().expect("files") {
                    let path = file["path"].as_str().expect("a path").to_owned();
                    assert_eq!(file["bytes"], CONTENT.len(), "{file}");
                    assert!(
                        Path::new(&path)
                            .extension()
                            .is_some_and(|kind| kind == "log")
                    );
                    assert!(named.insert(path), "named twice: {file}");
                }
            }
        }
        assert_eq!(named.len(), self.made, "every file is named by an event");
        let state = self.ask(&["state", "logs", "-o", "json"]);
        let state: Value = serde_json::from_str(&state).expect("JSON");
        let totals = &state["state"]["totals"];
        assert_eq!(totals["files"], self.made);
        assert_eq!(totals["bytes"], self.made * CONTENT.len());
        let verified = self.ask(&["verify", "-o", "json"]);
        let verified: Value = serde_json::from_str(&verified).expect("JSON");
        assert_eq!(verified["ok"], true);
    }
}

/// Waits until the agent removes files, of which `left` are there; it says so to nobody.
#[track_caller]
fn wait_for_progress(site: &Site, left: usize) {
    for _ in 0..20_000 {
        if site.left("log") < left {
            return;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    panic!("the sweep does not go on; {left} files are left");
}

#[test]
fn sweep_survives_every_kill() {
    let Some(program) = program() else {
        return say(
            "sweep: SKIPPED: no program steadfast beside this one; run the whole workspace",
        );
    };
    let seed = seed("sweep_survives");
    let mut dice = Dice::new(seed);
    let (kills, files) = scaled((8, 1_000), (50, 5_000));
    let mut site = Site::new(program);
    site.fill("txt", files);
    site.fill("log", files);
    let (mut in_a_sweep, mut sweeps) = (0, 1);
    for _ in 0..kills {
        let before = site.left("log");
        if before == 0 {
            site.fill("log", files);
            sweeps += 1;
        }
        let mut agent = site.start();
        if dice.roll(2) == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll(600_000)));
        } else {
            wait_for_progress(&site, site.left("log"));
            std::thread::sleep(Duration::from_micros(dice.roll(files as u64 * 10)));
        }
        agent.kill().expect("it runs");
        agent.wait().expect("it is ours");
        let left = site.left("log");
        in_a_sweep += usize::from(0 < left && left < before);
    }
    let mut agent = site.start();
    site.sweep_to_the_end();
    site.check_books();
    let events = site.ask(&["events", "logs", "-o", "jsonl"]).lines().count();
    agent.kill().expect("it runs");
    agent.wait().expect("it is ours");
    site.check_books();
    say(&format!(
        "sweep: {kills} kills, {in_a_sweep} of them between two files of a sweep; {sweeps} sweeps \
         removed {} of {} files, {events} events",
        site.made,
        site.made + site.kept
    ));
}
