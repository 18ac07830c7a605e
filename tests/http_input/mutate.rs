//! What is done to a request: to its parts, so that it is still framed as HTTP, or to its bytes.

use steadfast_tests::Dice;

use super::corpus::Request;

/// What is sent, and what can be said of it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    /// Exactly one answer is due, and the connection is good for another request if that does not end it.
    pub(super) framed: bool,
    pub(super) method: Vec<u8>,
}

/// Texts that stand for a name, a segment of a path or a value.
const HOSTILE: [&str; 34] = [
    "..",
    ".",
    "",
    "/",
    "//",
    "%2e%2e",
    "%2E%2e%2f",
    "..%2f..%2f",
    "%00",
    "%ff%fe",
    "%",
    "%zz",
    "%25%32%65",
    "\u{202e}sgol",
    "l\u{043e}gs",
    "e\u{301}",
    "\u{e9}",
    "\u{feff}logs",
    "logs%0d%0aX:%20y",
    "logs%0a",
    "logs;x=1",
    "logs?x",
    "logs%3Fat=1",
    "logs%23",
    "logs/",
    "/logs",
    "con",
    "\u{1f980}",
    "LOGS",
    "logs%20",
    "concern%2Flogs",
    "agent",
    "config",
    "*",
];
const METHODS: [&str; 14] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "get",
    "G\u{cb}T",
    "PRI",
    "PROPFIND",
    "X-Y_Z",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];
const JSON: [&str; 30] = [
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "-1e-999",
    "18446744073709551616",
    "9223372036854775808",
    "0.1",
    "1E400",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u202e\"",
    "[]",
    "{}",
    "[null]",
    "{\"a\":1,\"a\":2}",
    "{\"\":{}}",
    "\"\u{feff}\"",
    "NaN",
    "Infinity",
    "'a'",
    "// c\n1",
    "01",
    "1.",
    "+1",
    "\"\t\"",
    "{\"command\":\"pause\"}",
];
/// Headers that mean something to a server, with values that should mean nothing.
const HEADERS: [(&str, &str); 36] = [
    ("Host", "localhost"),
    ("Host", "evil.example"),
    ("Host", ""),
    ("Host", "localhost, evil.example"),
    ("Host", "127.0.0.1:99999"),
    ("Host", "[::1"),
    ("Host", "localhost:"),
    ("Host", "loc\u{430}lhost"),
    ("Origin", "null"),
    ("Origin", "http://localhost"),
    ("Origin", "http://localhost.evil"),
    ("Origin", "://"),
    ("Content-Type", "text/plain"),
    ("Content-Type", "application/json; charset=\u{e9}"),
    ("Content-Type", ""),
    ("Content-Type", "application/json, text/html"),
    ("Accept", "text/event-stream"),
    ("Accept", "image/png"),
    ("Accept", ";;;,,,"),
    ("Last-Event-ID", "18446744073709551615"),
    ("Last-Event-ID", "-1"),
    ("Last-Event-ID", "a"),
    ("Connection", "upgrade"),
    ("Upgrade", "websocket"),
    ("Connection", "keep-alive, close, x"),
    ("Expect", "100-continue"),
    ("Expect", "200-ok"),
    ("Range", "bytes=0-,5-"),
    ("If-None-Match", "*"),
    ("Cookie", "a=b; c"),
    ("Content-Encoding", "gzip"),
    ("Content-Encoding", "br, deflate"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Authorization", "Basic \u{ff}"),
    ("Forwarded", "host=evil"),
];
/// The same about where the body ends: the one answer may be a refusal, and nothing is known of what follows.
const FRAMING: [&str; 24] = [
    "Content-Length: 0\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 99999\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Content-Length: 1e3\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: \r\n",
    "Content-Length: 0x10\r\n",
    "Content-Length: 2147483648\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "transfer-encoding: CHUNKED\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    " Content-Length: 5\r\n",
    "Content-Length\r\n",
];
const CHUNKS: [&str; 14] = [
    "2\r\n{}\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "2;x=y\r\n{}\r\n0\r\n\r\n",
    "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "-2\r\n{}\r\n0\r\n\r\n",
    "2\n{}\n0\n\n",
    "2\r\n{}0\r\n\r\n",
    "2\r\n{}\r\n",
    "2\r\n{",
    "\r\n",
    "g\r\n",
    "7fffffffffffffff\r\n{}",
    "2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "00000000000000000000000000002\r\n{}\r\n0\r\n\r\n",
];

/// What fits into the buffers on the way.
const LONG: usize = 60_000;

fn below(dice: &mut Dice, sides: usize) -> usize {
    usize::try_from(dice.roll(sides.max(1) as u64)).expect("small")
}

fn pick<T: Copy>(among: &[T], dice: &mut Dice) -> T {
    among[below(dice, among.len())]
}

/// One of `requests`, changed once or a few times.
pub(super) fn mutated(requests: &[Request], dice: &mut Dice) -> Sent {
    let mut request = requests[below(dice, requests.len())].clone();
    if dice.roll(8) == 0 {
        return wild(&request, requests, dice);
    }
    for _ in 0..=dice.roll(3) {
        change(&mut request, dice);
    }
    let bytes = request.encode();
    // One that is refused before it was read to its end may lose its answer.
    let framed = bytes.len() < LONG && clean(&request);
    Sent {
        bytes,
        framed,
        method: request.method,
    }
}

/// Whether the head has one request line and headers that do not speak of lengths.
fn clean(request: &Request) -> bool {
    let ends_line = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    let blank = |bytes: &[u8]| bytes.iter().any(u8::is_ascii_whitespace);
    !blank(&request.method)
        && !blank(&request.target)
        && !request.target.is_empty()
        && !request.headers.iter().any(|(name, value)| {
            // After an upgrade there is no end of a body.
            ends_line(name) || ends_line(value) || name.eq_ignore_ascii_case(b"upgrade")
        })
}

fn change(request: &mut Request, dice: &mut Dice) {
    match dice.roll(14) {
        0..=2 => request.body = Some(body(request.body.take().unwrap_or_default(), dice)),
        3 | 4 => request.body = Some(json(request.body.take(), dice)),
        5..=7 => segment(&mut request.target, dice),
        8 => query(&mut request.target, dice),
        9 => bytes(&mut request.target, dice),
        10 => request.method = pick(&METHODS, dice).into(),
        11 => {
            let (name, value) = pick(&HEADERS, dice);
            let at = below(dice, request.headers.len() + 1);
            request.headers.insert(at, (name.into(), value.into()));
        }
        12 => large(request, dice),
        _ => {
            let at = below(dice, request.headers.len());
            match dice.roll(3) {
                0 => drop(request.headers.remove(at)),
                1 => bytes(&mut request.headers[at].1, dice),
                _ => bytes(&mut request.headers[at].0, dice),
            }
            if request.headers.is_empty() {
                request
                    .headers
                    .push((b"Host".to_vec(), b"localhost".to_vec()));
            }
        }
    }
}

/// Flips, cuts, doubles, inserts.
fn bytes(text: &mut Vec<u8>, dice: &mut Dice) {
    let at = below(dice, text.len());
    match dice.roll(6) {
        0 | 1 => {
            if let Some(byte) = text.get_mut(at) {
                *byte ^= 1 << dice.roll(8);
            }
        }
        2 => text.truncate(at),
        3 => {
            let piece = text[at..text.len().min(at + 1 + below(dice, 20))].to_vec();
            text.splice(at..at, piece);
        }
        4 => {
            let end = text.len().min(at + 1 + below(dice, 8));
            text.drain(at..end);
        }
        _ => text.insert(at, u8::try_from(dice.roll(256)).expect("a byte")),
    }
}

fn body(mut body: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.roll(4) {
        bytes(&mut body, dice);
    }
    body
}

/// JSON where JSON is wanted, and not what is wanted.
fn json(before: Option<Vec<u8>>, dice: &mut Dice) -> Vec<u8> {
    let depth = pick(&[10, 100, 127, 128, 129, 1_000, 50_000], dice);
    match dice.roll(8) {
        0 => "[".repeat(depth).into_bytes(),
        1 => format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes(),
        2 => format!("{}1{}", "{\"body\":".repeat(depth), "}".repeat(depth)).into_bytes(),
        3 => format!(
            "{{\"command\":\"describe\",\"body\":{}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
        .into_bytes(),
        4 => format!("{{\"timeout_ms\":{}}}", "9".repeat(depth)).into_bytes(),
        _ => {
            // A value of what was there, by another.
            let text = String::from_utf8(before.unwrap_or_default()).unwrap_or_default();
            let ends: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
            if ends.is_empty() {
                return pick(&JSON, dice).into();
            }
            let at = pick(&ends, dice);
            let rest = text[at..].find([',', '}', ']']).unwrap_or(text.len() - at);
            format!("{}{}{}", &text[..at], pick(&JSON, dice), &text[at + rest..]).into_bytes()
        }
    }
}

fn segment(target: &mut Vec<u8>, dice: &mut Dice) {
    let mut parts: Vec<Vec<u8>> = target
        .split(|byte| *byte == b'/')
        .map(<[u8]>::to_vec)
        .collect();
    let at = below(dice, parts.len());
    match dice.roll(5) {
        0 | 1 => parts[at] = pick(&HOSTILE, dice).into(),
        2 => parts.insert(at, pick(&HOSTILE, dice).into()),
        3 => {
            let escaped = |byte: &u8| format!("%{byte:02x}").into_bytes();
            parts[at] = parts[at].iter().flat_map(escaped).collect();
        }
        _ => parts[at] = b"a".repeat(pick(&[64, 65, 512, 513, 4_000, 9_000], dice)),
    }
    *target = parts.join(&b'/');
}

fn query(target: &mut Vec<u8>, dice: &mut Dice) {
    let name = pick(
        &[
            "at", "from", "limit", "follow", "events", "to", "mode", "x", "",
        ],
        dice,
    );
    let value = pick(
        &[
            "0",
            "1",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "true",
            "%00",
            "a",
            "",
            "1e3",
            "ask",
            "tell",
            "%ff",
        ],
        dice,
    );
    let mark = if target.contains(&b'?') { "&" } else { "?" };
    target.extend(format!("{mark}{name}={value}").into_bytes());
}

fn large(request: &mut Request, dice: &mut Dice) {
    let many = pick(&[40, 95, 97, 200], dice);
    match dice.roll(6) {
        0 => request.headers.push((
            b"X-Long".to_vec(),
            b"x".repeat(pick(&[4_000, 30_000, 140_000], dice)),
        )),
        1 => request
            .headers
            .extend((0..many).map(|n| (format!("X-{n}").into_bytes(), b"1".to_vec()))),
        2 => request
            .headers
            .extend((0..many).map(|_| (b"Host".to_vec(), b"localhost".to_vec()))),
        3 => request
            .headers
            .push((b"X".repeat(pick(&[300, 70_000], dice)), b"1".to_vec())),
        4 => request.target.extend(
            b"?".iter()
                .chain(&b"q".repeat(pick(&[5_000, 60_000, 140_000], dice))),
        ),
        _ => request.body = Some(b" ".repeat(pick(&[65_536, 65_537, 300_000], dice))),
    }
}

/// Bytes that may be several requests, or none.
fn wild(request: &Request, requests: &[Request], dice: &mut Dice) -> Sent {
    let mut sent = request.encode();
    let other = requests[below(dice, requests.len())].encode();
    match dice.roll(8) {
        0..=2 => {
            for _ in 0..=dice.roll(5) {
                bytes(&mut sent, dice);
            }
        }
        3 => {
            // Two requests, cut and joined anywhere.
            sent.truncate(below(dice, sent.len()));
            sent.extend_from_slice(&other[below(dice, other.len())..]);
        }
        4 => {
            for _ in 0..dice.roll(60) {
                sent.extend_from_slice(&other);
            }
        }
        5 => {
            sent = [
                &request.head()[..],
                pick(&FRAMING, dice).as_bytes(),
                b"\r\n",
                pick(&CHUNKS, dice).as_bytes(),
            ]
            .concat();
        }
        6 => {
            let chunked = b"Transfer-Encoding: chunked\r\n\r\n";
            sent = [&request.head()[..], chunked, pick(&CHUNKS, dice).as_bytes()].concat();
        }
        _ => {
            let ends = pick(&["\n", "\r", "\r\n ", "\0", "\r\r\n"], dice);
            let text = String::from_utf8_lossy(&sent).replacen("\r\n", ends, 1 + below(dice, 4));
            sent = text.into_bytes();
        }
    }
    Sent {
        bytes: sent,
        framed: false,
        method: request.method.clone(),
    }
}
