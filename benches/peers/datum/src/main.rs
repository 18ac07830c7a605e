//! The counter of the benchmarks in datum-persistence over its RocksDB backend, synced before each acknowledgement.
//!
//! `steadfast-peer-datum DIRECTORY ENTITIES WARM_UP_MS MEASURED_MS` prints one line of JSON: acknowledged commands a
//! second, and how long they took, in milliseconds. Each entity has one caller, who asks again once it is answered:
//! the fastest way, because an entity persists one command after the other.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use datum_persistence::{
    Effect, EventSourcedBehavior, EventSourcedHandle, EventSourcedRuntime, IdentityAdapter,
    PersistenceError, PersistenceId, PersistenceResult, PersistenceSerializer, RocksDbBackend,
    RocksDbDurability, RocksDbOptions, SerializerCatalog, SerializerId,
};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// Adds, and answers the new sum once it is durable.
struct Add {
    amount: u64,
    reply: oneshot::Sender<u64>,
}

type Counter = EventSourcedHandle<Add, u64, u64>;

struct Number;

impl PersistenceSerializer<u64> for Number {
    fn serializer_id(&self) -> SerializerId {
        SerializerId::new(41)
    }

    fn manifest(&self, _: &u64) -> String {
        "added".to_owned()
    }

    fn serialize(&self, amount: &u64) -> PersistenceResult<Vec<u8>> {
        Ok(amount.to_be_bytes().to_vec())
    }

    fn deserialize(&self, _: &str, payload: &[u8]) -> PersistenceResult<u64> {
        let bytes = payload
            .try_into()
            .map_err(|_| PersistenceError::Serialization("an amount has eight bytes".to_owned()))?;
        Ok(u64::from_be_bytes(bytes))
    }
}

async fn spawn(journal: Arc<RocksDbBackend>, entity: usize) -> PersistenceResult<Counter> {
    let counter = EventSourcedBehavior::new(
        PersistenceId::new("counter", entity.to_string())?,
        0_u64,
        |_: &u64, Add { amount, reply }: Add| {
            Effect::persist(amount).then_run(move |total: &u64| {
                // Whoever asked may have gone.
                reply.send(*total).ok();
            })
        },
        |total: &u64, amount: &u64| total + amount,
    )
    .with_event_adapter(IdentityAdapter, SerializerCatalog::new(Number));
    let counter = counter.spawn(EventSourcedRuntime::new(journal)).await?;
    // Recovered, once it answers.
    counter.state().await?;
    Ok(counter)
}

async fn asks(counter: Counter, phase: Arc<AtomicU8>) -> (u64, Vec<Duration>) {
    let (mut answers, mut times) = (0, Vec::new());
    loop {
        let before = phase.load(Ordering::Relaxed);
        if before == STOP {
            return (answers, times);
        }
        let asked = Instant::now();
        let (reply, answer) = oneshot::channel();
        counter.tell(Add { amount: 1, reply }).expect("it is sent");
        assert!(answer.await.expect("it is acknowledged") > 0);
        if before == MEASURE {
            times.push(asked.elapsed());
        }
        if phase.load(Ordering::Relaxed) == MEASURE {
            answers += 1;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, entities, warm_up, measured] = arguments.as_slice() else {
        return Err("DIRECTORY ENTITIES WARM_UP_MS MEASURED_MS are expected".into());
    };
    let warm_up = Duration::from_millis(warm_up.parse()?);
    let measured = Duration::from_millis(measured.parse()?);
    let options = RocksDbOptions {
        durability: RocksDbDurability::Sync,
        ..RocksDbOptions::default()
    };
    let journal = Arc::new(RocksDbBackend::open_with_options(directory, options)?);
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut counters = Vec::new();
    for entity in 0..entities.parse()? {
        counters.push(runtime.block_on(spawn(Arc::clone(&journal), entity))?);
    }
    let phase = Arc::new(AtomicU8::new(WARM));
    let tasks: Vec<_> = counters
        .iter()
        .map(|counter| runtime.spawn(asks(counter.clone(), Arc::clone(&phase))))
        .collect();
    thread::sleep(warm_up);
    let begin = Instant::now();
    phase.store(MEASURE, Ordering::Relaxed);
    thread::sleep(measured);
    phase.store(STOP, Ordering::Relaxed);
    let took = begin.elapsed().as_secs_f64();
    let (mut answers, mut times) = (0, Vec::new());
    for task in tasks {
        let (count, of_this) = runtime.block_on(task)?;
        answers += count;
        times.extend(of_this);
    }
    times.sort_unstable();
    let at = |per_mille: usize| {
        let rank = (times.len() * per_mille).div_ceil(1_000).max(1);
        times.get(rank - 1).map(|time| time.as_secs_f64() * 1_000.0)
    };
    let (Some(p50), Some(p99), Some(p999)) = (at(500), at(990), at(999)) else {
        return Err("nobody was answered".into());
    };
    let rate = answers as f64 / took;
    println!(r#"{{"rate":{rate:.1},"p50":{p50:.4},"p99":{p99:.4},"p999":{p999:.4}}}"#);
    for counter in counters {
        counter.stop();
    }
    Ok(())
}
