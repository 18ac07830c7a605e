//! The points where a command is handed over, one by one: encoding an entry, its digest, and a batch from a
//! worker to the journal and back, with the store in memory so that no disk is in the way.

use std::sync::mpsc::sync_channel;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_bytes::ByteBuf;
use steadfast::journal::{
    ActorNumber, Append, Birth, CommandStamp, Entry, EntryNumber, EventRecord, Hash, Journal,
    MemoryStorage, Storage, Submission, encode_entry,
};

/// Sizes of an event.
const EVENTS: [usize; 3] = [128, 1_024, 8_192];
/// Entries in one batch.
const BATCHES: [u64; 3] = [1, 64, 1_024];

fn entry(number: u64, bytes: usize) -> Entry {
    Entry {
        actor: ActorNumber::FIRST,
        number: EntryNumber::new(number).expect("not 0"),
        events_before: number - 1,
        birth: (number == 1).then(|| Birth {
            id: "notes/1".to_owned(),
            kind: "notes".to_owned(),
        }),
        time_us: 1_700_000_000_000_000,
        seed: 7,
        command: Some(CommandStamp {
            name: "note".into(),
            id: 7,
            key: None,
        }),
        events: vec![EventRecord {
            name: "noted".into(),
            version: 1,
            data: ByteBuf::from(vec![0xA5; bytes]),
        }],
        operations: ByteBuf::new(),
        cause: None,
        traceparent: None,
    }
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handover/encode_entry");
    for bytes in EVENTS {
        let entry = entry(2, bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| encode_entry(&entry).expect("it is encoded"));
        });
    }
    group.finish();
}

fn digest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handover/hash");
    for bytes in EVENTS {
        let frame = encode_entry(&entry(2, bytes)).expect("it is encoded");
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| Hash::of(&frame));
        });
    }
    group.finish();
}

/// From `submit` on the worker's thread until its completion was called on the writer's.
fn submission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handover/submit");
    for batch in BATCHES {
        // Each size has a journal of its own, whose numbers go on from batch to batch.
        let journal = MemoryStorage::new().open().expect("it opens");
        let mut next = 1;
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            let setup = || {
                let numbers = next..next + batch;
                next += batch;
                numbers
                    .map(|number| Append::new(&entry(number, 128), Vec::new()))
                    .collect::<Result<Vec<_>, _>>()
                    .expect("they are encoded")
            };
            bencher.iter_batched(
                setup,
                |appends| hand_over(journal.as_ref(), appends),
                BatchSize::PerIteration,
            );
        });
        journal.close().expect("it closes");
    }
    group.finish();
}

fn hand_over(journal: &dyn Journal, appends: Vec<Append>) {
    let (tell, told) = sync_channel(1);
    journal.submit(Submission {
        appends,
        done: Box::new(move |outcome| tell.send(outcome).expect("somebody listens")),
    });
    told.recv()
        .expect("it is told")
        .expect("the journal acknowledges");
}

criterion_group!(benches, encoding, digest, submission);
criterion_main!(benches);
