//! The load on an HTTP server: connections that stay open, each with one request at a time. The same for all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{COUNTERS, commit};
use crate::callers::{Answered, Caller, Period, Pick, closed_loop};

/// An answer that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Clients that add to counters.
pub(super) struct Load {
    runtime: Runtime,
    callers: usize,
    /// Each request has a key of its own.
    keys: Arc<AtomicU64>,
}

impl Load {
    pub(super) fn new(callers: usize) -> Self {
        allow_files();
        Self {
            runtime: commit::runtime(),
            callers,
            keys: Arc::default(),
        }
    }

    /// `POST /counter/NAME/add` with an `idempotency-key`, answered with 200.
    pub(super) fn answered(&self, server: SocketAddr, period: Period) -> Result<Answered, String> {
        let connected = self.runtime.block_on(async {
            let mut callers = Vec::new();
            for caller in 0..self.callers {
                callers.push(Adds {
                    connection: Connection::open(server).await?,
                    pick: Pick::of(caller),
                    keys: Arc::clone(&self.keys),
                });
            }
            Ok(callers)
        });
        let callers = connected.map_err(|error: std::io::Error| error.to_string())?;
        Ok(closed_loop(&self.runtime, callers, period, true))
    }
}

/// As many open files as the system lets us have, for this process and those that it starts.
fn allow_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("no more than {:?} open files: {error}", limit.current);
    }
}

struct Adds {
    connection: Connection,
    pick: Pick,
    keys: Arc<AtomicU64>,
}

impl Caller for Adds {
    async fn ask(&mut self) {
        let counter = self.pick.below(COUNTERS);
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let path = format!("/counter/{counter}/add");
        let key = format!("idempotency-key: {key}\r\n");
        let asked = self.connection.post(&path, &key, "1");
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        let (status, body) = answered.expect("it answers in time").expect("it answers");
        assert_eq!(status, 200, "{body}");
        assert!(body.parse::<u64>().is_ok_and(|total| total > 0), "{body}");
    }
}

/// One connection of HTTP/1.1.
pub(super) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(server: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(1_024),
        })
    }

    /// The status and the body of the answer, which must say how long it is.
    pub(super) async fn post(
        &mut self,
        path: &str,
        headers: &str,
        json: &str,
    ) -> std::io::Result<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{json}",
            json.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read.clear();
        loop {
            if let Some(answer) = parsed(&self.read)? {
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The status and the body, once all of it is there.
fn parsed(read: &[u8]) -> std::io::Result<Option<(u16, String)>> {
    let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&read[..end]);
    let body = &read[end + 4..];
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    });
    let (Some(status), Some(length)) = (status, length) else {
        let what = format!("no status or no length: {head}");
        return Err(std::io::Error::other(what));
    };
    let body = body.get(..length);
    Ok(body.map(|body| (status, String::from_utf8_lossy(body).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12";
        for end in 0..answer.len() {
            assert_eq!(parsed(&answer[..end]).expect("it is well-formed"), None);
        }
        let whole = parsed(answer).expect("it is well-formed");
        assert_eq!(whole, Some((200, "12".to_owned())));
        assert!(parsed(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
