//! What surrounds the probe: gates that handlers stop at, effects that ask the test, a clock moved by
//! hand.

use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::poll;
use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    AfterCrash, Ask, AskError, Clock, Command, Effect, EffectContext, EffectError, Handle,
    Reconciled, RetryPolicy, Timestamp,
};
use tokio::sync::{mpsc, oneshot};

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A place where a handler stops until the test lets it go on. Dropping it opens it.
pub(crate) struct Gate(u64);

#[derive(Default)]
struct Gates {
    /// Whether it was reached, whether it is open.
    states: Mutex<HashMap<u64, (bool, bool)>>,
    changed: Condvar,
}

static GATES: LazyLock<Gates> = LazyLock::new(Gates::default);
static NEXT_GATE: AtomicU64 = AtomicU64::new(1);

impl Gates {
    fn states(&self) -> MutexGuard<'_, HashMap<u64, (bool, bool)>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, mut done: impl FnMut(&mut HashMap<u64, (bool, bool)>) -> bool) {
        let waited = self
            .changed
            .wait_timeout_while(self.states(), PATIENCE, |states| !done(states));
        let (states, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(states);
        assert!(
            !timeout.timed_out(),
            "nobody came to the gate, or nobody opened it"
        );
    }
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self::new(false)
    }

    /// Lets everybody through; the test learns that somebody came.
    pub(crate) fn open_one() -> Self {
        Self::new(true)
    }

    fn new(open: bool) -> Self {
        let gate = NEXT_GATE.fetch_add(1, Ordering::Relaxed);
        GATES.states().insert(gate, (false, open));
        Self(gate)
    }

    pub(crate) fn number(&self) -> u64 {
        self.0
    }

    /// Blocks the test, not the node, until a handler is at the gate.
    pub(crate) fn reached(&self) {
        GATES.wait_until(|states| states.get(&self.0).is_some_and(|state| state.0));
    }

    pub(crate) fn open(&self) {
        GATES.states().entry(self.0).or_default().1 = true;
        GATES.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

/// A handler at a gate.
pub(crate) fn pass(gate: u64) {
    GATES.states().entry(gate).or_default().0 = true;
    GATES.changed.notify_all();
    GATES.wait_until(|states| states.get(&gate).is_some_and(|state| state.1));
}

pub(crate) const REPEATED: char = 'r';
pub(crate) const RECONCILED: char = 'c';
pub(crate) const HELD: char = 'h';
/// A policy under which the job is not registered.
pub(crate) const UNREGISTERED: char = 'u';

/// An effect that asks the test how it goes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job<const AFTER_CRASH: char> {
    pub(crate) text: String,
    pub(crate) retries: u32,
}

/// How the test answers a job.
#[derive(Debug)]
pub(crate) enum Verdict {
    Succeed,
    Fail,
    FailForGood,
    Panic,
    /// To reconciling: it was not done.
    NotDone,
    /// To reconciling: it cannot be found out.
    Unknown,
}

/// A job that waits for the test.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) text: String,
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) may_have_run: bool,
    pub(crate) reconciling: bool,
    answer: oneshot::Sender<Verdict>,
}

impl Call {
    pub(crate) fn answer(self, verdict: Verdict) {
        self.answer.send(verdict).unwrap();
    }
}

/// The resource through which jobs find the test.
pub(crate) struct World(pub(crate) mpsc::Sender<Call>);

/// A world and what arrives there.
pub(crate) fn world() -> (World, mpsc::Receiver<Call>) {
    let (calls, arriving) = mpsc::channel(64);
    (World(calls), arriving)
}

/// The next call of a job.
pub(crate) async fn next(calls: &mut mpsc::Receiver<Call>) -> Call {
    tokio::time::timeout(PATIENCE, calls.recv())
        .await
        .expect("no job ran")
        .unwrap()
}

impl<const AFTER_CRASH: char> Job<AFTER_CRASH> {
    async fn ask(&self, cx: &EffectContext, reconciling: bool) -> Result<Verdict, EffectError> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            text: self.text.clone(),
            id: cx.id().to_string(),
            attempt: cx.attempt(),
            may_have_run: cx.may_have_run(),
            reconciling,
            answer,
        };
        let gone = || EffectError::fatal("the test is over");
        cx.resource::<World>()?
            .0
            .send(call)
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl<const AFTER_CRASH: char> Effect for Job<AFTER_CRASH> {
    const NAME: &'static str = match AFTER_CRASH {
        REPEATED => "repeated job",
        RECONCILED => "reconciled job",
        HELD => "held job",
        _ => "unregistered job",
    };
    const AFTER_CRASH: AfterCrash = match AFTER_CRASH {
        RECONCILED => AfterCrash::Reconcile,
        HELD => AfterCrash::Hold,
        _ => AfterCrash::Retry,
    };
    type Output = u32;

    fn retry(&self) -> RetryPolicy {
        let first = Duration::from_millis(1);
        RetryPolicy {
            retries: self.retries,
            first,
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, cx: &EffectContext) -> Result<u32, EffectError> {
        match self.ask(cx, false).await? {
            Verdict::Succeed => Ok(cx.attempt()),
            Verdict::Fail => Err(EffectError::retryable("failed")),
            Verdict::FailForGood => Err(EffectError::fatal("failed for good")),
            verdict @ (Verdict::Panic | Verdict::NotDone | Verdict::Unknown) => {
                panic!("{verdict:?}")
            }
        }
    }

    async fn reconcile(&self, cx: &EffectContext) -> Result<Reconciled<u32>, EffectError> {
        match self.ask(cx, true).await? {
            Verdict::Succeed => Ok(Reconciled::Done(0)),
            Verdict::NotDone => Ok(Reconciled::NotDone),
            Verdict::Unknown => Ok(Reconciled::Unknown),
            Verdict::Fail => Err(EffectError::retryable("failed")),
            Verdict::FailForGood => Err(EffectError::fatal("failed for good")),
            verdict @ Verdict::Panic => panic!("{verdict:?}"),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Moves the clock and has the node look at it.
    pub(crate) async fn pass(&self, by: Duration, node: &steadfast::Node) {
        self.advance(by);
        node.health().await;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn running(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// Commits are held back; dropping this lets them go on, so that a failed test ends.
pub(crate) struct Paused(MemoryStorage);

pub(crate) fn pause(storage: &MemoryStorage) -> Paused {
    storage.pause();
    Paused(storage.clone())
}

impl Paused {
    pub(crate) fn resume(self) {
        drop(self);
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.resume();
    }
}

type Answer<C> = Result<<C as Command>::Reply, AskError<<C as Command>::Rejection>>;
/// A command under way.
pub(crate) type Asked<'a, C> = Pin<Box<dyn Future<Output = Answer<C>> + Send + 'a>>;

/// Sends a command without waiting for its answer, which may be there at once.
pub(crate) async fn send_off<A: Handle<C>, C: Command>(ask: Ask<'_, A, C>) -> Asked<'_, C> {
    let mut asked: Asked<'_, C> = Box::pin(ask.into_future());
    match poll!(&mut asked) {
        std::task::Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
        std::task::Poll::Pending => asked,
    }
}

/// Sends a command without waiting for its answer, which cannot be there yet.
pub(crate) async fn send<A: Handle<C>, C: Command>(ask: Ask<'_, A, C>) -> Asked<'_, C> {
    let mut asked: Asked<'_, C> = Box::pin(ask.into_future());
    assert!(poll!(&mut asked).is_pending(), "it was answered at once");
    asked
}

/// Waits for what must come about.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let pause = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        if check().await {
            return;
        }
        tokio::time::sleep(pause).await;
    }
    panic!("it never came about: {what}");
}
