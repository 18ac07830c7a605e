//! The node agent `steadfast` as a child process, and the little HTTP that tests speak with it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use steadfast::{Clock, SystemClock};
use tempfile::TempDir;

use super::PATIENCE;

/// A data directory, a config file, and where a node on them listens.
#[derive(Debug)]
pub(crate) struct Site {
    root: TempDir,
    pub(crate) port: SocketAddr,
}

/// An agent that runs. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
}

/// Waits until `what` is there: for what can only be looked at from outside of a process.
#[track_caller]
pub(crate) fn until<T>(name: &str, mut what: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    let began = clock.running();
    while clock.running().saturating_sub(began) < PATIENCE {
        if let Some(found) = what() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within {PATIENCE:?}: {name}");
}

/// The program as this build made it, beside the victim.
pub(crate) fn steadfast() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_victim")).with_file_name("steadfast");
    assert!(
        program.exists(),
        "{} is not built: cargo build --release --workspace --bins",
        program.display()
    );
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command
}

impl Site {
    /// With a directory `files`, and these concerns in the config file, where `FILES` stands for it.
    pub(crate) fn new(concerns: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        let site = Self { root, port };
        fs::create_dir(site.files()).expect("a directory");
        let concerns = concerns.replace("FILES", &site.files().display().to_string());
        let text = format!("version = 1\n[http]\nlisten = [\"{port}\"]\n{concerns}");
        fs::write(site.config(), text).expect("a config file");
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.path("files")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("steadfast.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join("steadfast.sock")
    }

    /// Starts the agent and waits until it serves.
    pub(crate) fn start(&self) -> Agent {
        self.start_with(steadfast())
    }

    /// The same by a command that ends where the program's arguments begin.
    pub(crate) fn start_with(&self, mut command: Command) -> Agent {
        let log = self.path("log");
        command.args(["run", "--config"]).arg(self.config());
        command.arg("--data-dir").arg(self.data());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"));
        let child = command.spawn().expect("the agent starts");
        let mut agent = Agent { child, log };
        until("the node is ready", || {
            agent.assert_alive();
            let status = self.get("/readyz").ok()?.0;
            (status == 200).then_some(())
        });
        agent
    }

    /// Runs a command on the data directory to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = steadfast();
        command.args(arguments).arg("--data-dir").arg(self.data());
        command.output().expect("the program runs")
    }

    /// Has the program judge the config file.
    pub(crate) fn check(&self) -> Output {
        let mut command = steadfast();
        command.args(["check", "--config"]).arg(self.config());
        command.output().expect("the program runs")
    }

    /// The JSON that a command prints; it must succeed.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let done = self.cli(&[arguments, &["-o", "json"]].concat());
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&done.stdout).expect("JSON")
    }

    /// GET over the socket: status and body.
    pub(crate) fn get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        exchange(self.connect()?, request.as_bytes())
    }

    /// A connection to the socket, which answers or fails in time.
    pub(crate) fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// POST over the socket: status and body.
    pub(crate) fn post(&self, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        exchange(self.connect()?, request.as_bytes())
    }

    /// GET over the port: status and body.
    pub(crate) fn get_by_port(&self, path: &str) -> std::io::Result<(u16, String)> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let stream = TcpStream::connect(self.port)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        exchange(stream, request.as_bytes())
    }
}

/// Sends a request that asks for the connection's end, and reads to it.
fn exchange(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<(u16, String)> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

impl Agent {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// That it runs.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the child is ours") {
            panic!("the agent ended with {status}: {}", self.log());
        }
    }

    /// A number of `/proc/PID/status`, such as `VmRSS` in KiB.
    pub(crate) fn status(&self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|rest| rest.split_whitespace().nth(1));
        number
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    /// Ends it in order.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.is_ok_and(|status| status.success()), "it runs");
        let ended = until("the agent ends", || {
            self.child.try_wait().expect("the child is ours")
        });
        assert_eq!(ended.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().expect("the child is ours");
            self.child.wait().expect("the child is ours");
        }
    }
}
