//! What a program says, within a limit: how it began and how it ended.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What is kept of one stream. Bytes that are no UTF-8 are shown as `U+FFFD`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// How it began: all of it, if it was within the limit.
    pub head: String,
    /// How it ended, if it was longer.
    pub tail: String,
    /// Bytes between the two that were not kept.
    pub dropped: u64,
}

/// Takes in one stream. Holds no more than its limit.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    dropped: u64,
}

impl Capture {
    /// Keeps `limit` bytes: the first half of what comes, and the last.
    pub(super) fn new(limit: usize) -> Self {
        let tail_limit = limit / 2;
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit: limit.saturating_sub(tail_limit),
            tail_limit,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.head_limit.saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..over);
        self.dropped = self.dropped.saturating_add(over as u64);
    }

    pub(super) fn finish(&mut self) -> Captured {
        let mut head = std::mem::take(&mut self.head);
        let mut tail = Vec::from(std::mem::take(&mut self.tail));
        let mut dropped = self.dropped;
        if dropped == 0 {
            // Nothing is missing between the two.
            head.append(&mut tail);
        } else {
            // A character that the gap cut through is dropped whole.
            let whole = whole_until(&head);
            dropped = dropped.saturating_add((head.len() - whole) as u64);
            head.truncate(whole);
            let cut = tail
                .iter()
                .take(3)
                .take_while(|byte| **byte & 0xC0 == 0x80)
                .count();
            dropped = dropped.saturating_add(cut as u64);
            tail.drain(..cut);
        }
        Captured {
            head: String::from_utf8_lossy(&head).into_owned(),
            tail: String::from_utf8_lossy(&tail).into_owned(),
            dropped,
        }
    }
}

/// How much of `bytes` comes before a character that is cut off at their end.
fn whole_until(bytes: &[u8]) -> usize {
    let near_end = bytes.len().saturating_sub(3);
    let last = bytes.get(near_end..).unwrap_or_default();
    for (at, byte) in last.iter().enumerate().rev() {
        let length = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return bytes.len(),
        };
        return if last.len() - at < length {
            near_end.saturating_add(at)
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: usize, chunks: &[&[u8]], head: &str, tail: &str, dropped: u64) {
        let mut capture = Capture::new(limit);
        for chunk in chunks {
            capture.push(chunk);
        }
        let expected = Captured {
            head: head.to_owned(),
            tail: tail.to_owned(),
            dropped,
        };
        assert_eq!(capture.finish(), expected);
    }

    #[test]
    fn what_is_within_the_limit_is_kept_whole() {
        check(8, &[], "", "", 0);
        check(8, &[b"12345678"], "12345678", "", 0);
        check(8, &[b"1", b"2345", b"678"], "12345678", "", 0);
        check(4, &["äö".as_bytes()], "äö", "", 0);
    }

    #[test]
    fn beyond_it_how_it_began_and_ended_is_kept() {
        check(8, &[b"123456789"], "1234", "6789", 1);
        check(3, &[b"abc", b"defgh"], "ab", "h", 5);
        check(0, &[b"abc"], "", "", 3);
        let long = "x".repeat(1_000_000);
        check(4, &[b"ab", long.as_bytes(), b"yz"], "ab", "yz", 1_000_000);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        check(8, &[b"a\xFFb"], "a\u{FFFD}b", "", 0);
        check(8, &[b"\x80\x80\x80\x80"], &"\u{FFFD}".repeat(4), "", 0);
        // Cut off by the program itself, not by the limit.
        check(8, &[b"ab\xC3"], "ab\u{FFFD}", "", 0);
    }

    #[test]
    fn the_gap_cuts_through_no_character() {
        check(4, &["aä-----äb".as_bytes()], "a", "b", 9);
        check(4, &["ä----ä".as_bytes()], "ä", "ä", 4);
        check(8, &["abc😀-----😀xyz".as_bytes()], "abc", "xyz", 13);
    }
}
