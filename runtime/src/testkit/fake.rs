//! Effects that do what a test says instead of what they do.
//!
//! Invariant: an attempt that a test holds does not count as running; from the moment it is released, it
//! does.

use std::any::{Any, TypeId};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::clock::VirtualClock;
use super::fail;
use crate::model::{Effect, EffectContext, EffectError, EffectId, Reconciled};
use crate::node::Activity;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, EffectError>> + Send>>;
type Does<E, T> = Arc<dyn Fn(E, EffectContext) -> Boxed<T> + Send + Sync>;

/// One execution of a faked effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRun {
    /// Which effect: the same over retries and crashes.
    pub id: EffectId,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// Whether an earlier attempt may have done its work.
    pub may_have_run: bool,
    /// Whether the world was asked, instead of anything being done.
    pub reconciling: bool,
    /// Whether it came to its end, well or not; false while it runs or is held, and for ever if a crash
    /// cut it off.
    pub ended: bool,
}

/// What an effect does in a test. Clones are the same fake: keep one to look at
/// [`runs`](Self::runs), to hold attempts and to release them.
///
/// Attempts follow the script in its order; after it the last `then_…` counts, and where there is none the
/// effect itself runs, so that a fake without a script is a witness.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use std::time::Duration;
/// # use steadfast::{ActorId, Command, Done, Effect, EffectContext, EffectError, Event, Handle, Live, Never,
/// #     Outcome, StatefulActor};
/// # #[derive(Event)]
/// # enum OrderEvent { Paid { receipt: u64 } }
/// # #[derive(Serialize, Deserialize)]
/// # struct Order { receipt: Option<u64> }
/// # impl StatefulActor for Order {
/// #     const KIND: &'static str = "order";
/// #     type Event = OrderEvent;
/// #     fn new(_: &ActorId) -> Self { Self { receipt: None } }
/// #     fn apply(&mut self, event: &OrderEvent) {
/// #         let OrderEvent::Paid { receipt } = event;
/// #         self.receipt = Some(*receipt);
/// #     }
/// # }
/// # #[derive(Serialize, Deserialize)]
/// # struct Charge;
/// # impl Effect for Charge {
/// #     const NAME: &'static str = "charge";
/// #     type Output = u64;
/// #     async fn run(&self, _: &EffectContext) -> Result<u64, EffectError> { Ok(1) }
/// # }
/// # #[derive(Serialize, Deserialize, Command)]
/// # struct Pay;
/// # impl Handle<Pay> for Order {
/// #     fn handle(order: &mut Live<'_, Self>, _: Pay) -> Result<(), Never> { order.run(Charge); Ok(()) }
/// # }
/// # impl Handle<Done<Charge>> for Order {
/// #     fn handle(order: &mut Live<'_, Self>, done: Done<Charge>) -> Result<(), Never> {
/// #         if let Outcome::Succeeded(receipt) = done.outcome {
/// #             order.emit(OrderEvent::Paid { receipt });
/// #         }
/// #         Ok(())
/// #     }
/// # }
/// use steadfast::testkit::{FakeEffect, TestNode};
///
/// let node = TestNode::new(|node| node.register::<Order>(|kind| kind.effect::<Charge>()));
/// let charges = node.fake(|| FakeEffect::<Charge>::new().fail_times(2).then_succeed(7));
/// node.block_on(async {
///     node.actor::<Order>("a").ask(Pay).await.unwrap();
///     node.advance(Duration::from_secs(60)).await.unwrap();
/// });
/// assert_eq!(charges.runs().len(), 3);
/// assert_eq!(node.state::<Order>("a").receipt, Some(7));
/// ```
pub struct FakeEffect<E: Effect> {
    inner: Arc<Mutex<Inner<E>>>,
}

struct Inner<E: Effect> {
    script: VecDeque<Does<E, E::Output>>,
    then: Option<Does<E, E::Output>>,
    reconciles: Option<Does<E, Reconciled<E::Output>>>,
    takes: Duration,
    runs: Vec<FakeRun>,
    /// Whether attempts stop before they do anything.
    hold: bool,
    held: HashMap<usize, (Waker, Arc<Activity>)>,
}

impl<E: Effect> Clone for FakeEffect<E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<E: Effect> fmt::Debug for FakeEffect<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEffect")
            .field("effect", &E::NAME)
            .field("runs", &self.inner().runs)
            .finish_non_exhaustive()
    }
}

impl<E: Effect> Default for FakeEffect<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Effect> FakeEffect<E> {
    /// A witness: the effect itself runs.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            script: VecDeque::new(),
            then: None,
            reconciles: None,
            takes: Duration::ZERO,
            runs: Vec::new(),
            hold: false,
            held: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Lets the next `times` attempts fail in a way that is worth another attempt.
    #[must_use]
    pub fn fail_times(self, times: u32) -> Self {
        for _ in 0..times {
            self.fails(EffectError::retryable("the fake was told to fail"));
        }
        self
    }

    /// Lets the next attempt fail for good.
    #[must_use]
    pub fn fail_for_good(self) -> Self {
        self.fails(EffectError::fatal("the fake was told to fail for good"));
        self
    }

    /// Lets the next attempt panic.
    #[must_use]
    pub fn panic_once(self) -> Self {
        self.inner().script.push_back(Arc::new(|_, _| {
            Box::pin(async { fail("the fake was told to panic") })
        }));
        self
    }

    fn fails(&self, error: EffectError) {
        self.inner().script.push_back(Arc::new(move |_, _| {
            let error = error.clone();
            Box::pin(async { Err(error) })
        }));
    }

    /// Lets all further attempts succeed with `output`.
    #[must_use]
    pub fn then_succeed(self, output: E::Output) -> Self
    where
        E::Output: Clone + Sync,
    {
        self.then(move |_, _| std::future::ready(Ok(output.clone())))
    }

    /// Lets all further attempts do this.
    #[must_use]
    pub fn then<F>(self, run: impl Fn(E, EffectContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<E::Output, EffectError>> + Send + 'static,
    {
        self.inner().then = Some(Arc::new(move |effect, cx| Box::pin(run(effect, cx))));
        self
    }

    /// Answers for the world when the effect is to be reconciled.
    #[must_use]
    pub fn reconciles<F>(self, ask: impl Fn(E, EffectContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Reconciled<E::Output>, EffectError>> + Send + 'static,
    {
        self.inner().reconciles = Some(Arc::new(move |effect, cx| Box::pin(ask(effect, cx))));
        self
    }

    /// Lets each attempt take so long by the virtual clock, before it does anything.
    #[must_use]
    pub fn takes(self, time: Duration) -> Self {
        self.inner().takes = time;
        self
    }

    /// Holds attempts from now on: they have begun and have done nothing yet. A crash cuts them off.
    pub fn hold(&self) {
        self.inner().hold = true;
    }

    /// Lets held attempts go on, and holds no more.
    pub fn release(&self) {
        let held = {
            let mut inner = self.inner();
            inner.hold = false;
            for (_, activity) in inner.held.values() {
                activity.wake();
            }
            std::mem::take(&mut inner.held)
        };
        for (waker, _) in held.into_values() {
            waker.wake();
        }
    }

    /// How many attempts are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner().held.len()
    }

    /// All executions, in the order in which they began.
    #[must_use]
    pub fn runs(&self) -> Vec<FakeRun> {
        self.inner().runs.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner<E>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, cx: &EffectContext, reconciling: bool) -> usize {
        let mut inner = self.inner();
        inner.runs.push(FakeRun {
            id: cx.id().clone(),
            attempt: cx.attempt(),
            may_have_run: cx.may_have_run(),
            reconciling,
            ended: false,
        });
        inner.runs.len() - 1
    }

    fn ended(&self, run: usize) {
        if let Some(run) = self.inner().runs.get_mut(run) {
            run.ended = true;
        }
    }
}

/// A fake in a node.
pub(crate) struct Placed<E: Effect> {
    fake: FakeEffect<E>,
    clock: VirtualClock,
    activity: Arc<Activity>,
}

impl<E: Effect> Placed<E> {
    pub(crate) async fn run(&self, effect: E, cx: EffectContext) -> Result<E::Output, EffectError> {
        let run = self.fake.begun(&cx, false);
        self.wait(run).await;
        let does = {
            let mut inner = self.fake.inner();
            let next = inner.script.pop_front();
            next.or_else(|| inner.then.clone())
        };
        let result = match does {
            Some(does) => does(effect, cx).await,
            None => effect.run(&cx).await,
        };
        self.fake.ended(run);
        result
    }

    pub(crate) async fn reconcile(
        &self,
        effect: E,
        cx: EffectContext,
    ) -> Result<Reconciled<E::Output>, EffectError> {
        let run = self.fake.begun(&cx, true);
        let asks = self.fake.inner().reconciles.clone();
        let result = match asks {
            Some(asks) => asks(effect, cx).await,
            None => effect.reconcile(&cx).await,
        };
        self.fake.ended(run);
        result
    }

    async fn wait(&self, run: usize) {
        Held {
            fake: &self.fake,
            activity: &self.activity,
            run,
        }
        .await;
        let takes = self.fake.inner().takes;
        if !takes.is_zero() {
            self.clock.rest(takes, Arc::clone(&self.activity)).await;
        }
    }
}

/// An attempt that may be held.
struct Held<'a, E: Effect> {
    fake: &'a FakeEffect<E>,
    activity: &'a Arc<Activity>,
    run: usize,
}

impl<E: Effect> Future for Held<'_, E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.fake.inner();
        if !inner.hold {
            return Poll::Ready(());
        }
        let waiting = (cx.waker().clone(), Arc::clone(self.activity));
        if inner.held.insert(self.run, waiting).is_none() {
            self.activity.rest();
        }
        Poll::Pending
    }
}

impl<E: Effect> Drop for Held<'_, E> {
    fn drop(&mut self) {
        if self.fake.inner().held.remove(&self.run).is_some() {
            self.activity.wake();
        }
    }
}

/// The fakes of a test, by the effect they stand for. Outlives the node.
#[derive(Clone, Default)]
pub(super) struct FakeTable {
    by_effect: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
}

impl FakeTable {
    fn get<E: Effect>(&self) -> Option<FakeEffect<E>> {
        let table = self
            .by_effect
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.get(&TypeId::of::<E>())?.downcast_ref().cloned()
    }

    pub(super) fn get_or_insert<E: Effect>(
        &self,
        make: impl FnOnce() -> FakeEffect<E>,
    ) -> FakeEffect<E> {
        if let Some(fake) = self.get() {
            return fake;
        }
        let fake = make();
        let mut table = self
            .by_effect
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.insert(TypeId::of::<E>(), Box::new(fake.clone()));
        fake
    }
}

/// What a node of the test kit finds its fakes by: one of its resources.
pub(crate) struct Fakes {
    table: FakeTable,
    clock: VirtualClock,
    activity: Arc<Activity>,
}

impl Fakes {
    pub(super) fn new(table: &FakeTable, clock: &VirtualClock, activity: &Arc<Activity>) -> Self {
        Self {
            table: table.clone(),
            clock: clock.clone(),
            activity: Arc::clone(activity),
        }
    }

    /// What stands for `E`, in a node of the test kit that replaced it.
    pub(crate) fn of<E: Effect>(cx: &EffectContext) -> Option<Placed<E>> {
        let fakes = cx.resources.get::<Self>()?;
        Some(Placed {
            fake: fakes.table.get()?,
            clock: fakes.clock.clone(),
            activity: Arc::clone(&fakes.activity),
        })
    }
}
