//! Doors to the decoders of this crate, for fuzzing and for the tests that replay what it found. Not part of the API.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_journal::{ActorId, ActorNumber, Entry, EntryNumber};

use crate::core::{
    Anchor, Core, Due, EffectKey, EffectRow, KeyLimits, Message, MessageId, Operation,
    PendingTimer, Repeat, SavedCore, TimerId, TimerRow, decode_row, timer_place,
};
use crate::host::decode_operations;
use crate::model::{AfterCrash, BootId, CatchUp, Cron, RetryPolicy, Timestamp};

/// A name, and what takes any bytes.
pub type Door = (&'static str, fn(&[u8]));

/// The doors.
pub const TARGETS: [Door; 4] = [
    ("cron", cron),
    ("operations", operations),
    ("rows", rows),
    ("core", core),
];

/// A cron expression; behind a line's end, its time zone.
fn cron(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "UTC"));
    let Ok(cron) = Cron::parse(expression, zone) else {
        return;
    };
    let json = serde_json::to_string(&cron).ok();
    let read = json.and_then(|json| serde_json::from_str::<Cron>(&json).ok());
    assert_eq!(read.as_ref(), Some(&cron));
    let mut time = Timestamp::from_micros(1_700_000_000_000_000);
    for _ in 0..3 {
        let Some(next) = cron.next_after(time) else {
            return;
        };
        assert!(next > time, "{cron}: {next} after {time}");
        assert_eq!(cron.newest_until(next), Some(next), "{cron}");
        time = next;
    }
}

/// The operations of an entry, and what an actor's core makes of them.
fn operations(bytes: &[u8]) {
    let Ok(operations) = decode_operations(bytes) else {
        return;
    };
    again(&operations);
    let entry = plain(bytes.to_vec());
    let mut core = Core::new(limits());
    for _ in 0..2 {
        core.take(&entry, &operations, Duration::ZERO, Duration::ZERO);
    }
    core.save(Duration::ZERO);
}

const fn limits() -> KeyLimits {
    KeyLimits {
        count: 8,
        time: Duration::from_secs(60),
    }
}

/// What is encoded decodes again, and is encoded to the same bytes.
fn again<T: Serialize + DeserializeOwned + Debug>(value: &T) {
    let bytes = rmp_serde::to_vec(value).ok();
    let read = bytes
        .as_deref()
        .and_then(|bytes| decode_row::<T>(bytes).ok());
    let written = read.and_then(|read| rmp_serde::to_vec(&read).ok());
    assert!(written.is_some() && written == bytes, "{value:?}");
}

fn row<T: Serialize + DeserializeOwned + Debug>(value: &[u8]) {
    if let Ok(row) = decode_row::<T>(value) {
        again(&row);
    }
}

/// Rows of the tables of timers, effects and messages, and the keys of timers.
fn rows(bytes: &[u8]) {
    row::<TimerRow>(bytes);
    row::<EffectRow>(bytes);
    row::<Anchor>(bytes);
    row::<Message>(bytes);
    if let Some((group, place)) = timer_place(bytes) {
        let key = place.key(group);
        assert_eq!(Some(&key[..]), bytes.get(..key.len()));
    }
}

/// What a snapshot keeps of an actor's pending work.
fn core(bytes: &[u8]) {
    let Ok(saved) = decode_row::<SavedCore>(bytes) else {
        return;
    };
    let mut core = Core::new(limits());
    core.restore(saved, Duration::from_secs(5), Duration::from_secs(5));
    again(&core.save(Duration::from_secs(6)));
}

/// Real encodings to begin with, by the name of their door.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for text in [
        "* * * * *",
        "*/15 0-5 1,15 * MON-FRI\nEurope/Berlin",
        "30 2 29 2 *\nAmerica/Sao_Paulo",
        "0 0 12 L * 5#3",
        "@hourly",
        "0 0 LW * +MON\nPacific/Apia",
        "0 0 31 2 *",
    ] {
        seeds.push(("cron", text.as_bytes().to_vec()));
    }
    let operations = sample();
    seeds.extend(rmp_serde::to_vec(&operations).map(|bytes| ("operations", bytes)));
    for operation in &operations {
        seeds.extend(rmp_serde::to_vec(&[operation]).map(|bytes| ("operations", bytes)));
    }
    let mut full = Core::new(limits());
    full.take(
        &plain(Vec::new()),
        &operations,
        Duration::ZERO,
        Duration::ZERO,
    );
    for core in [Core::new(limits()), full] {
        seeds.extend(rmp_serde::to_vec(&core.save(Duration::ZERO)).map(|bytes| ("core", bytes)));
    }
    if let Ok(actor) = ActorId::new("concern", "logs") {
        let rows = [timer_row(actor.clone()), message_row(actor), anchor_row()];
        seeds.extend(rows.into_iter().flatten().map(|bytes| ("rows", bytes)));
    }
    seeds
}

type Encoded = Result<Vec<u8>, rmp_serde::encode::Error>;

fn timer_row(actor: ActorId) -> Encoded {
    rmp_serde::to_vec(&TimerRow {
        actor,
        kind: "cleanup".to_owned(),
        timer: timer(),
    })
}

fn message_row(actor: ActorId) -> Encoded {
    rmp_serde::to_vec(&Message {
        id: MessageId {
            from: ActorNumber::FIRST,
            entry: 1,
            index: 0,
        },
        from: actor.clone(),
        from_kind: "cleanup".to_owned(),
        to: actor,
        to_kind: "exec".to_owned(),
        command: "go".to_owned(),
        body: vec![1, 2].into(),
        rejection: None,
        cause: Some("concern/logs@3".to_owned()),
    })
}

fn anchor_row() -> Encoded {
    rmp_serde::to_vec(&Anchor {
        wall: Timestamp::from_micros(5),
        running: 6,
    })
}

/// An entry without events, with these operations.
fn plain(operations: Vec<u8>) -> Entry {
    Entry {
        actor: ActorNumber::FIRST,
        number: EntryNumber::FIRST,
        events_before: 0,
        birth: None,
        time_us: 0,
        seed: 0,
        command: None,
        events: Vec::new(),
        operations: operations.into(),
        cause: None,
        traceparent: None,
    }
}

fn timer() -> PendingTimer {
    PendingTimer {
        name: "tick".to_owned(),
        id: TimerId { entry: 1, index: 0 },
        due: Due {
            firing: 3,
            wall: Timestamp::from_micros(1_700_000_000_000_000),
            boot: Some((BootId::from_u128(77), 5_000_000)),
            jitter: Duration::from_millis(20),
            counted: None,
        },
        missed: 0,
        repeat: Repeat::Every(Duration::from_secs(60)),
        jitter: Duration::from_secs(1),
        catch_up: CatchUp::default(),
        command: "tick".to_owned(),
        body: vec![0x80].into(),
    }
}

fn sample() -> Vec<Operation> {
    let key = EffectKey { entry: 1, index: 1 };
    let id = TimerId { entry: 1, index: 0 };
    vec![
        Operation::SetTimer(Box::new(timer())),
        Operation::RequestEffect {
            name: "cleanup.scan".to_owned(),
            body: vec![0x80].into(),
            retry: RetryPolicy::default(),
            after_crash: AfterCrash::Retry,
        },
        Operation::StartEffect { key, attempt: 1 },
        Operation::RetryEffect {
            key,
            attempt: 2,
            due: Timestamp::from_micros(9),
            error: "no".to_owned(),
            in_doubt: true,
        },
        Operation::FireTimer {
            name: "tick".to_owned(),
            id,
            next: Some(timer().due),
        },
        Operation::SkipTimer {
            name: "tick".to_owned(),
            id,
            next: timer().due,
            missed: 3,
        },
        Operation::CancelTimer {
            name: "tick".to_owned(),
        },
        Operation::AnswerEffect { key },
        Operation::TakeMessage {
            id: MessageId {
                from: ActorNumber::FIRST,
                entry: 4,
                index: 0,
            },
        },
        Operation::Skip {
            what: "timer tick".to_owned(),
            reason: "by hand".to_owned(),
        },
    ]
}
