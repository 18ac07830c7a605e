//! An actor that notes how its timers fire, and clocks that are moved by hand: the wall clock apart from the
//! running one.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::journal::MemoryStorage;
use steadfast::{
    ActorId, ActorRef, AskError, BootId, Clock, Command, Config, Event, Handle, Live, Never, Node,
    NodeBuilder, StatefulActor, Timer, Timestamp,
};

use crate::world::eventually;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const TEN_YEARS: Duration = Duration::from_secs(315_576_000);
/// When the wall clock starts: noon, 2026-01-01.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_767_268_800_000_000);

/// One firing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Rang {
    pub(crate) timer: String,
    /// Microseconds from [`START`] to when it was due and when it ran.
    pub(crate) due: i64,
    pub(crate) ran: i64,
    pub(crate) missed: u64,
    pub(crate) late: Duration,
}

#[derive(Event)]
#[event(prefix = "bell.")]
pub(crate) enum BellEvent {
    Rang(Rang),
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Bell {
    rang: Vec<Rang>,
}

impl StatefulActor for Bell {
    const KIND: &'static str = "bell";
    type Event = BellEvent;

    fn new(_: &ActorId) -> Self {
        Self::default()
    }

    fn apply(&mut self, BellEvent::Rang(rang): &BellEvent) {
        self.rang.push(rang.clone());
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Ring;

impl Handle<Ring> for Bell {
    fn handle(bell: &mut Live<'_, Self>, _: Ring) -> Result<(), Never> {
        let since = |time: Timestamp| time.as_micros() - START.as_micros();
        let ran = since(bell.now());
        let fired = bell.fired().expect("only timers ring").clone();
        bell.emit(BellEvent::Rang(Rang {
            timer: fired.timer,
            due: since(fired.due),
            ran,
            missed: fired.missed,
            late: fired.late,
        }));
        Ok(())
    }
}

/// Sets timers, all in one entry.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Set(pub(crate) Vec<(String, Timer)>);

impl Handle<Set> for Bell {
    fn handle(bell: &mut Live<'_, Self>, Set(timers): Set) -> Result<(), Never> {
        for (name, timer) in timers {
            bell.schedule(&name, timer, Ring);
        }
        Ok(())
    }
}

/// The short forms.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct SetShort(pub(crate) steadfast::Cron);

impl Handle<SetShort> for Bell {
    fn handle(bell: &mut Live<'_, Self>, SetShort(cron): SetShort) -> Result<(), Never> {
        let soon = bell.now().plus(2 * SECOND);
        bell.after("after", SECOND, Ring);
        bell.at("at", soon, Ring);
        bell.every("every", 3 * SECOND, Ring);
        bell.cron("cron", cron, Ring);
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Cancel(pub(crate) String);

impl Handle<Cancel> for Bell {
    fn handle(bell: &mut Live<'_, Self>, Cancel(name): Cancel) -> Result<(), Never> {
        bell.cancel(&name);
        Ok(())
    }
}

/// Writes nothing, and leaves memory.
#[derive(Debug, Serialize, Deserialize, Command)]
pub(crate) struct Leave;

impl Handle<Leave> for Bell {
    fn handle(bell: &mut Live<'_, Self>, _: Leave) -> Result<(), Never> {
        bell.stop();
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize, Command)]
#[command(reply = Vec<Rang>)]
pub(crate) struct AllRang;

impl Handle<AllRang> for Bell {
    fn handle(bell: &mut Live<'_, Self>, _: AllRang) -> Result<Vec<Rang>, Never> {
        Ok(bell.rang.clone())
    }
}

#[derive(Debug, Clone, Copy)]
struct Times {
    wall: i64,
    running: Duration,
    boot: u128,
}

/// Clocks that stand still until they are moved.
#[derive(Clone)]
pub(crate) struct Clocks(Arc<Mutex<Times>>);

impl Default for Clocks {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Times {
            wall: START.as_micros(),
            running: 1_000 * SECOND,
            boot: 1,
        })))
    }
}

impl Clocks {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time passes.
    pub(crate) fn pass(&self, by: Duration) {
        let mut times = self.times();
        times.wall += micros(by);
        times.running += by;
    }

    /// Somebody sets the wall clock.
    pub(crate) fn jump(&self, forward: bool, by: Duration) {
        self.times().wall += if forward { micros(by) } else { -micros(by) };
    }

    /// The machine is off for so long.
    pub(crate) fn reboot(&self, off: Duration) {
        let mut times = self.times();
        times.wall += micros(off);
        times.running = 7 * SECOND;
        times.boot += 1;
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}

impl Clock for Clocks {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.times().wall)
    }

    fn running(&self) -> Duration {
        self.times().running
    }

    fn boot(&self) -> BootId {
        BootId::from_u128(self.times().boot)
    }
}

/// A node with bells, its clocks and its storage.
pub(crate) struct Tower {
    pub(crate) storage: MemoryStorage,
    pub(crate) clocks: Clocks,
    pub(crate) node: Node,
    config: fn(&mut Config),
}

impl Tower {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(config: fn(&mut Config)) -> Self {
        let (storage, clocks) = (MemoryStorage::new(), Clocks::default());
        let node = start(&storage, &clocks, config).await;
        Self {
            storage,
            clocks,
            node,
            config,
        }
    }

    /// The node ends, something happens meanwhile, and it starts again.
    pub(crate) async fn restart(self, clean: bool, meanwhile: impl FnOnce(&Clocks)) -> Self {
        if clean {
            self.node.shutdown().await.unwrap();
        }
        let Self {
            storage,
            clocks,
            node,
            config,
        } = self;
        drop(node);
        meanwhile(&clocks);
        let node = start(&storage, &clocks, config).await;
        Self {
            storage,
            clocks,
            node,
            config,
        }
    }

    pub(crate) fn bell(&self, key: &str) -> ActorRef<Bell> {
        self.node.actor(key)
    }

    pub(crate) async fn set(&self, name: &str, timer: Timer) {
        let set = Set(vec![(name.to_owned(), timer)]);
        self.bell("a").ask(set).await.unwrap();
    }

    pub(crate) async fn cancel(&self, name: &str) {
        self.bell("a").ask(Cancel(name.to_owned())).await.unwrap();
    }

    pub(crate) async fn pass(&self, by: Duration) {
        self.clocks.pass(by);
        self.node.wake().await;
    }

    pub(crate) async fn jump(&self, forward: bool, by: Duration) {
        self.clocks.jump(forward, by);
        self.node.wake().await;
    }

    pub(crate) async fn rang(&self, key: &str) -> Vec<Rang> {
        loop {
            match self.bell(key).ask(AllRang).await {
                Ok(rang) => return rang,
                Err(AskError::OutcomeUnknown) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until there are so many firings in all, and returns them; more are a mistake.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Rang> {
        eventually(&format!("{count} firings"), async || {
            self.node.wake().await;
            self.rang("a").await.len() >= count
        })
        .await;
        self.node.wake().await;
        let rang = self.rang("a").await;
        assert_eq!(rang.len(), count, "{rang:#?}");
        rang
    }

    /// Waits until so much has fired: name, seconds from the start until it was due, missed.
    #[track_caller]
    pub(crate) fn fired<'a>(
        &'a self,
        expected: &'a [(&'a str, i64, u64)],
    ) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let rang = self.wait_for(expected.len()).await;
            let seen: Vec<_> = rang
                .iter()
                .map(|rang| (rang.timer.as_str(), rang.due / 1_000_000, rang.missed))
                .collect();
            assert_eq!(seen, expected, "at {place}");
        }
    }

    /// A number from the node's metrics.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.node.metrics();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }
}

async fn start(storage: &MemoryStorage, clocks: &Clocks, config: fn(&mut Config)) -> Node {
    NodeBuilder::from(storage.clone())
        .config(|config| config.workers = NonZeroUsize::new(2).unwrap())
        .config(config)
        .clock(clocks.clone())
        .register::<Bell>(|kind| {
            let kind = kind.command::<Ring>().command::<Set>().command::<Cancel>();
            kind.command::<SetShort>()
        })
        .start()
        .await
        .unwrap()
}
