//! Acknowledged durable commands a second: each answer was waited for, and each rests on a synced write.
//!
//! One round is one command of each caller, all at the same time; a caller asks again as soon as it is
//! answered. `one` sends them all to one counter, `each` gives every caller a counter of its own.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use steadfast::{ActorRef, Node};
use steadfast_benches::{Add, Counter, Machine, directory};
use tokio::runtime::Runtime;

const CALLERS: [usize; 3] = [1, 100, 1_000];

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Target {
    One,
    Each,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Each => "each",
        }
    }

    fn of(self, node: &Node, caller: usize) -> ActorRef<Counter> {
        match self {
            Self::One => node.actor("0"),
            Self::Each => node.actor(&caller.to_string()),
        }
    }
}

/// `rounds` commands of each of `callers`, all answered.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the time that passes"
)]
async fn run(node: &Node, target: Target, callers: usize, rounds: u64) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let counter = target.of(node, caller);
            tokio::spawn(async move {
                for _ in 0..rounds {
                    counter
                        .ask(Add { amount: 1 })
                        .await
                        .expect("the command is acknowledged");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a caller does not panic");
    }
    start.elapsed()
}

fn commands(criterion: &mut Criterion) {
    let dir = directory();
    println!("{}\n", Machine::around(dir.path()));
    let runtime = Runtime::new().expect("a runtime for the callers");
    let node = runtime
        .block_on(
            Node::open(dir.path())
                .register::<Counter>(|kind| kind)
                .start(),
        )
        .expect("the node starts");
    let mut group = criterion.benchmark_group("commands");
    group.sample_size(10);
    for target in [Target::One, Target::Each] {
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers as u64));
            group.bench_function(BenchmarkId::new(target.name(), callers), |bencher| {
                bencher.iter_custom(|rounds| runtime.block_on(run(&node, target, callers, rounds)));
            });
        }
    }
    group.finish();
    runtime.block_on(node.shutdown()).expect("the node stops");
}

criterion_group!(benches, commands);
criterion_main!(benches);
