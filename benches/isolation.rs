//! What the other 999 notice of a poisoned actor.
//!
//! 999 actors get commands at a fixed rate, whether or not earlier ones are answered; a time counts from when
//! its command was due. Meanwhile, in turns and several times over:
//!
//! * a: nobody is poisoned;
//! * a+: nobody is poisoned, and the thousandth gets as many commands as in b, which tells what of b is due to
//!   their number;
//! * b: the thousandth panics at each of its commands, of which it gets as many as all others together: its
//!   mailbox is held for growing pauses, then it is set aside. One more cannot be replayed; it is let go again
//!   and again, so that its recovery fails again and again;
//! * c: the cause is gone, both are released and go on.
//!
//! The times are printed and judged by the reader. That the 999 were answered, the two were set aside, and no
//! sequence number is missing is checked.

use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use steadfast::{ActorId, ActorRef, AskError, Config, Node, SequenceNumber, StatefulActor};
use steadfast_benches::{
    Count, Machine, Member, POISONED, Poison, Quantiles, Spread, UNREADABLE, WANTED, directory,
    set_bug,
};
use tokio::runtime::Runtime;

const OTHERS: usize = 999;
const RUNS: usize = 7;
const PHASE: Duration = Duration::from_secs(6);
/// Events that are read at once.
const PAGE: usize = 10_000;
/// Callers that find out what the node can do at most.
const CALLERS: usize = 256;
/// The rate is the peak divided by this; phases a+ and b come to twice as much.
const BELOW_PEAK: u64 = 10;
/// Failed commands until an actor is set aside. Fewer than by default, whose pauses alone take up to 25 s.
const FAILURES: u32 = 7;
/// Events before the one that cannot be replayed. There must be no snapshot after it.
const BEFORE_POISON: u64 = 100;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Nobody,
    Busy,
    Poisoned,
    Released,
}

/// What became of the poisoned ones in one phase b.
struct Poisoning {
    /// From the first command that was due until the first caller was told that the actor is set aside.
    set_aside_after: Duration,
    overloaded: usize,
    quarantined: usize,
    failed_recoveries: usize,
}

/// The node, and what was acknowledged.
struct World {
    node: Node,
    callers: Runtime,
    others: Vec<(ActorRef<Member>, AtomicU64)>,
    poisoned: (ActorRef<Member>, AtomicU64),
    unreadable: (ActorRef<Member>, AtomicU64),
    /// Commands that the others were asked.
    asked: AtomicU64,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the time that passes"
)]
fn now() -> Instant {
    Instant::now()
}

impl World {
    fn new(node: Node, callers: Runtime) -> Self {
        let member = |name: &str| (node.actor(name), AtomicU64::new(0));
        Self {
            others: (0..OTHERS).map(|n| member(&n.to_string())).collect(),
            poisoned: member(POISONED),
            unreadable: member(UNREADABLE),
            asked: AtomicU64::new(0),
            node,
            callers,
        }
    }

    /// Brings all into being, and finds out how many commands a second the node acknowledges at most. The
    /// others end at different numbers of events, so that their snapshots do not come all at once.
    fn peak(&self) -> u64 {
        let apart = usize::try_from(Config::default().snapshot_every).expect("it is small");
        let rounds = (0..apart).flat_map(move |round| {
            let in_round = move |other: &usize| other % apart >= round;
            (0..OTHERS).filter(in_round)
        });
        let left = Arc::new(Mutex::new(rounds));
        let start = now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let left = Arc::clone(&left);
                let others: Vec<_> = self.others.iter().map(|(other, _)| other.clone()).collect();
                self.callers.spawn(async move {
                    let mut answered = Vec::new();
                    loop {
                        let next = left.lock().expect("no caller panics").next();
                        let Some(next) = next else {
                            return answered;
                        };
                        others[next].ask(Count).await.expect("it is acknowledged");
                        answered.push(next);
                    }
                })
            })
            .collect();
        let mut all = 0;
        for caller in callers {
            let answered = self.callers.block_on(caller).expect("no caller panics");
            all += answered.len();
            for other in answered {
                self.others[other].1.fetch_add(1, Ordering::SeqCst);
            }
        }
        let took = start.elapsed().as_millis().max(1);
        u64::try_from(all as u128 * 1_000 / took).expect("no machine is so fast")
    }

    fn write_poison(&self) {
        for _ in 0..BEFORE_POISON {
            self.callers.block_on(goes_on(&self.unreadable));
        }
        let seq = self
            .callers
            .block_on(async { self.unreadable.0.ask(Poison).await });
        assert_eq!(seq, Ok(BEFORE_POISON + 1));
        self.unreadable.1.fetch_add(1, Ordering::SeqCst);
    }

    /// Starts what `ask` gives `rate` times a second, each in a task of its own, as long as `go_on` with the
    /// time since the start; returns what all of them came to.
    fn open_loop<T, F>(
        &self,
        rate: u64,
        go_on: impl Fn(Duration) -> bool,
        mut ask: impl FnMut(Instant) -> F,
    ) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let start = now();
        let mut asked = Vec::new();
        for number in 0.. {
            let since = Duration::from_nanos(number * 1_000_000_000 / rate);
            if !go_on(since) {
                break;
            }
            thread::sleep((start + since).saturating_duration_since(now()));
            asked.push(self.callers.spawn(ask(start + since)));
        }
        let asked = asked.into_iter();
        asked
            .map(|task| self.callers.block_on(task).expect("no caller panics"))
            .collect()
    }

    /// The 999 through one phase.
    fn load(&self, rate: u64) -> Quantiles {
        let next = |due: Instant| {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            // Not in the order of their names; every one has its turn.
            let other = usize::try_from(number * 617 % OTHERS as u64).expect("it is small");
            let actor = self.others[other].0.clone();
            async move {
                let answer = actor.ask(Count).await;
                (other, answer, due.elapsed())
            }
        };
        let answers = self.open_loop(rate, |since| since < PHASE, next);
        let mut times = Vec::with_capacity(answers.len());
        for (other, answer, time) in answers {
            answer.expect("one of the 999 is answered whatever becomes of the thousandth");
            self.others[other].1.fetch_add(1, Ordering::SeqCst);
            times.push(time);
        }
        Quantiles::of(times)
    }

    /// One phase: the load, and beside it what distinguishes the phase.
    fn phase(&self, phase: Phase, rate: u64) -> (Quantiles, Option<Poisoning>) {
        set_bug(phase == Phase::Poisoned);
        let (times, poisoning) = thread::scope(|scope| {
            let beside = thread::Builder::new().name("beside".to_owned());
            let beside = beside.spawn_scoped(scope, || match phase {
                Phase::Poisoned => Some(self.poison(rate)),
                Phase::Released => {
                    self.callers.block_on(self.release());
                    self.ask_gently();
                    None
                }
                Phase::Busy => {
                    self.ask_much(rate);
                    None
                }
                Phase::Nobody => {
                    self.ask_gently();
                    None
                }
            });
            let times = self.load(rate);
            (times, beside.expect("a thread").join())
        });
        let poisoning = poisoning.unwrap_or_else(|panic| panic::resume_unwind(panic));
        let set_aside = self.callers.block_on(self.node.quarantine().list());
        let set_aside = set_aside.expect("the node runs").len();
        assert_eq!(set_aside, if poisoning.is_some() { 2 } else { 0 });
        (times, poisoning)
    }

    /// The thousandth gets a command now and then and answers each.
    fn ask_gently(&self) {
        let start = now();
        while start.elapsed() < PHASE {
            self.callers.block_on(goes_on(&self.poisoned));
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// As many commands for the thousandth as when it is poisoned, all of them answered.
    fn ask_much(&self, rate: u64) {
        let (actor, acknowledged) = &self.poisoned;
        let go_on = |since| since < PHASE;
        let ask = |_| {
            let actor = actor.clone();
            async move { actor.ask(Count).await }
        };
        let answers = self.open_loop(rate, go_on, ask);
        assert!(answers.iter().all(Result::is_ok), "it is not poisoned");
        acknowledged.fetch_add(answers.len() as u64, Ordering::SeqCst);
    }

    /// Hammers the thousandth for a phase, at least until it is set aside; beside it the unreadable one.
    fn poison(&self, rate: u64) -> Poisoning {
        let done = Arc::new(AtomicBool::new(false));
        let unreadable = fail_to_recover(self.node.clone(), Arc::clone(&done));
        let unreadable = self.callers.spawn(unreadable);
        let set_aside = Arc::new(AtomicBool::new(false));
        let start = now();
        let go_on = |since| since < PHASE || !set_aside.load(Ordering::SeqCst);
        let answers = self.open_loop(rate, go_on, |_| {
            let (actor, set_aside) = (self.poisoned.0.clone(), Arc::clone(&set_aside));
            async move {
                let answer = actor.ask(Count).await;
                let told = matches!(answer, Err(AskError::Quarantined { .. }));
                set_aside.fetch_or(told, Ordering::SeqCst);
                (answer, start.elapsed())
            }
        });
        done.store(true, Ordering::SeqCst);
        let mut poisoning = Poisoning {
            set_aside_after: Duration::MAX,
            overloaded: 0,
            quarantined: 0,
            failed_recoveries: self.callers.block_on(unreadable).expect("no caller panics"),
        };
        let mut failed = 0;
        for (answer, when) in answers {
            match answer {
                Err(AskError::Failed { .. }) => failed += 1,
                Err(AskError::Overloaded { .. }) => poisoning.overloaded += 1,
                Err(AskError::Quarantined { .. }) => {
                    poisoning.quarantined += 1;
                    poisoning.set_aside_after = poisoning.set_aside_after.min(when);
                }
                other => panic!("the poisoned one answered {other:?}"),
            }
        }
        assert_eq!(failed, FAILURES, "each further command is refused");
        self.callers.block_on(self.check_quarantine());
        poisoning
    }

    /// Both are set aside with all that they acknowledged.
    async fn check_quarantine(&self) {
        let control = self.node.quarantine();
        let poisoned = control.show(&id(POISONED)).await.expect("it is set aside");
        assert_eq!(poisoned.seq, self.poisoned.1.load(Ordering::SeqCst));
        assert_eq!(poisoned.failures, FAILURES);
        assert!(poisoned.reason.contains("in handle"), "{poisoned:?}");
        let unreadable = control
            .show(&id(UNREADABLE))
            .await
            .expect("it is set aside");
        assert_eq!(unreadable.seq, BEFORE_POISON);
        assert!(unreadable.reason.contains("in apply"), "{unreadable:?}");
    }

    /// Lets both go. They know what they knew, and count on.
    async fn release(&self) {
        for (name, member) in [(POISONED, &self.poisoned), (UNREADABLE, &self.unreadable)] {
            let released = self.node.quarantine().release(&id(name)).await;
            released.expect("it was set aside");
            for _ in 0..3 {
                goes_on(member).await;
            }
        }
    }

    /// What is on disk is what was acknowledged, with no number missing.
    fn check_journal(&self) {
        let inspector = self.node.inspect().expect("the node runs");
        let check = |name: &str, acknowledged: &AtomicU64| {
            let mut from = SequenceNumber::FIRST;
            loop {
                let page = inspector.events(&id(name), from, PAGE);
                let page = page.expect("they can be read");
                let numbers = page.iter().map(|event| event.seq);
                assert!(numbers.eq((from.get()..).take(page.len())), "{name}");
                from = SequenceNumber::new(from.get() + page.len() as u64).expect("it is not 0");
                if page.len() < PAGE {
                    break;
                }
            }
            let found = from.get() - 1;
            assert_eq!(found, acknowledged.load(Ordering::SeqCst), "{name}");
        };
        for (number, (_, acknowledged)) in self.others.iter().enumerate() {
            check(&number.to_string(), acknowledged);
        }
        check(POISONED, &self.poisoned.1);
        check(UNREADABLE, &self.unreadable.1);
        let report = inspector.verify().expect("the journal can be read");
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

fn id(name: &str) -> ActorId {
    ActorId::new(Member::KIND, name).expect("it is a name")
}

/// A command is answered with the next number.
async fn goes_on((actor, acknowledged): &(ActorRef<Member>, AtomicU64)) {
    let before = acknowledged.fetch_add(1, Ordering::SeqCst);
    assert_eq!(actor.ask(Count).await, Ok(before + 1));
}

/// Loses its state by a panic, and cannot be replayed however often it is let go. Returns how often that was.
async fn fail_to_recover(node: Node, done: Arc<AtomicBool>) -> usize {
    let actor = node.actor::<Member>(UNREADABLE);
    let failed = actor.ask(Count).await;
    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    for times in 1.. {
        let told = actor.ask(Count).await;
        assert!(
            matches!(told, Err(AskError::Quarantined { .. })),
            "{told:?}"
        );
        if done.load(Ordering::SeqCst) {
            return times;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let released = node.quarantine().release(&id(UNREADABLE)).await;
        released.expect("it was set aside");
    }
    unreachable!("nobody counts so far")
}

type Runs = Vec<[Quantiles; 4]>;

fn print_times(runs: &Runs) {
    let header = Quantiles::of(vec![Duration::ZERO]).each();
    print!("{:<22}", "ms, of the 999");
    for (name, _) in header {
        print!("{name:>26}");
    }
    println!();
    let row = |name: &str, of: &dyn Fn(&[Quantiles; 4], usize) -> f64| {
        print!("{name:<22}");
        for column in 0..header.len() {
            print!("{:>26}", Spread::of(runs.iter().map(|run| of(run, column))));
        }
        println!();
    };
    let time = |run: &[Quantiles; 4], phase: usize, column: usize| run[phase].each()[column].1;
    for (phase, name) in [
        "a   nobody poisoned",
        "a+  as many as in b",
        "b   poisoned",
        "c   released",
    ]
    .iter()
    .enumerate()
    {
        row(name, &|run, column| time(run, phase, column));
    }
    row("b / a", &|run, column| {
        time(run, 2, column) / time(run, 0, column)
    });
    row("b / a+", &|run, column| {
        time(run, 2, column) / time(run, 1, column)
    });
    row("c / a", &|run, column| {
        time(run, 3, column) / time(run, 0, column)
    });
}

fn print_poisonings(all: &[Poisoning]) {
    let count = |of: fn(&Poisoning) -> usize| all.iter().map(of).sum::<usize>();
    let after = all.iter().map(|one| one.set_aside_after.as_secs_f64());
    println!(
        "\nthe poisoned one, in each run: {FAILURES} commands failed; set aside after {} s",
        Spread::of(after)
    );
    println!(
        "in all runs: {} commands told Quarantined, {} told Overloaded; {} failed recoveries of the unreadable one",
        count(|one| one.quarantined),
        count(|one| one.overloaded),
        count(|one| one.failed_recoveries),
    );
}

/// Panics that are wanted are not printed.
fn keep_wanted_panics_quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.starts_with(WANTED)) {
            usual(info);
        }
    }));
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("this measures for minutes: `cargo bench --bench isolation`");
        return;
    }
    keep_wanted_panics_quiet();
    let dir = directory();
    println!("{}", Machine::around(dir.path()));
    let callers = Runtime::new().expect("a runtime for the callers");
    let builder = Node::open(dir.path()).register::<Member>(|kind| kind);
    let builder = builder.config(|config| config.quarantine_after_commands = FAILURES);
    let node = callers.block_on(builder.start()).expect("the node starts");
    let world = World::new(node, callers);
    let peak = world.peak();
    let rate = (peak / BELOW_PEAK).max(1);
    world.write_poison();
    println!(
        "settings    {} workers, quarantine_after_commands = {FAILURES}, else as by default",
        Config::default().workers
    );
    println!(
        "load        {rate} commands a second to {OTHERS} actors, each by a caller of its own; {CALLERS} callers were answered {peak}"
    );
    println!("            a second at most. In a+ and b as many again to the poisoned one");
    println!(
        "runs        {RUNS} times a, a+, b, c of {} s each: median (least to greatest)\n",
        PHASE.as_secs()
    );
    let (mut runs, mut poisonings) = (Runs::new(), Vec::new());
    for _ in 0..RUNS {
        runs.push(
            [Phase::Nobody, Phase::Busy, Phase::Poisoned, Phase::Released].map(|phase| {
                let (times, poisoning) = world.phase(phase, rate);
                poisonings.extend(poisoning);
                times
            }),
        );
    }
    print_times(&runs);
    print_poisonings(&poisonings);
    world.check_journal();
    world
        .callers
        .block_on(world.node.shutdown())
        .expect("the node stops");
    println!(
        "checked: all commands of the {OTHERS} answered; both set aside and released each time; no sequence number missing"
    );
}
