//! Goal: a node that runs a program is killed with -9 at random moments, and each run that was ever started
//! ran its program exactly once or says honestly that it is unknown; no program is left over.
//!
//! Method: the built program `steadfast`, found beside this test's own. The program that it runs writes the
//! name of its run into a file, stays a while with a child in a session of its own, and writes the name
//! into a second file. In a build of this crate alone there may be no `steadfast`: then the test says so
//! and passes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use steadfast_tests::Dice;

use crate::harness::{say, scaled, seed};

struct Site {
    root: tempfile::TempDir,
    program: PathBuf,
}

/// How one run went.
#[derive(Debug, Default)]
struct Told {
    /// How it ended, as its event says.
    outcome: Option<String>,
    begun: usize,
    done: usize,
}

impl Site {
    fn new(program: PathBuf) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().display();
        let script = format!(
            "echo $STEADFAST_RUN_ID >> {dir}/begun; setsid sleep 0.15 & echo $$ >> {dir}/pids; \
             sleep 0.1; echo $! >> {dir}/pids; wait; echo $STEADFAST_RUN_ID >> {dir}/done"
        );
        let text = format!(
            "version = 1\n[concerns.job]\nkind = \"exec\"\nshell = true\ncommand = '''{script}'''\n\
             every = \"300ms\"\nmissed = \"skip\"\ngrace = \"1s\"\n"
        );
        std::fs::write(root.path().join("steadfast.toml"), text).expect("a config");
        Self { root, program }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.root.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.root.path());
        command
    }

    fn start(&self) -> Child {
        let log = std::fs::File::create(self.root.path().join("agent.log")).expect("a log");
        let mut command = self.command();
        command
            .arg("run")
            .arg("--config")
            .arg(self.root.path().join("steadfast.toml"));
        command
            .arg("--data-dir")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().expect("the agent starts")
    }

    /// What a command prints; `None` where no node answers yet.
    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut command = self.command();
        let done = command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data())
            .output();
        let done = done.expect("the program runs");
        match done.status.code() {
            Some(0) => Some(String::from_utf8(done.stdout).expect("text")),
            Some(7 | 69) => None,
            code => panic!(
                "{arguments:?}: {code:?}: {}",
                String::from_utf8_lossy(&done.stderr)
            ),
        }
    }

    /// Holds the concern and waits for the end of its run.
    fn settle(&self) {
        for _ in 0..1_200 {
            if self.ask(&["pause", "job"]).is_some()
                && let Some(row) = self.ask(&["ps", "-o", "json"])
                && serde_json::from_str::<Value>(&row).expect("JSON")[0]["status"] == "paused"
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the last run does not end");
    }

    /// All runs that were ever started, by their names.
    fn told(&self) -> HashMap<String, Told> {
        let events = self
            .ask(&["events", "job", "-o", "jsonl"])
            .expect("a directory without a node");
        let mut told = HashMap::<String, Told>::new();
        for line in events.lines() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            let data = &event["data"];
            let run = data["run"].as_str().unwrap_or_default().to_owned();
            if event["name"] == "exec.started" {
                let before = told.insert(run, Told::default());
                assert!(before.is_none(), "started twice: {event}");
            } else if event["name"] == "exec.finished" {
                let run = told.get_mut(&run).expect("it was started");
                assert_eq!(run.outcome, None, "finished twice: {event}");
                run.outcome = data["outcome"].as_str().map(str::to_owned);
            }
        }
        for (file, is_begun) in [("begun", true), ("done", false)] {
            for run in self.lines(file) {
                let run = told
                    .get_mut(&run)
                    .expect("a program runs for a run that was started");
                *(if is_begun {
                    &mut run.begun
                } else {
                    &mut run.done
                }) += 1;
            }
        }
        told
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    let of_ours = std::fs::read(Path::new("/proc").join(pid).join("environ")).unwrap_or_default();
    let marked = of_ours.windows(14).any(|part| part == b"STEADFAST_RUN=");
    // A number may belong to somebody else by now.
    marked
        && stat.is_ok_and(|stat| {
            !stat
                .rsplit_once(')')
                .is_some_and(|(_, rest)| rest.starts_with(" Z"))
        })
}

#[test]
fn a_program_runs_once_or_its_run_is_unknown() {
    let test = std::env::current_exe().expect("this program");
    let program = test
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join("steadfast"));
    let Some(program) = program.filter(|program| program.exists()) else {
        return say("exec: SKIPPED: no program steadfast beside this one; run the whole workspace");
    };
    let mut dice = Dice::new(seed("a_program_runs_once"));
    let kills = scaled(5, 50);
    let site = Site::new(program);
    for _ in 0..kills {
        let before = site.lines("begun").len();
        let mut agent = site.start();
        if dice.roll(4) > 0 {
            for _ in 0..2_000 {
                if site.lines("begun").len() > before {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        std::thread::sleep(Duration::from_micros(dice.roll(400_000)));
        agent.kill().expect("it runs");
        agent.wait().expect("it is ours");
    }
    let mut agent = site.start();
    site.settle();
    agent.kill().expect("it runs");
    agent.wait().expect("it is ours");

    let told = site.told();
    let mut unknown = 0;
    for (run, told) in &told {
        match told.outcome.as_deref() {
            Some("succeeded") => assert_eq!((told.begun, told.done), (1, 1), "{run}: {told:?}"),
            Some("unknown") => {
                unknown += 1;
                assert!(
                    told.begun <= 1 && told.done <= told.begun,
                    "{run}: {told:?}"
                );
            }
            _ => panic!("{run}: {told:?}"),
        }
    }
    let left: Vec<_> = site
        .lines("pids")
        .into_iter()
        .filter(|pid| is_alive(pid))
        .collect();
    assert!(left.is_empty(), "left over: {left:?}");
    say(&format!(
        "exec: {kills} kills, {} runs, {unknown} of them unknown",
        told.len()
    ));
}
