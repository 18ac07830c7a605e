//! Time that stands still until a test moves it.
//!
//! Invariant: a wait that a move of the clock ends counts as work from within the move, so that nobody
//! can look between the two and find the node at rest.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::START;
use crate::model::{Clock, Sleep, Timestamp};
use crate::node::Activity;

/// A clock that is moved by hand. Clones show the same time.
///
/// Running time only goes forward; the wall clock goes with it and can be set to anything.
///
/// ```
/// use std::time::Duration;
/// use steadfast::testkit::{START, VirtualClock};
/// use steadfast::Clock;
///
/// let clock = VirtualClock::new();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), START.plus(Duration::from_secs(60)));
/// clock.set_wall(START);
/// assert_eq!((clock.now(), clock.running()), (START, Duration::from_secs(60)));
/// ```
#[derive(Clone)]
pub struct VirtualClock {
    hands: Arc<Mutex<Hands>>,
}

struct Hands {
    running: Duration,
    wall: Timestamp,
    /// What waits, by the moment it waits for and the order in which it came.
    waiting: BTreeMap<(Duration, u64), Waiting>,
    next: u64,
}

enum Waiting {
    Task {
        waker: Waker,
        /// Told that its task goes on.
        resting: Option<Arc<Activity>>,
    },
    Call(Box<dyn FnOnce() + Send>),
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hands = self.hands();
        f.debug_struct("VirtualClock")
            .field("wall", &hands.wall)
            .field("running", &hands.running)
            .finish_non_exhaustive()
    }
}

impl VirtualClock {
    /// A clock at [`START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A clock at `wall`.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        let hands = Hands {
            running: Duration::ZERO,
            wall,
            waiting: BTreeMap::new(),
            next: 0,
        };
        Self {
            hands: Arc::new(Mutex::new(hands)),
        }
    }

    /// Lets so much time pass, at once. A node that is to do what falls due meanwhile in its order is
    /// moved with [`TestNode::advance`](super::TestNode::advance).
    pub fn advance(&self, by: Duration) {
        let to = self.running().saturating_add(by);
        self.move_to(to);
    }

    /// Sets the wall clock; running time stays.
    pub fn set_wall(&self, to: Timestamp) {
        self.hands().wall = to;
    }

    /// Lets the wall clock jump forward; running time stays.
    pub fn jump_wall_forward(&self, by: Duration) {
        let mut hands = self.hands();
        hands.wall = hands.wall.plus(by);
    }

    /// Lets the wall clock jump back; running time stays.
    pub fn jump_wall_back(&self, by: Duration) {
        let mut hands = self.hands();
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        hands.wall = Timestamp::from_micros(hands.wall.as_micros().saturating_sub(by));
    }

    /// Moves running time to `to`, if that is later, and the wall clock with it.
    pub(crate) fn move_to(&self, to: Duration) {
        let due = {
            let mut hands = self.hands();
            let by = to.saturating_sub(hands.running);
            hands.running = hands.running.saturating_add(by);
            hands.wall = hands.wall.plus(by);
            let upto = (hands.running, u64::MAX);
            let later = hands.waiting.split_off(&upto);
            let due = std::mem::replace(&mut hands.waiting, later);
            for waiting in due.values() {
                if let Waiting::Task {
                    resting: Some(activity),
                    ..
                } = waiting
                {
                    activity.wake();
                }
            }
            due
        };
        for waiting in due.into_values() {
            match waiting {
                Waiting::Task { waker, .. } => waker.wake(),
                Waiting::Call(call) => call(),
            }
        }
    }

    /// The first moment for which anything waits.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let hands = self.hands();
        hands.waiting.keys().next().map(|(due, _)| *due)
    }

    /// Calls `call` when so much running time has passed.
    pub(crate) fn call_after(&self, wait: Duration, call: impl FnOnce() + Send + 'static) {
        let mut hands = self.hands();
        let place = hands.place(wait);
        hands.waiting.insert(place, Waiting::Call(Box::new(call)));
    }

    /// A wait in which a task that counts as busy with `activity` does not.
    pub(crate) fn rest(&self, wait: Duration, activity: Arc<Activity>) -> Sleep {
        Box::pin(self.wait(wait, Some(activity)))
    }

    fn wait(&self, wait: Duration, resting: Option<Arc<Activity>>) -> VirtualSleep {
        let place = self.hands().place(wait);
        VirtualSleep {
            clock: self.clone(),
            place,
            resting,
        }
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hands {
    fn place(&mut self, wait: Duration) -> (Duration, u64) {
        self.next += 1;
        (self.running.saturating_add(wait), self.next)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.hands().wall
    }

    fn running(&self) -> Duration {
        self.hands().running
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(self.wait(duration, None))
    }
}

/// A wait on a virtual clock.
struct VirtualSleep {
    clock: VirtualClock,
    place: (Duration, u64),
    resting: Option<Arc<Activity>>,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.clock.hands();
        if hands.running >= self.place.0 {
            return Poll::Ready(());
        }
        let task = Waiting::Task {
            waker: cx.waker().clone(),
            resting: self.resting.clone(),
        };
        let first = hands.waiting.insert(self.place, task).is_none();
        if first && let Some(activity) = &self.resting {
            // Behind the insertion: whoever finds nobody busy finds what is waited for.
            activity.rest();
        }
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        let waited = self.clock.hands().waiting.remove(&self.place).is_some();
        if waited && let Some(activity) = &self.resting {
            activity.wake();
        }
    }
}
