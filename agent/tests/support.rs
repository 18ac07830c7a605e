//! A place for one test: a data directory, a config file, files to clean up, and agents on it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Waits until `what` is there.
#[track_caller]
pub(crate) fn until<T>(name: &str, mut what: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(found) = what() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 60 s: {name}");
}

/// Says what a test could not try here.
#[expect(
    clippy::print_stderr,
    reason = "a test that passes without trying says so"
)]
pub(crate) fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// A place for one test.
#[derive(Debug)]
pub(crate) struct Site {
    root: TempDir,
}

impl Site {
    /// With one concern, `logs`, that removes `*.log` by hand only.
    pub(crate) fn new() -> Self {
        let site = Self {
            root: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(site.files()).unwrap();
        site.configure(&site.logs(""));
        site
    }

    /// A config file with these concerns.
    pub(crate) fn configure(&self, rest: &str) {
        fs::write(self.config(), format!("version = 1\n{rest}")).unwrap();
    }

    /// Has the node listen on a free port of this machine as well.
    pub(crate) fn listen(&self) -> SocketAddr {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        self.configure(&format!("[http]\nlisten = [\"{free}\"]\n{}", self.logs("")));
        free
    }

    /// The concern `logs`, with more keys.
    pub(crate) fn logs(&self, keys: &str) -> String {
        let files = self.files();
        format!(
            "[concerns.logs]\nkind = \"cleanup\"\npaths = [\"{}/*.log\"]\nlimits = {{ files = 100000 }}\n{keys}\n",
            files.display()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("steadfast.toml")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.path("files")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join("steadfast.sock")
    }

    /// Makes `count` files that match and as many that do not.
    pub(crate) fn fill(&self, count: usize) {
        for n in 0..count {
            fs::write(self.files().join(format!("{n}.log")), b"12345").unwrap();
            fs::write(self.files().join(format!("{n}.txt")), b"stays").unwrap();
        }
    }

    /// How many files with this ending are there.
    pub(crate) fn count(&self, ending: &str) -> usize {
        let names = fs::read_dir(self.files())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(ending))
            .count()
    }

    /// The program, away from the environment of whoever runs the tests.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
        command
            .env_clear()
            .env("HOME", self.root.path())
            .env("USER", "tester");
        command
    }

    /// Runs a command on the data directory to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Done {
        let mut command = self.program();
        command.args(arguments).arg("--data-dir").arg(self.data());
        Done::from(command.output().unwrap())
    }

    /// The JSON that a command prints; it must succeed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.cli(&[arguments, &["-o", "json"]].concat());
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// The JSON lines that a command prints; it must succeed.
    #[track_caller]
    pub(crate) fn jsonl(&self, arguments: &[&str]) -> Vec<Value> {
        let done = self.cli(&[arguments, &["-o", "jsonl"]].concat());
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
        done.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Starts an agent and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(&self) -> Agent {
        let mut agent = self.spawn();
        until("the node is ready", || {
            if let Some(status) = agent.child.try_wait().unwrap() {
                panic!("ended with {status}: {}", agent.log());
            }
            let (status, _) = get(&self.socket(), "/readyz").ok()?;
            (status == 200).then_some(())
        });
        agent
    }

    /// Starts an agent.
    pub(crate) fn spawn(&self) -> Agent {
        self.spawn_with(|_| {})
    }

    /// Starts an agent whose command is changed first. Its log exists by then.
    pub(crate) fn spawn_with(&self, change: impl FnOnce(&mut Command)) -> Agent {
        let log = self.path("log");
        let mut command = self.program();
        command
            .args(["run", "--config"])
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data());
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        change(&mut command);
        Agent {
            child: command.spawn().unwrap(),
            log,
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    /// The problem on the last line of stderr.
    #[track_caller]
    pub(crate) fn problem(&self) -> Value {
        serde_json::from_str(self.stderr.lines().last().unwrap()).unwrap()
    }
}

/// An agent that runs; killed at the end of the test.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) child: Child,
    log: PathBuf,
}

impl Agent {
    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the agent ends", || self.child.try_wait().unwrap())
    }

    /// Ends it without a chance to do anything about it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.signal("TERM");
        self.stopped();
    }

    /// Waits for an orderly end.
    #[track_caller]
    pub(crate) fn stopped(mut self) {
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// GET over a socket: status, and head and body as they are.
pub(crate) fn get(socket: &Path, path: &str) -> std::io::Result<(u16, String)> {
    ask(
        UnixStream::connect(socket)?,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost"),
        "",
    )
}

/// Sends a request and reads the answer to its end.
pub(crate) fn ask(
    mut stream: impl Read + Write,
    head: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let length = body.len();
    write!(
        stream,
        "{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Ok((status, answer))
}

/// Every file below `dir` with its length, time of change and content.
pub(crate) fn fingerprint(dir: &Path) -> Vec<(PathBuf, std::time::SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            found.push((path.clone(), meta.modified().unwrap(), Vec::new()));
            found.extend(fingerprint(&path));
        } else if meta.is_file() {
            let content = fs::read(&path).unwrap();
            found.push((path, meta.modified().unwrap(), content));
        }
    }
    found.sort();
    found
}
