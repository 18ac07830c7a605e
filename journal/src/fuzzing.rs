//! Doors to the decoders of this crate, for fuzzing and for the tests that replay what it found. Not part of the API.
//!
//! Each takes any bytes. What it asserts is what holds of every input: nothing panics, and what decodes is
//! encoded to bytes that decode to the same.

use crate::entry::{Birth, CommandStamp, Entry, EventRecord, KeyStamp, decode_entry, encode_entry};
use crate::frame::EntryRef;
use crate::hash::{CommitHeader, Hash};
use crate::ids::{ActorId, ActorNumber, CommitIndex, EntryNumber, Epoch, HistoryId};
use crate::journal::Append;
use crate::layout::{self, Checked, Past};
use crate::mark::{self, Found, Mark, Reached};
use crate::record::{CommitRecord, Frame};

/// A name, and what takes any bytes.
pub type Door = (&'static str, fn(&[u8]));

/// The doors.
pub const TARGETS: [Door; 5] = [
    ("entry", entry),
    ("record", record),
    ("layout", layout),
    ("mark", mark),
    ("actor_id", actor_id),
];

/// The frame of an entry.
fn entry(bytes: &[u8]) {
    let Ok(read) = EntryRef::decode(bytes) else {
        return;
    };
    let entry = read.to_entry();
    let derived = bytes.get(1..).map(rmp_serde::from_slice::<Entry>);
    assert_eq!(derived.and_then(Result::ok).as_ref(), Some(&entry));
    assert_eq!(EntryRef::from(&entry), read);
    let again = encode_entry(&entry).and_then(|frame| decode_entry(&frame));
    assert_eq!(again.ok(), Some(entry));
}

/// The record of a commit.
fn record(bytes: &[u8]) {
    let Ok(read) = CommitRecord::decode(bytes) else {
        return;
    };
    let (history, index) = (HistoryId::from_bytes([7; 16]), CommitIndex::FIRST);
    let computed = read.computed(history, index, bytes);
    let mut appends = Vec::new();
    for listed in &read.entries {
        let Frame::Here(place) = listed.frame else {
            return;
        };
        let frame = place.of(bytes).to_vec();
        assert_eq!(frame.len(), place.len as usize);
        appends.push(Append {
            actor: listed.actor,
            number: listed.number,
            frame,
            birth: None,
            rows: Vec::new(),
        });
    }
    let header = CommitHeader {
        history,
        index,
        epoch: read.epoch,
        time_us: read.time_us,
        previous: read.previous,
    };
    let sealed = CommitRecord::seal(&header, &appends.iter().collect::<Vec<_>>());
    let (again, written) = sealed.unwrap_or_else(|error| unreachable!("{error}"));
    assert_eq!(written.hash, computed);
    assert_eq!(written.entries, read.entries);
    assert_eq!(CommitRecord::decode(&again).ok(), Some(written));
}

/// Keys and values of the journal's tables; the first byte says where the value begins.
fn layout(bytes: &[u8]) {
    if let Ok((actor, number)) = layout::entry_of_key(bytes) {
        assert_eq!(layout::entry_key(actor, number), bytes);
    }
    if let Ok(index) = layout::commit_of_key(bytes) {
        assert_eq!(layout::commit_key(index), bytes);
    }
    if let Ok((commit, frame)) = layout::split_entry(bytes) {
        assert_eq!([&layout::commit_key(commit), frame].concat(), bytes);
    }
    if let Ok(number) = layout::actor_of_number_key(bytes) {
        assert_eq!(layout::actor_number_key(number).get(1..), bytes.get(1..));
    }
    if let Ok(checked) = Checked::decode(bytes) {
        assert_eq!(checked.encode(), bytes);
    }
    if let Ok(past) = Past::decode(bytes) {
        assert_eq!(past.encode(), bytes);
        assert!(past.current().is_some());
    }
    if let Some((&at, rest)) = bytes.split_first()
        && let Some((key, value)) = rest.split_at_checked(at.into())
        && let Ok(row) = layout::actor_of_row(key, value)
    {
        assert_eq!(layout::actor_value(row.number, &row.kind), value);
        assert_eq!(layout::actor_name_key(&row.id).get(1..), key.get(1..));
    }
}

/// The file that says how far the journal reached; its pages as they are, and with checksums that are right.
fn mark(bytes: &[u8]) {
    let _any = mark::choose(bytes);
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at(half);
    let pages = [mark::page(first), mark::page(second)].concat();
    if let Found::Whole(found, _) = mark::choose(&pages) {
        let page = mark::encode(&found);
        let again = mark::choose(&[page.clone(), page].concat());
        assert!(matches!(again, Found::Whole(again, _) if again == found));
    }
}

/// The name of an actor.
fn actor_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<ActorId>() {
        Ok(id) => {
            assert_eq!(id.to_string(), text);
            assert_eq!(ActorId::new(id.space(), id.key()).as_ref(), Ok(&id));
            let json = serde_json::to_string(&id).ok();
            let read = json.and_then(|json| serde_json::from_str(&json).ok());
            assert_eq!(read, Some(id));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
}

/// Real encodings to begin with, by the name of their door.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let entries = [sample(0), sample(1), sample(3)];
    let frames = entries.iter().filter_map(|entry| encode_entry(entry).ok());
    let frames: Vec<Vec<u8>> = frames.collect();
    let hash = Hash::of(b"before");
    let mut seeds = records(&frames, hash);
    seeds.extend(layouts(hash));
    seeds.extend(marks(hash));
    for text in [
        "concern/logs",
        "a/b/c",
        "x.y_z-0/\u{e9}",
        "no-slash",
        "/",
        "a/\u{1b}",
    ] {
        seeds.push(("actor_id", text.as_bytes().to_vec()));
    }
    seeds.extend(frames.into_iter().map(|frame| ("entry", frame)));
    seeds
}

const HISTORY: HistoryId = HistoryId::from_bytes([1; 16]);

fn records(frames: &[Vec<u8>], previous: Hash) -> Vec<(&'static str, Vec<u8>)> {
    let appends: Vec<Append> = (1..)
        .zip(frames)
        .filter_map(|(number, frame)| {
            Some(Append {
                actor: ActorNumber::new(number)?,
                number: EntryNumber::FIRST,
                frame: frame.clone(),
                birth: None,
                rows: Vec::new(),
            })
        })
        .collect();
    let header = CommitHeader {
        history: HISTORY,
        index: CommitIndex::FIRST,
        epoch: Epoch::FIRST,
        time_us: 1_700_000_000_000_000,
        previous,
    };
    let mut seeds = Vec::new();
    for count in 0..=appends.len() {
        let some: Vec<&Append> = appends.iter().take(count).collect();
        seeds.extend(CommitRecord::seal(&header, &some).map(|(bytes, _)| ("record", bytes)));
    }
    // One of format 1: its header, and two entries of which it has the hashes.
    let listing = [&[1], [0; 7].as_slice(), &[1], &[0; 8], &[2; 64]].concat();
    let entries = [0, 0, 0, 0, 0, 0, 0, 1].repeat(12);
    seeds.push(("record", [listing, entries].concat()));
    seeds
}

fn layouts(hash: Hash) -> Vec<(&'static str, Vec<u8>)> {
    let checked = Checked {
        index: CommitIndex::FIRST,
        hash,
    };
    let mut values = vec![
        layout::entry_key(ActorNumber::FIRST, EntryNumber::FIRST).to_vec(),
        layout::commit_key(CommitIndex::FIRST).to_vec(),
        layout::actor_number_key(ActorNumber::FIRST).to_vec(),
        checked.encode(),
        Past::beginning(HISTORY).encode(),
    ];
    if let Ok(id) = ActorId::new("concern", "logs") {
        let key = layout::actor_name_key(&id);
        let value = layout::actor_value(ActorNumber::FIRST, "cleanup");
        let at = u8::try_from(key.len()).unwrap_or_default();
        values.push([&[at], &key[..], &value].concat());
    }
    values.into_iter().map(|value| ("layout", value)).collect()
}

fn marks(hash: Hash) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let reached = Reached {
        epoch: Epoch::FIRST,
        commit: CommitIndex::FIRST,
        hash: *hash.as_bytes(),
    };
    [None, Some(reached)].into_iter().map(|reached| {
        let history = HISTORY;
        // What has a meaning in a page; the rest is zeros.
        let mut content = mark::encode(&Mark { history, reached });
        content.truncate(76);
        ("mark", content.repeat(2))
    })
}

fn sample(events: usize) -> Entry {
    let event = EventRecord {
        name: "tally.added".into(),
        version: 1,
        data: vec![0x81, 0xa1, b'n', 0xcd, 1, 0].into(),
    };
    Entry {
        actor: ActorNumber::FIRST,
        number: EntryNumber::FIRST,
        events_before: 300,
        birth: (events == 1).then(|| Birth {
            id: "concern/logs".to_owned(),
            kind: "cleanup".to_owned(),
        }),
        time_us: -70_000,
        seed: u64::MAX,
        command: (events > 0).then(|| CommandStamp {
            name: "add".into(),
            id: 1 << 100,
            key: (events > 1).then(|| KeyStamp {
                key: "once".to_owned(),
                fingerprint: 7,
                reply: vec![1; 40].into(),
            }),
        }),
        events: vec![event; events],
        operations: vec![3; events * 100].into(),
        cause: (events > 1).then(|| "concern/logs@7".to_owned()),
        traceparent: None,
    }
}
