//! Goal: clients that are slow, silent or many take nothing from others, and are let go by the node's own limits; when
//! files run out, the node waits for some to be closed, and loses nothing.
//!
//! Method: the real agent. Sockets that send a byte now and then, in a first head, a later head or a body, that say
//! nothing, or that do not read, a thousand in all, while well-behaved clients are served: by all ways while slow ones
//! are still open, and beside some on the socket that are never let go. Then an agent whose limit of open files is
//! brought down to what it has open.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use steadfast::{Clock, SystemClock};

use crate::harness::{Agent, Site, say, steadfast, until};

const CONCERNS: &str = "
[concerns.logs]
kind = \"cleanup\"
paths = [\"FILES/*.log\"]
";
/// Slow sockets, where this process may have as many.
const SOCKETS: usize = 1_000;
/// Of these do not read what they asked for: each holds some megabytes of the kernel's memory.
const DEAF: usize = 16;
/// Between two bytes.
const PACE: Duration = Duration::from_millis(100);
/// Clock ticks a second in `/proc/PID/stat`.
const TICKS: u64 = 100;

/// How a socket is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Silent,
    FirstHead,
    LaterHead,
    Body,
    Chunks,
    Deaf,
}

impl Sort {
    const PLAIN: [Self; 5] = [
        Self::Silent,
        Self::FirstHead,
        Self::LaterHead,
        Self::Body,
        Self::Chunks,
    ];

    /// What is sent at once.
    fn opening(self) -> String {
        let post = "POST /v1/concerns/logs/trigger HTTP/1.1\r\nHost: localhost\r\n\
                    Content-Type: application/json\r\n";
        match self {
            Self::Silent => String::new(),
            Self::FirstHead => "GET /livez HTTP/1.1\r\nX-Slow: ".to_owned(),
            Self::LaterHead => {
                "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nX-Slow: "
                    .to_owned()
            }
            Self::Body => format!("{post}Content-Length: 60000\r\n\r\n"),
            Self::Chunks => format!("{post}Transfer-Encoding: chunked\r\n\r\n"),
            Self::Deaf => "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3_000),
        }
    }

    /// What is sent from time to time.
    const fn more(self) -> &'static [u8] {
        match self {
            Self::Silent | Self::Deaf => b"",
            Self::FirstHead | Self::LaterHead | Self::Body => b" ",
            Self::Chunks => b"1\r\n \r\n",
        }
    }
}

/// A socket that is slow, until the node ends it.
#[derive(Debug)]
struct Slow {
    sort: Sort,
    stream: Option<TcpStream>,
}

impl Slow {
    fn open(port: SocketAddr, sort: Sort) -> Self {
        let mut stream = TcpStream::connect(port).expect("the node takes connections");
        stream.set_nonblocking(true).expect("a socket");
        // What does not fit at once is not needed.
        drop(stream.write(sort.opening().as_bytes()));
        Self {
            sort,
            stream: Some(stream),
        }
    }

    /// A byte more. Whether it is still open; who does not read does not learn of that.
    fn step(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let read = stream.read(&mut [0; 4_096]);
        let wrote = stream.write(self.sort.more());
        let failed = |error: &std::io::Error| error.kind() != ErrorKind::WouldBlock;
        if matches!(read, Ok(0))
            || read.is_err_and(|error| failed(&error))
            || wrote.is_err_and(|error| failed(&error))
        {
            self.stream = None;
        }
        self.stream.is_some()
    }
}

/// How many sockets this process may have beside what it needs itself.
fn room() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("our limits");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let soft = soft.and_then(|soft| soft.parse::<usize>().ok());
    soft.map_or(SOCKETS, |soft| soft.saturating_sub(200).min(SOCKETS))
}

fn files(agent: &Agent) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", agent.pid()));
    open.expect("it runs").count()
}

/// A client of the socket that asks for more than fits into it, and reads nothing.
fn deaf(site: &Site) -> UnixStream {
    let mut stream = site.connect().expect("the node listens");
    stream.set_nonblocking(true).expect("a socket");
    drop(stream.write(Sort::Deaf.opening().as_bytes()));
    stream
}

/// That the node still has its answers for a client that read none so far.
fn assert_hears(mut stream: UnixStream, number: usize) {
    stream.set_nonblocking(false).expect("a socket");
    let mut head = [0; 15];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK", "deaf client {number}");
    // More than the kernel keeps for it: the node has kept the rest.
    let rest = std::io::copy(&mut stream.take(2 << 20), &mut std::io::sink());
    assert_eq!(rest.expect("the rest"), 2 << 20, "deaf client {number}");
}

/// Asks by the port and by the socket, to read and to write, one after the other; how many were answered.
fn well_behaved(site: &Site) -> usize {
    let answered = |by: &str, answer: std::io::Result<(u16, String)>| {
        assert_eq!(answer.expect("an answer").0, 200, "by the {by}");
    };
    answered("port", site.get_by_port("/v1/status"));
    answered("socket", site.get("/v1/status"));
    answered("socket", site.post("/v1/concerns/logs/pause", "{}"));
    answered("socket", site.post("/v1/concerns/logs/resume", "{}"));
    4
}

#[test]
fn slow_sockets_are_let_go_and_others_are_served_meanwhile() {
    let site = Site::new(CONCERNS);
    let mut agent = site.start();
    let before = files(&agent);
    let count = room();
    if count < SOCKETS {
        say(&format!(
            "slow_sockets: {count} sockets, as this process may have no more"
        ));
    }
    let sort = |n: usize| {
        if n < DEAF {
            Sort::Deaf
        } else {
            Sort::PLAIN[n % Sort::PLAIN.len()]
        }
    };
    let flood = || (0..count).map(|n| Slow::open(site.port, sort(n)));
    let mut slow: Vec<Slow> = flood().collect();
    // Of these the node lets nobody go, however long it takes.
    let deaf: Vec<UnixStream> = (0..DEAF).map(|_| deaf(&site)).collect();
    let (mut served, mut beside) = (0, 0);
    until("all slow sockets are let go", || {
        agent.assert_alive();
        served += well_behaved(&site);
        let hearing = slow.iter_mut().filter(|slow| slow.sort != Sort::Deaf);
        let left = hearing.filter_map(|slow| slow.step().then_some(())).count();
        if left > 0 {
            // Who was answered did not have to wait until they were gone.
            beside += 1;
        } else if beside == 0 {
            slow = flood().collect();
        }
        std::thread::sleep(PACE);
        (left == 0 && beside > 0).then_some(())
    });
    for (number, stream) in deaf.into_iter().enumerate() {
        assert_hears(stream, number);
    }
    // Those who do not read are still there, on their side.
    until("their files are closed", || {
        (files(&agent) <= before + 8).then_some(())
    });
    say(&format!(
        "slow_sockets: {count} let go, {served} requests served meanwhile, {beside} times by all ways while some were open"
    ));
    agent.stop();
    assert_eq!(site.json(&["verify"])["ok"], true);
}

/// A client that keeps its connection by using it.
#[derive(Debug)]
struct Kept(UnixStream);

impl Kept {
    fn open(site: &Site) -> Self {
        Self(site.connect().expect("the node listens"))
    }

    /// The status of the answer; its body has a length and is left out.
    fn post(&mut self, path: &str) -> u16 {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{{}}"
        );
        self.0
            .write_all(request.as_bytes())
            .expect("the connection is open");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length
            .and_then(|length| length.parse().ok())
            .expect("a length");
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        head.split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status")
    }
}

fn seq(site: &Site) -> u64 {
    let (_, body) = site.get("/v1/actors/concern/logs").expect("an answer");
    let row: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    row["seq"].as_u64().expect("a number")
}

/// Processor time of the agent so far, in ticks.
fn ticks(agent: &Agent) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", agent.pid())).expect("it runs");
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum()
}

fn limit_files(agent: &Agent, limit: usize) {
    let pid = agent.pid().to_string();
    let done = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={limit}:20000")])
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "prlimit is part of util-linux"
    );
}

#[test]
fn no_more_files_stop_nobody_for_longer_than_they_are_missing() {
    let site = Site::new(CONCERNS);
    let mut agent = site.start();
    let mut kept = Kept::open(&site);
    assert_eq!(kept.post("/v1/concerns/logs/pause"), 200);
    let before = seq(&site);
    limit_files(&agent, files(&agent) + 4);
    let flood: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(site.port).expect("the kernel takes it"))
        .collect();
    let socket: Vec<UnixStream> = (0..50)
        .filter_map(|_| UnixStream::connect(site.socket()).ok())
        .collect();
    let clock = SystemClock::new();
    let (began, used) = (clock.running(), ticks(&agent));
    let mut acknowledged = 0;
    while clock.running().saturating_sub(began) < Duration::from_secs(3) {
        for path in ["/v1/concerns/logs/resume", "/v1/concerns/logs/pause"] {
            assert_eq!(kept.post(path), 200, "after {acknowledged} answers");
            acknowledged += 1;
        }
        // This may want a file: it may fail, and nothing else may.
        kept.post("/v1/snapshots");
        agent.assert_alive();
        std::thread::sleep(PACE);
    }
    let took = clock.running().saturating_sub(began);
    let used = ticks(&agent).saturating_sub(used);
    let most = took.as_secs() * TICKS / 2;
    assert!(used < most, "{used} ticks in {took:?}: the acceptor spins");
    drop((flood, socket));
    limit_files(&agent, 8_192);
    until("it serves new connections", || {
        let answers = [site.get_by_port("/readyz"), site.get("/readyz")];
        let ready = |answer: &std::io::Result<(u16, String)>| matches!(answer, Ok((200, _)));
        answers.iter().all(ready).then_some(())
    });
    assert_eq!(
        seq(&site),
        before + acknowledged,
        "each of them is there, once"
    );
    let log = agent.log();
    assert!(log.lines().count() < 200, "the log is not flooded: {log}");
    say(&format!(
        "no_more_files: {acknowledged} acknowledged meanwhile, {used} ticks in {took:?}"
    ));
    agent.stop();
    assert_eq!(site.json(&["verify"])["ok"], true);
}

#[test]
fn sockets_leave_files_for_the_journal() {
    let site = Site::new(CONCERNS);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""]);
    shell.arg(steadfast().get_program());
    let mut agent = site.start_with(shell);
    let flood: Vec<TcpStream> = (0..room().min(150))
        .map(|_| TcpStream::connect(site.port).expect("the kernel takes it"))
        .collect();
    until("all that may be open are", || {
        agent.assert_alive();
        let (status, _) = site
            .post("/v1/concerns/logs/pause", "{}")
            .expect("an answer");
        assert_eq!(status, 200);
        (files(&agent) >= 64).then_some(())
    });
    // Files are made for these: a snapshot of every actor, and the whole journal read.
    assert_eq!(site.post("/v1/snapshots", "{}").expect("an answer").0, 200);
    assert_eq!(site.get("/v1/verify").expect("an answer").0, 200);
    assert!(files(&agent) < 200, "{} of 256", files(&agent));
    drop(flood);
    agent.stop();
    assert_eq!(site.json(&["verify"])["ok"], true);
}
