//! One connection, and the judgement whether what comes back is HTTP.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::PATIENCE;

/// Where the node is reached.
#[derive(Debug, Clone)]
pub(super) enum Door {
    Port(SocketAddr),
    Socket(PathBuf),
}

#[derive(Debug)]
enum Stream {
    Port(TcpStream),
    Socket(UnixStream),
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Port(stream) => (&*stream).read(buffer),
            Stream::Socket(stream) => (&*stream).read(buffer),
        }
    }
}

impl Stream {
    fn open(door: &Door) -> std::io::Result<Self> {
        Ok(match door {
            Door::Port(port) => Self::Port(TcpStream::connect(port)?),
            Door::Socket(path) => Self::Socket(UnixStream::connect(path)?),
        })
    }

    fn write_all(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Port(stream) => (&*stream).write_all(bytes),
            Self::Socket(stream) => (&*stream).write_all(bytes),
        }
    }

    /// Says that nothing more comes.
    fn finish(&self) {
        // Where the other side is gone already, there is nobody to be told.
        drop(match self {
            Self::Port(stream) => stream.shutdown(Shutdown::Write),
            Self::Socket(stream) => stream.shutdown(Shutdown::Write),
        });
    }

    fn patience(&self, limit: Duration) {
        let set = match self {
            Self::Port(stream) => stream
                .set_read_timeout(Some(limit))
                .and_then(|()| stream.set_write_timeout(Some(PATIENCE))),
            Self::Socket(stream) => stream
                .set_read_timeout(Some(limit))
                .and_then(|()| stream.set_write_timeout(Some(PATIENCE))),
        };
        set.expect("a socket has time limits");
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether it goes on for as long as one listens: it was left.
    pub(super) endless: bool,
    /// Whether the connection ends with it.
    last: bool,
}

/// What came instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nothing {
    /// The connection ended, in order or not.
    End,
    /// Nothing came within the time.
    Silence,
    /// What came is no HTTP, or was cut off.
    Garbage(String),
}

/// A connection that is opened when it is needed.
#[derive(Debug)]
pub(super) struct Connection {
    door: Door,
    open: Option<BufReader<Half>>,
}

/// Reading, with the writing side at hand.
#[derive(Debug)]
struct Half(Stream);

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&self.0).read(buffer)
    }
}

impl Connection {
    pub(super) const fn to(door: Door) -> Self {
        Self { door, open: None }
    }

    fn opened(&mut self) -> &mut BufReader<Half> {
        let door = &self.door;
        self.open.get_or_insert_with(|| {
            let stream = Stream::open(door).expect("the node takes connections");
            BufReader::new(Half(stream))
        })
    }

    /// One request, one answer. A connection that the node closed meanwhile is opened once more.
    pub(super) fn ask(&mut self, bytes: &[u8], method: &[u8]) -> Result<Answer, Nothing> {
        let used = self.open.is_some();
        let answer = self.ask_once(bytes, method);
        if used && answer == Err(Nothing::End) {
            return self.ask_once(bytes, method);
        }
        answer
    }

    fn ask_once(&mut self, bytes: &[u8], method: &[u8]) -> Result<Answer, Nothing> {
        let open = self.opened();
        open.get_ref().0.patience(PATIENCE);
        // A node that refuses early does not read to the end: its answer counts.
        drop(open.get_ref().0.write_all(bytes));
        let answer = answer(open, method);
        if answer
            .as_ref()
            .map_or(true, |answer| answer.last || answer.endless)
        {
            self.open = None;
        }
        answer
    }

    /// Sends what may be anything on a connection of its own, and returns all that comes back until the node ends
    /// it. Nothing more than a moment is waited for an answer before the node is told that no more comes.
    pub(super) fn throw(&self, bytes: &[u8], method: &[u8]) -> (Vec<Answer>, Nothing) {
        let stream = Stream::open(&self.door).expect("the node takes connections");
        stream.patience(Duration::from_millis(30));
        drop(stream.write_all(bytes));
        let mut open = BufReader::new(Half(stream));
        let mut answers = Vec::new();
        let mut told = false;
        loop {
            match open.fill_buf() {
                Err(error) if is_timeout(&error) && !told => {
                    told = true;
                    open.get_ref().0.finish();
                    open.get_ref().0.patience(PATIENCE);
                    continue;
                }
                Err(error) if is_timeout(&error) => return (answers, Nothing::Silence),
                Err(_) | Ok([]) => return (answers, Nothing::End),
                Ok(_) => {}
            }
            open.get_ref().0.patience(PATIENCE);
            let method: &[u8] = if answers.is_empty() { method } else { b"?" };
            match answer(&mut open, method) {
                Ok(answer) if answer.endless => {
                    answers.push(answer);
                    return (answers, Nothing::End);
                }
                Ok(answer) => answers.push(answer),
                Err(nothing) => return (answers, nothing),
            }
            open.get_ref()
                .0
                .patience(Duration::from_millis(if told { 60_000 } else { 30 }));
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn failed(error: &std::io::Error) -> Nothing {
    if is_timeout(error) {
        Nothing::Silence
    } else {
        Nothing::End
    }
}

fn line(from: &mut impl BufRead) -> Result<String, Nothing> {
    let mut bytes = Vec::new();
    from.take(64 << 10)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.is_empty() {
        return Err(Nothing::End);
    }
    let text = String::from_utf8(bytes).map_err(|error| Nothing::Garbage(format!("{error}")))?;
    let line = text
        .strip_suffix("\r\n")
        .ok_or_else(|| Nothing::Garbage(format!("a line without its end: {text:?}")))?;
    Ok(line.to_owned())
}

/// Reads one answer to a request by `method`, those with a status of 1xx left out.
fn answer(from: &mut impl BufRead, method: &[u8]) -> Result<Answer, Nothing> {
    loop {
        let (status, head) = head(from)?;
        if status >= 200 {
            return rest(from, status, head, method);
        }
    }
}

fn head(from: &mut impl BufRead) -> Result<(u16, String), Nothing> {
    let first = line(from)?;
    let garbage = |what: &str, line: &str| Nothing::Garbage(format!("{what}: {line:?}"));
    let cut = |nothing| {
        if nothing == Nothing::End {
            Nothing::Garbage("cut off in its head".to_owned())
        } else {
            nothing
        }
    };
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let status = words
        .next()
        .filter(|code| code.len() == 3)
        .and_then(|code| code.parse::<u16>().ok());
    let (true, Some(status), Some(_)) = (
        matches!(version, "HTTP/1.1" | "HTTP/1.0"),
        status,
        words.next(),
    ) else {
        return Err(garbage("no status line", &first));
    };
    if !(100..=599).contains(&status) {
        return Err(garbage("no status", &first));
    }
    let mut head = String::new();
    loop {
        let header = line(from).map_err(cut)?;
        if header.is_empty() {
            return Ok((status, head));
        }
        let named = header
            .split_once(": ")
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(is_token));
        if !named || header.bytes().any(|byte| byte < 0x20) {
            return Err(garbage("no header", &header));
        }
        head.push_str(&header.to_ascii_lowercase());
        head.push('\n');
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn rest(
    from: &mut impl BufRead,
    status: u16,
    head: String,
    method: &[u8],
) -> Result<Answer, Nothing> {
    let last = header(&head, "connection").is_some_and(|value| value == "close");
    let cut = |error: std::io::Error| {
        if is_timeout(&error) {
            Nothing::Silence
        } else {
            Nothing::Garbage(format!("a body that was cut off: {error}"))
        }
    };
    let kind = header(&head, "content-type").unwrap_or_default();
    let endless = matches!(kind, "text/event-stream" | "application/jsonl");
    let mut body = Vec::new();
    if method == b"HEAD" || matches!(status, 204 | 304) || endless {
        // Nothing follows, or more than anybody waits for.
    } else if header(&head, "transfer-encoding") == Some("chunked") {
        chunks(from, &mut body)?;
    } else if let Some(length) = header(&head, "content-length") {
        let length: usize = length
            .parse()
            .map_err(|_| Nothing::Garbage(format!("a length of {length:?}")))?;
        body.resize(length, 0);
        from.read_exact(&mut body).map_err(cut)?;
    } else {
        from.read_to_end(&mut body).map_err(cut)?;
    }
    Ok(Answer {
        status,
        head,
        body,
        endless,
        last,
    })
}

fn chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> Result<(), Nothing> {
    loop {
        let size = line(from)?;
        let size = usize::from_str_radix(&size, 16)
            .map_err(|_| Nothing::Garbage(format!("a chunk of {size:?}")))?;
        let at = body.len();
        body.resize(at + size + 2, 0);
        from.read_exact(&mut body[at..])
            .map_err(|error| failed(&error))?;
        if !body.ends_with(b"\r\n") {
            return Err(Nothing::Garbage("a chunk without its end".to_owned()));
        }
        body.truncate(at + size);
        if size == 0 {
            return Ok(());
        }
    }
}
